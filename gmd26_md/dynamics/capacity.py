"""How much goes together: what a potential keeps in memory for each pair, and how much memory there is."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from gmd26_md.calculators.batch import Layout
from gmd26_md.calculators.potential import Potential, energy_and_forces

# Atoms of an organic molecule within a sphere, in its bulk and at its ends: 20 within 5 Å of an acid's atom.
_ATOMS_PER_A3 = 0.04
_SHARE_OF_FREE_MEMORY = 0.6
_BEYOND_SAVED = 2.0  # peak memory over the tensors that autograd saves: the backward pass holds gradients beside them


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an exception says that memory ran out, on a GPU or here."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    words = str(error)
    return isinstance(error, RuntimeError) and ("can't allocate memory" in words or "out of memory" in words.lower())


def typical_pairs(n_atoms: int, cutoff: float) -> int:
    """Return about how many directed pairs within `cutoff`, Å, a molecule has: a function of its size alone."""
    within = _ATOMS_PER_A3 * 4.0 / 3.0 * math.pi * cutoff**3
    return int(n_atoms * min(n_atoms - 1, max(1.0, within)))


def saved_bytes_per_pair(potential: Potential) -> float:
    """Return what the autograd graph of energies and forces keeps, over the number of pairs, in bytes.

    Measured on a small lattice of the potential's elements; the same on every machine.
    """
    side = 3
    grid = np.stack(np.meshgrid(*[np.arange(side)] * 3), axis=-1).reshape(-1, 3)
    elements = sorted(potential.element_energies)
    numbers = np.array([elements[i % len(elements)] for i in range(len(grid))])
    parameter = next(potential.parameters())
    positions = torch.as_tensor(1.6 * grid, dtype=parameter.dtype, device=parameter.device)
    batch = Layout.of([numbers], parameter.device).batch(positions, potential.cutoff)
    sizes: dict[int, int] = {}

    def count(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        energy_and_forces(potential, batch)
    weights = {p.untyped_storage().data_ptr() for p in [*potential.parameters(), *potential.buffers()]}
    kept = sum(size for address, size in sizes.items() if address not in weights)
    return max(kept / max(batch.pairs.shape[1], 1), 1.0)


def pairs_that_fit(device: torch.device, bytes_per_pair: float) -> float:
    """Return how many pairs fit into the free memory of a CUDA device at once; infinity for other devices.

    On a CPU memory does not grow with the batch, as it is evaluated in shards.
    """
    if device.type != "cuda":
        return float("inf")
    free, _ = torch.cuda.mem_get_info(device)
    return _SHARE_OF_FREE_MEMORY * free / (_BEYOND_SAVED * bytes_per_pair)
