"""Relaxation: where does the model come to rest, and does the reference agree?

Each molecule is relaxed with the model from the reference minimum and from the structure as built. A model that is
right stays at the minimum: small RMSD, the same bonds, small *reference* forces where it stops, and the reference,
relaxing on from there, hardly moves. Docs: `docs/protocols/relaxation.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms

from gmd26_md.dynamics.forces import ForceProvider
from gmd26_md.dynamics.relax import Relaxation, relax
from gmd26_md.observables.bonds import BondGraph, bond_graph
from gmd26_md.observables.rmsd import symmetric_rmsd
from gmd26_md.protocols.cases import Case
from gmd26_md.reference.labels import Frames, Labels, label
from gmd26_md.reference.minima import minima
from gmd26_md.trajectory import Trajectory

STARTS = ("reference-minimum", "structure")


@dataclass(frozen=True)
class Settings:
    """Options of the protocol.

    Attributes
    ----------
    fmax_eV_per_A
        Largest force on an atom at which a relaxation has converged.
    max_steps
        After so many steps it has not.
    max_rmsd_A
        A heavy-atom RMSD above this, to where the reference comes to rest from the same place, is a "false minimum"; to
        the reference minimum that the model started from, "moved away". 0.3 Å, which MLIPAudit calls bad.
    max_drop_meV_per_atom
        More reference energy set free by relaxing on is "strained": 10, as for the true energy along a run.
    """

    fmax_eV_per_A: float = 0.02
    max_steps: int = 2000
    max_rmsd_A: float = 0.3
    max_drop_meV_per_atom: float = 10.0


@dataclass(frozen=True)
class Outcome:
    """One molecule relaxed from one start.

    Attributes
    ----------
    slug, split, start
        Which molecule, and from where.
    relaxation
        The path.
    metrics
        See `metrics.METRICS`.
    judgement
        "agrees", "moved away", "false minimum", "strained", "reacted", "not converged", or "failed".
    reason
        The number that decided, in words.
    """

    slug: str
    split: str
    start: str
    relaxation: Relaxation
    metrics: dict[str, float | None]
    judgement: str
    reason: str


def run(
    provider: ForceProvider,
    cases: Sequence[Case],
    settings: Settings,
    *,
    start: str = "reference-minimum",
    on_progress: Callable[[int, int], None] = lambda n_steps, n_left: None,
) -> list[Relaxation]:
    """Relax every case (each with a reference minimum) with the model, all together."""
    positions = [starting_positions(case, start) for case in cases]
    return relax(
        provider,
        [case.numbers for case in cases],
        positions,
        fmax=settings.fmax_eV_per_A,
        max_steps=settings.max_steps,
        on_progress=on_progress,
    )


def starting_positions(case: Case, start: str) -> np.ndarray:
    """Return where a case's relaxation starts, (n_atoms, 3), Å."""
    if start == "structure":
        return np.asarray(case.structure.positions)
    return reference_minimum(case).positions[0]


def reference_minimum(case: Case) -> Trajectory:
    """Return the case's reference minimum; ValueError if it has none."""
    if case.minimum is None:
        raise ValueError(f"{case.name} has no reference minimum")
    return case.minimum


@dataclass(frozen=True)
class SeenByReference:
    """What the reference says of the place where a model came to rest.

    Attributes
    ----------
    labels
        Its energy and forces there, one frame.
    minimum
        Where it comes to rest itself when it relaxes on from there, one frame; None if it does not.
    """

    labels: Labels
    minimum: Trajectory | None


def ask_reference(relaxations: Sequence[Relaxation], reference: str) -> list[SeenByReference]:
    """Label the last geometry of each relaxation with the reference, and relax on from it."""
    ends = [r.path.positions[-1] for r in relaxations]
    labels = label([Frames(r.path.numbers, end[None]) for r, end in zip(relaxations, ends, strict=True)], reference)
    whole = [i for i, end in enumerate(ends) if np.isfinite(end).all()]
    rested = minima([Atoms(numbers=relaxations[i].path.numbers, positions=ends[i]) for i in whole], reference)
    found = dict(zip(whole, rested, strict=True))
    return [SeenByReference(answer, found.get(i)) for i, answer in enumerate(labels)]


