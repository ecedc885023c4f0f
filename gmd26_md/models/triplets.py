"""Triplets of atoms from the directed pairs of a batch, built on its device without a loop.

A pair e = (i, j) is the edge j -> i: it belongs to its centre i, and carries what comes from its neighbour j. Both
functions take pairs as a `Batch` has them: (2, n_pairs), row 0 the centre, row 1 the neighbour, both directions of each
pair present, sorted by centre, then neighbour.
"""

from __future__ import annotations

import torch
from torch import Tensor


def reverse_pairs(pairs: Tensor) -> Tensor:
    """Return where the opposite direction of each pair stands: of edge j -> i the number of i -> j, (n_pairs,)."""
    return pairs[1].argsort(stable=True)  # by neighbour, then centre: the order of the pairs turned round


def chained_triplets(pairs: Tensor, n_atoms: int) -> tuple[Tensor, Tensor]:
    """Return all chains k -> j -> i with k != i, as numbers of their two edges.

    The three atoms are `i, j = pairs[:, ji]` and `j, k = pairs[:, kj]`. An edge whose neighbour has no other neighbour
    is in no chain; no pairs give no chains. (Gasteiger, Groß, Günnemann, ICLR 2020, equation 4: what DimeNet sums
    over.)

    Parameters
    ----------
    pairs
        See the module.
    n_atoms
        Number of atoms of the batch.

    Returns
    -------
    ji
        Edge j -> i that receives, (n_triplets,), ascending.
    kj
        Edge k -> j that is sent on, (n_triplets,); ascending within each `ji`.
    """
    count = torch.bincount(pairs[0], minlength=n_atoms)
    first = count.cumsum(0) - count  # number of each atom's first edge
    n_others = count.index_select(0, pairs[1]) - 1  # of each edge, (n_pairs,)
    edge = torch.repeat_interleave(n_others)
    begin = n_others.cumsum(0) - n_others
    place = torch.arange(len(edge), device=pairs.device) - begin.index_select(0, edge)  # 0, 1, ... within an edge
    other = first.index_select(0, pairs[1]).index_select(0, edge) + place
    left_out = reverse_pairs(pairs).index_select(0, edge)
    return edge, other + (other >= left_out).to(other.dtype)
