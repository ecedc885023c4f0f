"""Where relaxations begin: the same for the same seed, the same molecule always."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from gmd26_md import molecules
from gmd26_md.errors import UserError
from gmd26_md.observables.bonds import bond_graph
from gmd26_md.observables.rmsd import symmetric_rmsd
from gmd26_md.protocols.cases import Case
from gmd26_md.protocols.relaxation_settings import Settings
from gmd26_md.protocols.starts import STARTS, NoStartError, begin
from gmd26_md.trajectory import Trajectory


def case_of(atoms, slug="molecule"):
    n = len(atoms)
    minimum = Trajectory(atoms.numbers, np.zeros(1), atoms.positions[None], None, np.zeros(1), np.zeros((1, n, 3)))
    return Case(slug, slug, atoms.get_chemical_formula(), "user", atoms, minimum, None)


@pytest.fixture(scope="module")
def glutaric():
    return case_of(molecules.get("glutaric acid").atoms(), "glutaric-acid")


@pytest.mark.parametrize("kind", STARTS)
def test_a_start_is_the_same_for_the_same_seed(glutaric, kind):
    assert np.array_equal(begin(glutaric, kind, 0, 0.05).positions, begin(glutaric, kind, 0, 0.05).positions)


@pytest.mark.parametrize("kind", ["perturbed-minimum", "rdkit-conformer"])
def test_another_seed_or_another_molecule_of_the_same_atoms_is_another_start(glutaric, kind):
    first = begin(glutaric, kind, 0, 0.05).positions
    assert np.abs(first - begin(glutaric, kind, 1, 0.05).positions).max() > 0.01
    assert np.abs(first - begin(replace(glutaric, slug="other"), kind, 0, 0.05).positions).max() > 0.01


def test_a_perturbation_is_as_large_as_asked(glutaric):
    home = glutaric.minimum.positions[0]
    moves = np.concatenate([begin(glutaric, "perturbed-minimum", s, 0.05).positions - home for s in range(30)])
    # 1500 numbers say their spread to 2 %; three times that
    assert moves.std() == pytest.approx(0.05, rel=0.06)


def test_conformers_are_the_molecule_in_another_shape(glutaric):
    home = bond_graph(glutaric.numbers, glutaric.minimum.positions[0])
    shapes = [begin(glutaric, "rdkit-conformer", s, 0.05).positions for s in range(3)]
    for shape in shapes:
        assert bond_graph(glutaric.numbers, shape).pairs == home.pairs
    assert symmetric_rmsd(home.numbers, home.bonds, shapes[0], shapes[1])[1] > 0.3


def handedness(case, positions, centre):
    """Return the sign of the volume that a centre's first three partners span."""
    graph = bond_graph(case.numbers, case.minimum.positions[0])
    partners = sorted(int(i + j - centre) for i, j in graph.bonds if centre in (i, j))[:3]
    return np.sign(np.linalg.det(positions[partners] - positions[centre]))


def test_conformers_keep_the_hand_of_a_stereocentre():
    left = molecules.structure_from_smiles("C[C@H](O)C(=O)O")
    right = Atoms(left.numbers, left.positions * [1.0, 1.0, -1.0])
    signs = {}
    for name, atoms in (("left", left), ("right", right)):
        case = case_of(atoms, "lactic")
        wanted = handedness(case, atoms.positions, 1)
        found = {handedness(case, begin(case, "rdkit-conformer", s, 0.05).positions, 1) for s in range(6)}
        assert found == {wanted}
        signs[name] = wanted
    assert signs["left"] == -signs["right"]


@pytest.mark.parametrize("name", ["CH3", "NO2", "ClF3"])
def test_a_molecule_whose_bond_orders_nobody_knows_has_no_conformers_and_says_so(name, capfd):
    with pytest.raises(NoStartError, match="RDKit cannot tell the bond orders"):
        begin(case_of(molecule(name)), "rdkit-conformer", 0, 0.05)
    assert capfd.readouterr().err == ""


def test_settings_that_are_none_are_refused():
    with pytest.raises(UserError, match=r"unknown start 'minimum'.*Known"):
        Settings(starts=("minimum",))
    with pytest.raises(UserError, match="no start"):
        Settings(starts=())
    with pytest.raises(UserError, match="perturbation_A"):
        Settings(perturbation_A=float("nan"))
    assert Settings(starts=("structure", "structure")).starts == ("structure",)
    assert [Settings(n_perturbed=4).n_of(s) for s in ("perturbed-minimum", "structure")] == [4, 1]
