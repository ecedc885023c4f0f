"""Read me first: the whole road on something small. Data, training, static errors, stability, table.

Every part is the real one: GFN2-xTB makes the data, DeepSet-MoE is trained on it by the same code that trains the
shipped models, and the command line judges what comes out. Small are only the numbers: one molecule to train
on, one unseen, a handful of frames, a few steps.
"""

import json
from dataclasses import replace

import numpy as np
import pytest

from gmd26_md import load_calculator, molecules, tasks
from gmd26_md.datasets.generate import generate
from gmd26_md.datasets.sample import SamplingSettings
from gmd26_md.datasets.store import path_of, read_frames
from gmd26_md.records import VERDICTS, read_records
from gmd26_md.tasks import Task
from gmd26_md.training.recipe import load_recipe
from gmd26_md.training.train import train
from gmd26_md.trajectory import Trajectory

# Fragment duplication in a nutshell: from acetic acid, which has one -COOH, to oxalic acid, which has two.
SMALL_TASK = Task(
    name="duplication",
    note="two of a known fragment",
    train=(molecules.get("acetic acid"),),
    ood=(molecules.get("oxalic acid"),),
)
N_FRAMES = 106  # the first 100 secondary frames validate; what is left is the ID test


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Step 1: reference data, a primary and an independent secondary trajectory of each molecule."""
    folder = tmp_path_factory.mktemp("tour") / "data"
    settings = SamplingSettings(equilibrate_ps=0.005, interval_fs=5.0, n_primary=60, n_secondary=N_FRAMES)
    statuses = generate(SMALL_TASK.molecules, folder, settings=settings, n_workers=1)
    assert statuses == {
        m.slug: dict.fromkeys(("minimum", "primary", "secondary"), "done") for m in SMALL_TASK.molecules
    }
    return folder


@pytest.fixture(scope="module")
def checkpoint(data):
    """Step 2: a model trained on the first molecule alone; one file holds all that there is to know of it."""
    recipe = replace(
        load_recipe("deepset-moe"),
        hyperparameters={"expert_width": 16, "n_features": 16, "decoder_width": 32},
        n_steps=250,
        warmup_steps=10,
        learning_rate=0.02,
        ema_decay=0.9,
        batch_atoms=40,
        validate_every_steps=125,
        n_validation_frames_per_molecule=10,
    )
    return train(SMALL_TASK, recipe, data, data.parent / "training", device="cpu")


def test_the_data_are_labelled_trajectories_with_provenance(data):
    frames = read_frames(path_of(data, "gfn2-xtb", SMALL_TASK.train[0], "secondary"))
    assert frames.positions.shape == (N_FRAMES, 8, 3)
    relabelled = load_calculator("gfn2-xtb")
    atoms = molecules.get("acetic acid").atoms()
    atoms.positions, atoms.calc = frames.positions[7], relabelled
    # 1 meV/Å: the data's SCF starts from the last step's density and stops at tblite's accuracy 1
    np.testing.assert_allclose(atoms.get_forces(), frames.forces[7], atol=1e-3)
    provenance = json.loads((data / "gfn2-xtb" / "ethanoic-acid" / "provenance.json").read_text())
    assert provenance["secondary"]["settings"]["seed"] == 26


def test_the_model_is_an_ase_calculator_and_has_learned_something(data, checkpoint):
    calculator = load_calculator(checkpoint, device="cpu")
    frames = read_frames(path_of(data, "gfn2-xtb", SMALL_TASK.train[0], "secondary"))
    atoms = molecules.get("acetic acid").atoms()
    atoms.calc = calculator
    errors = []
    for positions, forces in zip(frames.positions[::20], frames.forces[::20], strict=True):
        atoms.positions = positions
        errors.append(np.abs(atoms.get_forces() - forces).mean())
    # if this fails, 250 steps no longer halve the error of predicting no force at all
    assert np.mean(errors) < 0.5 * np.abs(frames.forces).mean()


def test_from_the_checkpoint_to_the_verdicts(cli, data, checkpoint, tmp_path):
    """Steps 3 to 5: static errors, short dynamics with reference labels, and one table of both."""
    shared = ("--model", checkpoint, "--frames", data, "--device", "cpu")
    chosen = ("--only", "acetic acid", "--only", "oxalic acid")
    code, out, err = cli("static-errors", *shared, *chosen, "--n-frames", 4, "--json", "--out", tmp_path / "static")
    assert (code, err) == (0, "")
    errors = {split: found["static_errors"] for split, found in json.loads(out)["splits"].items()}
    assert {split: e["force_mae_eV_per_A"]["n_values"] for split, e in errors.items()} == {"id": 4, "ood": 4}
    assert all(0 < e["force_mae_eV_per_A"]["value"] < 10 for e in errors.values())

    run = tmp_path / "stability"
    length = ("--thermalise-ps", 0.005, "--nve-ps", 0.02, "--save-every-fs", 1, "--n-label-frames", 3)
    code, out, err = cli("stability", *shared, *chosen, *length, "--n-static-frames", 4, "--out", run)
    assert (code, err) == (0, "")
    assert "alive" in out
    runs = [r for r in read_records(run / "records.jsonl") if r.protocol == "stability"]
    assert {(r.molecule, r.split) for r in runs} == {("ethanoic acid", "id"), ("ethanedioic acid", "ood")}
    for record in runs:
        assert record.verdict in VERDICTS
        assert record.metrics["path_force_mae_eV_per_A"] > 0
        trajectory = Trajectory.read(run / record.trajectory)
        assert trajectory.n_frames >= 2
        assert trajectory.time_fs[0] == 0

    code, out, err = cli("table", run, tmp_path / "static", "--format", "markdown")
    assert (code, err) == (0, "")
    assert f"| {checkpoint.parent.name} (deepset-moe) |" in out
    assert "NequIP (arXiv 2605.08988" in out


def test_the_small_task_is_a_part_of_the_real_one():
    real = tasks.get("duplication")
    assert set(SMALL_TASK.train) <= set(real.train)
    assert set(SMALL_TASK.ood) <= set(real.ood)
