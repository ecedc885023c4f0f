import numpy as np
import pytest
from ase import units
from ase.build import molecule

from gmd26_md.observables.drift import angular_momentum, conservation, fitted_line, momentum, true_energy

TIME_FS = 0.5 * np.arange(20001)  # 10 ps
N_ATOMS = 17


def test_a_ramp_of_one_mev_per_atom_per_ps_drifts_by_one():
    potential = -3000.0 + 1e-3 * N_ATOMS * TIME_FS / 1000.0
    metrics = conservation(potential, np.zeros_like(TIME_FS), TIME_FS, N_ATOMS)
    # Double precision of a total of 3000 eV leaves 1e-9.
    assert metrics["energy_drift_meV_per_atom_per_ps"] == pytest.approx(1.0, abs=1e-7)
    assert metrics["energy_rms_meV_per_atom"] == pytest.approx(0.0, abs=1e-7)
    assert metrics["energy_change_max_meV_per_atom"] == pytest.approx(10.0, abs=1e-7)


def test_the_slope_is_per_picosecond_and_not_per_ase_time_unit():
    potential = 1e-3 * N_ATOMS * TIME_FS / 1000.0
    slope = conservation(potential, np.zeros_like(TIME_FS), TIME_FS, N_ATOMS)["energy_drift_meV_per_atom_per_ps"]
    in_ase_units = fitted_line(potential * 1000.0 / N_ATOMS, TIME_FS * units.fs).slope
    assert in_ase_units * 1000.0 * units.fs == pytest.approx(slope)
    assert in_ase_units / (slope / 1000.0) == pytest.approx(10.18, abs=0.01)  # the published trap


def test_a_downward_ramp_has_a_negative_slope():
    metrics = conservation(-TIME_FS * 1e-6, np.zeros_like(TIME_FS), TIME_FS, 1)
    assert metrics["energy_drift_meV_per_atom_per_ps"] == pytest.approx(-1.0)


def test_heat_flowing_between_kinetic_and_potential_energy_is_no_drift():
    swing = 0.3 * np.sin(0.05 * TIME_FS) + 2e-5 * TIME_FS
    metrics = conservation(-100.0 - swing, 1.0 + swing, TIME_FS, N_ATOMS)
    assert metrics["energy_drift_meV_per_atom_per_ps"] == pytest.approx(0.0, abs=1e-8)
    assert metrics["energy_change_max_meV_per_atom"] == pytest.approx(0.0, abs=1e-8)


def test_the_rms_is_taken_about_the_line():
    noise = np.where(np.arange(len(TIME_FS)) % 2, 1e-3, -1e-3) * N_ATOMS
    metrics = conservation(noise + 2e-6 * N_ATOMS * TIME_FS, np.zeros_like(TIME_FS), TIME_FS, N_ATOMS)
    # A zigzag has a slope of its own of order 1 / n_frames.
    assert metrics["energy_rms_meV_per_atom"] == pytest.approx(1.0, abs=1e-6)
    assert metrics["energy_drift_meV_per_atom_per_ps"] == pytest.approx(2.0, abs=1e-3)


def test_the_relative_drift_is_the_whole_change_over_the_swing_of_the_kinetic_energy():
    kinetic = np.where(np.arange(len(TIME_FS)) % 2, 1.0, 1.4)  # standard deviation 0.2 eV
    potential = -kinetic + 0.1 * TIME_FS / TIME_FS[-1]  # drifts by 0.1 eV in all
    metrics = conservation(potential, kinetic, TIME_FS, N_ATOMS)
    assert metrics["energy_drift_relative_ratio"] == pytest.approx(0.5, rel=1e-6)


