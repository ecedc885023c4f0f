"""Turning: does a molecule's energy change when the molecule is turned as a whole, and do its forces turn with it?

In vacuum no direction is special. A model that is not built so, or only to the fineness of a grid, shows it here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from gmd26_md.dynamics.forces import ForceProvider
from gmd26_md.dynamics.predict import predict
from gmd26_md.trajectory import Trajectory


@dataclass(frozen=True)
class Settings:
    """How to turn, and what is too much; the fields are the command's options."""

    n_turns: int = 12
    noise_A: float = 0.05  # off the minimum, where all forces would be zero
    max_energy_change_meV: float = 0.1
    seed: int = 0


@dataclass(frozen=True)
class Outcome:
    """Numbers (see `metrics.METRICS`), "no direction" or "feels direction", and the number that decided."""

    metrics: dict[str, float | None]
    judgement: str
    reason: str


def run(provider: ForceProvider, minimum: Trajectory, settings: Settings) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return energies (n_turns + 1,), eV, forces (n_turns + 1, n_atoms, 3), eV/Å, and the rotations.

    The first geometry is not turned.
    """
    rng = np.random.default_rng(settings.seed)
    geometry = minimum.positions[0] + rng.normal(scale=settings.noise_A, size=minimum.positions[0].shape)
    turns = Rotation.from_quat(rng.normal(size=(settings.n_turns, 4))).as_matrix()  # every orientation as likely
    turns = np.concatenate([np.eye(3)[None], turns])
    positions = np.einsum("tij,aj->tai", turns, geometry)
    n_frames = len(positions)
    nothing = np.zeros(n_frames)
    frames = replace(
        minimum, time_fs=nothing, positions=positions, velocities=None, energies=nothing, forces=0.0 * positions
    )
    energies, forces = predict(provider, frames)
    return energies, forces, turns


def analyse(energies: np.ndarray, forces: np.ndarray, turns: np.ndarray, settings: Settings) -> Outcome:
    """Hold every turned geometry against the first; a check passes only if its `<=` is true, so NaN fails."""
    turned_back = np.einsum("tji,taj->tai", turns, forces)  # by the transpose, which is the inverse
    change_meV = float(1000 * np.abs(energies - energies[0]).max())
    force_change = float(np.abs(turned_back - turned_back[0]).max())
    metrics: dict[str, float | None] = {
        "turning_energy_change_meV": change_meV,
        "turning_force_change_eV_per_A": force_change,
    }
    right = change_meV <= settings.max_energy_change_meV
    reason = f"the energy changes by up to {change_meV:.3g} meV, limit {settings.max_energy_change_meV:g}"
    return Outcome(metrics, "no direction" if right else "feels direction", reason)
