"""Relaxation: where does the model come to rest, and does the reference agree?

Each molecule is relaxed with the model from the reference minimum, from near it, from the structure as built and from
conformers. A model that is right stays at the minimum: small RMSD, the same bonds, small *reference* forces where it
stops, and the reference, relaxing on from there, hardly moves. Docs: `docs/protocols/relaxation.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from ase import Atoms

from gmd26_md.dynamics.forces import ForceProvider
from gmd26_md.dynamics.relax import Relaxation, relax
from gmd26_md.dynamics.settle import settle
from gmd26_md.observables.bonds import BondGraph, bond_graph
from gmd26_md.observables.deviations import UNITS, deviations
from gmd26_md.observables.rmsd import best_labelling, symmetric_rmsd
from gmd26_md.observables.scans import bond_words
from gmd26_md.protocols.cases import Case
from gmd26_md.protocols.relaxation_modes import TwoModes, mode_evidence, mode_metrics
from gmd26_md.protocols.relaxation_settings import Settings
from gmd26_md.protocols.starts import Start, reference_minimum
from gmd26_md.reference.labels import Frames, Labels, label
from gmd26_md.reference.minima import minima
from gmd26_md.trajectory import Trajectory

__all__ = [
    "HOME",
    "Outcome",
    "SeenByReference",
    "Settings",
    "analyse",
    "ask_reference",
    "judged",
    "reference_minimum",
    "relaxed_home",
    "run",
]

HOME = "reference-minimum"
"""The start at which leaving is a fault."""

_STEEP_FMAX = 0.05  # eV/Å, where BFGS takes over; from 0.02 it was no quicker, and FIRE took five times the steps

Metrics = dict[str, float | None]

WRONG_MODES_RATIO = 2.0
"""Frequencies with a mean this many times the reference's, or so many times less, are "wrong modes": a
surface that holds nothing, or one in another unit. Models that were tried, sound and poor ones, are within 1.1."""


@dataclass(frozen=True)
class Outcome:
    """What is made of one relaxation.

    Attributes
    ----------
    metrics
        See `metrics.METRICS`.
    judgement
        "agrees", "moved away", "false minimum", "strained", "saddle", "wrong modes", "reacted", "not converged",
        "failed", or "unknown" where the reference failed.
    reason
        The number that decided, in words.
    evidence
        Which atoms deviate most, and the frequencies; JSON-safe.
    """

    metrics: Metrics
    judgement: str
    reason: str
    evidence: dict[str, Any]


def run(
    provider: ForceProvider,
    starts: Sequence[Start],
    settings: Settings,
    *,
    on_progress: Callable[[int, int], None] = lambda n_steps, n_left: None,
) -> list[Relaxation]:
    """Relax from every start with the model, all together: FIRE while it is steep, BFGS for the rest."""
    steep = relax(
        provider,
        [start.case.numbers for start in starts],
        [start.positions for start in starts],
        fmax=max(settings.fmax_eV_per_A, _STEEP_FMAX),
        max_steps=settings.max_steps,
        on_progress=on_progress,
    )
    return settle(provider, steep, fmax=settings.fmax_eV_per_A, max_steps=settings.max_steps, on_progress=on_progress)


def relaxed_home(cases: Sequence[Case], reference: str, settings: Settings) -> list[Case]:
    """Return the cases with their reference minima relaxed on, with the reference, to the force asked for.

    Minima are kept to 0.01 eV/Å, where some stand on a shoulder still: a model would be blamed for leaving it. A
    minimum that does not come to rest stays as it is.
    """
    kept = [reference_minimum(case) for case in cases]
    atoms = [Atoms(numbers=minimum.numbers, positions=minimum.positions[0]) for minimum in kept]
    found = minima(atoms, reference, fmax=settings.fmax_eV_per_A)
    return [replace(c, minimum=new or old) for c, new, old in zip(cases, found, kept, strict=True)]


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


def ask_reference(
    relaxations: Sequence[Relaxation],
    reference: str,
    settings: Settings,
    on_progress: Callable[[float], None] = lambda fraction: None,
) -> list[SeenByReference]:
    """Label the last geometry of each relaxation with the reference, and relax on from it."""
    ends = [r.path.positions[-1] for r in relaxations]
    labels = label([Frames(r.path.numbers, end[None]) for r, end in zip(relaxations, ends, strict=True)], reference)
    whole = [i for i, end in enumerate(ends) if np.isfinite(end).all()]
    atoms = [Atoms(numbers=relaxations[i].path.numbers, positions=ends[i]) for i in whole]
    found = dict(
        zip(whole, minima(atoms, reference, fmax=settings.fmax_eV_per_A, on_progress=on_progress), strict=True)
    )
    return [SeenByReference(answer, found.get(i)) for i, answer in enumerate(labels)]


def analyse(
    start: Start, relaxation: Relaxation, seen: SeenByReference, settings: Settings, modes: TwoModes | None = None
) -> Outcome:
    """Compare a relaxation with the reference minimum, and with what the reference says of its end.

    Internal coordinates are compared with where the reference comes to rest from the same place, for every start; from
    the reference minimum also with that minimum itself.
    """
    case = start.case
    end, minimum = relaxation.path.positions[-1], reference_minimum(case).positions[0]
    home = bond_graph(case.numbers, minimum)
    energy = float(seen.labels.energies[0])
    there = _beside(home, end, minimum)
    on = _beside(home, end, None if seen.minimum is None else seen.minimum.positions[0])
    metrics: Metrics = {
        "converged_fraction": float(relaxation.converged),
        "n_steps": float(relaxation.n_steps),
        "n_energy_calls": float(relaxation.n_steps + 1),
        "fmax_eV_per_A": relaxation.fmax_eV_per_A,
        "rmsd_A": there.all_atoms,
        "heavy_rmsd_A": there.heavy,
        "reference_fmax_eV_per_A": float(np.linalg.norm(seen.labels.forces[0], axis=-1).max()),
        "reference_energy_above_minimum_eV": energy - _energy_of(case.minimum),
        "relaxed_on_heavy_rmsd_A": on.heavy,
        "relaxed_on_energy_drop_eV": energy - _energy_of(seen.minimum),
        **{f"relaxed_on_{name}": value for name, value in on.internal.items()},
    }
    evidence: dict[str, Any] = {"relaxed_on_largest_deviation_atoms": on.atoms}
    if start.kind == HOME:
        metrics |= there.internal
        evidence["largest_deviation_atoms"] = there.atoms
    if modes is not None:
        metrics |= mode_metrics(modes, settings)
        evidence |= mode_evidence(modes)
    missing = "" if modes is None or modes.left_out else modes.words
    has_modes = modes is not None and modes.model is not None
    judgement, reason = _unfinished(start, relaxation, home) or judged(
        metrics,
        len(case.numbers),
        start.kind,
        settings,
        other_bonds="" if seen.minimum is None else _other_bonds(home, seen.minimum.positions[0]),
        missing_modes=missing,
        model_has_modes=has_modes,
    )
    return Outcome(metrics, judgement, reason, evidence)


@dataclass(frozen=True)
class _Beside:
    """One geometry beside another, equivalent atoms in the same places: RMSD, Å, and internal coordinates."""

    all_atoms: float
    heavy: float
    internal: Metrics
    atoms: dict[str, list[int]]


def _beside(home: BondGraph, end: np.ndarray, target: np.ndarray | None) -> _Beside:
    """Return how far a geometry is from a target; NaN where there is none."""
    target = np.full(end.shape, np.nan) if target is None else target
    all_atoms, heavy = symmetric_rmsd(home.numbers, home.bonds, end, target)
    order = best_labelling(home.numbers, home.bonds, end, target)
    internal: Metrics = {}
    atoms = {}
    for kind, found in deviations(home, end[order], target).items():
        internal[f"{kind}_deviation_mean_{UNITS[kind]}"] = None if found is None else found.mean
        internal[f"{kind}_deviation_max_{UNITS[kind]}"] = None if found is None else found.largest
        if found is not None:
            atoms[kind] = list(found.atoms)
    return _Beside(all_atoms, heavy if (home.numbers > 1).any() else all_atoms, internal, atoms)


def _energy_of(minimum: Trajectory | None) -> float:
    return float("nan") if minimum is None else float(minimum.energies[0])


def _other_bonds(home: BondGraph, positions: np.ndarray) -> str:
    """Say which bonds a geometry has lost and which it has made; empty where it is the same molecule."""
    pairs = bond_graph(home.numbers, positions).pairs
    words = []
    for verb, changed in (("breaks", home.pairs - pairs), ("makes", pairs - home.pairs)):
        if changed:
            words.append(f"{verb} {', '.join(bond_words(home.numbers, pair) for pair in sorted(changed))}")
    return " and ".join(words)


def _unfinished(start: Start, relaxation: Relaxation, home: BondGraph) -> tuple[str, str] | None:
    """Return the judgement of a relaxation that did not come to rest as the same molecule, or None."""
    end = relaxation.path.positions[-1]
    if relaxation.error is not None:
        return "failed", relaxation.error
    if not np.isfinite(end).all() or not np.isfinite(relaxation.fmax_eV_per_A):
        return "failed", "a position or force was not finite"
    if bond_graph(start.case.numbers, end).pairs != home.pairs:
        return "reacted", "the covalent graph at the end differs from the reference minimum's"
    if not relaxation.converged:
        force = relaxation.fmax_eV_per_A
        return "not converged", f"largest force {force:.3f} eV/Å after {relaxation.n_steps} steps"
    return None


def judged(
    metrics: Metrics,
    n_atoms: int,
    kind: str,
    settings: Settings,
    *,
    other_bonds: str = "",
    missing_modes: str = "",
    model_has_modes: bool = False,
) -> tuple[str, str]:
    """Return the judgement of the place where the model rests, and the number that decided.

    A check passes only if its `<=` is true: NaN fails. A molecule without torsions has none that turned (None).

    Parameters
    ----------
    other_bonds
        Which bonds the reference, relaxing on, breaks and makes; empty if it stays the same molecule.
    missing_modes
        Why there are no normal modes though they were asked for; empty if there are, or were not asked for.
    model_has_modes
        Whether the model has them, so that it was the reference that failed.
    """
    on, drop = _number(metrics, "relaxed_on_heavy_rmsd_A"), _number(metrics, "relaxed_on_energy_drop_eV")
    if not np.isfinite(on):
        return "unknown", "the reference did not come to rest from where the model did"
    if not np.isfinite(drop):
        return "unknown", "the reference has no energy where the model came to rest"
    if other_bonds:
        return "false minimum", f"the reference has no minimum there: it {other_bonds}, and goes {drop:.3f} eV down"
    left = _left(on, metrics.get("relaxed_on_torsion_deviation_max_deg"), settings)
    if left:
        return "false minimum", f"the reference has no minimum there: it goes on by {left} and {drop:.3f} eV down"
    drop_meV = 1000.0 * drop / n_atoms
    if not drop_meV <= settings.max_drop_meV_per_atom:
        return "strained", f"the reference's own minimum is {on:.3f} Å away, but {drop_meV:.1f} meV/atom down"
    # another conformer is no fault when the start was not the minimum
    away = _left(_number(metrics, "heavy_rmsd_A"), metrics.get("torsion_deviation_max_deg"), settings)
    if kind == HOME and away:
        return "moved away", f"{away} from the reference minimum that it started from"
    if missing_modes:
        return ("unknown" if model_has_modes else "failed"), f"no normal modes: {missing_modes}"
    n_hills, n_theirs = metrics.get("n_imaginary_modes"), metrics.get("n_reference_imaginary_modes")
    if n_hills is not None and n_theirs is not None and not n_hills <= n_theirs:
        lowest = _number(metrics, "lowest_frequency_per_cm")
        return (
            "saddle",
            f"{n_hills:.0f} imaginary modes, the reference's own minimum {n_theirs:.0f}; lowest {lowest:.0f} 1/cm",
        )
    stiffness = metrics.get("frequency_mean_relative_ratio")
    if stiffness is not None and not 1.0 / WRONG_MODES_RATIO <= stiffness <= WRONG_MODES_RATIO:
        return (
            "wrong modes",
            f"its frequencies are {stiffness:.2g} times the reference's in the mean: no minimum like it",
        )
    return "agrees", f"the reference's own minimum is {on:.3f} Å away and {drop:.3f} eV down"


def _left(heavy_rmsd_A: float, turned_deg: float | None, settings: Settings) -> str:
    """Say how far two geometries are apart where that is another minimum; empty where it is not."""
    if not heavy_rmsd_A <= settings.max_rmsd_A:
        return f"a heavy-atom RMSD of {heavy_rmsd_A:.2f} Å"
    if turned_deg is not None and not turned_deg <= settings.max_torsion_deg:
        return f"a torsion turned by {turned_deg:.0f}° (heavy-atom RMSD {heavy_rmsd_A:.2f} Å)"
    return ""


def _number(metrics: Metrics, name: str) -> float:
    value = metrics.get(name)
    return float("nan") if value is None else value
