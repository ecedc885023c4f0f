"""Pairs of large systems are those of the plain search over all pairs."""

import numpy as np
import pytest
import torch

from gmd26_md.calculators import batch as batches
from gmd26_md.calculators.batch import Layout
from gmd26_md.calculators.neighbours import near_pairs


def cloud(n_atoms, seed=0):
    """Atoms at random, 0.08 in a cubic Å."""
    return np.random.default_rng(seed).uniform(size=(n_atoms, 3)) * (n_atoms / 0.08) ** (1 / 3)


def by_all_pairs(positions, cutoff):
    offset = positions[None] - positions[:, None]
    near = (offset**2).sum(-1) < cutoff**2
    np.fill_diagonal(near, False)
    return np.argwhere(near).T


@pytest.mark.parametrize("seed", range(3))
def test_a_cell_list_finds_the_pairs_in_order(seed):
    positions = cloud(400, seed)
    found = near_pairs(positions, 4.0)
    assert np.array_equal(found, by_all_pairs(positions, 4.0 * (1 + 1e-5)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_batch_is_the_same_with_and_without_a_cell_list(dtype, monkeypatch):
    sizes = [3, 350, 1, 20, 500, 7]
    numbers = [np.full(n, 6) for n in sizes]
    moving = [cloud(n, seed=n) + 100.0 * k for k, n in enumerate(sizes)]
    with_list = Layout.of(numbers)
    assert with_list.large == ((3, 353), (374, 874))
    monkeypatch.setattr(batches, "LARGE", 10_000)
    plain = Layout.of(numbers)
    assert plain.large == ()
    for step in range(5):
        x = torch.as_tensor(np.concatenate(moving) + 0.4 * step * np.sin(np.arange(sum(sizes)))[:, None], dtype=dtype)
        assert torch.equal(with_list.batch(x, 5.0).pairs, plain.batch(x, 5.0).pairs)


def test_one_large_system_alone():
    x = torch.as_tensor(cloud(310))
    pairs = Layout.of([np.full(310, 1)]).batch(x, 3.0).pairs
    assert np.array_equal(pairs.numpy(), by_all_pairs(x.numpy(), 3.0))


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
def test_an_atom_that_is_nowhere_has_no_pairs_and_the_rest_have_theirs(bad):
    positions = cloud(320)
    whole = by_all_pairs(positions[1:], 4.0) + 1
    positions[0] = bad
    pairs = Layout.of([np.full(320, 1)]).batch(torch.as_tensor(positions), 4.0).pairs
    assert np.array_equal(pairs.numpy(), whole)
    assert near_pairs(np.full((320, 3), bad), 4.0).shape[0] == 2
    if not np.isfinite(bad):
        assert near_pairs(np.full((320, 3), bad), 4.0).shape == (2, 0)
