"""Which frames are the test, and the small sets that travel."""

import shutil

import numpy as np
import pytest

from gmd26_md import molecules
from gmd26_md.datasets import store
from gmd26_md.datasets.heldout import heldout_frames, thin, write_small_set
from gmd26_md.errors import UserError
from gmd26_md.tasks import Task
from gmd26_md.training.training_data import training_data
from gmd26_md.trajectory import Trajectory

LEVEL = "gfn2-xtb"
ETHANE = molecules.get("ethane")
ETHANOL = molecules.get("ethanol")


def trajectory(molecule, n_frames, seed):
    random = np.random.default_rng(seed)
    atoms = molecule.atoms()
    shape = (n_frames, len(atoms), 3)
    return Trajectory(
        numbers=atoms.numbers,
        time_fs=10.0 * np.arange(n_frames),
        positions=atoms.positions + 0.1 * random.normal(size=shape),
        velocities=None,
        energies=-200.0 + random.normal(size=n_frames),
        forces=random.normal(size=shape),
    )


@pytest.fixture
def data(tmp_path):
    for molecule in (ETHANE, ETHANOL):
        folder = store.folder_of(tmp_path / "data", LEVEL, molecule)
        for seed, (stage, n_frames) in enumerate([("minimum", 1), ("primary", 30), ("secondary", 130)]):
            store.write_stage(folder, stage, trajectory(molecule, n_frames, seed), {"settings": {}})
    return tmp_path / "data"


def test_labels_of_another_level_in_its_place_are_refused(data):
    folder = store.folder_of(data, LEVEL, ETHANE)
    for stage in ("primary", "secondary"):
        frames = store.read_frames(folder / f"{stage}.extxyz")
        store.write_stage(folder, stage, frames, {"level_of_theory": LEVEL, "settings": {}})
    shutil.copytree(data / LEVEL, data / "pbe-d3bj" / "def2-svp")
    words = "ethane/.* has labels of gfn2-xtb by its provenance.json, and lies where those of pbe-d3bj/def2-svp belong"
    with pytest.raises(UserError, match=words):
        heldout_frames(data, "pbe-d3bj/def2-svp", ETHANE, "ood")
    with pytest.raises(UserError, match=words):
        training_data(Task("a", "", (ETHANE,), (ETHANOL,)), data, "pbe-d3bj/def2-svp")
    assert heldout_frames(data, LEVEL, ETHANE, "ood") is not None


@pytest.mark.parametrize("split", ["id", "ood"])
def test_a_folder_of_another_molecule_in_its_place_is_refused(data, split):
    shutil.rmtree(store.folder_of(data, LEVEL, ETHANOL))
    shutil.copytree(store.folder_of(data, LEVEL, ETHANE), store.folder_of(data, LEVEL, ETHANOL))  # its own provenance
    with pytest.raises(UserError, match=r"ethanol/.*has other atoms, or another order of them, than ethanol \(C2H6O\)"):
        heldout_frames(data, LEVEL, ETHANOL, split)
    with pytest.raises(UserError, match="has other atoms"):
        training_data(Task("a", "", (ETHANOL,), (ETHANE,)), data, LEVEL)


def test_the_id_test_is_the_secondary_after_its_validation_frames(data):
    secondary = store.read_frames(store.path_of(data, LEVEL, ETHANE, "secondary"))
    found = heldout_frames(data, LEVEL, ETHANE, "id")
    assert found.n_frames == 30
    assert np.array_equal(found.positions, secondary.positions[100:])
    assert np.array_equal(found.energies, secondary.energies[100:])


def test_the_ood_test_is_all_of_the_primary(data):
    primary = store.read_frames(store.path_of(data, LEVEL, ETHANE, "primary"))
    found = heldout_frames(data, LEVEL, ETHANE, "ood")
    assert np.array_equal(found.forces, primary.forces)


def test_what_is_not_there_is_none_and_validation_frames_alone_are_no_test(data):
    assert heldout_frames(data, LEVEL, molecules.get("propane"), "ood") is None
    folder = store.folder_of(data, LEVEL, ETHANE)
    store.write_stage(folder, "secondary", trajectory(ETHANE, 100, 3), {"settings": {}})
    assert heldout_frames(data, LEVEL, ETHANE, "id") is None


@pytest.mark.parametrize("n_frames", [1, 2, 7, 29, 30, 31, None])
def test_thinning_is_even_and_keeps_the_order(n_frames):
    whole = trajectory(ETHANE, 30, 0)
    found = thin(whole, n_frames)
    assert found.n_frames == min(n_frames or 30, 30)
    steps = np.diff(found.time_fs)
    assert steps.size == 0 or (steps.max() - steps.min() <= 10.0 and steps.min() > 0)
    assert found.time_fs[0] == 0.0
    assert found.n_frames == 1 or found.time_fs[-1] == whole.time_fs[-1]
    index = (found.time_fs / 10.0).astype(int)
    assert np.array_equal(found.positions, whole.positions[index])
    assert np.array_equal(found.energies, whole.energies[index])


def test_a_small_set_comes_back_as_the_test_that_it_was_cut_from(data, tmp_path):
    small = tmp_path / "small"
    propane = molecules.get("propane")  # has no data, and is left out
    written = write_small_set(data, LEVEL, [(ETHANE, "id"), (ETHANOL, "ood"), (propane, "ood")], small, 10, "a test")
    assert written == [store.folder_of(small, LEVEL, ETHANE), store.folder_of(small, LEVEL, ETHANOL)]
    for molecule, split in ((ETHANE, "id"), (ETHANOL, "ood")):
        found, asked = heldout_frames(small, LEVEL, molecule, split), heldout_frames(data, LEVEL, molecule, split, 10)
        # rounded to 1e-5
        assert found.positions == pytest.approx(asked.positions, abs=0.51e-5)
        assert found.energies == pytest.approx(asked.energies, abs=0.51e-5)
        assert found.forces == pytest.approx(asked.forces, abs=0.51e-5)
        told = store.read_provenance(store.folder_of(small, LEVEL, molecule))["test"]
        assert (told["split"], told["n_frames"], told["command"]) == (split, 10, "a test")
        assert told["source"] == store.read_provenance(store.folder_of(data, LEVEL, molecule))
    assert heldout_frames(small, LEVEL, ETHANE, "id", 4).n_frames == 4


@pytest.mark.parametrize("what", ["positions", "energies", "forces"])
def test_reference_frames_that_are_not_finite_are_refused(tmp_path, what):
    frames = trajectory(ETHANE, 3, 0)
    getattr(frames, what)[1] = np.nan
    frames.write(tmp_path / "primary.extxyz")
    with pytest.raises(UserError, match=f"{what} that are not finite"):
        store.read_frames(tmp_path / "primary.extxyz")


def test_data_that_is_not_there_is_one_line_with_the_cure(tmp_path):
    with pytest.raises(UserError, match="gmd26-md data generate"):
        store.read_frames(tmp_path / "primary.extxyz")
    assert store.missing(tmp_path, LEVEL, [ETHANE], ["primary"]) == ["ethane (primary)"]


def test_a_small_set_made_of_training_frames_is_no_id_test(data, tmp_path):
    write_small_set(data, LEVEL, [(ETHANE, "ood"), (ETHANOL, "id")], tmp_path / "small", 5, "test")
    assert heldout_frames(tmp_path / "small", LEVEL, ETHANE, "id") is None
    assert heldout_frames(tmp_path / "small", LEVEL, ETHANE, "ood").n_frames == 5
    assert heldout_frames(tmp_path / "small", LEVEL, ETHANOL, "id").n_frames == 5