@pytest.mark.parametrize(("share", "ratio"), [(1.0, 0.0), (0.0, 1.0), (1 / 27.2, 1 - 1 / 27.2), (23.06, 22.06)])
def test_an_energy_that_does_not_go_down_as_the_kinetic_energy_goes_up_is_told(share, ratio):
    kinetic = np.random.default_rng(0).normal(1.0, 0.1, len(TIME_FS))
    found = conservation(-share * kinetic, kinetic, TIME_FS, N_ATOMS)["energy_rms_relative_ratio"]
    assert found == pytest.approx(ratio, rel=1e-2, abs=1e-9)


def test_where_nothing_moves_the_rms_is_held_against_a_tenth_of_a_meV_an_atom():
    noise = np.where(np.arange(len(TIME_FS)) % 2, 1e-5, -1e-5) * N_ATOMS  # 0.01 meV/atom
    still = np.zeros_like(TIME_FS)
    assert conservation(still, still, TIME_FS, N_ATOMS)["energy_rms_relative_ratio"] == 0.0
    assert conservation(noise, still, TIME_FS, N_ATOMS)["energy_rms_relative_ratio"] == pytest.approx(0.1, rel=1e-3)


@pytest.mark.parametrize("which", ["potential", "kinetic"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_one_bad_frame_makes_every_number_nan_and_never_none_or_zero(which, value):
    energies = {"potential": np.zeros(100), "kinetic": np.ones(100)}
    energies[which][57] = value
    metrics = conservation(energies["potential"], energies["kinetic"], TIME_FS[:100], N_ATOMS)
    assert len(metrics) == 5
    assert all(np.isnan(number) for number in metrics.values())


@pytest.mark.parametrize("time_fs", [[0.0], [1.0, 1.0]])
def test_no_time_no_slope(time_fs):
    assert np.isnan(fitted_line(np.zeros(len(time_fs)), np.array(time_fs)).slope)


def test_the_line_is_numpys_own():
    random = np.random.default_rng(3)
    times, values = np.sort(random.uniform(0, 5, 50)), random.normal(size=50)
    line = fitted_line(values, times)
    slope, intercept = np.polyfit(times, values, 1)
    assert line.slope == pytest.approx(slope, rel=1e-10)
    assert line.rms == pytest.approx(np.sqrt(np.mean((values - slope * times - intercept) ** 2)), rel=1e-10)


def test_true_energy_sees_what_the_models_own_energy_hides():
    kinetic = 1.0 + 0.2 * np.sin(0.01 * TIME_FS)
    model = -10.0 - kinetic  # conserved to the last bit
    reference = model + 5e-6 * N_ATOMS * TIME_FS + 1234.5
    own = conservation(model, kinetic, TIME_FS, N_ATOMS)
    true = true_energy(reference, kinetic, TIME_FS, N_ATOMS)
    assert own["energy_drift_meV_per_atom_per_ps"] == pytest.approx(0.0, abs=1e-8)
    assert true["true_energy_slope_meV_per_atom_per_ps"] == pytest.approx(5.0, abs=1e-7)
    assert true["true_energy_change_max_meV_per_atom"] == pytest.approx(50.0, abs=1e-6)
    assert true["true_energy_rms_meV_per_atom"] == pytest.approx(50.0 / np.sqrt(3.0), rel=1e-3)


def test_a_label_that_failed_makes_the_true_energy_nan():
    reference = np.zeros(10)
    reference[4] = np.nan
    assert all(np.isnan(number) for number in true_energy(reference, np.ones(10), TIME_FS[:10], 3).values())


def test_momenta_are_those_of_ase():
    random = np.random.default_rng(0)
    atoms = molecule("CH3CH2OH")
    positions = atoms.positions + random.normal(size=(3, 9, 3))
    velocities = random.normal(size=(3, 9, 3))
    for frame in range(3):
        atoms.set_positions(positions[frame])
        atoms.set_velocities(velocities[frame])
        np.testing.assert_allclose(momentum(atoms.numbers, velocities)[frame], atoms.get_momenta().sum(axis=0))
        turning = angular_momentum(atoms.numbers, positions, velocities)[frame]
        np.testing.assert_allclose(turning, atoms.get_angular_momentum())
