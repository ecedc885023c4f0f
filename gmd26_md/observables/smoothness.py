"""What an energy curve says of itself, without labels: its minima, its roughness, and whether its forces fit it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.integrate import cumulative_simpson
from scipy.signal import savgol_filter

from gmd26_md.observables.bonds import Floats

WINDOW_A = 0.2
"""Length over which a curve is compared with a polynomial of fourth degree. The Morse curve of a bond, from 0.8 to 1.5
of its length, differs from it by up to 0.04 (C-C), 0.09 (O-H) or 0.2 meV (C=O), most at its steep end; a ripple of
0.08 Å or shorter differs by itself."""
_DEGREE = 4
MAX_STEP_A = 0.03
"""The widest grid on which the window holds enough points (seven) to see anything."""


@dataclass(frozen=True)
class Dip:
    """A local minimum of a curve.

    Attributes
    ----------
    index
        Where.
    depth
        How far one must climb from it to reach something lower, in the curve's unit; the range of the curve for the
        lowest one.
    """

    index: int
    depth: float


def dips(values: Floats, *, periodic: bool = False) -> list[Dip]:
    """Return the local minima of a curve, in order; a flat curve has none.

    An end of an open curve, and an infinite value, is a wall: a curve that falls all the way to its end has a minimum
    there. Of equal minima the first is the lowest. Resolution: that of the grid.

    Parameters
    ----------
    values
        (n_points,), finite, or +inf for a wall.
    periodic
        Whether the last point is next to the first.

    Raises
    ------
    ValueError
        For NaN.
    """
    if np.isnan(values).any():
        raise ValueError("a curve with NaN has no minima")
    top = values[np.isfinite(values)].max(initial=-np.inf)
    found = []
    for index in np.flatnonzero(np.isfinite(values)).tolist():
        climb = min(_climb(values, index, 1, periodic), _climb(values, index, -1, periodic))
        if climb > 0:
            found.append(Dip(index, float(min(climb, top - values[index]))))
    return [dip for dip in found if dip.depth > 0]


def _climb(values: Floats, index: int, step: int, periodic: bool) -> float:
    """Return how far one climbs from a point in one direction before something lower; infinite if there is nothing."""
    n_points, here = len(values), (values[index], index)
    highest = values[index]
    for n_steps in range(1, n_points):
        at = index + step * n_steps
        if periodic:
            at %= n_points
        elif not 0 <= at < n_points:
            break
        if (values[at], at) < here:
            return float(highest - values[index])
        highest = max(highest, values[at])
    return float("inf")


def unmatched(
    mine: list[Dip], others: list[Dip], *, within: int, min_depth: float, period: int | None = None
) -> list[Dip]:
    """Return those of my minima, at least so deep, that have none of the others within so many points.

    The others may be of any depth, so that no pair of almost equal curves is split by the threshold.
    """
    return [
        dip
        for dip in mine
        if dip.depth >= min_depth
        and not any(n_points_between(dip.index, other.index, period) <= within for other in others)
    ]


def n_points_between(first: int, second: int, period: int | None = None) -> int:
    """Return how many steps of the grid two points are apart, the shorter way round where it is periodic."""
    apart = abs(first - second)
    return apart if period is None else min(apart, period - apart)


def roughness(energies: Floats, step_A: float) -> Floats:
    """Return how far each point of a curve lies off a smooth one through its neighbours, (n_points,), in its unit.

    The residual of a Savitzky-Golay filter (Anal. Chem. 36, 1627 (1964)): a polynomial of fourth degree fitted over
    `WINDOW_A`. Half blind to a ripple of 0.11 Å, blind to one of 0.2 Å. Where the slope jumps by J it is J times
    0.0045 Å. Our own definition: arXiv 2602.04861, whose idea it is to stretch bonds, may define another.

    Parameters
    ----------
    energies
        (n_points,) on an even grid.

    Raises
    ------
    ValueError
        For a grid wider than `MAX_STEP_A`, or a curve shorter than the window.
    """
    n_window = 2 * round(0.5 * WINDOW_A / step_A) + 1
    if step_A > MAX_STEP_A or len(energies) < n_window:
        raise ValueError(f"{len(energies)} points {step_A:g} Å apart; want {n_window} or more, {MAX_STEP_A} Å at most")
    return np.asarray(energies - savgol_filter(energies, n_window, _DEGREE))


def work_error(energies: Floats, slopes: Floats, step_A: float) -> Floats:
    """Return the energy less the integral of its slope from the forces, (n_points,); zero where both agree.

    By Simpson's rule, whose own error on a bond's Morse curve at 0.01 Å is below 0.01 meV. The mean is removed, as the
    constant of the integral is free.

    Parameters
    ----------
    energies
        (n_points,), eV, on an even grid.
    slopes
        dE/dr from the forces, (n_points,), eV/Å.
    """
    error = energies - cumulative_simpson(slopes, dx=step_A, initial=0.0)
    return np.asarray(error - error.mean())


def finer_minimum(values: Floats, index: int) -> float:
    """Return the place of a minimum between the points of the grid, by a parabola through three points.

    In steps of the grid, from its beginning; `index` itself at an end.
    """
    if not 0 < index < len(values) - 1:
        return float(index)
    before, here, after = values[index - 1 : index + 2]
    curvature = before - 2.0 * here + after
    return index + float(0.5 * (before - after) / curvature) if curvature > 0 else float(index)
