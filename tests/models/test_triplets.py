"""The way back of a pair."""

import torch

from gmd26_md.calculators.batch import Layout
from gmd26_md.models.triplets import reverse_pairs


def random_pairs(seed: int) -> tuple[torch.Tensor, int]:
    """Pairs of three molecules, some atoms of which have one neighbour or none."""
    generator = torch.Generator().manual_seed(seed)
    layout = Layout.of([torch.ones(n, dtype=torch.int64).numpy() for n in (7, 1, 5)])
    positions = 4.5 * torch.rand(13, 3, generator=generator, dtype=torch.float64)
    return layout.batch(positions, 3.0).pairs, 13


def test_the_reverse_of_a_pair_is_the_same_pair_turned_round():
    pairs, _ = random_pairs(0)
    assert torch.equal(pairs[:, reverse_pairs(pairs)], pairs.flip(0))
