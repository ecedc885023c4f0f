"""Normal modes where a model came to rest, beside the reference's own, where it comes to rest from there.

Both Hessians are central differences of forces: 6 n_atoms evaluations of the model in large batches, and as many labels
of the reference in worker processes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gmd26_md.dynamics.forces import ForceProvider
from gmd26_md.dynamics.predict import predict
from gmd26_md.dynamics.relax import Relaxation
from gmd26_md.observables.bonds import bond_graph
from gmd26_md.observables.modes import Modes, displaced, hessian, matched, n_imaginary, normal_modes
from gmd26_md.observables.rmsd import best_labelling, kabsch
from gmd26_md.protocols.relaxation_settings import Settings
from gmd26_md.reference.labels import Frames, label
from gmd26_md.trajectory import Trajectory

_SOFT_FMAX = 0.005  # eV/Å; a mode of 50 1/cm is then 0.05 Å from its minimum, and further is no minimum to it


@dataclass(frozen=True, eq=False)
class TwoModes:
    """The modes of a model at its minimum and of the reference at its own, laid over each other.

    Attributes
    ----------
    model, reference
        None where they could not be computed.
    words
        Why not; empty if they could.
    n_calls
        Geometries asked of the model.
    left_out
        Whether the settings leave this molecule out, which is no failure.
    """

    model: Modes | None
    reference: Modes | None
    words: str = ""
    n_calls: int = 0
    left_out: bool = False


def compare_modes(
    provider: ForceProvider,
    relaxations: Sequence[Relaxation],
    rested: Sequence[Trajectory | None],
    reference: str,
    settings: Settings,
    on_progress: Callable[[float], None] = lambda fraction: None,
) -> list[TwoModes]:
    """Return the modes at the ends of relaxations and where the reference came to rest from there.

    Parameters
    ----------
    rested
        The reference's minima next to the ends, one frame each; None where it has none.
    """
    found = {i: TwoModes(None, None, _obstacle(r, settings), left_out=True) for i, r in enumerate(relaxations)}
    asked = [i for i, entry in found.items() if not entry.words]
    places = [_places(relaxations[i], rested[i]) for i in asked]
    found |= {i: TwoModes(None, None, place) for i, place in zip(asked, places, strict=True) if isinstance(place, str)}
    ready = {i: place for i, place in zip(asked, places, strict=True) if isinstance(place, _Places)}
    truths = _reference_modes(list(ready.values()), reference, settings.modes_step_A, on_progress)
    for (i, place), truth in zip(ready.items(), truths, strict=True):
        model = _model_modes(provider, place, settings.modes_step_A)
        words = "" if model and truth else f"the {'reference' if model else 'model'} failed on a displaced geometry"
        found[i] = TwoModes(model, truth, words, 6 * len(place.numbers))
    return [found[i] for i in range(len(relaxations))]


def mode_metrics(modes: TwoModes, settings: Settings) -> dict[str, float | None]:
    """Return what the two sets of modes say; nothing where one is missing."""
    if modes.model is None or modes.reference is None:
        return {}
    mine, truth = modes.model.frequencies_per_cm, modes.reference.frequencies_per_cm
    counts: dict[str, float | None] = {
        "n_imaginary_modes": float(n_imaginary(modes.model, settings.imaginary_per_cm)),
        "n_reference_imaginary_modes": float(n_imaginary(modes.reference, settings.imaginary_per_cm)),
    }
    if len(mine) != len(truth) or not len(mine):
        return counts  # one of them is linear, the other is not; or a single atom
    partner, cosine = matched(modes.model, modes.reference)
    off = np.abs(mine - truth)
    return counts | {
        "lowest_frequency_per_cm": float(mine[0]),
        "frequency_mean_relative_ratio": float(mine.mean() / truth.mean()),
        "frequency_mae_per_cm": float(off.mean()),
        "frequency_error_max_per_cm": float(off.max()),
        "frequency_by_overlap_mae_per_cm": float(np.abs(mine - truth[partner]).mean()),
        "mode_overlap_cosine": float(cosine.mean()),
    }


def mode_evidence(modes: TwoModes) -> dict[str, Any]:
    """Return the frequencies, or why there are none, for a record."""
    if modes.words:
        return {"modes": {"words": modes.words}}
    named = {"model_frequencies_per_cm": modes.model, "reference_frequencies_per_cm": modes.reference}
    return {"modes": {name: m.frequencies_per_cm.round(2).tolist() for name, m in named.items() if m is not None}}


def _obstacle(relaxation: Relaxation, settings: Settings) -> str:
    """Return why no modes were asked for; empty if they were."""
    n_atoms = relaxation.path.n_atoms
    if n_atoms > settings.modes_max_atoms:
        return f"{n_atoms} atoms; the limit is {settings.modes_max_atoms}"
    if not settings.fmax_eV_per_A <= _SOFT_FMAX:
        return f"relaxed to {settings.fmax_eV_per_A:g} eV/Å; soft modes need {_SOFT_FMAX:g}"
    return ""


@dataclass(frozen=True, eq=False)
class _Places:
    """Where model and reference rest, the model's laid over the reference's, (n_atoms, 3), Å."""

    numbers: np.ndarray
    model: np.ndarray
    reference: np.ndarray


def _places(mine: Relaxation, theirs: Trajectory | None) -> _Places | str:
    """Return both geometries, the model's laid over the reference's; in words, why there are none."""
    if not mine.converged:
        return "the model did not come to rest"
    if theirs is None:
        return "the reference did not come to rest"
    numbers, end, target = mine.path.numbers, mine.path.positions[-1], theirs.positions[0]
    graph = bond_graph(numbers, target)
    if bond_graph(numbers, end).pairs != graph.pairs:
        return "the covalent graphs of the two minima differ"
    order = best_labelling(numbers, graph.bonds, end, target)
    return _Places(numbers, kabsch(end[order], target), target)


def _model_modes(provider: ForceProvider, place: _Places, step_A: float) -> Modes | None:
    moved = displaced(place.model, step_A)
    n = len(moved)
    frames = Trajectory(place.numbers, np.zeros(n), moved, None, np.zeros(n), np.zeros(moved.shape))
    _, forces = predict(provider, frames)
    return _modes(place.numbers, place.model, forces, step_A)


def _reference_modes(
    places: Sequence[_Places], reference: str, step_A: float, on_progress: Callable[[float], None]
) -> list[Modes | None]:
    halves = [Frames(p.numbers, half) for p in places for half in np.split(displaced(p.reference, step_A), 2)]
    labels = label(halves, reference, on_progress=on_progress)  # halves, so that one molecule keeps two workers busy
    forces = [np.concatenate([up.forces, down.forces]) for up, down in zip(labels[::2], labels[1::2], strict=True)]
    return [_modes(p.numbers, p.reference, f, step_A) for p, f in zip(places, forces, strict=True)]


def _modes(numbers: np.ndarray, positions: np.ndarray, forces: np.ndarray, step_A: float) -> Modes | None:
    """Return the modes, or None if a force is not finite."""
    if not np.isfinite(forces).all():
        return None
    return normal_modes(numbers, positions, hessian(forces, step_A))
