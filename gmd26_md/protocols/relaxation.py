"""Relaxation: where does the model come to rest, and does the reference agree?

Each molecule is relaxed with the model from the reference minimum and from the structure as built. A model that is
right stays at the minimum: small RMSD, the same bonds, small *reference* forces where it stops. Docs:
`docs/protocols/relaxation.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from gmd26_md.dynamics.forces import ForceProvider
from gmd26_md.dynamics.relax import Relaxation, relax
from gmd26_md.observables.bonds import bond_graph
from gmd26_md.observables.rmsd import symmetric_rmsd
from gmd26_md.protocols.cases import Case
from gmd26_md.reference.labels import Frames, Labels, label
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
        A heavy-atom RMSD from the reference minimum above this is "moved away": 0.3 Å, which MLIPAudit calls bad.
    max_reference_force_eV_per_A
        A reference force above this at the model's minimum says that the reference has no minimum there: 0.5 eV/Å is
        ten times what the shipped models err.
    """

    fmax_eV_per_A: float = 0.02
    max_steps: int = 2000
    max_rmsd_A: float = 0.3
    max_reference_force_eV_per_A: float = 0.5


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
        See `records.METRICS`.
    judgement
        "agrees", "moved away", "reacted", "not converged", or "failed".
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


def label_ends(relaxations: Sequence[Relaxation], reference: str) -> list[Labels]:
    """Label the last geometry of each relaxation with the reference."""
    return label([Frames(r.path.numbers, r.path.positions[-1:]) for r in relaxations], reference)


def analyse(case: Case, start: str, relaxation: Relaxation, labels: Labels, settings: Settings) -> Outcome:
    """Compare a relaxation with the reference minimum; `labels` are the reference's of its last geometry."""
    minimum = reference_minimum(case)
    end = relaxation.path.positions[-1]
    home = bond_graph(case.numbers, minimum.positions[0])
    all_atoms, heavy = symmetric_rmsd(case.numbers, home.bonds, end, minimum.positions[0])
    reference_fmax = float(np.linalg.norm(labels.forces[0], axis=-1).max())
    metrics: dict[str, float | None] = {
        "converged_fraction": float(relaxation.converged),
        "n_steps": float(relaxation.n_steps),
        "n_energy_calls": float(relaxation.n_steps + 1),
        "fmax_eV_per_A": relaxation.fmax_eV_per_A,
        "rmsd_A": all_atoms,
        "heavy_rmsd_A": heavy,
        "reference_fmax_eV_per_A": reference_fmax,
        "reference_energy_above_minimum_eV": float(labels.energies[0] - minimum.energies[0]),
    }
    finite = bool(np.isfinite(end).all())
    same_bonds = finite and bond_graph(case.numbers, end).pairs == home.pairs
    judgement, reason = _judge(relaxation, same_bonds, heavy, reference_fmax, start, settings)
    return Outcome(case.slug, case.split, start, relaxation, metrics, judgement, reason)


def _judge(
    relaxation: Relaxation, same_bonds: bool, heavy_rmsd: float, reference_fmax: float, start: str, settings: Settings
) -> tuple[str, str]:
    """Return the judgement and its reason; a check passes only if its `<=` is true, so NaN fails."""
    if relaxation.error is not None:
        return "failed", relaxation.error
    if not np.isfinite(relaxation.path.positions[-1]).all() or not np.isfinite(relaxation.fmax_eV_per_A):
        return "failed", "a position or force was not finite"
    if not same_bonds:
        return "reacted", "the covalent graph at the end differs from the reference minimum's"
    if not relaxation.converged:
        force = relaxation.fmax_eV_per_A
        return "not converged", f"largest force {force:.3f} eV/Å after {relaxation.n_steps} steps"
    if not reference_fmax <= settings.max_reference_force_eV_per_A:
        return "moved away", f"reference force {reference_fmax:.2f} eV/Å where the model rests: no reference minimum"
    # another conformer is no fault when the start was not the minimum
    if start == "reference-minimum" and not heavy_rmsd <= settings.max_rmsd_A:
        return "moved away", f"heavy-atom RMSD {heavy_rmsd:.2f} Å from the reference minimum"
    return "agrees", f"heavy-atom RMSD {heavy_rmsd:.3f} Å, reference force {reference_fmax:.2f} eV/Å"
