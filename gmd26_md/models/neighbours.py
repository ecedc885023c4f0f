"""Neighbours of every atom as rows of equal length, and pairs that share what does not depend on their direction.

Sums over neighbours are matrix products of such rows. A distance belongs to a pair i, j and not to its directions:
what depends on it alone is computed once a pair and spread to both. What is spread is folded by selecting rows of the
same tables, where torch's own gradient of a selection adds rows one at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Neighbours:
    """Each atom's neighbours in a row of `width` places, one at least; shorter rows are filled up with empty places.

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
    place, width = places_of(centre, n_atoms, row)
    row = torch.arange(n_atoms, device=device) if row is None else row
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


def places_of(centre: Tensor, n_atoms: int, row: Tensor | None = None) -> tuple[Tensor, int]:
    """Return the place of each directed pair and the width of a row, if rows are as long as the longest must be.

    Parameters
    ----------
    centre
        Atom that each pair belongs to, ascending, (n_pairs,).
    n_atoms, row
        See `neighbours_of`.
    """
    counts = torch.bincount(centre, minlength=n_atoms)
    width = max(1, int(counts.max())) if n_atoms else 1  # torch cannot divide an array of no places into rows
    row = torch.arange(n_atoms, device=centre.device) if row is None else row
    shift = row * width - (counts.cumsum(0) - counts)  # from a pair's number to its place
    return shift.index_select(0, centre) + torch.arange(len(centre), device=centre.device), width


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


def fold_pairs(values: Tensor, table: Neighbours) -> Tensor:
    """Return the sum over the two places of each pair, (n_undirected, n_columns), of values (n_places, n_columns)."""
    return values.index_select(0, table.there) + values.index_select(0, table.back)


def fold_atoms(values: Tensor, table: Neighbours) -> Tensor:
    """Return the sum over all places that hold an atom, (n_atoms, n_columns), of (n_places, n_columns).

    Those places are the reverse of the ones in the atom's own row. Empty places must hold zeros.
    """
    own = values.index_select(0, table.reverse)
    return own.view(table.n_atoms, table.width, values.shape[1]).sum(1)


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
