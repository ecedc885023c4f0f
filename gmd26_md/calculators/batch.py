"""Many molecules as one flat batch, and the directed pairs within a cutoff.

One molecule is a batch of one: the ASE calculator, the trainer and the dynamics engine all build the same
`Batch` and call the same potential with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Layout:
    """What stays fixed while atoms move: who is who, and which pairs can ever interact.

    Attributes
    ----------
    numbers
        Atomic numbers of all systems, one after the other, (n_atoms,), int64.
    system_idx
        Which system each atom belongs to, ascending, (n_atoms,), int64.
    n_systems
        Number of systems.
    candidates
        All ordered pairs (centre, neighbour) inside each system, (2, n_candidates), int64.
        Quadratic in the size of a system: right for molecules, not for a few hundred atoms and more.
    """

    numbers: Tensor
    system_idx: Tensor
    n_systems: int
    candidates: Tensor

    @staticmethod
    def of(numbers: Sequence[np.ndarray], device: torch.device | str = "cpu") -> Layout:
        """Lay out systems given by their atomic numbers, each (n_atoms_of_system,)."""
        counts = np.array([len(z) for z in numbers], dtype=np.int64)
        starts = np.concatenate([[0], np.cumsum(counts)[:-1]]) if len(counts) else counts
        flat = np.concatenate(numbers).astype(np.int64) if len(counts) else np.zeros(0, dtype=np.int64)
        pairs = [_ordered_pairs(int(n)) + start for n, start in zip(counts, starts, strict=True)]
        candidates = np.concatenate(pairs, axis=1) if pairs else np.zeros((2, 0), dtype=np.int64)
        return Layout(
            numbers=torch.as_tensor(flat, device=device),
            system_idx=torch.as_tensor(np.repeat(np.arange(len(counts)), counts), device=device),
            n_systems=len(counts),
            candidates=torch.as_tensor(candidates, device=device),
        )

    def batch(self, positions: Tensor, cutoff: float) -> Batch:
        """Return the batch at these positions, (n_atoms, 3), Å, with the pairs closer than `cutoff`, Å."""
        centre, neighbour = self.candidates
        with torch.no_grad():
            offset = positions.index_select(0, neighbour) - positions.index_select(0, centre)
            within = (offset * offset).sum(-1) < cutoff * cutoff
            pairs = self.candidates[:, within]
        return Batch(self.numbers, positions, self.system_idx, self.n_systems, pairs)


@dataclass(frozen=True)
class Batch:
    """Systems at given positions, ready for a potential.

    Attributes
    ----------
    numbers
        Atomic numbers, (n_atoms,), int64.
    positions
        Cartesian positions, (n_atoms, 3), Å, in the potential's precision.
    system_idx
        System of each atom, ascending, (n_atoms,), int64.
    n_systems
        Number of systems.
    pairs
        Directed pairs within the cutoff, (2, n_pairs), int64: row 0 the centre i, row 1 the neighbour j.
        Both directions are present; sorted by system, then centre, then neighbour.
    """

    numbers: Tensor
    positions: Tensor
    system_idx: Tensor
    n_systems: int
    pairs: Tensor

    def pair_vectors(self) -> Tensor:
        """Return r_j - r_i for each pair, (n_pairs, 3), Å, differentiable."""
        centre, neighbour = self.pairs
        return self.positions.index_select(0, neighbour) - self.positions.index_select(0, centre)


def _ordered_pairs(n_atoms: int) -> np.ndarray:
    """Return all ordered pairs of different atoms, (2, n (n - 1)), int64, sorted."""
    return np.argwhere(~np.eye(n_atoms, dtype=bool)).T.astype(np.int64)
