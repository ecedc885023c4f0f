"""Which frames train and which validate: primary trajectories, and the first 100 frames of the secondary ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gmd26_md.datasets.store import N_VALIDATION_FRAMES, path_of, read_frames
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


def training_data(task: Task, data_dir: Path, level: str, n_frames_per_molecule: int | None = None) -> TrainingData:
    """Read the frames of a task's training molecules.

    Parameters
    ----------
    task
        Its OOD molecules are never opened.
    data_dir, level
        Where the data lies, and of which level of theory (`datasets.store`).
    n_frames_per_molecule
        Primary frames of each molecule, evenly spaced; None takes all.

    Raises
    ------
    UserError
        If a trajectory is missing or holds something that is not a number.
    """
    train = tuple(_read(data_dir, level, molecule, "primary") for molecule in task.train)
    secondary = tuple(_read(data_dir, level, molecule, "secondary") for molecule in task.train)
    if n_frames_per_molecule is not None:
        train = evenly_spaced(train, n_frames_per_molecule)
    validation = tuple(m.take(np.arange(min(N_VALIDATION_FRAMES, len(m.energies)))) for m in secondary)
    return TrainingData(train, validation)


def evenly_spaced(molecules: Sequence[MoleculeFrames], n_frames: int) -> tuple[MoleculeFrames, ...]:
    """Return at most `n_frames` of each molecule, evenly spaced over the trajectory."""
    chosen = []
    for frames in molecules:
        available = len(frames.energies)
        n = min(n_frames, available)
        chosen.append(frames.take(np.arange(n) * available // n))
    return tuple(chosen)


def _read(data_dir: Path, level: str, molecule: Molecule, stage: str) -> MoleculeFrames:
    frames = read_frames(path_of(data_dir, level, molecule, stage), molecule, level)
    return MoleculeFrames(frames.numbers, frames.positions, frames.energies, frames.forces)
