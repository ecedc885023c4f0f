"""Molecules: names, formulas and structures that chemists would sign."""

import numpy as np
import pytest

from gmd26_md import molecules, tasks
from gmd26_md.errors import UserError

# Formulas by family in n, from gmd26.md's structural formulas, independent of the SMILES that the code builds.
FORMULAS = {
    "alkanes": lambda n: (n, 2 * n + 2, 0, 0),
    "alcohols": lambda n: (n, 2 * n + 2, 0, 1),
    "aldehydes": lambda n: (n, 2 * n, 0, 1),
    "hydroxyaldehydes": lambda n: (n, 2 * n, 0, 2),
    "carboxylic-acids": lambda n: (n, 2 * n, 0, 2),
    "dicarboxylic-acids": lambda n: (n, 2 * n - 2, 0, 4),
    "amines": lambda n: (n, 2 * n + 3, 1, 0),
    "diamines": lambda n: (n, 2 * n + 4, 2, 0),
    "amino-acids": lambda n: (n, 2 * n + 1, 1, 2),
    "amides": lambda n: (n, 2 * n + 1, 1, 1),
}


@pytest.mark.parametrize("family", molecules.FAMILIES)
@pytest.mark.parametrize("n_carbon", [2, 3, 13])
def test_every_family_has_its_formula(family, n_carbon):
    molecule = molecules.family_members(family)[n_carbon - 2]
    symbols = molecule.atoms().get_chemical_symbols()
    assert tuple(symbols.count(s) for s in "CHNO") == FORMULAS[family](n_carbon)


def test_there_are_120_molecules_with_120_names_slugs_and_smiles():
    everyone = molecules.all_molecules()
    assert len(everyone) == 120
    for attribute in ("name", "slug", "smiles"):
        assert len({getattr(m, attribute) for m in everyone}) == 120


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("pentanedioic acid", "pentanedioic acid"),
        ("pentanedioic-acid", "pentanedioic acid"),
        ("glutaric acid", "pentanedioic acid"),
        ("propan-1-ol", "propan-1-ol"),
        ("ethanol", "ethanol"),
        ("ethane-1,2-diamine", "ethane-1,2-diamine"),
        ("Glycine", "2-aminoethanoic acid"),
    ],
)
def test_a_molecule_is_found_by_systematic_name_slug_and_everyday_name(asked, name):
    assert molecules.get(asked).name == name


def test_an_unknown_molecule_is_answered_with_the_closest():
    with pytest.raises(UserError, match="Did you mean 'pentanoic acid'"):
        molecules.get("pentanoic acd")


def test_the_molecules_that_there_are_do_not_fill_the_screen():
    with pytest.raises(UserError, match=r"'acetik acid'.* Known: 120, listed by 'gmd26-md molecules'\.$"):
        molecules.get("acetik acid")


def test_structures_are_deterministic_and_sane():
    molecule = molecules.get("butanedioic acid")
    first, second = (molecules.structure_from_smiles(molecule.smiles) for _ in range(2))
    assert np.array_equal(first.positions, second.positions)
    distances = first.get_all_distances()[np.triu_indices(len(first), 1)]
    assert distances.min() > 0.9  # no two atoms closer than an O-H bond, 0.96 Å


def test_a_structure_handed_out_is_a_copy():
    molecule = molecules.get("ethane")
    molecule.atoms().positions[:] = 0.0
    assert np.ptp(molecule.atoms().positions) > 1.0


def test_tasks_are_those_of_the_benchmark():
    sizes = {name: (len(tasks.get(name).train), len(tasks.get(name).ood)) for name in tasks.TASKS}
    assert sizes == {
        "chain-extension": (5, 7),
        "fusion": (36, 12),
        "duplication": (12, 12),
        "combination": (24, 12),
        "fission": (12, 24),
        "chain-extension-hinted": (17, 7),
        "fusion-hinted": (60, 12),
    }


@pytest.mark.parametrize("name", tasks.TASKS)
def test_no_molecule_is_both_trained_on_and_tested_as_unseen(name):
    task = tasks.get(name)
    assert not {m.smiles for m in task.train} & {m.smiles for m in task.ood}


def test_an_unknown_task_is_answered_with_the_closest():
    with pytest.raises(UserError, match="Did you mean 'duplication'"):
        tasks.get("duplicaton")
