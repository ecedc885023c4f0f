"""Which bonds are scanned, and the geometries of a scan."""

import numpy as np
import pytest

from gmd26_md import molecules
from gmd26_md.observables.bonds import bond_graph
from gmd26_md.observables.internal import torsion_values_deg
from gmd26_md.observables.scans import (
    bond_words,
    outward,
    side_of,
    stretched,
    stretched_bonds,
    symmetry_classes,
    turned,
    turned_bonds,
)


def shape(name):
    atoms = molecules.get(name).atoms() if isinstance(name, str) else name
    return bond_graph(atoms.numbers, atoms.positions), atoms.positions


def words(graph, bonds):
    """Return bonds by elements only, as they were chosen."""
    return ["".join(c for c in bond_words(graph.numbers, b) if not c.isdigit()) for b in bonds]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("acetic acid", ["C-C"]),
        ("oxalic acid", ["C-C"]),  # between the groups
        ("glutaric acid", ["C-C"]),  # either end is the same by symmetry
        ("propan-1-ol", ["O-C"]),
        ("2-hydroxyethanal", ["C-C", "C-O"]),
        ("glycine", ["N-C", "C-C"]),
        ("ethane", ["C-C"]),  # no group: the middle
    ],
)
def test_bonds_that_join_groups_are_turned(name, expected):
    graph, positions = shape(name)
    assert words(graph, turned_bonds(graph, positions)) == expected


def test_an_alkane_is_turned_about_its_middle():
    graph, positions = shape("hexane")
    (bond,) = turned_bonds(graph, positions)
    side = side_of(graph, bond)
    assert (graph.numbers[side] == 6).sum() == 3


def test_the_joint_of_glutaric_acid_has_the_carboxyl_group_on_its_side():
    graph, positions = shape("glutaric acid")
    side = side_of(graph, turned_bonds(graph, positions)[0])
    assert sorted(graph.numbers[side].tolist()) == [1, 6, 8, 8]


def test_double_bonds_rings_and_lines_are_not_turned():
    # C=CO: the C=C joins the group and is none to turn, which leaves the C-O in the middle
    for smiles, expected in (("C=CO", ["C-O"]), ("CC#N", []), ("OC1CC1", ["O-C"]), ("c1ccccc1", []), ("O", [])):
        graph, positions = shape(molecules.structure_from_smiles(smiles))
        assert words(graph, turned_bonds(graph, positions)) == expected, smiles


def test_ring_bonds_have_no_side_and_are_not_stretched():
    graph, positions = shape(molecules.structure_from_smiles("C1CC1"))
    ring = next((i, j) for i, j in graph.bonds.tolist() if graph.numbers[i] == graph.numbers[j] == 6)
    assert side_of(graph, ring) is None
    assert words(graph, stretched_bonds(graph, positions, "all")) == ["C-H"]


def test_atoms_that_the_graph_cannot_tell_apart_share_a_class():
    graph, _ = shape("glutaric acid")
    classes = symmetry_classes(graph)
    # C of COOH, C next to it, C in the middle, =O, -O-, H of OH, H beside, H in the middle
    assert len(set(classes.tolist())) == 8
    assert sorted(np.bincount(classes).tolist()) == [1, 2, 2, 2, 2, 2, 2, 4]


def test_a_bond_of_every_kind_is_stretched_nearest_to_the_group():
    graph, positions = shape("hexanoic acid")
    bonds = stretched_bonds(graph, positions)
    assert sorted(words(graph, bonds)) == ["C-C", "C-C", "C-H", "C-O", "O-C", "O-H"]
    carbon = {i for i, z in enumerate(graph.numbers) if z == 6}
    joint = turned_bonds(graph, positions)[0]
    alpha = next(
        i for i in joint if not set(graph.bonds[(graph.bonds == i).any(1)].ravel()) - carbon - _hydrogens(graph)
    )
    assert all(alpha in b for b in bonds if words(graph, [b])[0] in ("C-C", "C-H"))


def _hydrogens(graph):
    return {i for i, z in enumerate(graph.numbers) if z == 1}


def test_all_bonds_are_one_of_each_symmetry_class():
    graph, positions = shape("glutaric acid")
    # C-C joint, C-C inner, C=O, C-O, O-H, C-H beside, C-H in the middle
    assert len(stretched_bonds(graph, positions, "all")) == 7


def test_a_turn_changes_one_torsion_and_no_length():
    graph, positions = shape("glutaric acid")
    bond = turned_bonds(graph, positions)[0]
    side = side_of(graph, bond)
    angles = np.array([0.0, 15.0, 90.0, 200.0])
    frames = turned(positions, bond, side, angles)
    inner, outer = (bond[0], bond[1]) if bond[1] in side else (bond[1], bond[0])
    near = lambda atom, other: next(  # noqa: E731
        int(k) for pair in graph.bonds.tolist() if atom in pair for k in pair if k not in (atom, other)
    )
    torsion = np.array([[near(inner, outer), inner, outer, near(outer, inner)]])
    found = torsion_values_deg(frames, torsion)[:, 0]
    change = np.abs((found - found[0] + 180.0) % 360.0 - 180.0)
    assert change == pytest.approx([0.0, 15.0, 90.0, 160.0], abs=1e-6)
    for frame in frames:
        lengths = np.linalg.norm(frame[graph.bonds[:, 0]] - frame[graph.bonds[:, 1]], axis=1)
        assert lengths == pytest.approx(graph.lengths, abs=1e-9)
    assert frames[0] == pytest.approx(positions, abs=1e-12)


def test_a_stretch_changes_one_length_only():
    graph, positions = shape("glutaric acid")
    for bond in stretched_bonds(graph, positions, "all"):
        side = side_of(graph, bond)
        frames = stretched(positions, bond, side, np.array([-0.2, 0.0, 0.4]))
        here = (graph.bonds == bond).all(axis=1)
        lengths = np.linalg.norm(frames[:, graph.bonds[:, 0]] - frames[:, graph.bonds[:, 1]], axis=-1)
        assert lengths[:, here][:, 0] - graph.lengths[here] == pytest.approx([-0.2, 0.0, 0.4], abs=1e-9)
        assert np.abs(lengths[:, ~here] - graph.lengths[~here]).max() < 1e-9
        # the side moves outward: away from the other end
        other = bond[0] if bond[1] in side else bond[1]
        assert (positions[side].mean(0) - positions[other]) @ outward(positions, bond, side) > 0
