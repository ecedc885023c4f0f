"""The two-dimensional basis of DimeNet, of a distance and an angle, without a closed formula that loses digits.

Gasteiger, Groß, Günnemann, ICLR 2020, equations 5 and 6: spherical Bessel functions times Legendre polynomials. Closed
formulas of the former subtract large numbers at small arguments, and need a computer algebra system to be made
(fifteen seconds). They are functions of one variable on one interval, so a Chebyshev series gives them to rounding.
"""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import spherical_jn
from torch import Tensor

STRETCH = 1.1  # the series is made on an interval this much longer: the slope of arccos is infinite at its end


class SphericalBessel:
    """j_l(z_ln x) / N_ln for x = distance / cutoff from 0 to 1; z_ln is the n-th zero of j_l, N_ln the norm there.

    No module, as nothing is learned; its table is made in float64 and rounded once for each precision and device.

    Parameters
    ----------
    num_spherical, num_radial
        Number of orders l = 0, 1, ... and of functions of each order.
    """

    def __init__(self, num_spherical: int, num_radial: int) -> None:
        self.shape = (num_spherical, num_radial)
        self._tables: dict[tuple[torch.dtype, torch.device], Tensor] = {}

    def __call__(self, x: Tensor) -> Tensor:
        """Return the functions, (n, num_spherical, num_radial), of scaled distances, (n,)."""
        table = self._table(x.dtype, x.device)
        degree = torch.arange(len(table), dtype=x.dtype, device=x.device)
        polynomials = torch.cos(torch.arccos(x / STRETCH)[:, None] * degree)  # Chebyshev, (n, n_degrees)
        return (polynomials @ table).unflatten(1, self.shape)

    def _table(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        """Return the coefficients of the series, (n_degrees, num_spherical * num_radial)."""
        if (dtype, device) not in self._tables:
            exact = torch.from_numpy(_chebyshev_table(*self.shape))
            self._tables[dtype, device] = exact.to(dtype).to(device)
        return self._tables[dtype, device]


def legendre(cosine: Tensor, num_spherical: int) -> Tensor:
    """Return sqrt((2 l + 1) / 4 pi) P_l(cosine) for l = 0, 1, ..., (..., num_spherical): the harmonics Y_l0.

    Polynomials of the cosine are smooth where three atoms are in line, where the angle itself has no derivative.
    """
    values = [torch.ones_like(cosine), cosine][:num_spherical]
    for degree in range(2, num_spherical):
        higher = (2 * degree - 1) * cosine * values[-1] - (degree - 1) * values[-2]
        values.append(higher / degree)
    return torch.stack([math.sqrt((2 * n + 1) / (4 * math.pi)) * value for n, value in enumerate(values)], dim=-1)


@lru_cache(maxsize=16)
def spherical_bessel_zeros(num_spherical: int, num_radial: int) -> NDArray[np.float64]:
    """Return the first positive zeros of the spherical Bessel functions, (num_spherical, num_radial).

    Those of one order lie between those of the order below.
    """
    between = np.arange(1, num_radial + num_spherical) * np.pi  # zeros of j_0
    found = [between[:num_radial]]
    for order in range(1, num_spherical):
        ends = pairwise(between)
        between = np.array([brentq(lambda r, n=order: spherical_jn(n, r), a, b, xtol=1e-14) for a, b in ends])
        found.append(between[:num_radial])
    return np.stack(found)


@lru_cache(maxsize=16)
def _chebyshev_table(num_spherical: int, num_radial: int) -> NDArray[np.float64]:
    """Return the Chebyshev coefficients of all functions, (n_degrees, num_spherical * num_radial)."""
    zeros = spherical_bessel_zeros(num_spherical, num_radial)
    # A wave of k radians on -1 to 1 needs a few more than k degrees: 30 more leave 1e-13 for k of about 30.
    n_degrees = int(1.25 * STRETCH * float(zeros.max())) + 30
    angle = np.pi * (np.arange(n_degrees) + 0.5) / n_degrees
    nodes = STRETCH * np.cos(angle)
    order = np.arange(num_spherical)[:, None]
    norm = np.sqrt(0.5) * np.abs(spherical_jn(order + 1, zeros))
    at_nodes = spherical_jn(order[..., None], zeros[..., None] * np.abs(nodes)) * np.sign(nodes) ** order[..., None]
    values = (at_nodes / norm[..., None]).reshape(-1, n_degrees)  # j_l is even or odd as l is
    table = 2.0 / n_degrees * np.cos(np.outer(np.arange(n_degrees), angle)) @ values.T
    table[0] /= 2.0
    return np.ascontiguousarray(table)
