"""Momenta of molecules: drawing them, and taking overall motion out of them. Plain arrays, ASE units."""

from __future__ import annotations

import numpy as np
from ase import units


def maxwell_boltzmann(masses: np.ndarray, temperature_K: float, rng: np.random.Generator) -> np.ndarray:
    """Draw velocities (n_atoms, 3), ASE units, from the canonical distribution; masses (n_atoms,), amu."""
    spread = np.sqrt(units.kB * temperature_K / masses)[:, None]
    return spread * rng.standard_normal((len(masses), 3))


def without_overall_motion(positions: np.ndarray, velocities: np.ndarray, masses: np.ndarray) -> np.ndarray:
    """Return velocities with no linear and no angular momentum about the centre of mass.

    Parameters
    ----------
    positions, velocities
        (n_atoms, 3), Å and ASE units.
    masses
        (n_atoms,), amu.
    """
    weights = masses / masses.sum()
    moving = velocities - weights @ velocities
    arms = positions - weights @ positions
    momentum = (masses[:, None] * np.cross(arms, moving)).sum(0)
    inertia = np.einsum("i,ij,ij->", masses, arms, arms) * np.eye(3) - np.einsum("i,ij,ik->jk", masses, arms, arms)
    rotation = np.linalg.pinv(inertia, rcond=1e-10) @ momentum  # pinv: an atom or a dimer has no full inertia
    return moving - np.cross(rotation, arms)
