"""Two levels of theory on the same geometries: known differences come back as what they are."""

import csv
import io
import json
import re

import numpy as np
import pytest
from click.testing import CliRunner

from gmd26_md import load_calculator, molecules
from gmd26_md.cli import gmd26_md
from gmd26_md.datasets import store
from gmd26_md.datasets.level_offset import compared, pairs_of
from gmd26_md.errors import UserError
from gmd26_md.observables.element_fit import element_fit
from gmd26_md.trajectory import Trajectory

# the four shortest of duplication: rank 3 for three elements, so that one of the offsets is a test of the fit
NAMES = {"acetic acid": "id", "propanoic acid": "id", "oxalic acid": "ood", "malonic acid": "ood"}
PAIRS = [(molecules.get(name), split) for name, split in NAMES.items()]
CHEAP, DEAR = "gfn2-xtb", "pbe-d3bj/def2-svp"
ELEMENT_ENERGIES = {"H": -2.0, "C": -900.0, "O": -1900.0}


def counted(molecule):
    return sum(ELEMENT_ENERGIES[symbol] for symbol in molecule.atoms().get_chemical_symbols())


def write(data, level, molecule, stage, frames):
    store.write_stage(store.folder_of(data, level, molecule), stage, frames, {"settings": {}})


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Return a folder in which the dear level has energies of the elements on top, and forces less by 20 %."""
    folder = tmp_path_factory.mktemp("levels")
    random = np.random.default_rng(5)
    for molecule, _ in PAIRS:
        atoms = molecule.atoms()
        positions = (atoms.positions + 0.05 * random.normal(size=(8, len(atoms), 3))).round(7)
        energies, forces = random.normal(size=8), random.normal(size=(8, len(atoms), 3))
        cheap = Trajectory(atoms.numbers, np.arange(8.0), positions, None, energies, forces)
        write(folder, CHEAP, molecule, "primary", cheap)
        order = np.array([6, 1, 4, 2])  # other frames, in another order, rounded
        dear = Trajectory(
            atoms.numbers, np.arange(4.0), positions[order].round(5), None,
            energies[order] + counted(molecule), 0.8 * forces[order],
        )  # fmt: skip
        write(folder, DEAR, molecule, "test", dear)
    return folder


def pairs_in(data):
    return pairs_of(PAIRS, (data, CHEAP), (data, DEAR))


@pytest.mark.filterwarnings("error")
def test_a_level_against_itself_differs_by_nothing(data):
    found = compared(pairs_of(PAIRS, (data, CHEAP), (data, CHEAP)), CHEAP, CHEAP, n_resamples=2)
    assert "NaN" not in json.dumps(found)
    fractions = re.findall(r'"rest_lengths_fraction": ([^,}]+)', json.dumps(found))
    assert fractions
    assert set(fractions) == {"0.0"}


def test_frames_are_found_by_their_geometry(data):
    for pair in pairs_in(data):
        assert np.abs(pair.first.positions - pair.second.positions).max() < 1e-5
        assert pair.first.n_frames == 4
        assert pair.n_unmatched == 0


def test_an_offset_and_a_factor_are_found_as_such(data):
    found = compared(pairs_in(data), CHEAP, DEAR, n_resamples=20)
    pooled = found["pooled"]["all"]
    metrics = {name: spread["value"] for name, spread in pooled["metrics"].items()}
    assert pooled["force_scale_ratio"] == pytest.approx(1.25)
    assert metrics["force_cosine"] == pytest.approx(1.0)
    # |F| (1 - 0.8) over 0.8 |F|
    assert metrics["force_mae_relative_ratio"] == pytest.approx(0.25)
    # energies of thousands of eV keep their 1e-12
    assert metrics["energy_offset_removed_mae_eV"] == pytest.approx(0.0, abs=1e-9)
    offsets = {row["slug"]: row["metrics"]["energy_offset_eV"]["value"] for row in found["molecules"]}
    assert offsets["ethanoic-acid"] == pytest.approx(-counted(molecules.get("acetic acid")))
    assert {row["split"] for row in found["molecules"]} == {"id", "ood"}
    assert found["pooled"]["id"]["n_frames"] == found["pooled"]["ood"]["n_frames"] == 8
    # random forces: two directions in three are no bond's, and few of the rest pull alike in every frame
    assert 0.0 < pooled["rest_lengths_fraction"] < 0.3
    assert set(pooled["force_mae_eV_per_A_by_element"]) == {"H", "C", "O"}


def test_what_counting_atoms_explains_of_the_offsets_is_told_from_what_it_does_not(data):
    fit = compared(pairs_in(data), CHEAP, DEAR, n_resamples=2)["element_fit"]
    assert fit["rank"] == 3
    assert fit["n_free"] == 1
    assert fit["energies_eV"] == pytest.approx({symbol: -e for symbol, e in ELEMENT_ENERGIES.items()})
    assert max(abs(r) for r in fit["residuals_eV"].values()) < 1e-8


def test_a_residual_is_shared_by_the_molecules_that_can_tell():
    numbers = [molecule.atoms().numbers for molecule, _ in PAIRS]
    # acetic - propanoic - oxalic + malonic counts no atom: a shift of one shows as a quarter in each
    found = element_fit(numbers, [1.0, 0.0, 0.0, 0.0])
    assert found.residuals_eV == pytest.approx([0.25, -0.25, -0.25, 0.25])
    assert element_fit(numbers[:2], [1.0, 5.0]).n_free == 0
    with pytest.raises(ValueError, match="one offset a molecule"):
        element_fit(numbers, [1.0])


def test_geometries_that_only_one_level_has_are_counted_and_left_out(data, tmp_path):
    molecule = molecules.get("acetic acid")
    known = store.read_frames(store.path_of(data, DEAR, molecule, "test"))
    known.positions[0] += 1e-3
    write(tmp_path, DEAR, molecule, "test", known)
    pair = pairs_of(PAIRS, (data, CHEAP), (tmp_path, DEAR))[0]
    assert (pair.n_unmatched, pair.first.n_frames) == (1, 3)


def test_minima_are_compared_whatever_way_they_are_turned(data, tmp_path):
    molecule = molecules.get("acetic acid")
    for level, angle, shift in ((CHEAP, 0, 0.0), (DEAR, 77, 0.1)):
        atoms = molecule.atoms()
        atoms.positions[0, 0] += shift
        atoms.rotate(angle, "x")
        shape = (1, len(atoms), 3)
        minimum = Trajectory(atoms.numbers, np.zeros(1), atoms.positions[None], None, np.zeros(1), np.zeros(shape))
        frames = store.read_frames(store.path_of(data, CHEAP, molecule, "primary"))
        write(tmp_path, level, molecule, "minimum", minimum)
        write(tmp_path, level, molecule, "primary", frames)
    rmsd = pairs_of(PAIRS[:1], (tmp_path, CHEAP), (tmp_path, DEAR))[0].minimum_rmsd_A
    # one of 8 atoms by 0.1 Å: 0.035 Å, less what a shift and a turn of the whole make good
    assert 0.02 < rmsd < 0.1 / np.sqrt(8)
    assert pairs_in(data)[0].minimum_rmsd_A is None


def test_levels_without_a_geometry_in_common_are_one_line(data, tmp_path):
    with pytest.raises(UserError, match="has no folder pbe-d3bj/def2-tzvp"):
        pairs_of(PAIRS, (data, CHEAP), (data, "pbe-d3bj/def2-tzvp"))
    (tmp_path / DEAR).mkdir(parents=True)
    with pytest.raises(UserError, match="have no geometry in common"):
        pairs_of(PAIRS, (data, CHEAP), (tmp_path, DEAR))


def test_the_command_prints_a_table_for_a_person_and_numbers_for_a_program(data):
    asked = ["data", "compare", CHEAP, DEAR, "--task", "duplication", "--data", str(data)]
    text = CliRunner().invoke(gmd26_md, asked).output
    assert max(len(line) for line in text.splitlines()) <= 110
    assert [line.split()[0] for line in text.splitlines()[1:5]] == [
        "ethanoic", "propanoic", "ethanedioic", "propanedioic",
    ]  # fmt: skip
    assert "all OOD" in text
    assert "account for the offsets but for 0 meV" in text
    table = list(csv.DictReader(io.StringIO(CliRunner().invoke(gmd26_md, [*asked, "--format", "csv"]).output)))
    assert [row["molecule"] for row in table] == [
        "ethanoic-acid", "propanoic-acid", "ethanedioic-acid", "propanedioic-acid", "pooled", "pooled", "pooled",
    ]  # fmt: skip
    assert float(table[0]["force_cosine"]) == pytest.approx(1.0)
    found = json.loads(CliRunner().invoke(gmd26_md, [*asked, "--only", "acetic acid", "--json"]).output)
    assert found["against"] == DEAR
    assert found["element_fit"]["n_free"] == 0
    assert "| ---" in CliRunner().invoke(gmd26_md, [*asked, "--format", "markdown"]).output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["compare", CHEAP, DEAR, "--task", "duplication", "--format", "xml"], "unknown format"),
        (["label", "--task", "duplication", "--reference", "pbe-d4"], "is no level of theory"),
        (["label", "--task", "duplication", "--reference", CHEAP], "have its labels already"),
        (["label", "--task", "fusing", "--reference", DEAR], "unknown task"),
        (["label", "--task", "duplication", "--reference", DEAR, "--only", "ethane", "--shortest", "1"], "not both"),
        (["label", "--task", "duplication", "--reference", "harmonic", "--only", "ethane"], "not in the task"),
        (["generate", "--task", "duplication", "--reference", DEAR], "gmd26-md data label --reference"),
    ],
)
def test_what_cannot_be_asked_is_one_line_that_says_why(arguments, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    problem = CliRunner().invoke(gmd26_md, ["data", *arguments]).exception
    assert isinstance(problem, UserError)
    assert said in str(problem)
    assert "\n" not in str(problem)


def test_a_model_may_stand_in_for_a_level(data, tiny_model):
    pair = pairs_of(PAIRS[:1], (data, str(tiny_model)), (data, DEAR))[0]
    atoms = molecules.get("acetic acid").atoms()
    atoms.positions = pair.second.positions[2]
    atoms.calc = load_calculator(str(tiny_model))
    # one evaluation of the same network at the same positions
    assert pair.first.energies[2] == pytest.approx(atoms.get_potential_energy(), rel=1e-12)
    assert np.abs(pair.first.forces[2] - atoms.get_forces()).max() < 1e-10
    assert np.array_equal(pair.second.forces, pairs_in(data)[0].second.forces)


def test_a_model_that_does_not_know_an_element_is_one_line(data, tiny_model, tmp_path, new_frames):
    amine = molecules.get("ethanamine")
    new_frames(tmp_path, {"ethanamine": 1})
    with pytest.raises(UserError, match="fails on ethanamine"):
        pairs_of([(amine, "id")], (tmp_path, str(tiny_model)), (tmp_path, CHEAP))
