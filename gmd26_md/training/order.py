"""The order in which frames are seen: a function of the seed and the step alone, so there is nothing to save."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass
class DataOrder:
    """Batches of frame indices, about `batch_atoms` atoms each; every epoch sees each frame once, shuffled anew.

    Attributes
    ----------
    n_atoms
        Atoms of each frame, (n_frames,), on the CPU.
    batch_atoms
        Atoms in a batch, about; raised to the largest frame, so that no batch is empty.
    seed
        The epoch's shuffle comes from its own generator, seeded by this and the epoch's number.
    """

    n_atoms: Tensor
    batch_atoms: int
    seed: int
    _epoch: int = field(default=-1, init=False)
    _batches: list[Tensor] = field(default_factory=list, init=False)

    @property
    def n_batches(self) -> int:
        """Batches in an epoch, the same in each: a remainder joins the last one."""
        return max(1, int(self.n_atoms.sum()) // max(self.batch_atoms, int(self.n_atoms.max())))

    def batch(self, step: int) -> Tensor:
        """Return the frame indices of a step, counted from 0, (n_systems,), int64, on the CPU."""
        epoch, position = divmod(step, self.n_batches)
        if epoch != self._epoch:
            self._batches, self._epoch = self._shuffled(epoch), epoch
        return self._batches[position]

    def _shuffled(self, epoch: int) -> list[Tensor]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        shuffled = torch.randperm(len(self.n_atoms), generator=generator)
        middle = self.n_atoms[shuffled].cumsum(0) - self.n_atoms[shuffled] / 2  # (n_frames,), a frame's middle atom
        edges = torch.linspace(0, float(self.n_atoms.sum()), self.n_batches + 1, dtype=torch.float64)[1:-1]
        cuts = torch.searchsorted(middle.double(), edges)
        return list(torch.tensor_split(shuffled, cuts))
