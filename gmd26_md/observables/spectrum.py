"""The vibrational density of states of a molecule, from its velocities, and the distance between two of them.

The Fourier transform of the mass-weighted velocity autocorrelation function is the power spectrum of the velocities
(Wiener and Khinchin), which is what is computed: averaged over windows that overlap by half (Welch 1967), each tapered
by Hann's, so that it is never negative. Two spectra are compared as distributions over frequency: a peak that is off by
100 1/cm is at a distance of its share times 100 1/cm, where the overlap of two spectra would be gone after one
peak width and say no more.
"""

from __future__ import annotations

import numpy as np
from scipy.signal import welch

from gmd26_md.observables.bonds import Floats, Ints

PER_CM_OF_PER_FS = 1e15 / 2.99792458e10
"""1/cm of a frequency of 1/fs: one over the speed of light."""


def vibrational_velocities(positions: Floats, velocities: Floats, masses: Floats) -> Floats:
    """Return velocities without the molecule's overall translation and rotation, frame by frame.

    Parameters
    ----------
    positions, velocities
        (n_frames, n_atoms, 3).
    masses
        (n_atoms,).
    """
    weights = masses / masses.sum()
    moving = velocities - np.einsum("a,fax->fx", weights, velocities)[:, None]
    arms = positions - np.einsum("a,fax->fx", weights, positions)[:, None]
    momentum = np.einsum("a,fax->fx", masses, np.cross(arms, moving))
    square = np.einsum("a,fax,fax->f", masses, arms, arms)
    inertia = square[:, None, None] * np.eye(3) - np.einsum("a,fax,fay->fxy", masses, arms, arms)
    if not np.isfinite(inertia).all() or not np.isfinite(momentum).all():
        return np.full_like(velocities, np.nan)  # the inverse below does not take them
    turn = np.einsum("fxy,fy->fx", np.linalg.pinv(inertia, rcond=1e-10, hermitian=True), momentum)
    return np.asarray(moving - np.cross(turn[:, None], arms))


def bond_rates(positions: Floats, velocities: Floats, bonds: Ints) -> Floats:
    """Return how fast bonds, (n_bonds, 2), grow longer, (n_frames, n_bonds), in the unit of the velocities."""
    along = positions[:, bonds[:, 1]] - positions[:, bonds[:, 0]]
    relative = velocities[:, bonds[:, 1]] - velocities[:, bonds[:, 0]]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((along * relative).sum(-1) / np.linalg.norm(along, axis=-1))


def power_spectrum(rates: Floats, interval_fs: float, window_fs: float) -> tuple[Floats, Floats]:
    """Return frequencies, (n_frequencies,), 1/cm, and the power of each series there, (n_frequencies, ...).

    Parameters
    ----------
    rates
        Velocities, or rates of coordinates, (n_frames, ...), evenly spaced in time. Where they are not finite the
        power is NaN.
    interval_fs
        Between frames. Vibrations above 1 / (2 c interval) are folded back: 4 fs see up to 4170 1/cm.
    window_fs
        Length of a window; no peak is narrower than 1.4 / (c window), 48 1/cm for 1000 fs.

    Raises
    ------
    ValueError
        If the run is shorter than a window.
    """
    n_window = round(window_fs / interval_fs)
    if not 2 <= n_window <= len(rates):
        raise ValueError(f"a window of {n_window} frames in a run of {len(rates)}")
    per_fs, power = welch(rates, fs=1.0 / interval_fs, window="hann", nperseg=n_window, detrend=False, axis=0)
    return np.asarray(per_fs * PER_CM_OF_PER_FS), np.asarray(power)


def density_of_states(
    positions: Floats, velocities: Floats, masses: Floats, interval_fs: float, window_fs: float
) -> tuple[Floats, Floats]:
    """Return frequencies, (n_frequencies,), 1/cm, and each atom's vibrational density of states there.

    (n_frequencies, n_atoms), mass-weighted: in equilibrium every mode has the same share of the sum over atoms.
    Parameters as above, with masses (n_atoms,), amu.
    """
    inner = vibrational_velocities(positions, velocities, masses)
    frequencies, power = power_spectrum(inner, interval_fs, window_fs)  # (n_frequencies, n_atoms, 3)
    return frequencies, np.asarray(power.sum(-1) * masses)


def spectral_distance_per_cm(frequencies_per_cm: Floats, first: Floats, second: Floats) -> float:
    """Return the Wasserstein distance between two spectra, 1/cm, each taken as a distribution over frequency.

    Parameters
    ----------
    frequencies_per_cm
        Evenly spaced, (n_frequencies,).
    first, second
        Densities, (n_frequencies,), of any norm. NaN where one is not finite, or is zero throughout.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        difference = np.cumsum(first / first.sum() - second / second.sum())
    return float(np.abs(difference[:-1]) @ np.diff(frequencies_per_cm))
