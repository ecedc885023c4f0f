"""RMSD: zero for what is the same molecule, however turned or numbered, and not for its mirror image."""

import numpy as np
import pytest
from ase.build import molecule
from scipy.spatial.transform import Rotation

from gmd26_md import molecules
from gmd26_md.observables.bonds import bond_graph
from gmd26_md.observables.rmsd import kabsch, symmetric_rmsd

SAME_A = 1e-7  # rounding of a rotation, under the square root of the sum of squares
NAMES = ["H2", "H2O", "NH3", "CH4", "CH3OH", "C2H6", "CH3CH2OH", "trans-butane", "isobutane", "C6H6", "C3H4_C3v"]


def rmsd(atoms, first, second):
    return symmetric_rmsd(atoms.numbers, bond_graph(atoms.numbers, atoms.positions).bonds, first, second)


def moved(positions, seed=0):
    turn = Rotation.random(random_state=seed)
    return turn.apply(positions) + np.array([3.0, -2.0, 1.0])


def hydrogens_of(atoms, heavy):
    bonds = bond_graph(atoms.numbers, atoms.positions).bonds
    partners = [int(i + j - heavy) for i, j in bonds if heavy in (i, j)]
    return [p for p in partners if atoms.numbers[p] == 1]


def turned_group(atoms, axis_from, axis_to, group, degrees):
    """Turn some atoms about the line of two others."""
    positions = atoms.positions.copy()
    axis = positions[axis_to] - positions[axis_from]
    turn = Rotation.from_rotvec(np.radians(degrees) * axis / np.linalg.norm(axis))
    positions[group] = turn.apply(positions[group] - positions[axis_to]) + positions[axis_to]
    return positions


@pytest.mark.parametrize("name", NAMES)
def test_a_rotation_and_a_shift_are_no_difference(name):
    atoms = molecule(name)
    for seed in range(3):
        all_atoms, heavy = rmsd(atoms, moved(atoms.positions, seed), atoms.positions)
        assert all_atoms < SAME_A
        assert heavy < SAME_A or name == "H2"


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_hydrogens_on_an_atom_is_no_difference(name):
    atoms = molecule(name)
    order = np.arange(len(atoms))
    for heavy in np.flatnonzero(atoms.numbers > 1):
        group = hydrogens_of(atoms, heavy)
        order[group] = np.roll(group, 1)
    assert rmsd(atoms, moved(atoms.positions[order]), atoms.positions)[0] < SAME_A


def test_hydrogens_of_different_atoms_are_not_exchanged():
    atoms = molecule("CH3CH2OH")
    order = np.arange(len(atoms))
    on_oxygen, on_carbon = (hydrogens_of(atoms, np.flatnonzero(atoms.numbers == z)[0])[0] for z in (8, 6))
    order[[on_oxygen, on_carbon]] = on_carbon, on_oxygen
    assert rmsd(atoms, atoms.positions[order], atoms.positions)[0] > 0.5


@pytest.mark.parametrize("name", ["CH3CH2OH", "CH3OH", "C2H6"])
def test_a_methyl_group_turned_by_a_third_is_no_difference(name):
    atoms = molecule(name)
    methyl = next(i for i in range(len(atoms)) if atoms.numbers[i] == 6 and len(hydrogens_of(atoms, i)) == 3)
    group = hydrogens_of(atoms, methyl)
    bonds = bond_graph(atoms.numbers, atoms.positions).bonds
    root = next(int(i + j - methyl) for i, j in bonds if methyl in (i, j) and not {int(i), int(j)} & set(group))
    third = turned_group(atoms, root, methyl, group, 120.0)
    # a methyl group is threefold to a few hundredths of an Å; methanol's leans most
    assert rmsd(atoms, moved(third), atoms.positions)[0] < 0.1
    sixth = turned_group(atoms, root, methyl, group, 60.0)
    assert rmsd(atoms, moved(sixth), atoms.positions)[0] > 0.2


