"""Whether the secondary trajectory of a molecule is independent of its primary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gmd26_md.datasets.energy_checks import FEW_ATOMS, MIN_FRAMES
from gmd26_md.datasets.faults import Fault, and_more
from gmd26_md.datasets.frame_checks import moved_twins_before, twins_before
from gmd26_md.trajectory import Trajectory

Floats = NDArray[np.float64]

_SAME_START = 0.5  # steps between frames; starts of twelve acids lay 2 to 12 steps apart
_SAME_START_OF_FEW = 0.02  # up to five atoms: two frames of water lie within half a step in one pair of six
_SAME_ENERGIES = 0.9  # correlation; 0.38 at most was seen, of the slow motions of a long chain


@dataclass(frozen=True)
class Independence:
    """How far apart the two are.

    Attributes
    ----------
    start_rmsd_A
        Between their first frames, laid over each other.
    step_rmsd_A
        Between neighbouring frames of the primary, the median: what is near.
    least_start_steps
        How many of these steps apart the starts must be.
    energy_correlation
        Of their energies, frame by frame: near 0, up to the slow motions of a short trajectory. None for fewer
        than `MIN_FRAMES` frames, or energies that do not change.
    """

    start_rmsd_A: float
    step_rmsd_A: float
    least_start_steps: float
    energy_correlation: float | None


def shared_frames(primary: Trajectory, secondary: Trajectory) -> list[Fault]:
    """Return a fault if a frame of the secondary stands in the primary, where it stands or moved, turned, mirrored."""
    both = np.concatenate([primary.positions, secondary.positions])
    for twins, how in ((twins_before(both), ""), (moved_twins_before(primary.numbers, both), ", moved or turned")):
        of = twins[primary.n_frames :]
        shared = np.flatnonzero((of >= 0) & (of < primary.n_frames))
        if shared.size:
            where = f"stands in the primary as frame {of[shared[0]]}{how}{and_more(shared.size)}"
            words = f"{where}: the two must share none"
            return [Fault("dependent", words, int(shared[0]), float(shared.size), 0.0)]
    return []


def dependence(
    primary: Trajectory, secondary: Trajectory, stream_seeds: Sequence[int | None]
) -> tuple[list[Fault], Independence]:
    """Return what makes the secondary no independent run of dynamics, and how far apart the two are.

    Parameters
    ----------
    stream_seeds
        Of primary and secondary, as their provenance says; None where it does not.
    """
    faults = []
    if None in stream_seeds or stream_seeds[0] == stream_seeds[1]:
        seeds = f"{stream_seeds[0]} and {stream_seeds[1]}"
        words = f"stream seeds of primary and secondary are {seeds}; they must be two different ones"
        faults.append(Fault("dependent", words))
    found = _independence(primary, secondary)
    steps = found.least_start_steps
    if found.start_rmsd_A < steps * found.step_rmsd_A:
        words = (
            f"begins {found.start_rmsd_A:.3f} Å from where the primary begins, nearer than "
            f"{steps * found.step_rmsd_A:.3f} Å, {steps:g} steps between frames: the same start"
        )
        faults.append(Fault("dependent", words, 0, found.start_rmsd_A, steps * found.step_rmsd_A))
    if found.energy_correlation is not None and not abs(found.energy_correlation) <= _SAME_ENERGIES:
        words = (
            f"its energies follow the primary's: correlation {found.energy_correlation:.3f}, allowed {_SAME_ENERGIES}"
        )
        faults.append(Fault("dependent", words, None, found.energy_correlation, _SAME_ENERGIES))
    return faults, found


def laid_over_rmsd(first: Floats, second: Floats) -> Floats:
    """Return the RMSD of pairs of geometries, (n,), Å, each pair (n, n_atoms, 3) laid over each other; atoms as named.

    The least RMSD from the singular values of the covariance alone: Kabsch, Acta Cryst. A32, 922 (1976).
    """
    first = first - first.mean(axis=1, keepdims=True)
    second = second - second.mean(axis=1, keepdims=True)
    covariance = np.einsum("fai,faj->fij", first, second)
    values = np.linalg.svd(covariance, compute_uv=False)
    values[:, 2] *= np.sign(np.linalg.det(covariance))  # no mirror image
    squares = (first**2).sum((1, 2)) + (second**2).sum((1, 2)) - 2.0 * values.sum(1)
    return np.sqrt(np.maximum(squares, 0.0) / first.shape[1])


def _independence(primary: Trajectory, secondary: Trajectory) -> Independence:
    steps = laid_over_rmsd(primary.positions[1:], primary.positions[:-1])
    n = min(primary.n_frames, secondary.n_frames)
    energies = primary.energies[:n], secondary.energies[:n]
    spread = all(np.std(one) > 0 for one in energies)
    return Independence(
        start_rmsd_A=float(laid_over_rmsd(primary.positions[:1], secondary.positions[:1])[0]),
        step_rmsd_A=float(np.median(steps)) if steps.size else 0.0,
        least_start_steps=_SAME_START_OF_FEW if primary.n_atoms <= FEW_ATOMS else _SAME_START,
        energy_correlation=float(np.corrcoef(*energies)[0, 1]) if n >= MIN_FRAMES and spread else None,
    )
