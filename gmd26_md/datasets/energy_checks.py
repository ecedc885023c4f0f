"""Energies along a trajectory against the forces along it, and both against the temperature. No reference is needed.

The energy of a frame less that of the one before is, to third order, the work of the mean of their forces along the
step. It is exact for springs however long the step, so that 10 fs will do: what is left is a tenth of the change.
So a line through the changes against the works has slope 1 if energies and forces belong together.

Bonds are softer than springs when long: where one grows by d, the work is off by a twelfth of the energy's third
derivative times d³, with the sign changed (the error of the trapezoidal rule). That is the largest part of what is
left, 0.6 eV when a hot O-H bond swings by 0.3 Å between two frames, and `off_work` takes it away; a change that is
still far off is a jump. Limits were read off 18,600 frames of eighteen molecules at 500 K, those of jumps off all
300,000 of 120.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase.units import kB

from gmd26_md.datasets.faults import ENERGY_UNITS, FORCE_UNITS, Fault, and_more, likely_unit
from gmd26_md.observables.bonds import Floats, Ints, pair_distances
from gmd26_md.trajectory import Trajectory

MIN_FRAMES = 50
"""Below it a slope or a temperature says nothing, and is not judged."""

FEW_ATOMS = 5
"""No more atoms are few: slopes and temperatures of theirs scatter."""

JUMP_ROBUST_SD = 20.0
"""A jump is a change that lies so many robust standard deviations off the work. Seen: 11.6 at most in 299,760 changes,
whose number falls two- to threefold with each more."""

_ANHARMONIC = 13.0
"""A twelfth of a bond's third derivative, less its sign, eV/Å³. Least squares over those changes give 12.6 for C-H,
15.4 for N-H, 16.8 for O-H, 12.4 for the others, and leave a spread of 0.041 eV, down from 0.095; one number for all
leaves the same (`benchmarks/stretched_bonds.py --data`)."""

_JUMP_kT = 5.0  # no less is a jump, so that a handful of frames with hardly any spread raises none
_SLOPE = 1.3  # seen: 0.92 to 1.05, in pieces of 60 frames 0.81 to 1.13; the next unit of forces is 1.9 away
_SCALE = 2.0  # of the temperature from energies: seen 0.79 to 1.11, in pieces of 60 frames 0.69 to 1.36
_SLOPE_OF_FEW, _SCALE_OF_FEW = 1.85, 3.0  # 120 frames of water at 500 K: 0.61, and half the temperature
_STANDARD_ERRORS, _SLACK = 5.0, 0.2  # of the temperature from forces; seen: 1.9 standard errors
_N_BLOCKS = 10


@dataclass(frozen=True)
class Thermal:
    """What energies and forces say about each other and the temperature; None with fewer than `MIN_FRAMES` frames.

    Attributes
    ----------
    work_slope
        Changes of the energy over works of the forces, 1 if both are in the same units: the median over the larger half
        of the works, which a few bad frames do not move; infinite where no force does work.
    virial_K, virial_error_K
        Temperature from the virial of the forces, (3N-3) kT = -sum of r·F, and its standard error from ten blocks:
        exact for any potential that holds the molecule together. There are no velocities in the files to ask.
    potential_K
        Temperature from the median energy above the minimum, (3N-6) kT / 2 if all were springs: a rough one.
    """

    work_slope: float | None
    virial_K: float | None
    virial_error_K: float | None
    potential_K: float | None


def thermal(frames: Trajectory, minimum_energy: float) -> Thermal:
    """Return what energies and forces say; `minimum_energy` in eV."""
    if frames.n_frames < MIN_FRAMES or frames.n_atoms < 3:
        return Thermal(None, None, None, None)
    change, work = changes(frames)
    centred = frames.positions - frames.positions.mean(axis=1, keepdims=True)
    virial_K = -np.einsum("fax,fax->f", centred, frames.forces) / ((3 * frames.n_atoms - 3) * kB)
    blocks = [block.mean() for block in np.array_split(virial_K, _N_BLOCKS)]
    above = float(np.median(frames.energies)) - minimum_energy
    large = (np.abs(work) >= np.median(np.abs(work))) & (work != 0.0)
    return Thermal(
        work_slope=float(np.median(change[large] / work[large])) if large.any() else float("inf"),
        virial_K=float(virial_K.mean()),
        virial_error_K=float(np.std(blocks) / np.sqrt(_N_BLOCKS - 1)),
        potential_K=float(2.0 * above / ((3 * frames.n_atoms - 6) * kB)),
    )


def changes(frames: Trajectory) -> tuple[Floats, Floats]:
    """Return from frame to frame the change of the energy and the work of the forces, both (n_frames - 1,), eV."""
    mean_forces = 0.5 * (frames.forces[1:] + frames.forces[:-1])
    work = -np.einsum("fax,fax->f", mean_forces, np.diff(frames.positions, axis=0))
    return np.diff(frames.energies), np.asarray(work)


def wrong_scale(found: Thermal, temperature_K: float, *, few_atoms: bool = False) -> list[Fault]:
    """Return a fault if energies or forces are not of the size that belongs to positions in Å at this temperature.

    Parameters
    ----------
    few_atoms
        Whether there are no more than `FEW_ATOMS`: two or three vibrations scatter more, and more is allowed.
    """
    if found.work_slope is None or found.potential_K is None:
        return []
    slope, heat = found.work_slope, found.potential_K / temperature_K
    most, hottest = (_SLOPE_OF_FEW, _SCALE_OF_FEW) if few_atoms else (_SLOPE, _SCALE)
    belong, warm = 1 / most <= slope <= most, 1 / hottest <= heat <= hottest
    if belong and warm:
        return []
    seen = (
        f"energies change by {slope:.3g} times the work of the forces, and their median above the minimum is that of "
        f"{found.potential_K:.3g} K, not {temperature_K:g} K"
    )
    if belong:
        unit = likely_unit(heat, ENERGY_UNITS, 0.5)
        guess = f"energies and forces are likely in {unit}, and must be in eV and eV/Å: " if unit else ""
        return [Fault("unit" if unit else "temperature", guess + seen, None, heat, hottest)]
    if slope == 0.0:
        return [Fault("energy", f"energies do not change while the forces do work: {seen}", None, slope, most)]
    if warm:
        unit = "eV/Å with the sign of the gradient" if slope < 0 else likely_unit(1.0 / slope, FORCE_UNITS, 0.3)
        what = f"forces are {_guess(unit)}, and must be minus the gradient in eV/Å"
    else:
        what = f"energies are {_guess(likely_unit(slope, ENERGY_UNITS, 0.3))}, and must be in eV"
    return [Fault("unit", f"{what}: {seen}", None, slope, most)]


def _guess(unit: str | None) -> str:
    return f"likely in {unit}" if unit else "in no unit that is known here"


def allowed_off_K(found: Thermal, temperature_K: float) -> float | None:
    """Return how far the temperature of the forces may be off, K."""
    if found.virial_error_K is None:
        return None
    return _STANDARD_ERRORS * found.virial_error_K + _SLACK * temperature_K


def wrong_temperature(found: Thermal, temperature_K: float) -> list[Fault]:
    """Return a fault if the forces belong to another temperature."""
    allowed = allowed_off_K(found, temperature_K)
    if found.virial_K is None or allowed is None:
        return []
    if abs(found.virial_K - temperature_K) <= allowed:
        return []
    words = f"the forces are those of {found.virial_K:.0f} K, want {temperature_K:g} K, allowed {allowed:.0f} K off"
    return [Fault("temperature", words, None, found.virial_K, temperature_K)]


def off_work(frames: Trajectory, bonds: Ints) -> Floats:
    """Return how far each change of the energy is off the work, (n_frames - 1,), eV, less what stretched bonds explain.

    Parameters
    ----------
    bonds
        Pairs of bonded atoms, (n_bonds, 2).
    """
    change, work = changes(frames)
    grown = np.diff(pair_distances(frames.positions, bonds), axis=0)
    return np.asarray(change - work - _ANHARMONIC * (grown**3).sum(axis=1))


def jump_limit(off: Floats, temperature_K: float) -> float:
    """Return how far off the work a change must be to be a jump, eV.

    The limit grows with the median of what is seen, which one bad frame in three would not move by much: no jump
    can hide behind itself.
    """
    centre = float(np.median(off)) if off.size else 0.0
    robust_sd = 1.4826 * float(np.median(np.abs(off - centre))) if off.size else 0.0
    return max(JUMP_ROBUST_SD * robust_sd, _JUMP_kT * kB * temperature_K)


def jumps(off: Floats, limit: float) -> list[Fault]:
    """Return a fault if the energy changes by what forces and bonds do not explain (`off_work`, `jump_limit`)."""
    far = np.flatnonzero(~(np.abs(off) <= limit))
    if not far.size:
        return []
    worst = int(np.nanargmax(np.abs(off)))
    words = (
        f"the energy jumps: {off[far[0]]:+.3g} eV more than the work of the forces, allowed {limit:.2g} eV"
        f"{and_more(far.size)}; the largest is {off[worst]:+.3g} eV at frame {worst + 1}"
    )
    return [Fault("jump", words, int(far[0]) + 1, float(off[far[0]]), limit)]
