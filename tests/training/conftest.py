"""A small world with known physics: two acids, an exponential repulsion and attraction between all their atoms."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from gmd26_md import tasks
from gmd26_md.datasets.store import path_of
from gmd26_md.tasks import Task
from gmd26_md.training.recipe import Recipe
from gmd26_md.trajectory import Trajectory

ELEMENT_ENERGY_EV = {1: -10.0, 6: -48.0, 8: -102.0}
TINY = {
    "n_radial": 6,
    "expert_width": 8,
    "n_features": 8,
    "max_degree": 2,
    "n_products": 4,
    "n_triples": 4,
    "decoder_width": 16,
}
N_SECONDARY = 110


def pairwise_labels(numbers: np.ndarray, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return energies (n_frames,), eV, and forces of E = sum of element energies + sum over pairs of a exp(-r)."""
    charge = np.sqrt(numbers.astype(float))
    vector = positions[:, None] - positions[:, :, None]  # (n_frames, n_atoms, n_atoms, 3), r_j - r_i
    distance = np.linalg.norm(vector, axis=-1) + np.eye(len(numbers))
    pair = np.outer(charge, charge) * np.exp(-distance) * (1 - np.eye(len(numbers)))
    energies = 0.5 * pair.sum((1, 2)) + sum(ELEMENT_ENERGY_EV[int(z)] for z in numbers)
    forces = -(pair / distance)[..., None] * vector
    return energies, forces.sum(2)


def toy_trajectory(numbers: np.ndarray, centre: np.ndarray, n_frames: int, seed: int) -> Trajectory:
    """Return labelled frames around a structure, displaced by 0.1 Å."""
    noise = np.random.default_rng(seed).normal(scale=0.1, size=(n_frames, *centre.shape))
    energies, forces = pairwise_labels(numbers, centre + noise)
    return Trajectory(numbers, np.arange(n_frames) * 10.0, centre + noise, None, energies, forces)


def write_world(data: Path, task: Task) -> Path:
    """Write primary and secondary trajectories of the task's training molecules; return the data folder."""
    for n, molecule in enumerate(task.train):
        atoms = molecule.atoms()
        for stage, n_frames, seed in (("primary", 60, 10 + n), ("secondary", N_SECONDARY, 20 + n)):
            path = path_of(data, "gfn2-xtb", molecule, stage)
            path.parent.mkdir(parents=True, exist_ok=True)
            toy_trajectory(atoms.numbers, atoms.positions, n_frames, seed).write(path)
    return data


@pytest.fixture(scope="session")
def toy_task() -> Task:
    task = tasks.get("duplication")
    return replace(task, train=task.train[:2])


@pytest.fixture(scope="session")
def toy_data(tmp_path_factory: pytest.TempPathFactory, toy_task: Task) -> Path:
    return write_world(tmp_path_factory.mktemp("data"), toy_task)


@pytest.fixture
def toy_recipe() -> Recipe:
    return Recipe(
        family="deepset-moe",
        hyperparameters=TINY,
        batch_atoms=32,
        learning_rate=0.01,
        warmup_steps=10,
        n_steps=60,
        validate_every_steps=20,
        n_validation_frames_per_molecule=20,
        ema_decay=0.9,
    )


@pytest.fixture(autouse=True)
def one_thread():
    """Sums in one order: resuming is promised bit by bit on one CPU thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
