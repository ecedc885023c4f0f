"""Functions on the sphere for EquiformerV2: real spherical harmonics, grids, and how degrees couple to a direction.

The pole is the y axis, and order m of a degree is sin(|m| a) for m < 0 and cos(m a) for m > 0 with a = atan2(x, z), so
that degree 1 is x, y, z. These are the conventions of e3nn, from which nothing is taken: the tables here are made
once, when a network is built, in float64.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def harmonics(directions: Floats, lmax: int) -> Floats:
    """Return the real spherical harmonics of unit vectors, (n, 3), by degree and order, (n, (lmax + 1)**2).

    Normalised so that the squares of a degree sum to 2 degree + 1 for every direction.
    """
    x, y, z = directions.T
    azimuth, sine = np.arctan2(x, z), np.sqrt(x * x + z * z)
    columns = []
    for degree in range(lmax + 1):
        legendre = np.polynomial.legendre.Legendre.basis(degree)
        for order in range(-degree, degree + 1):
            m = abs(order)
            norm = (2 * degree + 1) * math.factorial(degree - m) / math.factorial(degree + m) * (2 if m else 1)
            polar = sine**m * (legendre.deriv(m)(y) if m else legendre(y))  # no Condon-Shortley sign
            columns.append(math.sqrt(norm) * polar * (np.sin(m * azimuth) if order < 0 else np.cos(m * azimuth)))
    return np.stack(columns, axis=1)


def quadrature(latitudes: int, longitudes: int) -> tuple[Floats, Floats]:
    """Return the points of a grid, (latitudes * longitudes, 3), and weights that sum to one.

    Gauss-Legendre in the latitude, even spacing in the longitude: exact for products of harmonics whose degrees sum to
    less than 2 latitudes and whose orders sum to less than longitudes.
    """
    height, weight = np.polynomial.legendre.leggauss(latitudes)
    azimuth = 2.0 * np.pi * np.arange(longitudes) / longitudes
    y, a = (grid.ravel() for grid in np.meshgrid(height, azimuth, indexing="ij"))
    sine = np.sqrt(1.0 - y * y)
    points = np.stack([sine * np.sin(a), y, sine * np.cos(a)], axis=1)
    return points, np.repeat(weight / (2.0 * longitudes), longitudes)


def couplings(lmax: int) -> list[Floats]:
    """Return for each degree l from 2 the part of degree l in a product of degree l - 1 and a vector.

    Each is (2 l + 1, 3 (2 l - 1)) with orthonormal rows. With it a rotation's matrix for degree l follows from those
    for degrees l - 1 and 1: C (D[l - 1] x R) C^T.

    Notes
    -----
    The products Y[l - 1](n) n of all directions n span the parts of degree l and l - 2, so that a linear map to Y[l](n)
    is settled there; of these maps the pseudo-inverse picks the one that is zero on the rest, the part of degree
    l - 1.
    """
    points, _ = quadrature(lmax + 1, 2 * lmax + 2)
    all_degrees = harmonics(points, lmax)
    found = []
    for degree in range(2, lmax + 1):
        below = all_degrees[:, (degree - 1) ** 2 : degree**2]
        products = (below[:, :, None] * points[:, None, :]).reshape(len(points), -1)
        wanted = all_degrees[:, degree**2 : (degree + 1) ** 2]
        matrix = (np.linalg.pinv(products) @ wanted).T
        found.append(matrix / np.linalg.norm(matrix, axis=1, keepdims=True))
    return found


def kept(lmax: int, mmax: int) -> tuple[list[int], list[int]]:
    """Return degree and order of the coefficients with order at most mmax, by order, +m before -m, then degree.

    In this layout, the coefficients of one order are one block of columns for a linear layer.
    """
    pairs = [(degree, 0) for degree in range(lmax + 1)]
    for m in range(1, mmax + 1):
        pairs += [(degree, order) for order in (m, -m) for degree in range(m, lmax + 1)]
    return [degree for degree, _ in pairs], [order for _, order in pairs]


def dropped_orders_scale(degrees: list[int], mmax: int) -> Floats:
    """Return what makes up for the orders above mmax that are left out, for coefficients of these degrees.

    sqrt((2 l + 1) / (2 mmax + 1)) where the degree l is above mmax, else 1: the published code's choice.
    """
    return np.array([math.sqrt((2 * degree + 1) / (2 * min(degree, mmax) + 1)) for degree in degrees])
