"""Triplets against three loops over atoms."""

import pytest
import torch

from gmd26_md.calculators.batch import Layout
from gmd26_md.models.triplets import chained_triplets, reverse_pairs


def random_pairs(seed: int) -> tuple[torch.Tensor, int]:
    """Pairs of three molecules, some atoms of which have one neighbour or none."""
    generator = torch.Generator().manual_seed(seed)
    layout = Layout.of([torch.ones(n, dtype=torch.int64).numpy() for n in (7, 1, 5)])
    positions = 4.5 * torch.rand(13, 3, generator=generator, dtype=torch.float64)
    return layout.batch(positions, 3.0).pairs, 13


def edges(pairs: torch.Tensor) -> list[tuple[int, int]]:
    return [(int(i), int(j)) for i, j in pairs.T]


@pytest.mark.parametrize("seed", range(5))
def test_every_chain_is_found_once_in_order(seed):
    pairs, n_atoms = random_pairs(seed)
    ji, kj = chained_triplets(pairs, n_atoms)
    known = edges(pairs)
    wanted = [(e, f) for e, (i, j) in enumerate(known) for f, (m, k) in enumerate(known) if m == j and k != i]
    assert len(wanted) > 10, "if this fails, the toy has no triplets"
    assert list(zip(ji.tolist(), kj.tolist(), strict=True)) == wanted


def test_the_reverse_of_a_pair_is_the_same_pair_turned_round():
    pairs, _ = random_pairs(0)
    assert torch.equal(pairs[:, reverse_pairs(pairs)], pairs.flip(0))


def test_no_pairs_or_one_pair_have_no_triplets():
    for pairs, n_atoms in ((torch.zeros(2, 0, dtype=torch.int64), 3), (torch.tensor([[0, 1], [1, 0]]), 2)):
        for found in chained_triplets(pairs, n_atoms):
            assert (found.dtype, found.shape) == (torch.int64, (0,))
