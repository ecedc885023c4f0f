"""Directions of neighbours: real spherical harmonics, and rotational invariants of their weighted sums."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

MAX_DEGREE = 3


def real_harmonics(direction: Tensor, max_degree: int) -> Tensor:
    """Return real spherical harmonics of degree 0 to `max_degree` (at most 3), (n_pairs, (max_degree + 1)**2).

    Normalised so that the squares of a degree sum to 2 degree + 1 for every unit vector, (n_pairs, 3).
    """
    x, y, z = direction.unbind(1)
    parts = [torch.ones_like(x)]
    if max_degree > 0:
        parts += [math.sqrt(3.0) * component for component in (x, y, z)]
    if max_degree > 1:
        parts += [math.sqrt(5.0) * harmonic for harmonic in _second_degree(x, y, z, x, y, z)]
    if max_degree > 2:
        parts += [math.sqrt(7.0) * harmonic for harmonic in _third_degree(x, y, z)]
    return torch.stack(parts, dim=1)


def _second_degree(ax: Tensor, ay: Tensor, az: Tensor, bx: Tensor, by: Tensor, bz: Tensor) -> list[Tensor]:
    """Return the five parts of degree 2 in the product of two vectors; if equal unit vectors, of norm 1."""
    half3 = 0.5 * math.sqrt(3.0)
    xx, yy = ax * bx, ay * by
    return [
        half3 * (ax * by + ay * bx),
        half3 * (ay * bz + az * by),
        az * bz - 0.5 * (xx + yy),
        half3 * (ax * bz + az * bx),
        half3 * (xx - yy),
    ]


def _third_degree(x: Tensor, y: Tensor, z: Tensor) -> list[Tensor]:
    """Return the seven parts of degree 3 of a unit vector; their squares sum to 1."""
    xx, yy, zz = x * x, y * y, z * z
    outer, middle = math.sqrt(5.0 / 8.0), math.sqrt(3.0 / 8.0)
    return [
        outer * y * (3.0 * xx - yy),
        math.sqrt(15.0) * x * y * z,
        middle * y * (5.0 * zz - 1.0),
        0.5 * z * (5.0 * zz - 3.0),
        middle * x * (5.0 * zz - 1.0),
        0.5 * math.sqrt(15.0) * z * (xx - yy),
        outer * x * (xx - 3.0 * yy),
    ]


class Invariants(nn.Module):
    """What a rotation leaves alone in the directional sums of an atom.

    The sums of degree 0 themselves; from each higher degree, inner products of two learned mixtures of its channels
    (three-body terms); and from degrees 1 and 2 together, a.T.b of mixtures of each (four-body terms).

    Parameters
    ----------
    n_features
        Channels of the sums.
    max_degree
        Highest degree of the sums.
    n_products
        Inner products from each degree from 1 on.
    n_triples
        Triple products, if `max_degree` is 2 or more.
    """

    def __init__(self, n_features: int, max_degree: int, n_products: int, n_triples: int) -> None:
        super().__init__()
        self.sizes = [2 * degree + 1 for degree in range(max_degree + 1)]
        self.n_triples = n_triples if max_degree > 1 else 0
        self.n_products = n_products
        extra = {1: 2 * self.n_triples, 2: self.n_triples}
        self.mixers = nn.ModuleList(
            nn.Linear(n_features, 2 * n_products + extra.get(degree, 0), bias=False)
            for degree in range(1, max_degree + 1)
        )
        self.n_out = n_features + max_degree * n_products + self.n_triples

    def forward(self, sums: Tensor) -> Tensor:
        """Return invariants (n_atoms, n_out) of sums (n_atoms, n_harmonics, n_features)."""
        scalars, *directional = sums.split(self.sizes, dim=1)
        found, spare = [scalars[:, 0]], []
        for mixer, part in zip(self.mixers, directional, strict=True):
            mixed = mixer(part)  # (n_atoms, 2 degree + 1, ...)
            left, right, rest = mixed.split([self.n_products, self.n_products, mixed.shape[2] - 2 * self.n_products], 2)
            found.append((left * right).sum(1))
            spare.append(rest)
        if self.n_triples:
            one, other = spare[0].chunk(2, dim=2)  # each (n_atoms, 3, n_triples)
            pair = torch.stack(_second_degree(*one.unbind(1), *other.unbind(1)), dim=1)
            found.append((pair * spare[1]).sum(1))
        return torch.cat(found, dim=1)
