"""Is energy conserved, and is it the true energy? Slopes in meV/atom/ps, spreads in meV/atom.

Time comes in fs: ASE's own time unit is not a picosecond (1 fs is 0.0982269 of it), and a slope taken in it is 10.18
times off. NaN in any frame makes the number NaN.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase.data import atomic_masses
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_AT_REST_meV_per_atom = 0.1


@dataclass(frozen=True)
class Line:
    """A least-squares line through a series: slope a unit of time, and the RMS of what is left about it."""

    slope: float
    rms: float


def fitted_line(values: Floats, times: Floats) -> Line:
    """Return the least-squares line of values (n_frames,) over times (n_frames,).

    NaN for both numbers when a value is not finite or all times are the same: no line is known then.
    """
    values, times = np.asarray(values, dtype=np.float64), np.asarray(times, dtype=np.float64)
    if values.shape != times.shape:
        raise ValueError(f"values {values.shape} and times {times.shape} differ in shape")
    if len(values) < 2 or not np.isfinite(values).all() or np.ptp(times) == 0.0:
        return Line(float("nan"), float("nan"))
    # The first value goes out before the mean: a total energy is large beside its changes.
    rise = values - values[0]
    rise, run = rise - rise.mean(), times - times.mean()
    slope = float(run @ rise / (run @ run))
    return Line(slope, float(np.sqrt(np.mean((rise - slope * run) ** 2))))


def change_meV_per_atom(energy: Floats, n_atoms: int) -> Floats:
    """Return E(t) - E(0) of an energy (n_frames,) in eV, (n_frames,), meV/atom."""
    energy = np.asarray(energy, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        return np.asarray((energy - energy[0]) * (1000.0 / n_atoms), dtype=np.float64)


def largest(values: Floats) -> float:
    """Return the largest absolute value; NaN when any is not finite."""
    return float(np.abs(values).max()) if np.isfinite(values).all() else float("nan")


def conservation(
    potential_energy: Floats, kinetic_energy: Floats, time_fs: Floats, n_atoms: int
) -> dict[str, float | None]:
    """Return how well a constant-energy run kept its energy, under the names of `metrics.METRICS`.

    `energy_drift_meV_per_atom_per_ps` is the least-squares slope of kinetic plus potential energy: zero for exact
    dynamics, and blind to a drift that reverses. `energy_rms_meV_per_atom` is the RMS about that line: the integrator's
    own error and the surface's roughness. `energy_change_max_meV_per_atom` is the largest change since the start.
    `energy_drift_relative_ratio` is |slope| times duration over the standard deviation of the kinetic energy.
    `energy_rms_relative_ratio` is the RMS over the same, or over 0.1 meV/atom where nothing moves: 1 for an energy that
    does not go down as the kinetic energy goes up, such as one that is always the same.

    Parameters
    ----------
    potential_energy, kinetic_energy
        (n_frames,), eV, of the whole molecule.
    time_fs
        (n_frames,).
    """
    change = change_meV_per_atom(np.asarray(potential_energy) + np.asarray(kinetic_energy), n_atoms)
    time_ps = np.asarray(time_fs, dtype=np.float64) / 1000.0
    line = fitted_line(change, time_ps)
    with np.errstate(invalid="ignore", divide="ignore"):
        fluctuation = np.std(change_meV_per_atom(kinetic_energy, n_atoms))
        relative = float(np.abs(line.slope) * np.ptp(time_ps) / fluctuation)
        exchanged = float(line.rms / np.maximum(fluctuation, _AT_REST_meV_per_atom))
    return {
        "energy_drift_meV_per_atom_per_ps": line.slope,
        "energy_rms_meV_per_atom": line.rms,
        "energy_change_max_meV_per_atom": largest(change),
        "energy_drift_relative_ratio": relative if np.isfinite(relative) else float("nan"),
        "energy_rms_relative_ratio": exchanged if np.isfinite(exchanged) else float("nan"),
    }


def true_energy(
    reference_energy: Floats, kinetic_energy: Floats, time_fs: Floats, n_atoms: int
) -> dict[str, float | None]:
    """Return how the *true* total energy moved along a run, under the names of `metrics.METRICS`.

    dE_true(t) = [E_kin + V_ref](t) - [E_kin + V_ref](0) (arXiv 2308.11305): exact dynamics on the reference surface
    keeps it at zero, up to the integrator's error; a model can conserve its own energy while this one wanders.
    Constant energy offsets of the model do not enter, as only the reference's energy does.

    Parameters
    ----------
    reference_energy
        Reference potential energy at the frames of the run that were labelled, (n_labels,), eV.
    kinetic_energy, time_fs
        Of the same frames, (n_labels,), the first of them the start.
    """
    change = change_meV_per_atom(np.asarray(reference_energy) + np.asarray(kinetic_energy), n_atoms)
    line = fitted_line(change, np.asarray(time_fs, dtype=np.float64) / 1000.0)
    rms = float(np.sqrt(np.mean(change**2))) if np.isfinite(change).all() else float("nan")
    return {
        "true_energy_slope_meV_per_atom_per_ps": line.slope,
        "true_energy_rms_meV_per_atom": rms,
        "true_energy_change_max_meV_per_atom": largest(change),
    }


def momentum(numbers: NDArray[np.integer], velocities: Floats) -> Floats:
    """Return the total momentum of each frame, (n_frames, 3), u times ASE's velocity unit."""
    return np.asarray(np.einsum("a,fax->fx", atomic_masses[numbers], velocities), dtype=np.float64)


def angular_momentum(numbers: NDArray[np.integer], positions: Floats, velocities: Floats) -> Floats:
    """Return the angular momentum about the centre of mass of each frame, (n_frames, 3).

    In u Å times ASE's velocity unit; zero throughout for a molecule that was set going without rotation.
    """
    masses = atomic_masses[numbers]
    centre = np.einsum("a,fax->fx", masses, positions) / masses.sum()
    arms = positions - centre[:, None, :]
    return np.asarray(np.einsum("a,fax->fx", masses, np.cross(arms, velocities)), dtype=np.float64)
