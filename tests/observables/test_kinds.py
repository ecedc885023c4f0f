"""Which internal coordinates are one distribution."""

import numpy as np
import pytest
from ase.build import molecule

from gmd26_md import molecules
from gmd26_md.observables.bonds import bond_graph
from gmd26_md.observables.kinds import atom_classes, kinds_of


def graph_of(name):
    atoms = molecules.get(name).atoms()
    return bond_graph(atoms.numbers, atoms.positions)


def of(kinds, family):
    return sorted((k.elements, len(k.members)) for k in kinds if k.family == family)


def test_the_hydrogens_of_a_methyl_group_are_one_kind_and_the_oxygens_of_an_acid_are_two():
    graph = graph_of("acetic acid")
    classes = atom_classes(graph)
    hydrogens, oxygens = (classes[graph.numbers == z] for z in (1, 8))
    assert sorted(np.unique(hydrogens, return_counts=True)[1].tolist()) == [1, 3]
    assert len(set(oxygens.tolist())) == 2


def test_the_kinds_of_acetic_acid():
    kinds = kinds_of(graph_of("acetic acid"))
    bonds = {("".join(sorted(elements.replace("-", ""))), n) for elements, n in of(kinds, "bond")}
    assert bonds == {("CC", 1), ("CH", 3), ("CO", 1), ("HO", 1)}
    assert len(of(kinds, "bond")) == 5  # C=O and C-O are two
    assert sum(n for _, n in of(kinds, "angle")) == 3 + 6 + 1
    assert sum(n for _, n in of(kinds, "torsion")) == 6 + 2
    assert of(kinds, "spectrum") == [("C", 1), ("C", 1), ("H", 1), ("H", 3), ("O", 1), ("O", 1)]


def test_the_ends_of_a_symmetric_chain_are_one_kind():
    graph = graph_of("glutaric acid")
    carbons = atom_classes(graph)[graph.numbers == 6]
    assert sorted(np.unique(carbons, return_counts=True)[1].tolist()) == [1, 2, 2]


def test_every_coordinate_is_in_one_kind_and_the_order_of_atoms_does_not_count():
    atoms = molecules.get("glutaric acid").atoms()
    order = np.random.default_rng(3).permutation(len(atoms))
    found = [kinds_of(bond_graph(a.numbers, a.positions)) for a in (atoms, atoms[order])]
    for family in ("bond", "angle", "torsion", "spectrum"):
        counts = [sorted(len(k.members) for k in kinds if k.family == family) for kinds in found]
        assert counts[0] == counts[1]
        rows = [tuple(row) for k in found[0] if k.family == family for row in k.members.tolist()]
        assert len(rows) == len(set(rows))


def test_a_kind_says_where_it_is():
    kinds = kinds_of(graph_of("acetic acid"))
    methyl = next(k for k in kinds if k.family == "bond" and len(k.members) == 3)
    assert methyl.bonds_from_group == 1
    assert methyl.words.endswith("and 2 like it, 1 bond from a functional group)")
    water = molecule("CH4")
    bond = kinds_of(bond_graph(water.numbers, water.positions))[0]
    assert bond.bonds_from_group is None
    assert "no functional group" in bond.words


@pytest.mark.parametrize(("name", "n_classes"), [("C6H6", 2), ("CH4", 2), ("N2", 1), ("H2O", 2)])
def test_classes_of_symmetric_molecules(name, n_classes):
    atoms = molecule(name)
    assert len(set(atom_classes(bond_graph(atoms.numbers, atoms.positions)).tolist())) == n_classes
