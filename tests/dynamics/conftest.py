"""A toy world: atoms on springs, through both roads to the forces."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from torch import nn

from gmd26_md.calculators.batch import Batch
from gmd26_md.calculators.potential import Potential
from gmd26_md.dynamics.forces import PotentialForces

ELEMENT_ENERGY_EV = {1: -13.0, 6: -1000.0, 8: -2000.0}


class SpringNetwork(nn.Module):
    """A spring between every two atoms of a system: E = sum over pairs of k/2 (r - r0)^2.

    Only additions, products and square roots, which a machine rounds alike wherever an atom stands in a batch.

    Parameters
    ----------
    nan_beyond
        A pair further apart than this, Å, is NaN.
    """

    def __init__(self, k: float, r0: float, nan_beyond: float) -> None:
        super().__init__()
        self.k = nn.Parameter(torch.tensor(k, dtype=torch.float64))
        self.r0, self.nan_beyond = r0, nan_beyond
        self.n_calls, self.interrupt_at = 0, 0

    def forward(self, batch: Batch) -> torch.Tensor:
        self.n_calls += 1
        if self.n_calls == self.interrupt_at:
            raise KeyboardInterrupt
        vectors = batch.pair_vectors()
        distance = (vectors * vectors).sum(-1).sqrt()
        healthy = torch.where(distance > self.nan_beyond, float("nan"), 1.0).to(distance.dtype)
        stretch = distance - self.r0
        pair = 0.25 * self.k * stretch * stretch * healthy  # each pair is there twice
        return torch.zeros_like(batch.positions[:, 0]).index_add(0, batch.pairs[0], pair)


@pytest.fixture
def springs() -> Callable[..., PotentialForces]:
    """Return a maker of springs on the batched road."""

    def make(
        k: float = 30.0, r0: float = 1.0, nan_beyond: float = 1e9, dtype: torch.dtype = torch.float64
    ) -> PotentialForces:
        network = SpringNetwork(k, r0, nan_beyond)
        return PotentialForces(Potential(network, cutoff=100.0, element_energies=ELEMENT_ENERGY_EV).to(dtype))

    return make


@pytest.fixture
def tetrahedron() -> np.ndarray:
    """Four points at distance 1 from each other, (4, 3), a little off."""
    corners = np.array([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / np.sqrt(8.0)
    return corners + 0.03 * np.random.default_rng(5).standard_normal((4, 3))


@pytest.fixture
def same() -> Callable[[Sequence, Sequence], bool]:
    """Return whether two runs of the engine are equal to the last bit."""

    def are_same(first: Sequence, second: Sequence) -> bool:
        return all(_same_run(a, b) for a, b in zip(first, second, strict=True))

    return are_same


def _same_run(first, second) -> bool:
    told = ("key", "stopped", "stopped_at_fs", "reason", "n_force_calls")
    if (
        any(getattr(first, name) != getattr(second, name) for name in told)
        or first.frames.keys() != second.frames.keys()
    ):
        return False
    arrays = ("time_fs", "positions", "velocities", "energies", "forces")
    return all(
        np.array_equal(getattr(a, name), getattr(second.frames[segment], name), equal_nan=True)
        for segment, a in first.frames.items()
        for name in arrays
    )


@pytest.fixture(autouse=True)
def one_thread():
    """Sums in one order: equality to the last bit is promised on one CPU thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
