"""Training: it learns, it resumes bit by bit, it stops when it should, and it touches nobody else's run."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from gmd26_md.calculators.checkpoint import load_checkpoint
from gmd26_md.datasets.store import path_of, read_frames
from gmd26_md.errors import UserError
from gmd26_md.training.loop import TrainingDivergedError
from gmd26_md.training.state import load_state
from gmd26_md.training.train import train
from gmd26_md.training.training_data import training_data
from gmd26_md.training.validation import validation_errors
from gmd26_md.trajectory import Trajectory


class StopHereError(Exception):
    """Raised by a test from inside a run, as an interruption would be."""


def log_of(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def assert_same_weights(one: Path, other: Path) -> None:
    left, right = load_checkpoint(one).state_dict, load_checkpoint(other).state_dict
    assert left.keys() == right.keys()
    different = [name for name in left if not torch.equal(left[name], right[name])]
    assert not different, f"if this fails, resuming lost part of the state: {different} differ"


@pytest.fixture(scope="module")
def straight_run(tmp_path_factory, toy_task, toy_data):
    """Return a maker of undisturbed runs, each trained once a module."""
    done: dict[str, Path] = {}

    def run(recipe) -> Path:
        key = json.dumps(recipe.as_dict(), sort_keys=True)
        if key not in done:
            done[key] = tmp_path_factory.mktemp("straight")
            train(toy_task, recipe, toy_data, done[key], device="cpu")
        return done[key]

    return run


def test_a_small_network_learns_a_pair_potential_far_better_than_the_mean(tmp_path, toy_task, toy_data, toy_recipe):
    recipe = replace(toy_recipe, n_steps=250, validate_every_steps=125)
    checkpoint = load_checkpoint(train(toy_task, recipe, toy_data, tmp_path / "run", device="cpu"))
    validation = training_data(toy_task, toy_data, "gfn2-xtb").validation
    force_of_the_mean = np.mean(np.concatenate([np.abs(m.forces - m.forces.mean(0)).ravel() for m in validation]))
    energy_of_the_mean = np.mean([np.abs(m.energies - m.energies.mean()).mean() for m in validation])
    measured = checkpoint.training["validation"]
    assert measured["force_mae_eV_per_A"] < 0.4 * force_of_the_mean
    assert measured["energy_mae_eV"] < 0.4 * energy_of_the_mean
    assert measured["n_frames"] == 200  # all 100 of both molecules, though the run looked at 20


def test_the_checkpoint_says_what_it_is_and_computes_what_was_validated(straight_run, toy_task, toy_data, toy_recipe):
    from gmd26_md.training.frames_in_memory import frames_in_memory

    checkpoint = load_checkpoint(straight_run(toy_recipe) / "best.pt")
    assert (checkpoint.family, checkpoint.task, checkpoint.level_of_theory) == (
        "deepset-moe",
        "duplication",
        "gfn2-xtb",
    )
    assert checkpoint.recipe == toy_recipe.as_dict()
    assert checkpoint.element_energies_from == "least-squares"
    assert (checkpoint.training["composition_rank"], checkpoint.training["n_elements"]) == (2, 3)
    validation = training_data(toy_task, toy_data, "gfn2-xtb").validation
    frames = frames_in_memory(validation, checkpoint.element_energies, dtype=torch.float64)
    errors = validation_errors(checkpoint.potential("cpu", "float64"), frames)
    # trained and measured in float32, seven digits; here in float64
    assert errors.force_mae_eV_per_A == pytest.approx(checkpoint.training["validation"]["force_mae_eV_per_A"], rel=1e-4)
    assert errors.energy_mae_eV == pytest.approx(checkpoint.training["validation"]["energy_mae_eV"], rel=1e-3)


def test_the_log_has_one_line_a_validation_with_all_that_a_plot_needs(straight_run, toy_recipe):
    log = log_of(straight_run(toy_recipe))
    assert [line["step"] for line in log] == [20, 40, 60]
    for line in log:
        assert all(np.isfinite(value) for value in line.values())
        assert {"seconds", "learning_rate", "train_loss", "steps_per_second"} <= line.keys()
        assert {"validation_force_mae_eV_per_A", "validation_energy_mae_eV"} <= line.keys()
        assert line["validation_energy_mae_offset_removed_eV"] <= 2 * line["validation_energy_mae_eV"]


@pytest.mark.parametrize("interrupted_at", [20, 40])
def test_an_interrupted_run_goes_on_to_the_same_numbers(
    interrupted_at, tmp_path, straight_run, toy_task, toy_data, toy_recipe
):
    def interrupt(progress):
        if progress.validation is not None and progress.step > interrupted_at:
            raise StopHereError

    with pytest.raises(StopHereError):
        train(toy_task, toy_recipe, toy_data, tmp_path, device="cpu", on_progress=interrupt)
    assert load_state(tmp_path).step == interrupted_at
    train(toy_task, toy_recipe, toy_data, tmp_path, device="cpu")
    straight = straight_run(toy_recipe)
    assert_same_weights(tmp_path / "best.pt", straight / "best.pt")
    assert_same_weights(tmp_path / "last.pt", straight / "last.pt")
    timing = ("seconds", "steps_per_second")
    assert [{k: v for k, v in line.items() if k not in timing} for line in log_of(tmp_path)] == [
        {k: v for k, v in line.items() if k not in timing} for line in log_of(straight)
    ]


def test_a_run_killed_by_the_system_goes_on_to_the_same_numbers(tmp_path, straight_run, toy_task, toy_data, toy_recipe):
    recipe = replace(toy_recipe, n_steps=80, validate_every_steps=4)
    script = Path(__file__).with_name("kill_me.py")
    command = [sys.executable, str(script), json.dumps(recipe.as_dict()), str(toy_data), str(tmp_path)]
    child = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})
    deadline = time.monotonic() + 60
    while not (tmp_path / "training_state.pt").exists() and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    killed_at = load_state(tmp_path)
    assert killed_at is not None
    assert not killed_at.stopped, "if this fails, the run was over before the kill: make it longer"
    train(toy_task, recipe, toy_data, tmp_path, device="cpu")
    assert_same_weights(tmp_path / "best.pt", straight_run(recipe) / "best.pt")
    assert_same_weights(tmp_path / "last.pt", straight_run(recipe) / "last.pt")
    assert [line["step"] for line in log_of(tmp_path)] == list(range(4, 81, 4))


def test_a_finished_run_returns_at_once_and_writes_nothing(straight_run, toy_task, toy_data, toy_recipe):
    folder = straight_run(toy_recipe)
    before = {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()}
    reports = []
    best = train(toy_task, toy_recipe, toy_data, folder, device="cpu", on_progress=reports.append)
    assert best == folder / "best.pt"
    assert reports == []
    assert {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()} == before


def test_a_run_that_lost_its_checkpoints_at_the_end_writes_them_without_training(
    tmp_path, straight_run, toy_task, toy_data, toy_recipe
):
    folder = shutil.copytree(straight_run(toy_recipe), tmp_path / "copy")
    (folder / "best.pt").unlink()
    train(toy_task, toy_recipe, toy_data, folder, device="cpu")
    assert_same_weights(folder / "best.pt", straight_run(toy_recipe) / "best.pt")
    assert len(log_of(folder)) == 3


def test_another_seed_gives_other_weights_and_the_same_seed_the_same(
    tmp_path, straight_run, toy_task, toy_data, toy_recipe
):
    again = train(toy_task, toy_recipe, toy_data, tmp_path / "again", device="cpu")
    assert_same_weights(again, straight_run(toy_recipe) / "best.pt")
    other = load_checkpoint(train(toy_task, replace(toy_recipe, seed=1), toy_data, tmp_path / "other", device="cpu"))
    mine = load_checkpoint(again)
    assert any(not torch.equal(mine.state_dict[name], other.state_dict[name]) for name in mine.state_dict)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"recipe": {"learning_rate": 0.5}}, r"recipe.learning_rate = 0.01, not 0.5"),
        ({"recipe": {"hyperparameters": {"n_radial": 5}}}, "recipe.hyperparameters"),
        ({"minutes": 3.0}, "minutes = None, not 3.0"),
    ],
)
def test_a_folder_with_another_run_is_refused_and_left_alone(
    change, words, straight_run, toy_task, toy_data, toy_recipe
):
    folder = straight_run(toy_recipe)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    recipe = replace(toy_recipe, **change.pop("recipe", {}))
    with pytest.raises(UserError, match=words):
        train(toy_task, recipe, toy_data, folder, device="cpu", **change)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_other_training_data_in_the_same_folder_are_refused(tmp_path, straight_run, toy_task, toy_data, toy_recipe):
    data = shutil.copytree(toy_data, tmp_path / "data")
    shift_energies(path_of(data, "gfn2-xtb", toy_task.train[0], "primary"), slice(3, 4))
    with pytest.raises(UserError, match="train_data_sha256"):
        train(toy_task, toy_recipe, data, straight_run(toy_recipe), device="cpu")


def test_files_of_unknown_origin_are_not_written_over(tmp_path, toy_task, toy_data, toy_recipe):
    (tmp_path / "best.pt").write_text("somebody's work")
    with pytest.raises(UserError, match=r"holds best\.pt"):
        train(toy_task, toy_recipe, toy_data, tmp_path, device="cpu")
    assert (tmp_path / "best.pt").read_text() == "somebody's work"


def test_without_resume_a_folder_with_a_run_is_refused(straight_run, toy_task, toy_data, toy_recipe):
    with pytest.raises(UserError, match="already holds"):
        train(toy_task, toy_recipe, toy_data, straight_run(toy_recipe), device="cpu", resume=False)


def test_validation_sees_the_first_hundred_secondary_frames_and_no_later_one(
    tmp_path, straight_run, toy_task, toy_data, toy_recipe
):
    recipe = replace(toy_recipe, n_validation_frames_per_molecule=100)
    expected = load_checkpoint(straight_run(recipe) / "best.pt").training["validation"]
    data = shutil.copytree(toy_data, tmp_path / "data")
    secondary = path_of(data, "gfn2-xtb", toy_task.train[1], "secondary")
    shift_energies(secondary, slice(100, None))
    after = load_checkpoint(train(toy_task, recipe, data, tmp_path / "later", device="cpu"))
    assert after.training["validation"] == expected
    shift_energies(secondary, slice(99, 100))
    hundredth = load_checkpoint(train(toy_task, recipe, data, tmp_path / "hundredth", device="cpu"))
    # one of 200 frames is off by 1000 eV: the mean error grows by 5 eV
    assert hundredth.training["validation"]["energy_mae_eV"] == pytest.approx(expected["energy_mae_eV"] + 5.0, abs=0.1)


def shift_energies(path: Path, frames: slice) -> None:
    found = read_frames(path)
    energies = found.energies.copy()
    energies[frames] += 1000.0
    Trajectory(found.numbers, found.time_fs, found.positions, None, energies, found.forces).write(path)


def test_it_stops_early_when_validation_no_longer_improves(tmp_path, toy_task, toy_data, toy_recipe):
    # with a rate this small nothing moves beyond rounding after the first validations, save by tiny gains: let the
    # average be the weights themselves and the weights stand still
    recipe = replace(
        toy_recipe, learning_rate=1e-30, ema_decay=0.0, validate_every_steps=2, patience_validations=3, n_steps=100
    )
    checkpoint = load_checkpoint(train(toy_task, recipe, toy_data, tmp_path, device="cpu"))
    assert checkpoint.training["stopped_by"] == "patience"
    assert checkpoint.training["steps"] == 8  # the first validation is the best, three more do not improve
    assert checkpoint.training["step"] == 2


def test_a_time_budget_ends_the_run_with_the_rate_annealed(tmp_path, toy_task, toy_data, toy_recipe):
    recipe = replace(toy_recipe, n_steps=10**6, validate_every_steps=10**6)
    began = time.monotonic()
    checkpoint = load_checkpoint(train(toy_task, recipe, toy_data, tmp_path, device="cpu", minutes=0.03))
    assert time.monotonic() - began < 30.0  # 1.8 s of steps, and room for a busy machine
    assert checkpoint.training["stopped_by"] == "minutes"
    (line,) = log_of(tmp_path)
    assert line["learning_rate"] == pytest.approx(0.01 * recipe.learning_rate, rel=1e-6)
    assert line["seconds"] >= 1.8


def test_a_diverging_loss_stops_with_a_cure_and_keeps_the_state_before(tmp_path, toy_task, toy_data, toy_recipe):
    recipe = replace(toy_recipe, validate_every_steps=5)

    def poison(progress):
        if progress.step == 10:
            poisoned.append(True)
            raise StopHereError

    poisoned: list[bool] = []
    with pytest.raises(StopHereError):
        train(toy_task, recipe, toy_data, tmp_path, device="cpu", on_progress=poison)
    state = torch.load(tmp_path / "training_state.pt", weights_only=True)
    state["weights"] = {
        name: torch.full_like(weight, 1e30) if weight.is_floating_point() else weight
        for name, weight in state["weights"].items()
    }
    torch.save(state, tmp_path / "training_state.pt")
    before = (tmp_path / "training_state.pt").read_bytes()
    with pytest.raises(TrainingDivergedError, match="Lower learning_rate"):
        train(toy_task, recipe, toy_data, tmp_path, device="cpu")
    assert (tmp_path / "training_state.pt").read_bytes() == before


def test_missing_data_are_named_with_the_command_that_makes_them(tmp_path, toy_task, toy_recipe):
    with pytest.raises(UserError, match="gmd26-md data generate"):
        train(toy_task, toy_recipe, tmp_path, tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()


def test_a_task_that_trains_nothing_is_refused(tmp_path, toy_data, toy_recipe):
    with pytest.raises(UserError, match="duplication"):
        train("fission", toy_recipe, toy_data, tmp_path / "run", device="cpu")


@pytest.mark.parametrize("minutes", [0.0, -1.0, float("nan")])
def test_a_time_budget_that_is_no_time_is_refused(minutes, tmp_path, toy_task, toy_data, toy_recipe):
    with pytest.raises(UserError, match="--minutes"):
        train(toy_task, toy_recipe, toy_data, tmp_path / "run", device="cpu", minutes=minutes)


def test_a_damaged_state_is_refused_on_one_line(tmp_path, straight_run, toy_task, toy_data, toy_recipe):
    folder = shutil.copytree(straight_run(toy_recipe), tmp_path / "copy")
    state = folder / "training_state.pt"
    state.write_bytes(state.read_bytes()[:1000])
    with pytest.raises(UserError, match="not a readable training state") as caught:
        train(toy_task, toy_recipe, toy_data, folder, device="cpu")
    assert "\n" not in str(caught.value)


def test_training_leaves_the_process_as_it_was(tmp_path, toy_task, toy_data, toy_recipe):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
    train(toy_task, replace(toy_recipe, n_steps=3), toy_data, tmp_path, device="cpu")
    assert torch.equal(torch.rand(3), expected)
    assert (torch.get_num_threads(), torch.get_default_dtype()) == (threads, dtype)


@pytest.mark.parametrize("source", ["zero", "least-squares"])
def test_the_choice_of_element_energies_is_in_the_checkpoint(source, tmp_path, toy_task, toy_data, toy_recipe):
    recipe = replace(toy_recipe, n_steps=2, element_energies=source)
    checkpoint = load_checkpoint(train(toy_task, recipe, toy_data, tmp_path, device="cpu"))
    assert checkpoint.element_energies_from == source
    assert (set(checkpoint.element_energies.values()) == {0.0}) == (source == "zero")


@pytest.mark.parametrize("loss", ["l1", "l2", "huber", "norm"])
def test_every_loss_learns(loss, tmp_path, toy_task, toy_data, toy_recipe):
    recipe = replace(toy_recipe, loss=loss, n_steps=60)
    train(toy_task, recipe, toy_data, tmp_path, device="cpu")
    log = log_of(tmp_path)
    assert log[-1]["validation_force_mae_eV_per_A"] < 0.8 * log[0]["validation_force_mae_eV_per_A"]


def test_with_zero_element_energies_the_first_validation_is_already_near(tmp_path, toy_task, toy_data, toy_recipe):
    recipe = replace(toy_recipe, n_steps=1, element_energies="zero")
    measured = load_checkpoint(train(toy_task, recipe, toy_data, tmp_path, device="cpu")).training["validation"]
    # energies are -390 and -460 eV; untrained, all but a few eV must come from the self energies set beforehand
    assert measured["energy_mae_eV"] < 20.0
