"""DFT labels: those of PySCF, the same whether the labelling was interrupted or not. Water, as it is cheap."""

import numpy as np
import pytest

pytest.importorskip("pyscf.dispersion", reason="pyscf and pyscf-dispersion (the extra dft) are not installed")

from gmd26_md.calculators import load_calculator
from gmd26_md.datasets import store
from gmd26_md.datasets.relabel import relabel
from gmd26_md.datasets.relabel_jobs import LabelSettings, open_jobs
from gmd26_md.datasets.relabel_journal import Answer
from gmd26_md.molecules import Molecule
from gmd26_md.trajectory import Trajectory

WATER = Molecule("water", "none", 0, "O")
LEVEL = "pbe-d3bj/def2-svp"
SETTINGS = LabelSettings(LEVEL, "toy", n_test=4, minimum=False)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy")
    atoms = WATER.atoms()
    # a turn of 40° between frames, as in 10 fs of real dynamics: the old density is no start
    turned = []
    for angle in np.deg2rad([0, 40, 80, 120]):
        turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
        turned.append((atoms.positions + np.random.default_rng(1).normal(scale=0.03, size=(3, 3))) @ turn.T)
    frames = Trajectory(
        atoms.numbers, np.arange(4.0), np.array(turned), None, np.zeros(4), np.zeros((4, len(atoms), 3))
    )
    store.write_stage(store.folder_of(folder, "toy", WATER), "primary", frames, {"settings": {}})
    return folder


def jobs_in(data, out):
    return open_jobs([(WATER, "ood")], data, out, SETTINGS)


def test_an_interrupted_labelling_ends_with_the_very_numbers_of_one_that_was_not(data, tmp_path):
    told = relabel(jobs_in(data, tmp_path / "whole"), SETTINGS, 1)[WATER.slug]["test"]
    whole = store.read_frames(store.path_of(tmp_path / "whole", LEVEL, WATER, "test"))
    assert told["versions"]["pyscf"]
    assert told["options"]["scf_tolerance_Hartree"] == 1e-10
    half = jobs_in(data, tmp_path / "resumed")[0]
    for index in range(2):
        half.journal.add(whole.positions[index], Answer(whole.energies[index], whole.forces[index]))
    relabel(jobs_in(data, tmp_path / "resumed"), SETTINGS, 1)
    resumed = store.read_frames(store.path_of(tmp_path / "resumed", LEVEL, WATER, "test"))
    # each field starts from scratch, as the frames are far apart, on one thread
    assert np.array_equal(resumed.energies, whole.energies)
    assert np.array_equal(resumed.forces, whole.forces)
    calculator = load_calculator(LEVEL, n_threads=1, warm_start=False)
    atoms = WATER.atoms()
    atoms.positions = whole.positions[3]
    # converged to 1e-10 Hartree between cycles, 3e-9 eV; forces feel the density's error first
    assert calculator.get_property("energy", atoms) == pytest.approx(whole.energies[3], rel=0, abs=1e-8)
    assert np.abs(calculator.get_property("forces", atoms) - whole.forces[3]).max() < 3e-5
