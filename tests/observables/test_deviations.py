"""Deviations of internal coordinates: planted ones are found where they were planted, equivalent atoms make none."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from gmd26_md import molecules
from gmd26_md.observables.bonds import bond_graph
from gmd26_md.observables.deviations import conformation_torsions, deviations
from gmd26_md.observables.internal import backbone_torsions_of
from gmd26_md.observables.rmsd import best_labelling

NONE_AT_ALL = 1e-5  # degrees; rounding, and an arc cosine nowhere


def graph_of(name):
    atoms = molecules.get(name).atoms()
    return bond_graph(atoms.numbers, atoms.positions), atoms.positions.copy()


def beside(graph, moved, target):
    return deviations(graph, moved[best_labelling(graph.numbers, graph.bonds, moved, target)], target)


def turned(positions, axis_from, axis_to, group, degrees):
    out = positions.copy()
    axis = positions[axis_to] - positions[axis_from]
    turn = Rotation.from_rotvec(np.radians(degrees) * axis / np.linalg.norm(axis))
    out[group] = turn.apply(positions[group] - positions[axis_to]) + positions[axis_to]
    return out


def partners(graph, atom, number):
    return [int(i + j - atom) for i, j in graph.bonds if atom in (i, j) and graph.numbers[i + j - atom] == number]


def hydroxyl(graph):
    """Return carbon, oxygen and hydrogen of the first hydroxyl group."""
    oxygen = next(i for i in range(len(graph.numbers)) if graph.numbers[i] == 8 and partners(graph, i, 1))
    return partners(graph, oxygen, 6)[0], oxygen, partners(graph, oxygen, 1)[0]


@pytest.mark.parametrize("name", ["acetic acid", "glutaric acid", "butane", "ethylamine"])
def test_hydrogens_with_each_others_places_are_no_deviation(name):
    graph, positions = graph_of(name)
    order = np.arange(len(positions))
    for heavy in np.flatnonzero(graph.numbers > 1):
        group = partners(graph, heavy, 1)
        order[group] = np.roll(group, 1)
    assert (order != np.arange(len(order))).any()
    for found in beside(graph, positions[order], positions).values():
        assert found is None or found.largest < NONE_AT_ALL
    # the labels as they are would have shown them
    assert deviations(graph, positions[order], positions)["angle"].largest > 0.1


def test_a_methyl_group_turned_by_a_third_is_no_deviation_of_torsions():
    graph, positions = graph_of("butyric acid")
    methyl = next(i for i in range(len(graph.numbers)) if len(partners(graph, i, 1)) == 3)
    root = partners(graph, methyl, 6)[0]
    for degrees in (120.0, 60.0):  # by a sixth neither: its hydrogens say nothing of the conformer
        moved = turned(positions, root, methyl, partners(graph, methyl, 1), degrees)
        assert beside(graph, moved, positions)["torsion"].largest < NONE_AT_ALL


def test_a_hydroxyl_group_turned_round_is_a_deviation_of_its_torsion():
    graph, positions = graph_of("acetic acid")
    carbon, oxygen, hydrogen = hydroxyl(graph)
    assert len(backbone_torsions_of(graph)) == 0
    assert len(conformation_torsions(graph)) == 2
    found = beside(graph, turned(positions, carbon, oxygen, [hydrogen], 170.0), positions)["torsion"]
    assert found.largest == pytest.approx(170.0, abs=1e-6)
    assert hydrogen in found.atoms
    assert oxygen in found.atoms
    other_way = beside(graph, turned(positions, carbon, oxygen, [hydrogen], 350.0), positions)["torsion"]
    assert other_way.largest == pytest.approx(10.0, abs=1e-6)


def test_a_stretched_bond_and_a_bent_angle_are_found_where_they_are():
    graph, positions = graph_of("acetic acid")
    carbon, oxygen, hydrogen = hydroxyl(graph)
    along = positions[hydrogen] - positions[oxygen]
    moved = positions.copy()
    moved[hydrogen] += 0.05 * along / np.linalg.norm(along)
    bond = beside(graph, moved, positions)["bond"]
    assert bond.largest == pytest.approx(0.05, abs=1e-9)
    assert set(bond.atoms) == {oxygen, hydrogen}
    assert bond.mean == pytest.approx(0.05 / len(graph.bonds), abs=1e-9)
    across = np.cross(along, positions[carbon] - positions[oxygen])
    turn = Rotation.from_rotvec(np.radians(4.0) * across / np.linalg.norm(across))
    bent = positions.copy()
    bent[hydrogen] = positions[oxygen] + turn.apply(along)
    angle = beside(graph, bent, positions)["angle"]
    assert angle.largest == pytest.approx(4.0, abs=1e-6)
    assert angle.atoms[1] == oxygen


def test_a_straight_chain_has_no_torsion_to_deviate():
    numbers = np.array([1, 6, 6, 1])
    line = np.array([[0, 0, 0], [0, 0, 1.06], [0, 0, 2.27], [0, 0, 3.33]])
    bent = line + np.array([[0.05, 0, 0], [0, 0, 0], [0, 0, 0], [0, -0.05, 0]])
    found = deviations(bond_graph(numbers, line), bent, line)
    assert found["torsion"] is None
    assert found["angle"].largest == pytest.approx(2.7, abs=0.1)


def test_a_dimer_has_bonds_only_and_what_is_no_number_stays_none():
    graph = bond_graph(np.array([8, 1]), np.array([[0, 0, 0], [0, 0, 0.97]]))
    found = deviations(graph, np.array([[0, 0, 0], [0, 0, 1.0]]), np.array([[0, 0, 0], [0, 0, 0.97]]))
    assert found["bond"].largest == pytest.approx(0.03)
    assert found["angle"] is None
    assert found["torsion"] is None
    graph, positions = graph_of("acetic acid")
    lost = beside(graph, np.full(positions.shape, np.nan), positions)
    assert all(np.isnan(d.mean) and np.isnan(d.largest) for d in lost.values())
