"""Rows of neighbours say the same as the list of pairs."""

import numpy as np
import pytest
import torch

from gmd26_md.calculators.batch import Layout
from gmd26_md.models.neighbours import Neighbours, fold_atoms, fold_pairs, neighbours_of, spread_directions

N_ATOMS = [5, 1, 7, 2]


def pairs_and_table(cutoff: float = 2.0, row: torch.Tensor | None = None) -> tuple[torch.Tensor, Neighbours]:
    positions = torch.as_tensor(np.random.default_rng(1).uniform(0.0, 3.0, (sum(N_ATOMS), 3)))
    pairs = Layout.of([np.ones(n) for n in N_ATOMS]).batch(positions, cutoff).pairs
    return pairs, neighbours_of(pairs, sum(N_ATOMS), row)


@pytest.mark.parametrize("shuffled", [False, True])
def test_each_row_has_the_atoms_neighbours(shuffled):
    n = sum(N_ATOMS)
    row = torch.as_tensor(np.random.default_rng(2).permutation(n)) if shuffled else torch.arange(n)
    pairs, table = pairs_and_table(row=row)
    filled = table.pair < table.pairs.shape[1]
    assert 0 < int(filled.sum()) == pairs.shape[1] < len(filled)
    centre = torch.arange(n).repeat_interleave(table.width)
    found = set(zip(centre[filled].tolist(), table.atom[filled].tolist(), strict=True))
    assert found == set(zip(row[pairs[0]].tolist(), row[pairs[1]].tolist(), strict=True))
    assert torch.equal(table.atom[~filled], centre[~filled])
    assert torch.equal(table.atom[table.reverse][filled], centre[filled])
    assert torch.equal(table.pair[table.reverse], table.pair)
    assert (table.pairs[0] < table.pairs[1]).all()
    assert torch.equal(centre[table.there], row[table.pairs[0]])
    assert torch.equal(centre[table.back], row[table.pairs[1]])


def test_folds_are_the_sums_over_places():
    _, table = pairs_and_table()
    values = torch.randn(len(table.pair), 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    filled = table.pair < table.pairs.shape[1]
    values[~filled] = 0.0
    by_pair = torch.zeros(table.pairs.shape[1] + 1, 3, dtype=torch.float64).index_add(0, table.pair, values)
    by_atom = torch.zeros(table.n_atoms, 3, dtype=torch.float64).index_add(0, table.atom, values)
    torch.testing.assert_close(fold_pairs(values, table), by_pair[:-1])
    torch.testing.assert_close(fold_atoms(values, table), by_atom)


def test_directions_turn_round_with_the_pair_and_are_differentiable_twice():
    pairs, table = pairs_and_table()
    positions = torch.randn(sum(N_ATOMS), 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    vectors = (positions[table.pairs[1]] - positions[table.pairs[0]]).requires_grad_(True)
    odd = -torch.ones(3, dtype=torch.float64)
    places = spread_directions(vectors, odd, table)
    filled = table.pair < table.pairs.shape[1]
    assert not places[~filled].any()
    torch.testing.assert_close(places[filled], positions[pairs[1]] - positions[pairs[0]])  # both are in order of centre
    assert torch.autograd.gradcheck(lambda v: spread_directions(v, odd, table).square(), vectors)
    assert torch.autograd.gradgradcheck(lambda v: spread_directions(v, odd, table).square(), vectors)


def test_without_pairs_every_place_is_empty():
    for n_atoms in (0, 3):
        table = neighbours_of(torch.zeros(2, 0, dtype=torch.int64), n_atoms)
        assert (table.n_atoms, table.width, len(table.pair), table.pairs.shape[1]) == (n_atoms, 1, n_atoms, 0)
