"""Neighbours of every atom as rows of equal length, and pairs that share what does not depend on their direction.

Sums over neighbours are matrix products of such rows. A distance belongs to a pair i, j and not to its directions:
what depends on it alone is computed once a pair and spread to both. Gradients flow back through the same tables by
selecting rows, where torch's own rule for a selection adds them up one at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Neighbours:
    """Each atom's neighbours in a row of `width` places; rows shorter than that are filled up with empty places.

    Places are counted row by row: place p is in row p // width.

    Attributes
    ----------
    n_atoms, width
        Number of rows, and of places in each.
    pairs
        The two atoms i < j of each undirected pair, in the batch's numbering, (2, n_undirected).
    pair
        Undirected pair of each place, (n_atoms * width,); n_undirected in an empty place.
    atom
        Row of the neighbour in each place, (n_atoms * width,); an empty place has the row's own atom, so that
        nothing of another system comes in.
    reverse
        Where the same pair stands in the neighbour's row, (n_atoms * width,); an empty place has itself.
    there, back
        Place of each undirected pair in the row of its first and of its second atom, (n_undirected,).
    """

    n_atoms: int
    width: int
    pairs: Tensor
    pair: Tensor
    atom: Tensor
    reverse: Tensor
    there: Tensor
    back: Tensor


def neighbours_of(pairs: Tensor, n_atoms: int, row: Tensor | None = None) -> Neighbours:
    """Arrange the pairs of a batch.

    Parameters
    ----------
    pairs
        Directed pairs, (2, n_pairs), with both directions of each, sorted by centre, then neighbour (see `Batch`).
    n_atoms
        Number of atoms.
    row
        Row that an atom is to have, a permutation, (n_atoms,); its own number if not given.
    """
    device, (centre, neighbour) = pairs.device, pairs
    counts = torch.bincount(centre, minlength=n_atoms)
    width = int(counts.max()) if n_atoms else 0
    row = torch.arange(n_atoms, device=device) if row is None else row
    shift = row * width - (counts.cumsum(0) - counts)  # from a pair's number to its place
    place = shift.index_select(0, centre) + torch.arange(len(centre), device=device)
    ascending = centre < neighbour
    first, second = ascending.nonzero()[:, 0], ascending.logical_not().nonzero()[:, 0]
    # Descending pairs come sorted by the larger atom; stably sorted by the smaller, they match the ascending ones.
    second = second.index_select(0, neighbour.index_select(0, second).argsort(stable=True))
    there, back = place.index_select(0, first), place.index_select(0, second)
    numbers = torch.arange(len(first), device=device)
    pair = torch.full((n_atoms * width,), len(first), device=device)
    pair[there], pair[back] = numbers, numbers
    atom = torch.arange(n_atoms, device=device).repeat_interleave(width)
    atom[place] = row.index_select(0, neighbour)
    reverse = torch.arange(n_atoms * width, device=device)
    reverse[there], reverse[back] = back, there
    return Neighbours(n_atoms, width, pairs.index_select(1, first), pair, atom, reverse, there, back)


def spread_pairs(values: Tensor, table: Neighbours, n_parts: int = 1) -> tuple[Tensor, ...]:
    """Return the values of undirected pairs in every place, cut into parts of equal width.

    Parameters
    ----------
    values
        (n_undirected + 1, n_parts * n_columns); the last row is for empty places.
    table
        Who is whose neighbour.
    n_parts
        Number of parts.

    Returns
    -------
    parts
        `n_parts` tensors (n_atoms * width, n_columns). The gradient of the last row is zero.
    """
    parts: tuple[Tensor, ...] = _SpreadPairs.apply(values, table, n_parts)
    return parts


def spread_directions(values: Tensor, parity: Tensor, table: Neighbours) -> Tensor:
    """Return functions of the direction i to j in every place, (n_atoms * width, n_columns), zero in empty ones.

    Parameters
    ----------
    values
        Of each undirected pair, i < j, (n_undirected, n_columns).
    parity
        What turning the direction round does to each column, 1 or -1, (n_columns,).
    table
        Who is whose neighbour.
    """
    places: Tensor = _SpreadDirections.apply(values, parity, table)
    return places


def spread_atoms(values: Tensor, table: Neighbours) -> Tensor:
    """Return the values of each place's neighbour, (n_atoms * width, n_columns), of values (n_atoms, n_columns)."""
    places: Tensor = _SpreadAtoms.apply(values, table)
    return places


class _SpreadPairs(torch.autograd.Function):
    """Select rows; back, add the two places of a pair."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, table: Neighbours, n_parts: int) -> tuple[Tensor, ...]:
        ctx.table = table
        cut, first = values.reshape(values.shape[0] * n_parts, -1), table.pair * n_parts  # a part is a row of its own
        return tuple(cut.index_select(0, first + part) for part in range(n_parts))

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, None, None]:
        table = ctx.table
        sums = [slope.index_select(0, table.there) + slope.index_select(0, table.back) for slope in slopes]
        return torch.nn.functional.pad(torch.cat(sums, dim=1), (0, 0, 0, 1)), None, None


class _SpreadDirections(torch.autograd.Function):
    """Select rows and turn them; back, add the two places of a pair, one of them turned."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, parity: Tensor, table: Neighbours) -> Tensor:
        ctx.table = table
        ctx.save_for_backward(parity)
        places = values.new_zeros(table.n_atoms * table.width, values.shape[1])
        places[table.there], places[table.back] = values, values * parity
        return places

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None, None]:
        table, (parity,) = ctx.table, ctx.saved_tensors
        return slope.index_select(0, table.there) + slope.index_select(0, table.back) * parity, None, None


class _SpreadAtoms(torch.autograd.Function):
    """Select rows; back, an atom's places in its neighbours' rows are the reverse of those in its own."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, table: Neighbours) -> Tensor:
        ctx.table = table
        return values.index_select(0, table.atom)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None]:
        table = ctx.table
        own = slope.index_select(0, table.reverse).view(table.n_atoms, table.width, slope.shape[1])
        return own.sum(1), None
