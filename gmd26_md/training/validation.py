"""Errors of a potential on labelled frames, in the units people compare."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gmd26_md.calculators.potential import Potential, energy_and_forces
from gmd26_md.training.frames_in_memory import FramesInMemory

EVALUATION_ATOMS = 2048  # a batch: large enough to hide the overhead, small enough for memory


@dataclass(frozen=True)
class Errors:
    """Mean absolute errors over frames.

    Attributes
    ----------
    force_mae_eV_per_A
        Over all force components.
    energy_mae_eV
        Over frames, of the molecule's energy.
    energy_mae_offset_removed_eV
        The same after taking off each molecule's mean error.
    n_frames
        Frames measured.
    """

    force_mae_eV_per_A: float
    energy_mae_eV: float
    energy_mae_offset_removed_eV: float
    n_frames: int


def validation_errors(potential: Potential, frames: FramesInMemory) -> Errors:
    """Return the errors of a potential over all the frames."""
    energy_error, force_error = [], []
    for frame_idx in _large_batches(frames):
        labelled = frames.batch(frame_idx, potential.cutoff)
        energies, forces = energy_and_forces(potential, labelled.batch)
        energy_error.append((energies - labelled.energies).double())
        force_error.append((forces - labelled.forces).double().abs().sum())
    errors = torch.cat(energy_error)  # (n_frames,)
    return Errors(
        force_mae_eV_per_A=float(torch.stack(force_error).sum()) / frames.forces.numel(),
        energy_mae_eV=float(errors.abs().mean()),
        energy_mae_offset_removed_eV=float((errors - _molecule_means(errors, frames.molecule_idx)).abs().mean()),
        n_frames=frames.n_frames,
    )


def _molecule_means(errors: Tensor, molecule_idx: Tensor) -> Tensor:
    """Return for each frame the mean error of its molecule, (n_frames,)."""
    n_molecules = int(molecule_idx.max()) + 1
    sums = errors.new_zeros(n_molecules).index_add(0, molecule_idx, errors)
    counts = errors.new_zeros(n_molecules).index_add(0, molecule_idx, torch.ones_like(errors))
    return (sums / counts)[molecule_idx]


def _large_batches(frames: FramesInMemory) -> list[Tensor]:
    group = (frames.n_atoms.cumsum(0) - 1) // EVALUATION_ATOMS
    lengths = torch.unique_consecutive(group, return_counts=True)[1]
    return list(torch.split(torch.arange(frames.n_frames, device=group.device), lengths.tolist()))
