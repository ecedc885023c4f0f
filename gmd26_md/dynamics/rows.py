"""Who is who in a ragged batch: systems of different sizes, their atoms laid out one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Rows:
    """The rows of each system in tensors of atoms.

    Attributes
    ----------
    counts
        Number of atoms of each system.
    system_idx
        System of each atom, ascending, (n_atoms,), int64.
    """

    counts: tuple[int, ...]
    system_idx: Tensor

    @staticmethod
    def of(counts: Sequence[int], device: torch.device) -> Rows:
        """Return the rows of systems with so many atoms each."""
        index = np.repeat(np.arange(len(counts)), np.asarray(counts, dtype=np.int64))
        return Rows(tuple(counts), torch.as_tensor(index, device=device))

    def atoms_of(self, chosen: Sequence[int]) -> Tensor:
        """Return the rows of the chosen systems, in their order, int64."""
        starts = np.concatenate([[0], np.cumsum(self.counts)])
        rows = [np.arange(starts[i], starts[i + 1]) for i in chosen]
        flat = np.concatenate(rows) if rows else np.zeros(0, dtype=np.int64)
        return torch.as_tensor(flat, dtype=torch.int64, device=self.system_idx.device)

    def sums(self, atoms: Tensor) -> Tensor:
        """Return the sum over each system's atoms, (n_atoms, ...) -> (n_systems, ...)."""
        return atoms.new_zeros((len(self.counts), *atoms.shape[1:])).index_add(0, self.system_idx, atoms)

    def largest(self, atoms: Tensor) -> Tensor:
        """Return the largest over each system's atoms, (n_atoms,) -> (n_systems,); NaN where one is NaN."""
        return atoms.new_zeros(len(self.counts)).scatter_reduce(
            0, self.system_idx, atoms, reduce="amax", include_self=False
        )

    def to_atoms(self, systems: Tensor) -> Tensor:
        """Return each atom's share of a value a system, (n_systems, ...) -> (n_atoms, ...)."""
        return systems.index_select(0, self.system_idx)

    def spread(self, values: Sequence[float]) -> Tensor:
        """Return one number a system as a column of atoms, (n_atoms, 1), float64."""
        column = torch.as_tensor(np.repeat(np.asarray(values, dtype=np.float64), self.counts))
        return column.to(self.system_idx.device)[:, None]

    def split(self, atoms: np.ndarray | Tensor) -> list[np.ndarray]:
        """Cut (n_atoms, ...) into one array of its own memory a system."""
        flat = atoms.detach().cpu().numpy() if isinstance(atoms, Tensor) else atoms
        return [part.copy() for part in np.split(flat, np.cumsum(self.counts)[:-1])] if self.counts else []
