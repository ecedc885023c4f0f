"""Each pair of a batch once: what depends on the distance alone serves both of its directions."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gmd26_md.calculators.batch import Batch


@dataclass(frozen=True)
class UndirectedPairs:
    """Pairs of atoms i < j.

    Attributes
    ----------
    first, second
        Atoms i and j of each pair, (n,), int64.
    vectors
        r_j - r_i, (n, 3), Å, differentiable.
    """

    first: Tensor
    second: Tensor
    vectors: Tensor

    def distances(self) -> Tensor:
        """Return |r_j - r_i|, (n,), Å, differentiable."""
        return torch.linalg.vector_norm(self.vectors, dim=1)


def undirected_pairs(batch: Batch) -> UndirectedPairs:
    """Return the pairs of a batch, each once, in the order in which they stand there."""
    first, second = batch.pairs[:, batch.pairs[0] < batch.pairs[1]]
    vectors = batch.positions.index_select(0, second) - batch.positions.index_select(0, first)
    return UndirectedPairs(first, second, vectors)


def both_directions(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Return centres and neighbours of 2 n directed pairs: n pairs one way, then the same n the other way."""
    return torch.cat([first, second]), torch.cat([second, first])
