"""Directions of neighbours: real spherical harmonics, and rotational invariants of their weighted sums."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

MAX_DEGREE = 3


# Factors of the monomials of each degree (0 x, 1 y, 2 z), and the harmonics of each degree as sums of these.
_SECOND = ((0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (0, 2))
_THIRD = ((0, 0, 0), (1, 1, 1), (2, 2, 2), (0, 0, 1), (0, 0, 2), (0, 1, 1), (1, 1, 2), (0, 2, 2), (1, 2, 2), (0, 1, 2))
_HALF3 = 0.5 * math.sqrt(3.0)
_QUADRATIC = (  # columns xx, yy, zz, xy, yz, xz; on unit vectors the squares sum to 1
    (0.0, 0.0, 0.0, 2.0 * _HALF3, 0.0, 0.0),
    (0.0, 0.0, 0.0, 0.0, 2.0 * _HALF3, 0.0),
    (-0.5, -0.5, 1.0, 0.0, 0.0, 0.0),
    (0.0, 0.0, 0.0, 0.0, 0.0, 2.0 * _HALF3),
    (_HALF3, -_HALF3, 0.0, 0.0, 0.0, 0.0),
)
_OUTER, _MIDDLE, _INNER = math.sqrt(5.0 / 8.0), math.sqrt(3.0 / 8.0), math.sqrt(15.0)
_CUBIC = (  # columns xxx, yyy, zzz, xxy, xxz, xyy, yyz, xzz, yzz, xyz
    (0.0, -_OUTER, 0.0, 3.0 * _OUTER, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, _INNER),
    (0.0, -_MIDDLE, 0.0, -_MIDDLE, 0.0, 0.0, 0.0, 0.0, 4.0 * _MIDDLE, 0.0),
    (0.0, 0.0, 1.0, 0.0, -1.5, 0.0, -1.5, 0.0, 0.0, 0.0),
    (-_MIDDLE, 0.0, 0.0, 0.0, 0.0, -_MIDDLE, 0.0, 4.0 * _MIDDLE, 0.0, 0.0),
    (0.0, 0.0, 0.0, 0.0, 0.5 * _INNER, 0.0, -0.5 * _INNER, 0.0, 0.0, 0.0),
    (_OUTER, 0.0, 0.0, 0.0, 0.0, -3.0 * _OUTER, 0.0, 0.0, 0.0, 0.0),
)
_BY_DEGREE = ((), ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)), _QUADRATIC, _CUBIC)


class Harmonics(nn.Module):
    """Real spherical harmonics of unit vectors, as sums of distinct products of their components.

    Normalised so that the squares of a degree sum to 2 degree + 1 for every unit vector.

    Parameters
    ----------
    max_degree
        Highest degree, at most 3.
    like_e3nn
        As e3nn orders them: the pole is the y axis, and degree 1 is x, y, z.
    """

    matrix: Tensor
    second: Tensor
    third: Tensor

    def __init__(self, max_degree: int, *, like_e3nn: bool = False) -> None:
        super().__init__()
        self.max_degree = max_degree
        matrix = _coefficients(max_degree, axes=(2, 0, 1) if like_e3nn else (0, 1, 2))
        if like_e3nn and max_degree > 0:
            matrix[:, 1:4] = torch.eye(matrix.shape[0], 3, dtype=torch.float64).roll(1, 0) * math.sqrt(3.0)
        self.register_buffer("matrix", matrix, persistent=False)
        self.register_buffer("second", torch.tensor(_SECOND).T.contiguous(), persistent=False)
        self.register_buffer("third", torch.tensor(_THIRD).T.contiguous(), persistent=False)

    def forward(self, direction: Tensor) -> Tensor:
        """Return the harmonics of unit vectors, (n_pairs, 3), by degree, (n_pairs, (max_degree + 1)**2)."""
        first = direction.T.contiguous()
        parts = [torch.ones_like(first[:1])]
        if self.max_degree > 0:
            parts.append(first)
        if self.max_degree > 1:
            one, other = self.second
            parts.append(first.index_select(0, one) * first.index_select(0, other))
        if self.max_degree > 2:
            one, other, last = self.third
            parts.append(first.index_select(0, one) * first.index_select(0, other) * first.index_select(0, last))
        return torch.cat(parts).T @ self.matrix


def _coefficients(max_degree: int, axes: tuple[int, int, int]) -> Tensor:
    """Return the harmonics in monomials, (n_monomials, (max_degree + 1)**2), float64; `axes` play x, y and z."""
    names: list[tuple[int, ...]] = [(), (0,), (1,), (2,), *_SECOND, *_THIRD]
    size = (1, 4, 10, 20)[max_degree]
    matrix = torch.zeros(size, (max_degree + 1) ** 2, dtype=torch.float64)
    matrix[0, 0] = 1.0
    for degree in range(1, max_degree + 1):
        of_degree = [name for name in names if len(name) == degree]
        for column, row in enumerate(_BY_DEGREE[degree], start=degree**2):
            for name, value in zip(of_degree, row, strict=True):
                turned = tuple(sorted(axes[i] for i in name))
                matrix[names.index(turned), column] = math.sqrt(2.0 * degree + 1.0) * value
    return matrix


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

    coupling: Tensor

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
        self.register_buffer("coupling", _vector_coupling(), persistent=False)
        self.n_out = n_features + max_degree * n_products + self.n_triples

    def forward(self, sums: Tensor) -> Tensor:
        """Return invariants (n_atoms, n_out) of sums (n_harmonics, n_atoms, n_features)."""
        scalars, *directional = sums.split(self.sizes)
        found, spare = [scalars[0]], []
        for mixer, part in zip(self.mixers, directional, strict=True):
            mixed = mixer(part)  # (2 degree + 1, n_atoms, ...)
            left, right, rest = mixed.split([self.n_products, self.n_products, mixed.shape[2] - 2 * self.n_products], 2)
            found.append((left * right).sum(0))
            spare.append(rest)
        if self.n_triples:
            one, other = spare[0].chunk(2, dim=2)  # each (3, n_atoms, n_triples)
            outer = (one[:, None] * other[None]).flatten(0, 1)  # (9, n_atoms, n_triples)
            pair = self.coupling @ outer.flatten(1)  # their part of degree 2
            found.append((pair.view_as(spare[1]) * spare[1]).sum(0))
        return torch.cat(found, dim=1)


def _vector_coupling() -> Tensor:
    """Return the part of degree 2 in the products a_i b_j of two vectors, (5, 9), float64; of norm 1 if a = b = 1."""
    coupling = torch.zeros(5, 3, 3, dtype=torch.float64)
    for column, (i, j) in enumerate(_SECOND):
        values = 0.5 * torch.tensor([row[column] for row in _QUADRATIC], dtype=torch.float64)
        coupling[:, i, j] += values
        coupling[:, j, i] += values
    return coupling.flatten(1)