def test_a_mirror_image_is_a_difference_where_atoms_tell_left_from_right():
    atoms = molecule("CH3CH2OH")
    carbon = next(i for i in np.flatnonzero(atoms.numbers == 6) if len(hydrogens_of(atoms, i)) == 2)
    atoms.numbers[hydrogens_of(atoms, carbon)[0]] = 9  # fluoroethanol with four different partners on one carbon
    bonds = bond_graph(molecule("CH3CH2OH").numbers, atoms.positions).bonds
    mirrored = atoms.positions * [1.0, 1.0, -1.0]
    all_atoms, heavy = symmetric_rmsd(atoms.numbers, bonds, moved(mirrored), atoms.positions)
    assert all_atoms > 0.2
    assert heavy > 0.1
    assert np.abs(kabsch(mirrored, atoms.positions) - atoms.positions).max() > 0.1


def test_a_mirror_image_of_a_flat_molecule_is_the_molecule():
    atoms = molecule("C6H6")
    assert rmsd(atoms, moved(atoms.positions * [1.0, 1.0, -1.0]), atoms.positions)[0] < SAME_A


def test_a_symmetric_diacid_read_from_its_other_end_is_no_difference():
    atoms = molecules.get("butanedioic acid").atoms()
    bonds = bond_graph(atoms.numbers, atoms.positions).bonds
    flip = reversed_labels(atoms, bonds)
    assert (flip != np.arange(len(atoms))).sum() >= 8
    assert (atoms.numbers[flip] == atoms.numbers).all()
    bent = atoms.positions + 0.1 * np.random.default_rng(2).normal(size=atoms.positions.shape)  # without symmetry
    all_atoms, heavy = symmetric_rmsd(atoms.numbers, bonds, moved(bent[flip]), bent)
    assert all_atoms < SAME_A
    assert heavy < SAME_A
    assert np.abs(kabsch(bent[flip], bent) - bent).max() > 0.1


def reversed_labels(atoms, bonds):
    """Return the labels of a chain read from its other end, by walking it from both ends at once."""
    near = {i: sorted({int(a + b - i) for a, b in bonds if i in (a, b)}) for i in range(len(atoms))}
    ends = [i for i in np.flatnonzero(atoms.numbers == 6) if sum(atoms.numbers[j] == 8 for j in near[i]) == 2]
    partner = {ends[0]: ends[1], ends[1]: ends[0]}
    open_pairs = [(ends[0], ends[1]), (ends[1], ends[0])]
    while open_pairs:
        left, right = open_pairs.pop()
        mine = sorted((j for j in near[left] if j not in partner), key=lambda j: kind(atoms, near, j))
        theirs = sorted((j for j in near[right] if j not in partner.values()), key=lambda j: kind(atoms, near, j))
        for j, k in zip(mine, theirs, strict=False):
            partner[j] = k
            open_pairs.append((j, k))
    return np.array([partner[i] for i in range(len(atoms))])


def kind(atoms, near, i):
    return int(atoms.numbers[i]), len(near[i]), i


def test_the_rmsd_of_a_known_displacement_is_known():
    atoms = molecule("CH3CH2OH")
    noise = 0.05 * np.random.default_rng(1).normal(size=atoms.positions.shape)
    all_atoms, heavy = rmsd(atoms, atoms.positions + noise, atoms.positions)
    # the best overlap takes six of 27 (all) and of 9 (heavy) directions of the noise away
    assert all_atoms < np.sqrt((noise**2).sum(1).mean())
    assert all_atoms > 0.5 * np.sqrt((noise**2).sum(1).mean())
    assert 0.0 < heavy < np.sqrt((noise[atoms.numbers > 1] ** 2).sum(1).mean())


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_position_that_is_no_number_has_no_rmsd(value):
    atoms = molecule("CH3CH2OH")
    broken = atoms.positions.copy()
    broken[4, 1] = value
    assert np.isnan(rmsd(atoms, broken, atoms.positions)).all()
    assert np.isnan(rmsd(atoms, atoms.positions, broken)).all()
