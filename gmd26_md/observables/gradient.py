"""Are the forces the gradient of an energy? Central differences at two steps, and the curl of the force field.

Two steps, h and 4 h, tell the three causes of a difference apart: what is left out of the series (truncation) is 16
times larger at the longer step, rounding 4 times smaller, and forces that are no gradient the same. The two together
cancel the leading truncation: (16 D(h) - D(4h)) / 15.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
LONGER = 4.0


@dataclass(frozen=True)
class TwoSteps:
    """A number from the two steps together, and from each alone.

    Attributes
    ----------
    value
        Leading truncation cancelled.
    short, long
        At h and at 4 h.
    standard_error
        Of `value`, where it is estimated from random probes; 0 where it is exact.
    typical
        What is seen at most places: far under `value` where a few kinks make it, near it where it is everywhere. By
        default `value`.
    """

    value: float
    short: float
    long: float
    standard_error: float = 0.0
    typical: float | None = None

    @property
    def growth(self) -> float:
        """What the longer step multiplies it by: about 1/4 for rounding, 16 for truncation, 1 for what is there."""
        if self.short == 0.0 and self.long > 0.0:
            return float("inf")
        return self.long / self.short if self.short > 0.0 else float("nan")


def random_directions(shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """Return random unit vectors of the whole molecule, (..., n_atoms, 3), each of length 1 over all its atoms."""
    drawn = rng.standard_normal(shape)
    return np.asarray(drawn / np.sqrt((drawn**2).sum(axis=(-2, -1), keepdims=True)))


def random_signs(n_probes: int, n_atoms: int, rng: np.random.Generator) -> Floats:
    """Return probes whose 3 n_atoms numbers are +1 or -1, (n_probes, n_atoms, 3)."""
    return np.asarray(rng.choice([-1.0, 1.0], size=(n_probes, n_atoms, 3)))


def unit_vectors(n_atoms: int) -> Floats:
    """Return the directions of all coordinates, (3 n_atoms, n_atoms, 3)."""
    return np.eye(3 * n_atoms).reshape(3 * n_atoms, n_atoms, 3)


def displaced(positions: Floats, directions: Floats, step: float) -> Floats:
    """Return a geometry (n_atoms, 3) moved by h, -h, 4h, -4h along directions (n, n_atoms, 3): (n, 4, n_atoms, 3)."""
    moves = step * np.array([1.0, -1.0, LONGER, -LONGER])
    return np.asarray(positions + moves[:, None, None] * directions[:, None])


def derivatives(values: Floats, step: float) -> tuple[Floats, Floats, Floats]:
    """Return the derivatives along the directions of `displaced`, (n, ...), from the values (n, 4, ...) there.

    From both steps together, from h, and from 4 h.
    """
    short = (values[:, 0] - values[:, 1]) / (2.0 * step)
    long = (values[:, 2] - values[:, 3]) / (2.0 * LONGER * step)
    square = LONGER**2
    return (square * short - long) / (square - 1.0), short, long


def gradient_error(forces: Floats, directions: Floats, energies: Floats, step: float) -> TwoSteps:
    """Return the RMS difference between forces and energy differences over the RMS of the forces, along directions.

    `typical` is the median difference in place of the RMS.

    Parameters
    ----------
    forces
        At the geometries, (n_frames, n_atoms, 3), eV/Å.
    directions
        (n_frames, n_directions, n_atoms, 3), of length 1.
    energies
        At the displaced geometries, (n_frames, n_directions, 4), eV.
    step
        h, Å.
    """
    along = np.einsum("fax,fdax->fd", forces, directions).ravel()
    slopes = derivatives(energies.reshape(-1, 4), step)
    scale = np.sqrt(np.mean(along**2))
    with np.errstate(invalid="ignore", divide="ignore"):
        both, short, long = (float(np.sqrt(np.mean((along + slope) ** 2)) / scale) for slope in slopes)
        return TwoSteps(both, short, long, typical=float(np.median(np.abs(along + slopes[0])) / scale))


def curl(forces: Floats, step: float) -> TwoSteps:
    """Return lambda = ||J - J^T|| / (2 ||J||) (Frobenius) of the whole force Jacobian (arXiv 2412.11569).

    0 for a conservative force field, 1 for one that is antisymmetric.

    Parameters
    ----------
    forces
        At the geometries displaced along `unit_vectors`, (3 n_atoms, 4, n_atoms, 3), eV/Å.
    """
    both, short, long = (_curl_of(d.reshape(len(forces), -1)) for d in derivatives(forces, step))
    return TwoSteps(both, short, long)


def _curl_of(jacobian: Floats) -> float:
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(np.linalg.norm(jacobian - jacobian.T) / (2.0 * np.linalg.norm(jacobian)))


def probed_curl(probes: Floats, forces: Floats, step: float) -> TwoSteps:
    """Return an estimate of lambda from random probes, with its standard error.

    Forces give J z for a probe z, never J^T z. So ||J||^2 is the mean of |J z|^2 (Hutchinson 1990), and ||J - J^T||^2
    the mean over *pairs* of probes of (z J w - w J z)^2: unbiased, as z and w are independent of unit covariance, never
    below zero, and exactly zero, whatever the probes, where J is symmetric. (2 |J z|^2 - 2 z J J z has the same mean,
    but is the small difference of two large numbers, and costs a second round.) The standard error is the jackknife's
    over probes.

    Parameters
    ----------
    probes
        From `random_signs`, (n_probes, n_atoms, 3), at least 3.
    forces
        At the geometries displaced along them, (n_probes, 4, n_atoms, 3), eV/Å.
    """
    n = len(probes)
    z = probes.reshape(n, -1)
    results = []
    for derivative in derivatives(forces, step):
        images = derivative.reshape(n, -1)  # J z, (n_probes, 3 n_atoms)
        mixed = z @ images.T
        results.append(((mixed - mixed.T) ** 2, (images**2).sum(-1)))
    both, short, long = (_probed(pairs, squares) for pairs, squares in results)
    pairs, squares = results[0]
    without = [_probed(np.delete(np.delete(pairs, i, 0), i, 1), np.delete(squares, i)) for i in range(n)]
    error = np.sqrt((n - 1) * np.var(without))
    return TwoSteps(both, short, long, float(error))


def _probed(pairs: Floats, squares: Floats) -> float:
    """Return lambda from (z J w - w J z)^2 of all pairs, zero for a probe with itself, and |J z|^2."""
    n = len(squares)
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(np.sqrt(pairs.sum() / (n * (n - 1)) / squares.mean()) / 2.0)
