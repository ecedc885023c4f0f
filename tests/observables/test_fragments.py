"""Functional groups and the way to them, on molecules whose answer one can count."""

import numpy as np
import pytest

from gmd26_md import molecules
from gmd26_md.observables.bonds import bond_graph
from gmd26_md.observables.fragments import (
    bonds_away,
    bonds_to_groups,
    bonds_to_middle,
    chain_middle,
    functional_groups,
)


def graph_of(name):
    atoms = molecules.get(name).atoms()
    return bond_graph(atoms.numbers, atoms.positions)


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("pentane", []),
        ("pentan-1-ol", [2]),  # O H
        ("pentanal", [3]),  # C O H
        ("pentanoic acid", [4]),  # C O O H
        ("pentanedioic acid", [4, 4]),
        ("oxalic acid", [4, 4]),  # neighbours, and still two
        ("pentan-1-amine", [3]),
        ("pentanamide", [5]),
        ("2-aminoethanoic acid", [3, 4]),
        ("5-hydroxypentanal", [2, 3]),
    ],
)
def test_groups_are_those_that_a_chemist_names(name, sizes):
    assert sorted(len(group) for group in functional_groups(graph_of(name))) == sizes


def test_distance_counts_bonds_to_the_nearest_group():
    graph = graph_of("pentanedioic acid")
    distance = bonds_to_groups(graph)
    assert np.isfinite(distance).all()
    assert sorted(distance[graph.numbers == 6].tolist()) == [0, 0, 1, 1, 2]
    assert distance[graph.numbers == 8].max() == 0
    assert distance[graph.numbers == 1].max() == 3  # on the middle carbon


def test_an_alkane_has_no_group_to_be_near_to():
    assert np.isinf(bonds_to_groups(graph_of("butane"))).all()


def test_no_source_reaches_nothing_and_every_source_reaches_itself():
    graph = graph_of("ethane")
    assert np.isinf(bonds_away(graph, [])).all()
    assert (bonds_away(graph, range(8)) == 0).all()


@pytest.mark.parametrize(("name", "n_middle", "farthest"), [("heptane", 1, 4), ("hexane", 2, 3), ("ethane", 2, 1)])
def test_the_middle_of_a_chain_is_one_or_two_carbons_and_its_ends_are_farthest(name, n_middle, farthest):
    graph = graph_of(name)
    middle = chain_middle(graph)
    assert len(middle) == n_middle
    assert set(graph.numbers[list(middle)].tolist()) == {6}
    assert bonds_to_middle(graph).max() == farthest  # the hydrogens of the methyl groups


def test_hydrogen_alone_has_a_middle():
    assert chain_middle(bond_graph(np.array([1, 1]), np.array([[0.0, 0, 0], [0.0, 0, 0.74]]))) == (0, 1)
