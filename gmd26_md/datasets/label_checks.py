"""Labels held against their own level of theory, on a few frames: computed anew, and by finite differences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gmd26_md.datasets.faults import ENERGY_UNITS, FORCE_UNITS, Fault, likely_unit
from gmd26_md.trajectory import Trajectory

Floats = NDArray[np.float64]
Reference = Callable[[Floats], tuple[float, Floats]]
"""Energy, eV, and forces, (n_atoms, 3), eV/Å, at positions (n_atoms, 3), Å."""

STEP_A = 1e-3
"""Of the central differences. Their error grows with its square, 7e-5 eV/Å here for a C-H stretch, and that of the
energies, 1e-9 eV, over it."""

ENERGY_TOLERANCE_eV = 1e-5
"""Warm-started fields of accuracy 1.0 against cold ones of 0.01: 6e-8 eV at most in 36 frames of three acids."""

FORCE_TOLERANCE_eV_per_A = 1e-3
"""The same: 2.5e-4 eV/Å at most, and 5e-4 is what accuracy 1.0 is known to leave; twice that."""

# a set that travels is rounded to 1e-5 Å: half of that times stiff bonds and the roots of their number
_ROUNDED_DECIMALS = 5
_ROUNDED_ENERGY_eV, _ROUNDED_FORCE_eV_per_A = 1e-3, 4e-3


@dataclass(frozen=True)
class LabelErrors:
    """The largest deviations that were seen.

    Attributes
    ----------
    energy_eV, force_eV_per_A
        Of the stored labels from those computed anew.
    difference_eV_per_A
        Of stored force components from central differences of the energy.
    energy_limit_eV, force_limit_eV_per_A
        What is allowed; the second is of both deviations of forces.
    """

    energy_eV: float
    force_eV_per_A: float
    difference_eV_per_A: float
    energy_limit_eV: float
    force_limit_eV_per_A: float


def wrong_labels(
    frames: Trajectory, chosen: list[int], n_components: int, reference: Reference, random: np.random.Generator
) -> tuple[list[Fault], LabelErrors]:
    """Compute the labels of the chosen frames anew and compare; return what is wrong and what was seen.

    Parameters
    ----------
    chosen
        Frames, at least one.
    n_components
        Force components of each that are held against central differences, at random.
    """
    rounded = np.array_equal(frames.positions, frames.positions.round(_ROUNDED_DECIMALS))
    energy_limit = _ROUNDED_ENERGY_eV if rounded else ENERGY_TOLERANCE_eV
    force_limit = _ROUNDED_FORCE_eV_per_A if rounded else FORCE_TOLERANCE_eV_per_A
    faults: list[Fault] = []
    seen = np.zeros((len(chosen), 3))
    for row, frame in enumerate(chosen):
        positions, stored = frames.positions[frame], frames.forces[frame]
        energy, forces = reference(positions)
        differences = _differences(positions, stored, n_components, reference, random)
        seen[row] = abs(frames.energies[frame] - energy), np.abs(stored - forces).max(), max(differences, default=0.0)
        faults += _energy(float(frames.energies[frame]), energy, frame, energy_limit)
        labelled = _forces(stored, forces, frame, force_limit)
        faults += labelled or _difference(differences, frame, force_limit)
    worst = seen.max(axis=0)
    first = {fault.kind: fault for fault in reversed(faults)}  # the first frame of each kind
    errors = LabelErrors(float(worst[0]), float(worst[1]), float(worst[2]), energy_limit, force_limit)
    return list(first.values()), errors


def _energy(stored: float, computed: float, frame: int, limit: float) -> list[Fault]:
    off = stored - computed
    if abs(off) <= limit:
        return []
    unit = likely_unit(stored / computed, ENERGY_UNITS, 1e-3) if computed else None
    guess = f": likely in {unit}, must be in eV" if unit else ""
    words = f"energy {stored:.8g} eV, the level itself says {computed:.8g} eV, allowed {limit:g} eV off{guess}"
    return [Fault("unit" if unit else "energy", words, frame, off, limit)]


def _forces(stored: Floats, computed: Floats, frame: int, limit: float) -> list[Fault]:
    off = np.abs(stored - computed)
    if off.max() <= limit:
        return []
    atom, axis = np.unravel_index(int(off.argmax()), off.shape)
    factor = float((stored * computed).sum() / (computed**2).sum())
    unit = None
    if np.abs(stored - factor * computed).max() <= 0.01 * np.abs(stored).max():  # one factor explains it
        unit = likely_unit(factor, FORCE_UNITS, 0.01)
        if abs(factor + 1.0) < 0.01:
            unit = "eV/Å with the sign of the gradient"
    guess = f": likely in {unit}, must be minus the gradient in eV/Å" if unit else ""
    words = (
        f"force on atom {atom}, {'xyz'[axis]} is {stored[atom, axis]:.6g} eV/Å, the level itself says "
        f"{computed[atom, axis]:.6g} eV/Å, allowed {limit:g} off{guess}"
    )
    return [Fault("unit" if unit else "force", words, frame, float(off.max()), limit)]


def _difference(differences: list[float], frame: int, limit: float) -> list[Fault]:
    if not differences or max(differences) <= limit:
        return []
    words = f"a force is {max(differences):.2g} eV/Å off the slope of the energy, allowed {limit:g}: not its gradient"
    return [Fault("slope", words, frame, max(differences), limit)]


def _differences(
    positions: Floats, stored: Floats, n_components: int, reference: Reference, random: np.random.Generator
) -> list[float]:
    """Return how far stored components are off central differences, eV/Å."""
    chosen = random.choice(positions.size, min(n_components, positions.size), replace=False)
    found = []
    for component in chosen.tolist():
        energies = []
        for sign in (1.0, -1.0):
            moved = positions.copy()
            moved.flat[component] += sign * STEP_A
            energies.append(reference(moved)[0])
        slope = (energies[0] - energies[1]) / (2.0 * STEP_A)
        found.append(abs(float(stored.flat[component]) + slope))
    return found
