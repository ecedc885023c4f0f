"""Committee: does the spread of several models along a run say how wrong they are, and does it warn in time?

The runs have been made before, by any model, and some of their frames labelled by the reference. This module asks the
members; what their answers come to is in `committee_analysis`. Docs: `docs/committees.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from gmd26_md.dynamics.committee_forces import CommitteeForces, predict_members
from gmd26_md.errors import UserError
from gmd26_md.observables.committee import force_spread
from gmd26_md.trajectory import Trajectory


@dataclass(frozen=True)
class Settings:
    """Options of the protocol.

    Attributes
    ----------
    percentile
        Of the signal (the largest spread of an atom in a frame) over the ID frames: the threshold of the warning. 99:
        one false alarm in a hundred frames of what is known.
    threshold_eV_per_A
        The threshold itself, in place of the percentile.
    max_force_ratio
        A frame is wrong whose error is more than this share of the RMS reference component over the ID frames: 0.2, as
        the verdict's.
    limit_eV_per_A
        That limit itself.
    """

    percentile: float = 99.0
    threshold_eV_per_A: float | None = None
    max_force_ratio: float = 0.2
    limit_eV_per_A: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.percentile <= 100:
            raise UserError(f"percentile is {self.percentile}; it must be above 0 and at most 100.")
        for name in ("threshold_eV_per_A", "max_force_ratio", "limit_eV_per_A"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise UserError(f"{name} is {value}; it must be a number above 0.")


@dataclass(frozen=True, eq=False)
class PastRun:
    """A run that was made and labelled before.

    Attributes
    ----------
    name, molecule, split, seed, verdict
        As in its record.
    failed_at_ps
        When it first failed, a proton transfer included; its end where only the graph at the end differs.
    model_sha256
        Of the model that made it.
    labelled
        Frames with the reference's energies and forces; None where there are none, as in a run that failed early.
    saved
        All frames that were kept; None if they are gone.
    """

    name: str
    molecule: str
    split: str
    seed: int
    verdict: str | None
    failed_at_ps: float | None
    model_sha256: str
    labelled: Trajectory | None
    saved: Trajectory | None


@dataclass(frozen=True, eq=False)
class Said:
    """What the members say of a run's labelled and of its watched frames.

    Attributes
    ----------
    energies, forces
        (n_members, n_labels), eV, and (n_members, n_labels, n_atoms, 3), eV/Å; None without labels.
    time_ps, signal
        Of the saved frames, or the labelled ones where none were saved, (n_frames,): ps, and eV/Å.
    """

    run: PastRun
    energies: np.ndarray | None
    forces: np.ndarray | None
    time_ps: np.ndarray
    signal: np.ndarray


def run(
    committee: CommitteeForces,
    runs: Sequence[PastRun],
    *,
    on_progress: Callable[[int], None] = lambda n_done: None,
) -> list[Said]:
    """Ask every member about the labelled and the saved frames of runs; a run with neither is left out."""
    found = []
    for n_done, past in enumerate(runs):
        on_progress(n_done)
        watched = past.labelled if past.saved is None else past.saved
        if watched is None:
            continue
        energies = forces = None
        if past.labelled is not None:
            energies, forces = predict_members(committee, past.labelled)
        seen = forces if past.saved is None else predict_members(committee, past.saved)[1]
        signal = force_spread(np.asarray(seen)).max(axis=1)
        found.append(Said(past, energies, forces, watched.time_fs / 1000.0, signal))
    return found
