"""Many molecules as one flat batch, and the directed pairs within a cutoff.

One molecule is a batch of one: the ASE calculator, the trainer and the dynamics engine all build the same
`Batch` and call the same potential with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from gmd26_md.calculators.neighbours import near_pairs

LARGE = 300  # atoms; a larger system's pairs come from a cell list, made anew for every geometry


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
        All ordered pairs (centre, neighbour) inside each system of up to `LARGE` atoms, (2, n_candidates), int64.
    large
        First atom and end of each larger system.
    """

    numbers: Tensor
    system_idx: Tensor
    n_systems: int
    candidates: Tensor
    large: tuple[tuple[int, int], ...] = ()

    @staticmethod
    def of(numbers: Sequence[np.ndarray], device: torch.device | str = "cpu") -> Layout:
        """Lay out systems given by their atomic numbers, each (n_atoms_of_system,)."""
        counts = np.array([len(z) for z in numbers], dtype=np.int64)
        starts = np.concatenate([[0], np.cumsum(counts)[:-1]]) if len(counts) else counts
        flat = np.concatenate(numbers).astype(np.int64) if len(counts) else np.zeros(0, dtype=np.int64)
        spans = list(zip(starts.tolist(), counts.tolist(), strict=True))
        pairs = [_ordered_pairs(n) + start for start, n in spans if n <= LARGE]
        candidates = np.concatenate(pairs, axis=1) if pairs else np.zeros((2, 0), dtype=np.int64)
        return Layout(
            numbers=torch.as_tensor(flat, device=device),
            system_idx=torch.as_tensor(np.repeat(np.arange(len(counts)), counts), device=device),
            n_systems=len(counts),
            candidates=torch.as_tensor(candidates, device=device),
            large=tuple((start, start + n) for start, n in spans if n > LARGE),
        )

    def batch(self, positions: Tensor, cutoff: float) -> Batch:
        """Return the batch at these positions, (n_atoms, 3), Å, with the pairs closer than `cutoff`, Å."""
        with torch.no_grad():
            candidates = self._with_large(positions, cutoff) if self.large else self.candidates
            centre, neighbour = candidates
            offset = positions.index_select(0, neighbour) - positions.index_select(0, centre)
            within = (offset * offset).sum(-1) < cutoff * cutoff
            pairs = candidates[:, within]
        return Batch(self.numbers, positions, self.system_idx, self.n_systems, pairs)

    def _with_large(self, positions: Tensor, cutoff: float) -> Tensor:
        """Return the candidates of all systems, with those of the large ones at these positions, in order."""
        wide = positions.detach().cpu().numpy()
        found = [near_pairs(wide[start:end], cutoff) + start for start, end in self.large]
        near = torch.as_tensor(np.concatenate(found, axis=1), device=positions.device)
        both = torch.cat([self.candidates, near], dim=1)
        return both[:, torch.argsort(both[0], stable=True)] if self.candidates.shape[1] else both


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


@lru_cache(maxsize=128)
def _ordered_pairs(n_atoms: int) -> np.ndarray:
    """Return all ordered pairs of different atoms, (2, n (n - 1)), int64, sorted."""
    return np.argwhere(~np.eye(n_atoms, dtype=bool)).T.astype(np.int64)
