"""Which geometries of a cheaper level's data are to be labelled at another level.

test.extxyz        from the held-out frames (`heldout`), so that static errors are measured on what never trained
primary.extxyz     from the primary trajectory
secondary.extxyz   from the first 100 frames of the secondary, those that validate: all of it validates
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gmd26_md.datasets import store
from gmd26_md.datasets.heldout import heldout_frames, thin
from gmd26_md.errors import UserError
from gmd26_md.molecules import Molecule
from gmd26_md.trajectory import Trajectory

FRAME_STAGES = ("test", "primary", "secondary")


@dataclass(frozen=True, eq=False)
class Source:
    """Geometries to be labelled, in the order of time.

    Attributes
    ----------
    stage
        What they become: one of `FRAME_STAGES`.
    frames
        As they were sampled, with the sampler's own labels.
    origin
        The provenance of the file that they are from.
    """

    stage: str
    frames: Trajectory
    origin: dict[str, Any]

    @property
    def positions_sha256(self) -> str:
        """Of the positions, as float64."""
        return hashlib.sha256(np.ascontiguousarray(self.frames.positions).tobytes()).hexdigest()


def sources_of(data: Path, level: str, molecule: Molecule, split: str, counts: dict[str, int]) -> list[Source]:
    """Return the geometries of a molecule for each stage with a count above 0.

    Parameters
    ----------
    data, level
        Where the sampled data lies, and its level of theory.
    split
        "id" or "ood": which frames test, as `Task.frames_of` says.
    counts
        By stage, how many, evenly spread over time.

    Raises
    ------
    UserError
        If the data has no frames for a stage that is asked for, or they are not finite or not as their provenance says.
    """
    return [_source(data, level, molecule, split, stage, n) for stage, n in counts.items() if n > 0]


def _source(data: Path, level: str, molecule: Molecule, split: str, stage: str, n_frames: int) -> Source:
    folder = store.folder_of(data, level, molecule)
    frames: Trajectory | None = None
    if stage == "test":
        frames = heldout_frames(data, level, molecule, split, n_frames)
        trajectory = "secondary" if split == "id" else "primary"
        name = "test" if (folder / "test.extxyz").is_file() else trajectory
    else:
        name = stage
        if (folder / f"{stage}.extxyz").is_file():
            whole = store.read_frames(folder / f"{stage}.extxyz", molecule, level)
            validation = slice(store.N_VALIDATION_FRAMES if stage == "secondary" else None)
            frames = thin(whole.part(validation), n_frames)
    if frames is None:
        raise UserError(
            f"{folder} has no {stage} frames of {molecule.name} ({split}) to label; make them with 'gmd26-md data "
            f"generate', leave out --n-{stage}, or choose molecules with --only."
        )
    return Source(stage, frames, store.read_provenance(folder).get(name, {}))
