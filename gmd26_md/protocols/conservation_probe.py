"""The force field of a molecule on frames of its own run: a gradient, free of curl, the same in both precisions?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gmd26_md.dynamics.forces import ForceProvider
from gmd26_md.dynamics.predict import predict
from gmd26_md.observables import gradient
from gmd26_md.observables.gradient import TwoSteps
from gmd26_md.protocols.cases import Case
from gmd26_md.protocols.conservation_settings import Settings
from gmd26_md.seeds import seed_of
from gmd26_md.trajectory import Trajectory


@dataclass(frozen=True)
class Probed:
    """What the force field of one molecule is like on frames of its run.

    Attributes
    ----------
    gradient
        Forces against energy differences, over all frames and directions.
    curl
        By frame.
    own, other
        Energies (n_frames,) and forces (n_frames, n_atoms, 3) in the precision under test, and in the
        other one or None.
    """

    gradient: TwoSteps
    curl: list[TwoSteps]
    own: tuple[np.ndarray, np.ndarray]
    other: tuple[np.ndarray, np.ndarray] | None


def probe(
    case: Case,
    frames: Trajectory,
    settings: Settings,
    *,
    own: ForceProvider,
    exact: ForceProvider,
    other: ForceProvider | None = None,
) -> Probed:
    """Examine the force field on frames of a molecule's run, those with finite positions.

    Parameters
    ----------
    own, other
        The model in the precision under test, and in the other one.
    exact
        The one of the two that is float64, whose forces and energies are held against each other; `own` if there is
        only one.
    """
    whole = np.flatnonzero(np.isfinite(frames.positions).all(axis=(1, 2)))
    chosen = whole[_spread(len(whole), settings.n_frames)]
    positions = frames.positions[chosen]
    rng = np.random.default_rng(seed_of(settings.seed, case.slug, "directions"))
    shape = (len(chosen), settings.n_directions, frames.n_atoms, 3)
    directions = gradient.random_directions(shape, rng)
    h = settings.difference_step_A
    moved = np.stack([gradient.displaced(x, u, h) for x, u in zip(positions, directions, strict=True)])
    _, forces = _asked(exact, case, positions)
    energies, _ = _asked(exact, case, moved)
    return Probed(
        gradient.gradient_error(forces, directions, energies, h),
        [_curl(exact, case, x, rng, settings) for x in positions],
        _asked(own, case, positions),
        None if other is None else _asked(other, case, positions),
    )


def _spread(n_there: int, n_wanted: int) -> np.ndarray:
    """Return indices of frames, evenly spread, the first and the last among them."""
    return np.unique(np.linspace(0, n_there - 1, min(n_wanted, n_there)).round().astype(int))


def _curl(
    provider: ForceProvider, case: Case, positions: np.ndarray, rng: np.random.Generator, settings: Settings
) -> TwoSteps:
    n_atoms, h = len(case.numbers), settings.difference_step_A
    if n_atoms <= settings.exact_to_atoms:
        moved = gradient.displaced(positions, gradient.unit_vectors(n_atoms), h)
        return gradient.curl(_asked(provider, case, moved)[1], h)
    probes = gradient.random_signs(settings.n_probes, n_atoms, rng)
    return gradient.probed_curl(probes, _asked(provider, case, gradient.displaced(positions, probes, h))[1], h)


def _asked(provider: ForceProvider, case: Case, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return energies (...,) and forces (..., n_atoms, 3) of geometries (..., n_atoms, 3), in batches."""
    flat = positions.reshape(-1, *positions.shape[-2:])
    n = len(flat)
    energies, forces = predict(
        provider, Trajectory(case.numbers, np.zeros(n), flat, None, np.zeros(n), np.zeros_like(flat))
    )
    return energies.reshape(positions.shape[:-2]), forces.reshape(positions.shape)
