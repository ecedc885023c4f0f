"""The batched road to forces: one potential moves every molecule.

On a GPU a batch is one call of the potential. On a CPU it is cut into shards of whole molecules, whose tensors stay
small enough for the caches and for memory that is used again (tensors beyond some 32 MiB are fresh pages for every
operation), and the shards are spread over threads, each computing its shard alone. So the numbers do not depend on how
many threads there are, and a batch of any size takes the memory of a few shards.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import torch
from torch import Tensor

from gmd26_md.calculators.batch import Layout
from gmd26_md.calculators.potential import Potential, energy_and_forces
from gmd26_md.dynamics.capacity import pairs_that_fit, saved_bytes_per_pair, typical_pairs

_SHARD_BYTES = 20 * 2**20  # of saved tensors; measured: 15 to 30 MiB is best for every family, twice that is slower
_WORTH_CUTTING = 600  # pairs; a smaller batch is one shard
_RESPONSIVE = 32_768.0  # pairs in a batch on a CPU: some 75 molecules, a look every few seconds


class PotentialForces:
    """Forces of a potential for any list of molecules.

    Its parameters are set not to require gradients, so that no pass keeps anything for them: give it a potential of
    its own, not one that is being trained.

    Parameters
    ----------
    potential
        The potential, on the device where it shall compute.
    """

    def __init__(self, potential: Potential) -> None:
        parameter = next(potential.parameters())
        self.potential = potential.requires_grad_(False)
        self.dtype = parameter.dtype
        self.model_device = parameter.device
        # mps has no float64, and positions are float64 whatever the model's precision
        self.device = torch.device("cpu") if parameter.device.type == "mps" else parameter.device
        if parameter.device.type == "cpu":
            _keep_freed_memory()

    def bind(self, numbers: Sequence[np.ndarray]) -> BoundPotential:
        """See `ForceProvider.bind`."""
        return BoundPotential(self, numbers)

    def cost(self, numbers: np.ndarray, positions: np.ndarray) -> float:
        """See `ForceProvider.cost`: atoms and about as many pairs as a molecule of this size has."""
        return float(len(numbers) + typical_pairs(len(numbers), self.potential.cutoff))

    def capacity(self) -> float:
        """See `ForceProvider.capacity`: what fits into the memory of a GPU; on a CPU, what a look should wait for."""
        if self.model_device.type == "cpu":
            return _RESPONSIVE
        if self.model_device.type == "cuda":
            return pairs_that_fit(self.model_device, self.bytes_per_pair)
        return 4 * _RESPONSIVE

    @cached_property
    def bytes_per_pair(self) -> float:
        """What a pair keeps in memory between the forward and the backward pass."""
        return saved_bytes_per_pair(self.potential)

    def shards(self, counts: Sequence[int]) -> list[range]:
        """Return which systems, given by their numbers of atoms, are computed together.

        A function of the sizes alone, so that a run that is continued is cut as before.
        """
        pairs = [typical_pairs(n, self.potential.cutoff) for n in counts]
        if self.model_device.type != "cpu" or sum(pairs) < _WORTH_CUTTING:
            return [range(len(counts))]
        most = max(_SHARD_BYTES / self.bytes_per_pair, 1.0)
        n_shards = 4 * round(sum(pairs) / most / 4) or min(2, len(counts))  # two or four threads end together
        ends = np.cumsum(pairs) * (n_shards / sum(pairs))
        shard_of = np.minimum((ends - 0.5 * np.array(pairs) * n_shards / sum(pairs)).astype(int), n_shards - 1)
        edges = np.searchsorted(shard_of, np.arange(n_shards + 1))
        return [range(a, b) for a, b in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True) if b > a]


@dataclass(frozen=True)
class _Shard:
    """Neighbouring systems that are computed together: rows of the batch's atoms, and their layout."""

    atoms: slice
    layout: Layout
    large: bool  # a single molecule larger than a shard should be: it gets all threads


