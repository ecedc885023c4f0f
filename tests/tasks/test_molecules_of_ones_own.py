"""Molecules outside the ten families: what they are, what they are called, and that they travel."""

import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from operator import attrgetter

import numpy as np
import pytest
from ase.build import molecule as ase_molecule
from ase.io import write

from gmd26_md import molecules
from gmd26_md.constitution import again, constitution, n_open_stereocentres, skeleton
from gmd26_md.errors import UserError
from gmd26_md.molecules import Molecule
from gmd26_md.own_molecules import from_atoms, from_file, from_smiles


@pytest.mark.parametrize(
    ("smiles", "formula", "charge", "multiplicity", "n_carbon"),
    [
        ("COC", "C2H6O", 0, 1, 2),
        ("[NH3+]CC(=O)[O-]", "C2H5NO2", 0, 1, 2),
        ("C[N+](C)(C)C", "C4H12N", 1, 1, 4),
        ("[O-]C=O", "CHO2", -1, 1, 1),
        ("[CH3]", "CH3", 0, 2, 1),
        ("C[Si](C)(C)Cl", "C3H9ClSi", 0, 1, 3),
        ("OB(O)C", "CH5BO2", 0, 1, 1),  # MMFF94 has no boron: UFF minimises
    ],
)
def test_a_smiles_says_what_the_molecule_is(smiles, formula, charge, multiplicity, n_carbon):
    found = from_smiles(smiles)
    assert found.formula.rstrip("+-") == formula
    assert (found.charge, found.multiplicity, found.n_carbon) == (charge, multiplicity, n_carbon)
    atoms = found.atoms()
    assert atoms.info.get("charge", 0) == charge
    distances = atoms.get_all_distances()[np.triu_indices(len(atoms), 1)]
    assert distances.min() > 0.9  # no two atoms closer than an O-H bond, 0.96 Å


def handedness(atoms):
    """Return the sign of the volume that the first three neighbours of atom 0 span."""
    centre, *others = (atoms.positions[i] for i in (0, 1, 2, 3))
    a, b, c = (other - centre for other in others)
    return np.sign(np.dot(a, np.cross(b, c)))


def test_stereocentres_are_kept_and_mirror_images_are_mirrored():
    left, right = from_smiles("[C@](F)(Cl)(Br)[H]"), from_smiles("[C@@](F)(Cl)(Br)[H]")
    assert handedness(left.atoms()) == -handedness(right.atoms())
    assert constitution(left) == constitution(right)
    assert n_open_stereocentres(left) == 0
    assert n_open_stereocentres(from_smiles("C(F)(Cl)Br")) == 1


@pytest.mark.parametrize(
    ("smiles", "said"),
    [
        ("C1CC", "does not parse"),
        ("", "empty"),
        ("*CCO*", r"open end \(\*\)"),
        ("CC.O", "more than one molecule"),
        ("[2H]C", "isotopes"),
    ],
)
def test_what_is_not_one_whole_molecule_is_refused_in_one_line(smiles, said, capfd):
    with pytest.raises(UserError, match=said) as caught:
        from_smiles(smiles)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""  # RDKit keeps its own words to itself


def test_an_unnamed_molecule_of_the_benchmark_is_that_one_and_has_its_data():
    assert from_smiles("C(C)O") == molecules.get("ethanol")
    assert from_smiles("C(C)O", name="ethanol") == molecules.get("ethanol")
    assert from_smiles("C(C)O", name="spirit").slug != "ethanol"


def test_a_name_of_the_benchmark_is_not_given_to_another_molecule():
    with pytest.raises(UserError, match="'acetic acid' is OC"):
        from_smiles("COC", name="acetic acid")


def test_a_family_of_the_benchmark_takes_no_molecule_of_ones_own():
    with pytest.raises(UserError, match="family 'alkanes' is the benchmark's"):
        from_smiles("CC(C)C", family="alkanes")


def test_a_file_name_is_safe_and_says_which_molecule_it_is():
    plain, other = from_smiles("COC", name="../a b/ü"), from_smiles("CSC", name="../a b/ü")
    assert plain.slug != other.slug
    for found in (plain, other):
        assert found.slug.isascii()
        assert not set(found.slug) & set('/\\ .,:*?"<>|')
    long = from_smiles("OCC" * 30)
    assert len(long.slug) < 100
    assert len(long.name) < 40


def test_the_benchmarks_file_names_are_as_they_were():
    assert molecules.get("ethane-1,2-diamine").slug == "ethane-1_2-diamine"
    assert molecules.get("pentanedioic acid").slug == "pentanedioic-acid"


