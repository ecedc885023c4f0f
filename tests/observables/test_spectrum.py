"""Vibrational spectra whose peaks are known, and distances between them that are what a peak has moved."""

import numpy as np
import pytest
from ase import Atoms
from ase.data import atomic_masses

from gmd26_md.calculators import load_calculator
from gmd26_md.calculators.harmonic import dimer_period_fs
from gmd26_md.dynamics.engine import Segment, System, integrate
from gmd26_md.dynamics.forces import AseForces
from gmd26_md.observables.spectrum import (
    PER_CM_OF_PER_FS,
    bond_rates,
    density_of_states,
    power_spectrum,
    spectral_distance_per_cm,
    vibrational_velocities,
)

AT = np.arange(0.0, 4000.0, 5.0)


def peak(centre, width=20.0):
    return np.exp(-0.5 * ((AT - centre) / width) ** 2)


@pytest.fixture(scope="module")
def dimer():
    """Return 1.1 ps of carbon monoxide on a spring at constant energy, and the frequency of the spring in 1/cm."""
    atoms = Atoms("CO", positions=[[0, 0, 0], [1.13, 0, 0]])
    provider = AseForces(lambda: load_calculator("harmonic", bonds=[[0, 1]], k_eV_per_A2=80.0, r0_A=1.13))
    system = System("co", atoms.numbers, atoms.positions, 1, 300.0)
    run = integrate(provider, [system], [Segment("nve", 2200, 0.5, 4)])[0]
    masses = atomic_masses[atoms.numbers]
    return run.frames["nve"], masses, PER_CM_OF_PER_FS / dimer_period_fs(*masses, 80.0)


def test_a_dimer_on_a_spring_vibrates_at_its_frequency(dimer):
    frames, masses, frequency = dimer
    at, density = density_of_states(frames.positions, frames.velocities, masses, 2.0, 1000.0)
    for atom in range(2):
        # frequencies come 33 1/cm apart
        assert at[np.argmax(density[:, atom])] == pytest.approx(frequency, abs=17)
    # centre of mass at rest: m v is the same, so m v^2 goes as 1/m
    assert density[:, 0].sum() / density[:, 1].sum() == pytest.approx(masses[1] / masses[0], rel=1e-6)


def test_the_length_of_its_bond_vibrates_at_the_same(dimer):
    frames, _, frequency = dimer
    rates = bond_rates(frames.positions, frames.velocities, np.array([[0, 1]]))
    assert rates.shape == (frames.n_frames, 1)
    at, power = power_spectrum(rates, 2.0, 1000.0)
    mean = (at * power[:, 0]).sum() / power.sum()
    assert mean == pytest.approx(frequency, abs=3)  # a mean is finer than the spacing


def test_a_peak_that_moves_by_100_is_100_away_however_narrow():
    for width in (10.0, 100.0):
        assert spectral_distance_per_cm(AT, peak(1500, width), peak(1600, width)) == pytest.approx(100, abs=0.1)
    assert spectral_distance_per_cm(AT, peak(1500), peak(2500)) == pytest.approx(1000, abs=0.1)


def test_one_of_two_peaks_counts_by_its_share_and_no_norm_counts():
    both, moved = peak(1000) + peak(3000), peak(1000) + peak(3100)
    assert spectral_distance_per_cm(AT, both, moved) == pytest.approx(50, abs=0.1)
    assert spectral_distance_per_cm(AT, both, 7 * both) == pytest.approx(0, abs=1e-9)


def test_a_spectrum_that_is_none_is_at_no_distance():
    assert np.isnan(spectral_distance_per_cm(AT, peak(1000), np.zeros(len(AT))))
    broken = peak(1000)
    broken[3] = np.nan
    assert np.isnan(spectral_distance_per_cm(AT, broken, peak(1000)))


def test_one_velocity_that_is_no_number_is_in_the_answer(dimer):
    frames, masses, _ = dimer
    velocities = frames.velocities.copy()
    velocities[100, 1, 2] = np.nan
    at, density = density_of_states(frames.positions, velocities, masses, 2.0, 1000.0)
    assert np.isnan(spectral_distance_per_cm(at, density.sum(1), density.sum(1)))


@pytest.mark.parametrize("n_atoms", [1, 2, 5])
def test_flying_and_tumbling_are_no_vibration(n_atoms):
    random = np.random.default_rng(n_atoms)
    positions, masses = random.normal(size=(4, n_atoms, 3)), random.uniform(1, 16, n_atoms)
    turn, drift = random.normal(size=(4, 1, 3)), random.normal(size=(4, 1, 3))
    rigid = np.cross(np.broadcast_to(turn, positions.shape), positions) + drift
    assert vibrational_velocities(positions, rigid, masses) == pytest.approx(0, abs=1e-9)
    if n_atoms > 2:
        shaken = random.normal(size=positions.shape)
        left = vibrational_velocities(positions, rigid + shaken, masses)
        assert left == pytest.approx(vibrational_velocities(positions, shaken, masses), abs=1e-9)
        assert np.abs(left).max() > 0.1


def test_a_run_shorter_than_a_window_is_refused():
    with pytest.raises(ValueError, match="a window of 500 frames in a run of 100"):
        power_spectrum(np.zeros((100, 1)), 2.0, 1000.0)
