import numpy as np
import pytest
from ase.build import molecule

from gmd26_md.observables.bonds import all_pairs, bond_graph, pair_distances, radii_sums


@pytest.mark.parametrize(
    ("name", "n_bonds"),
    [("H2O", 2), ("CH4", 4), ("C2H6", 7), ("CH3CH2OH", 8), ("HCOOH", 4), ("C2H2", 3), ("C6H6", 12), ("CH3CONH2", 8)],
)
def test_known_molecules_have_their_bonds(name, n_bonds):
    atoms = molecule(name)
    assert len(bond_graph(atoms.numbers, atoms.positions).bonds) == n_bonds


def test_bonds_carry_their_lengths_and_point_upwards():
    atoms = molecule("CH3CH2OH")
    graph = bond_graph(atoms.numbers, atoms.positions)
    for (i, j), length in zip(graph.bonds, graph.lengths, strict=True):
        assert i < j
        assert length == pytest.approx(atoms.get_distance(i, j), rel=1e-14)


def test_the_tolerance_decides():
    # Oxygen and hydrogen have radii of 0.66 and 0.31 Å: bonded to 1.2125 Å at 1.25.
    for distance, n_bonds in ((1.21, 1), (1.22, 0)):
        assert len(bond_graph(np.array([8, 1]), np.array([[0, 0, 0], [0, 0, distance]])).bonds) == n_bonds


def test_two_hydrogens_are_bonded_a_little_beyond_their_radii():
    # 1.25 sums would be 0.775 Å, and GFN2-xTB's H2 is 0.777 Å long.
    for distance, n_bonds in ((0.74, 1), (0.80, 1), (0.95, 0)):
        assert len(bond_graph(np.array([1, 1]), np.array([[0, 0, 0], [0, 0, distance]])).bonds) == n_bonds


def test_an_atom_that_is_nowhere_bonds_to_nothing():
    atoms = molecule("H2O")
    positions = atoms.positions.copy()
    positions[1] = np.nan
    assert bond_graph(atoms.numbers, positions).pairs == {(0, 2)}


def test_one_atom_has_no_bonds():
    assert bond_graph(np.array([8]), np.zeros((1, 3))).bonds.shape == (0, 2)


def test_distances_are_those_of_ase_across_blocks_of_frames():
    atoms = molecule("CH3CH2OH")
    random = np.random.default_rng(0)
    positions = atoms.positions + 0.2 * random.normal(size=(600, len(atoms), 3))
    pairs = all_pairs(len(atoms))
    distances = pair_distances(positions, pairs)
    assert distances.shape == (600, 36)
    for frame in (0, 255, 256, 599):
        atoms.positions = positions[frame]
        full = atoms.get_all_distances()
        np.testing.assert_allclose(distances[frame], full[pairs[:, 0], pairs[:, 1]], rtol=1e-13)


def test_radii_add_up():
    assert radii_sums(np.array([6, 1]), np.array([[0, 1]]))[0] == pytest.approx(0.76 + 0.31)
