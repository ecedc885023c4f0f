"""A small world for the command line: a tiny model that does hardly anything, and a few real reference frames."""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch comes: tests run side by side, a thread each

import numpy as np
import pytest


def save_tiny_model(path: Path, *, elements: tuple[int, ...] = (1, 6, 8), energy_scale: float = 1e-4) -> Path:
    """Save a DeepSet-MoE of random weights whose forces are near zero: it floats, and is never right."""
    import torch

    from gmd26_md.calculators import families
    from gmd26_md.calculators.checkpoint import Checkpoint, save_checkpoint

    defaults = families.default_hyperparameters("deepset-moe")
    hyperparameters = defaults | {"expert_width": 8, "n_features": 8, "decoder_width": 8}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(26)
        network = families.build_network("deepset-moe", hyperparameters, elements)
    save_checkpoint(
        Checkpoint(
            family="deepset-moe",
            hyperparameters=hyperparameters,
            elements=elements,
            cutoff=hyperparameters["cutoff"],
            element_energies=dict.fromkeys(elements, -20.0),
            element_energies_from="zero",
            energy_scale=energy_scale,
            level_of_theory="gfn2-xtb",
            task="duplication",
            recipe={},
            forces_are_gradient=True,
            training={"note": "random weights"},
            state_dict=network.state_dict(),
        ),
        path,
    )
    return path


def write_frames(folder: Path, names: dict[str, int]) -> Path:
    """Write GFN2-xTB minima, and so many labelled frames around each, as `data subset` does."""
    from gmd26_md import molecules
    from gmd26_md.calculators import load_calculator
    from gmd26_md.datasets import store
    from gmd26_md.reference.labels import Frames, label_frames
    from gmd26_md.reference.minima import relaxed
    from gmd26_md.trajectory import Trajectory

    for index, (name, n_frames) in enumerate(names.items()):
        molecule = molecules.get(name)
        target = store.folder_of(folder, "gfn2-xtb", molecule)
        minimum = relaxed(molecule.atoms(), load_calculator("gfn2-xtb"), 0.05)
        store.write_stage(target, "minimum", minimum, {"settings": {}})
        if n_frames:
            noise = np.random.default_rng(index).normal(scale=0.03, size=(n_frames, *minimum.positions.shape[1:]))
            positions = minimum.positions + noise
            found = label_frames(Frames(minimum.numbers, positions), "gfn2-xtb")
            time_fs = 10.0 * np.arange(n_frames)
            frames = Trajectory(minimum.numbers, time_fs, positions, None, found.energies, found.forces)
            store.write_stage(target, "test", frames, {"settings": {}})
    return folder


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of a checkpoint that knows H, C and O."""
    return save_tiny_model(tmp_path_factory.mktemp("model") / "tiny.pt")


@pytest.fixture(scope="session")
def frames_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with minima and frames of one ID and one OOD molecule of duplication, and one with nitrogen."""
    names = {"acetic acid": 3, "oxalic acid": 3, "ethanamine": 0}
    return write_frames(tmp_path_factory.mktemp("frames"), names)


@pytest.fixture(scope="session")
def new_frames():
    """Return `write_frames`."""
    return write_frames


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]):
    """Return a function that gives the command line arguments and returns exit code, stdout and stderr."""
    from gmd26_md.cli import main

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main([str(a) for a in arguments])
        said = capsys.readouterr()
        return int(end.value.code or 0), said.out, said.err

    return run


@pytest.fixture
def short_run(tiny_model: Path, frames_folder: Path):
    """Return the arguments of a stability run of a fraction of a second: two molecules at 1 K."""
    return (
        *("stability", "--model", tiny_model, "--frames", frames_folder),
        *("--only", "acetic acid", "--only", "oxalic acid", "--device", "cpu"),
        *("--temperature-K", 1, "--thermalise-ps", 0.005, "--nve-ps", 0.01, "--save-every-fs", 1),
        *("--n-label-frames", 2),
    )
