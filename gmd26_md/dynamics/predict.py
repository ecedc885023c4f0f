"""A provider's energies and forces on given frames of one molecule."""

from __future__ import annotations

import numpy as np
import torch

from gmd26_md.dynamics.forces import ForceProvider
from gmd26_md.trajectory import Trajectory

MAX_ATOMS_AT_ONCE = 1200  # a batch that fits any machine; larger ones gain little on a CPU


def predict(provider: ForceProvider, frames: Trajectory) -> tuple[np.ndarray, np.ndarray]:
    """Return energies (n_frames,), eV, and forces (n_frames, n_atoms, 3), eV/Å, of a model on the frames' geometries.

    A frame on which the model fails is NaN.
    """
    size = max(1, MAX_ATOMS_AT_ONCE // frames.n_atoms)
    energies, forces = [], []
    for start in range(0, frames.n_frames, size):
        positions = frames.positions[start : start + size]
        bound = provider.bind([frames.numbers] * len(positions))
        flat = torch.as_tensor(positions.reshape(-1, 3), dtype=torch.float64, device=provider.device)
        energy, force = bound(flat)
        energies.append(energy.cpu().numpy())
        forces.append(force.cpu().numpy().reshape(positions.shape))
    return np.concatenate(energies), np.concatenate(forces)
