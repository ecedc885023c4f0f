"""Every family, made small, learns the pair potential of the small world, comes back from disk the same, and runs."""

from importlib.util import find_spec

import numpy as np
import pytest
import torch

from gmd26_md import load_calculator
from gmd26_md.calculators import families
from gmd26_md.calculators.batch import Layout
from gmd26_md.calculators.checkpoint import load_checkpoint
from gmd26_md.calculators.potential import energy_and_forces
from gmd26_md.datasets.store import path_of, read_frames
from gmd26_md.training.recipe import Recipe, load_recipe
from gmd26_md.training.train import train

NEEDS = {"nequip": "nequip"}
"""Families whose package is not in the default environment."""

SMALLER = {
    "mace": {"hidden_irreps": "8x0e", "MLP_irreps": "4x0e", "radial_MLP": [8]},
}


def small(family: str) -> dict[str, object]:
    """Return hyperparameters with every whole number from 16 on cut to 12."""
    defaults = families.default_hyperparameters(family)
    return {k: 12 for k, v in defaults.items() if type(v) is int and v >= 16} | SMALLER.get(family, {})


@pytest.fixture(scope="module", params=families.family_names())
def trained(request, toy_task, toy_data, tmp_path_factory):
    family = request.param
    if family in NEEDS and find_spec(NEEDS[family]) is None:
        pytest.skip(f"{family} needs the package {NEEDS[family]}")
    packaged = load_recipe(family)
    recipe = Recipe(
        family=family,
        hyperparameters={**packaged.hyperparameters, **small(family)},
        batch_atoms=48,
        learning_rate=0.01,
        warmup_steps=10,
        n_steps=80,
        validate_every_steps=40,
        n_validation_frames_per_molecule=10,
        ema_decay=0.9,
    )
    return train(toy_task, recipe, toy_data, tmp_path_factory.mktemp(family), device="cpu")


def test_it_is_better_than_the_mean_by_far_and_as_validated(trained, toy_task, toy_data):
    frames = read_frames(path_of(toy_data, "gfn2-xtb", toy_task.train[1], "secondary"))
    numbers, positions = frames.numbers, frames.positions[-10:]  # held out: validation takes the first 100
    potential = load_checkpoint(trained).potential(dtype="float64")
    layout = Layout.of([numbers] * len(positions))
    flat = torch.as_tensor(positions.reshape(-1, 3), dtype=torch.float64)
    _, forces = energy_and_forces(potential, layout.batch(flat, potential.cutoff))
    errors = np.abs(forces.numpy().reshape(positions.shape) - frames.forces[-10:])
    assert errors.mean() < 0.5 * np.abs(frames.forces[-10:]).mean()  # the mean force of a molecule is zero


def test_it_comes_back_from_disk_with_identical_forces(trained, toy_task):
    atoms = toy_task.train[0].atoms()
    answers = [load_calculator(trained, device="cpu") for _ in range(2)]
    first, second = (calculator.get_forces(atoms) for calculator in answers)
    assert np.array_equal(first, second)
    assert np.abs(first).max() > 1e-3


def test_it_runs_stability(trained, cli, tmp_path):
    short = ("--temperature-K", 50, "--thermalise-ps", 0.002, "--run-ps", 0.02, "--save-every-fs", 2)
    code, _, err = cli(
        *("stability", "--model", trained, "--device", "cpu", "--only", "acetic acid", "--n-label-frames", 0, *short),
        *("--task", "duplication", "--n-static-frames", 0, "--quiet", "--out", tmp_path / "run"),
    )
    assert code == 0, err
    assert (tmp_path / "run" / "records.jsonl").read_text().count("\n") >= 1