class BoundPotential:
    """See `BoundForces`."""

    def __init__(self, provider: PotentialForces, numbers: Sequence[np.ndarray]) -> None:
        self.errors: dict[int, str] = {}
        self._provider = provider
        self._numbers = list(numbers)
        counts = [len(z) for z in self._numbers]
        starts = np.concatenate([[0], np.cumsum(counts)]).astype(int)
        self._shards = []
        for shard in provider.shards(counts) if counts else []:
            layout = Layout.of([self._numbers[i] for i in shard], provider.model_device)
            large = len(shard) == 1 and typical_pairs(counts[shard[0]], provider.potential.cutoff) > 20_000
            self._shards.append(_Shard(slice(starts[shard.start], starts[shard.stop]), layout, large))
        index = np.repeat(np.arange(len(counts)), counts)
        self._system_idx = torch.as_tensor(index, device=provider.device)
        self._first = torch.as_tensor(np.repeat(starts[:-1], counts), device=provider.device)  # atom of each system

    @cached_property
    def _constant(self) -> Tensor:
        """The summed element energies of each system, (n_systems,), eV, float64."""
        parts = []
        for shard in self._shards:
            nowhere = torch.zeros((len(shard.layout.numbers), 3), device=self._provider.model_device)
            parts.append(self._provider.potential.reference_energy(shard.layout.batch(nowhere, 0.0)))
        return torch.cat(parts).to(self._provider.device)

    def __call__(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """See `BoundForces`.

        An exception in a shard, such as out of memory, is raised when all others have ended.
        """
        answers = self._answers(self._as_the_model_takes(positions))
        home = positions.device
        energies = torch.cat([energy for energy, _ in answers])
        total = energies.to(home).to(torch.float64) + self._constant
        forces = torch.cat([f for _, f in answers]).to(home).to(torch.float64)
        # an atom that is nowhere has no pairs, so that a potential may answer with finite numbers
        lost = torch.zeros_like(total).index_add(0, self._system_idx, 0.0 * positions.sum(-1))  # 0 or NaN
        return total + lost, forces + lost[self._system_idx, None]

    def only(self, chosen: Sequence[int]) -> BoundPotential:
        """See `BoundForces.only`."""
        return BoundPotential(self._provider, [self._numbers[i] for i in chosen])

    def joined(self, other: BoundPotential) -> BoundPotential:
        """See `BoundForces.joined`."""
        return BoundPotential(self._provider, [*self._numbers, *other._numbers])

    def _as_the_model_takes(self, positions: Tensor) -> Tensor:
        """Return positions on the model's device and in its precision; in float32 each system's from its first atom.

        Far from the origin, positions of few digits would blur the distances. The first atom is no sum, so that it has
        the same bits in any batch.
        """
        if self._provider.dtype != torch.float64:
            positions = positions - positions.index_select(0, self._first)
        return positions.to(device=self._provider.model_device, dtype=self._provider.dtype)

    def _answers(self, at: Tensor) -> list[tuple[Tensor, Tensor]]:
        if self._provider.model_device.type != "cpu":
            return [self._ask(shard, at) for shard in self._shards]
        n_threads = torch.get_num_threads()
        if len(self._shards) == 1 and self._shards[0].large:
            return [self._ask(self._shards[0], at)]
        if n_threads == 1 or len(self._shards) == 1:
            with _one_thread():
                return [self._ask(shard, at) for shard in self._shards]
        futures = [_threads(n_threads).submit(self._ask, shard, at) for shard in self._shards]
        wait(futures)
        return [future.result() for future in futures]

    def _ask(self, shard: _Shard, at: Tensor) -> tuple[Tensor, Tensor]:
        potential = self._provider.potential
        return energy_and_forces(potential, shard.layout.batch(at[shard.atoms], potential.cutoff))


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute on one thread; the caller's setting is as before afterwards."""
    before = torch.get_num_threads()
    if before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@cache
def _keep_freed_memory() -> None:
    """Let glibc keep what is freed: its thresholds grow with the largest block up to 32 MiB that was given back.

    Otherwise the top of the heap goes back to the system after every evaluation, and comes as thousands of page faults
    with the next one (measured: a third of the time of a shard of MACE).
    """
    block = torch.empty(31 << 20, dtype=torch.uint8)
    del block


@cache
def _threads(n_threads: int) -> ThreadPoolExecutor:
    """Return the threads that compute shards, each by itself; they wait idly between calls."""
    return ThreadPoolExecutor(n_threads, "shard", initializer=_begin_thread)


def _begin_thread() -> None:
    """Make a thread compute alone.

    A thread's first question or computation takes over the number that any thread set last. So it is asked before it is
    set: a thread that was set and stood idle while the caller chose another number would compute with that many.
    """
    torch.get_num_threads()
    torch.set_num_threads(1)
