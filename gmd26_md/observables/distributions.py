"""Distributions that dynamics leaves behind, and distances between two of them.

Distances between distributions are Wasserstein's of order one: by how much, on average, the one must be moved to
become the other, in the unit of the coordinate; on the circle for torsions. The distribution of interatomic distances
h(r), and its error, are those of Fu et al. 2023 (arXiv 2210.07237).
"""

from __future__ import annotations

import numpy as np
from scipy.stats import wasserstein_distance

from gmd26_md.observables.bonds import Floats, all_pairs, pair_distances
from gmd26_md.observables.internal import turned_deg

HR_BIN_A = 0.05
"""Width of a bin of h(r), Å: the thermal width of a C-C bond, and a third of that of most other distances."""

_FRAMES_AT_ONCE = 500  # bounds the memory of the distances


def interatomic_distances(positions: Floats) -> Floats:
    """Return h(r) by bin from 0 up, (n_bins,), 1/Å: the density of the distances of all pairs in all frames.

    h(r) = <sum over i of sum over j != i of delta(r - r_ij)> / (n (n - 1)), whose integral is 1. NaN throughout for
    positions, (n_frames, n_atoms, 3) in Å, that are not finite.
    """
    pairs = all_pairs(positions.shape[1])
    counts = np.zeros(1)
    for start in range(0, len(positions), _FRAMES_AT_ONCE):
        distances = pair_distances(positions[start : start + _FRAMES_AT_ONCE], pairs)
        if not np.isfinite(distances).all():
            return np.full(1, np.nan)
        found = np.bincount((distances / HR_BIN_A).astype(np.int64).ravel()).astype(np.float64)
        counts, found = _same_length(counts, found)
        counts = counts + found
    return np.asarray(counts / (max(counts.sum(), 1.0) * HR_BIN_A))


def hr_error(first: Floats, second: Floats) -> float:
    """Return the integral of |first - second| over r, of two h(r) by bin: 0 for the same, 2 for nothing in common."""
    a, b = _same_length(first, second)
    return float(np.abs(a - b).sum() * HR_BIN_A)


def _same_length(first: Floats, second: Floats) -> tuple[Floats, Floats]:
    n = max(len(first), len(second))
    return np.pad(first, (0, n - len(first))), np.pad(second, (0, n - len(second)))


def line_distance(first: Floats, second: Floats) -> float:
    """Return the Wasserstein distance between two samples of a coordinate, in its unit; NaN if one is not finite."""
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        return float("nan")
    return float(wasserstein_distance(first.ravel(), second.ravel()))


def circle_distance_deg(first: Floats, second: Floats) -> float:
    """Return the Wasserstein distance on the circle between two samples of angles in degrees; NaN if one is not finite.

    The integral over the circle of |F - G - c|, with c the median of F - G (Cabrelli and Molter 1995; Rabin, Delon and
    Gousseau 2011): exact, and the same wherever the circle is cut. 180 for two points that face each other.
    """
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        return float("nan")
    at = np.concatenate([first.ravel(), second.ravel()]) % 360.0
    steps = np.concatenate([np.full(first.size, 1.0 / first.size), np.full(second.size, -1.0 / second.size)])
    order = np.argsort(at)
    at, difference = at[order], np.cumsum(steps[order])  # F - G from here to the next value
    lengths = np.diff(at, append=at[0] + 360.0)
    by_value = np.argsort(difference)
    half = np.searchsorted(np.cumsum(lengths[by_value]), 180.0)
    median = difference[by_value[min(int(half), len(at) - 1)]]
    return float(np.abs(difference - median) @ lengths)


def line_spread(values: Floats) -> float:
    """Return the standard deviation of a sample."""
    return float(np.std(values))


def circle_spread_deg(values: Floats) -> float:
    """Return the root-mean-square angle from the mean direction, degrees: 104 for angles all round the circle."""
    mean = np.degrees(np.angle(np.exp(1j * np.radians(values)).mean()))
    return float(np.sqrt((turned_deg(values - mean) ** 2).mean()))
