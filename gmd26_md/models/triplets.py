"""The way back of each directed pair of a batch, which triplets of atoms leave out.

A pair e = (i, j) is the edge j -> i: it belongs to its centre i, and carries what comes from its neighbour j. Pairs are
as a `Batch` has them: (2, n_pairs), row 0 the centre, row 1 the neighbour, both directions of each pair present, sorted
by centre, then neighbour.
"""

from __future__ import annotations

from torch import Tensor


def reverse_pairs(pairs: Tensor) -> Tensor:
    """Return where the opposite direction of each pair stands: of edge j -> i the number of i -> j, (n_pairs,)."""
    return pairs[1].argsort(stable=True)  # by neighbour, then centre: the order of the pairs turned round