def analyse(case: Case, start: str, relaxation: Relaxation, seen: SeenByReference, settings: Settings) -> Outcome:
    """Compare a relaxation with the reference minimum, and with what the reference says of its end."""
    minimum = reference_minimum(case)
    end = relaxation.path.positions[-1]
    home = bond_graph(case.numbers, minimum.positions[0])
    all_atoms, heavy = symmetric_rmsd(case.numbers, home.bonds, end, minimum.positions[0])
    on, drop = float("nan"), float("nan")
    if seen.minimum is not None:
        _, on = symmetric_rmsd(case.numbers, home.bonds, end, seen.minimum.positions[0])
        drop = float(seen.labels.energies[0] - seen.minimum.energies[0])
    metrics: dict[str, float | None] = {
        "converged_fraction": float(relaxation.converged),
        "n_steps": float(relaxation.n_steps),
        "n_energy_calls": float(relaxation.n_steps + 1),
        "fmax_eV_per_A": relaxation.fmax_eV_per_A,
        "rmsd_A": all_atoms,
        "heavy_rmsd_A": heavy,
        "reference_fmax_eV_per_A": float(np.linalg.norm(seen.labels.forces[0], axis=-1).max()),
        "reference_energy_above_minimum_eV": float(seen.labels.energies[0] - minimum.energies[0]),
        "relaxed_on_heavy_rmsd_A": on,
        "relaxed_on_energy_drop_eV": drop,
    }
    judgement, reason = _unfinished(case, relaxation, home) or _place(
        heavy, on, drop, 1000.0 * drop / len(case.numbers), start, settings
    )
    return Outcome(case.slug, case.split, start, relaxation, metrics, judgement, reason)


def _unfinished(case: Case, relaxation: Relaxation, home: BondGraph) -> tuple[str, str] | None:
    """Return the judgement of a relaxation that did not come to rest as the same molecule, or None."""
    end = relaxation.path.positions[-1]
    if relaxation.error is not None:
        return "failed", relaxation.error
    if not np.isfinite(end).all() or not np.isfinite(relaxation.fmax_eV_per_A):
        return "failed", "a position or force was not finite"
    if bond_graph(case.numbers, end).pairs != home.pairs:
        return "reacted", "the covalent graph at the end differs from the reference minimum's"
    if not relaxation.converged:
        force = relaxation.fmax_eV_per_A
        return "not converged", f"largest force {force:.3f} eV/Å after {relaxation.n_steps} steps"
    return None


def _place(
    heavy: float, on: float, drop: float, drop_meV_per_atom: float, start: str, settings: Settings
) -> tuple[str, str]:
    """Return the judgement of the place where the model rests; a check passes only if its `<=` is true: NaN fails."""
    if not np.isfinite(on):
        return "failed", "the reference did not come to rest from where the model did"
    if not on <= settings.max_rmsd_A:
        return "false minimum", f"the reference has none there: it moves on by {on:.2f} Å and {drop:.3f} eV down"
    if not drop_meV_per_atom <= settings.max_drop_meV_per_atom:
        return "strained", f"the reference's own minimum is {on:.3f} Å away, but {drop_meV_per_atom:.1f} meV/atom down"
    # another conformer is no fault when the start was not the minimum
    if start == "reference-minimum" and not heavy <= settings.max_rmsd_A:
        return "moved away", f"heavy-atom RMSD {heavy:.2f} Å from the reference minimum, into another one"
    return "agrees", f"the reference's own minimum is {on:.3f} Å away and {drop:.3f} eV down"
