"""Which frames train and which validate: primary trajectories, and the first 100 frames of the secondary ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gmd26_md.datasets.store import N_VALIDATION_FRAMES, read_frames
from gmd26_md.errors import UserError
from gmd26_md.molecules import Molecule
from gmd26_md.tasks import Task


@dataclass(frozen=True)
class MoleculeFrames:
    """Labelled frames of one molecule, shapes as in `datasets.store.Frames`; eV, eV/Å."""

    numbers: np.ndarray
    positions: np.ndarray
    energies: np.ndarray
    forces: np.ndarray

    def take(self, frame_idx: np.ndarray) -> MoleculeFrames:
        """Return the frames at these indices."""
        return MoleculeFrames(self.numbers, self.positions[frame_idx], self.energies[frame_idx], self.forces[frame_idx])


@dataclass(frozen=True)
class TrainingData:
    """Frames of each training molecule, in the task's order: what trains, and what validates."""

    train: tuple[MoleculeFrames, ...]
    validation: tuple[MoleculeFrames, ...]


def training_data(task: Task, level_folder: Path, n_frames_per_molecule: int | None = None) -> TrainingData:
    """Read the frames of a task's training molecules.

    Parameters
    ----------
    task
        Its OOD molecules are never opened.
    level_folder
        DATA/<level>, with a folder a molecule.
    n_frames_per_molecule
        Primary frames of each molecule, evenly spaced; None takes all.

    Raises
    ------
    UserError
        If a trajectory is missing or holds something that is not a number.
    """
    train = tuple(_read(level_folder, molecule, "primary") for molecule in task.train)
    secondary = tuple(_read(level_folder, molecule, "secondary") for molecule in task.train)
    if n_frames_per_molecule is not None:
        train = evenly_spaced(train, n_frames_per_molecule)
    validation = tuple(m.take(np.arange(min(N_VALIDATION_FRAMES, len(m.energies)))) for m in secondary)
    for molecule, frames in zip((*task.train, *task.train), (*train, *validation), strict=True):
        _check_finite(molecule, frames)
    return TrainingData(train, validation)


def evenly_spaced(molecules: Sequence[MoleculeFrames], n_frames: int) -> tuple[MoleculeFrames, ...]:
    """Return at most `n_frames` of each molecule, evenly spaced over the trajectory."""
    chosen = []
    for frames in molecules:
        available = len(frames.energies)
        n = min(n_frames, available)
        chosen.append(frames.take(np.arange(n) * available // n))
    return tuple(chosen)


def _read(level_folder: Path, molecule: Molecule, trajectory: str) -> MoleculeFrames:
    path = level_folder / molecule.slug / f"{trajectory}.extxyz"
    if not path.is_file():
        raise UserError(
            f"{molecule.name} has no {trajectory} trajectory at {path}; "
            "make it with gmd26-md data generate, or give the folder that has it with --data."
        )
    frames = read_frames(path)
    if len(frames.energies) == 0:
        raise UserError(
            f"{path} holds no frames; training needs at least one. Make it again with gmd26-md data generate."
        )
    return MoleculeFrames(frames.numbers, frames.positions, frames.energies, frames.forces)


def _check_finite(molecule: Molecule, frames: MoleculeFrames) -> None:
    for name in ("positions", "energies", "forces"):
        if not np.isfinite(getattr(frames, name)).all():
            raise UserError(f"{name} of {molecule.name} hold values that are not finite; make its data again.")