def test_a_molecule_goes_to_a_fresh_process_and_is_the_same_there(tmp_path):
    write(tmp_path / "mine.xyz", ase_molecule("CH3OH"))
    everyone = [from_smiles("C[C@H](F)Cl", name="mine"), *from_file(tmp_path / "mine.xyz")]
    assert pickle.loads(pickle.dumps(everyone)) == everyone
    assert len({*everyone, *pickle.loads(pickle.dumps(everyone))}) == 2
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert list(pool.map(attrgetter("slug", "formula"), everyone)) == [(m.slug, m.formula) for m in everyone]
        for there, here in zip(pool.map(Molecule.atoms, everyone), everyone, strict=True):
            assert np.array_equal(there.positions, here.atoms().positions)


def test_a_structure_file_gives_a_molecule_a_frame_with_its_own_geometry(tmp_path):
    frames = [ase_molecule("CH3OH"), ase_molecule("SiH4")]
    frames[0].info["name"] = "wood spirit"
    write(tmp_path / "two.extxyz", frames)
    first, second = from_file(tmp_path / "two.extxyz")
    assert (first.name, second.name) == ("wood spirit", "two-2")
    assert (first.family, first.n_carbon, first.smiles) == ("user", 1, "")
    np.testing.assert_allclose(first.atoms().positions, frames[0].positions, atol=5e-5)  # kept to 1e-4 Å
    with pytest.raises(UserError, match="2 frames, each a molecule, but one name"):
        from_file(tmp_path / "two.extxyz", name="both")


def test_a_structure_is_not_given_the_name_of_another_molecule_of_the_benchmark(tmp_path):
    write(tmp_path / "ethanol.xyz", ase_molecule("H2O"))
    with pytest.raises(UserError, match=r"'ethanol' is C2H6O, OCC, in the benchmark.*another molecule \(H2O\)"):
        from_file(tmp_path / "ethanol.xyz")
    write(tmp_path / "ethanol.xyz", ase_molecule("CH3CH2OH"))
    assert from_file(tmp_path / "ethanol.xyz")[0].name == "ethanol"


def test_magnetic_moments_say_the_spin_where_nothing_else_does():
    oxygen = ase_molecule("O2")  # with a moment of 1 on each atom
    assert from_atoms(oxygen, "oxygen").multiplicity == 3
    oxygen.info["multiplicity"] = 1
    assert from_atoms(oxygen, "oxygen").multiplicity == 1
    oxygen.set_initial_magnetic_moments([float("nan"), 1.0])
    with pytest.raises(UserError, match="magnetic moments that are not finite"):
        from_atoms(oxygen, "oxygen")


def test_charge_and_spin_of_atoms_are_read_and_an_odd_electron_is_a_doublet():
    methyl, ammonium = ase_molecule("CH3"), ase_molecule("NH3")
    assert from_atoms(methyl, "methyl").multiplicity == 2
    ammonium.info.update(charge=1, spin=2)
    found = from_atoms(ammonium, "radical cation")
    assert (found.charge, found.multiplicity) == (1, 2)
    assert found.atoms().info == {"name": "radical cation", "charge": 1, "multiplicity": 2}
    ammonium.info["spin"] = "up"
    with pytest.raises(UserError, match="has spin 'up'"):
        from_atoms(ammonium, "radical cation")


def test_a_smiles_and_a_structure_of_one_molecule_have_one_graph_whatever_the_order_of_atoms():
    for smiles in ("OCCNCCO", "c1ccccc1C(=O)NC", "C[N+](=O)[O-]", "C1CCC2CCCCC2C1", "C[Si](C)(C)OB(O)O"):
        known = from_smiles(smiles, name="known")
        atoms = known.atoms()
        order = np.random.default_rng(26).permutation(len(atoms))
        shuffled = from_atoms(atoms[order], "shuffled")
        assert constitution(shuffled) == constitution(known) == again(constitution(known))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("COC", "CCO"),
        ("C1CCC2CCCCC2C1", "C1CCCC1C1CCCC1"),  # which a colouring by neighbours alone does not tell apart
        ("CC(C)CCC", "CCC(C)CC"),
    ],
)
def test_isomers_have_different_graphs(first, second):
    assert constitution(from_smiles(first, "a", "x")) != constitution(from_smiles(second, "b", "x"))


def test_two_ways_of_drawing_one_molecule_are_one_graph():
    assert constitution(from_smiles("CN(=O)=O")) == constitution(from_smiles("C[N+](=O)[O-]"))
    assert constitution(from_smiles("C1=CC=CC=C1")) == constitution(from_smiles("c1ccccc1"))


def test_tautomers_differ_only_in_where_hydrogens_sit():
    keto, enol = from_smiles("CC(=O)C"), from_smiles("CC(O)=C")
    assert constitution(keto) != constitution(enol)
    assert skeleton(keto) == skeleton(enol)
    assert skeleton(from_smiles("CCO")) != skeleton(from_smiles("CC=O"))


def test_a_molecule_made_by_hand_outside_the_families_has_a_safe_file_name():
    assert Molecule("my/own", "user", 1, "C").slug.startswith("my-own-")
