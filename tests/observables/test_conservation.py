"""What exact dynamics keeps, on motions whose answer is known by hand."""

import numpy as np
import pytest
from ase import units
from ase.build import molecule
from ase.data import atomic_masses
from scipy.spatial.transform import Rotation

from gmd26_md.observables.conservation import (
    _degrees_of_freedom,
    angular_momentum_change,
    distance_rms,
    equipartition,
    momentum_change,
    order_in_time_step,
)
from gmd26_md.observables.drift import angular_momentum

WATER = molecule("H2O")
CHIRAL = np.array([6, 1, 9, 17, 35])
CHIRAL_AT = np.array([[0.0, 0, 0], [0.6, 0.6, 0.6], [0.8, -0.8, -0.8], [-1.0, 1.0, -1.0], [-1.1, -1.1, 1.1]])


def test_the_order_is_that_of_a_power_law():
    errors = {step: 0.3 * step**2 for step in (0.25, 0.5, 1.0)}
    assert order_in_time_step(errors[1.0], errors[0.5]) == pytest.approx(2.0)
    assert order_in_time_step(0.7, 0.7) == 0.0
    assert order_in_time_step(1.0, 0.5) == 1.0


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf])
def test_an_order_of_what_is_no_error_is_no_number(bad):
    assert np.isnan(order_in_time_step(bad, 1.0))
    assert np.isnan(order_in_time_step(1.0, bad))


def turning(sense, *, mirror=1.0, n_frames=5, rate=0.01):
    """Return positions and velocities of a rigid molecule that turns about z, and maybe its mirror image."""
    start = CHIRAL_AT * np.array([mirror, 1.0, 1.0])
    angles = sense * rate * np.arange(n_frames)
    positions = np.array([Rotation.from_rotvec([0, 0, a]).apply(start) for a in angles])
    return positions, np.cross([0.0, 0.0, sense * rate], positions)


def test_a_right_handed_molecule_that_turns_left_has_the_opposite_angular_momentum():
    right = angular_momentum(CHIRAL, *turning(+1.0))
    left = angular_momentum(CHIRAL, *turning(-1.0))
    assert right[0] == pytest.approx(-left[0])  # at the same place
    assert right[0, 2] > 0.0
    # the mirror image that turns left is the mirror image of the motion: L is an axial vector, so its z changes sign
    mirrored = angular_momentum(CHIRAL, *turning(-1.0, mirror=-1.0))
    assert mirrored[0] == pytest.approx(right[0] * [1.0, -1.0, -1.0])


def test_a_molecule_that_begins_to_turn_the_other_way_is_seen_and_one_that_keeps_turning_is_not():
    flat = np.where(np.arange(3) == 2, 0.0, CHIRAL_AT)  # a body in a plane turns about z without an axle
    keeps = np.array([Rotation.from_rotvec([0, 0, 0.1 * i]).apply(flat) for i in range(5)])
    around = np.cross([0.0, 0.0, 0.1], keeps)
    assert angular_momentum_change(CHIRAL, keeps, around) < 1e-14  # rounding
    around[3:] *= -1.0
    assert angular_momentum_change(CHIRAL, keeps, around) > 1.0  # twice what it had, over what the atoms carry


def test_a_push_shows_as_momentum_and_in_proportion():
    rng = np.random.default_rng(0)
    velocities = np.repeat(rng.normal(size=(1, 3, 3)), 10, axis=0)
    assert momentum_change(WATER.numbers, velocities) == 0.0
    masses = atomic_masses[WATER.numbers]
    scale = np.sqrt((masses[:, None] ** 2 * velocities[0] ** 2).sum())
    pushed = velocities.copy()
    pushed[5:] += np.array([1e-3, 0, 0]) * scale / masses.sum()
    assert momentum_change(WATER.numbers, pushed) == pytest.approx(1e-3, rel=1e-2)


@pytest.mark.parametrize("frame", [0, 4, 9])
def test_one_velocity_or_position_that_is_no_number_makes_the_momenta_none(frame):
    rng = np.random.default_rng(0)
    positions, velocities = rng.normal(size=(2, 10, 3, 3))
    broken = velocities.copy()
    broken[frame, 1, 2] = np.nan
    assert np.isnan(momentum_change(WATER.numbers, broken))
    assert np.isnan(angular_momentum_change(WATER.numbers, positions, broken))
    gone = positions.copy()
    gone[frame, 1, 2] = np.inf
    with np.errstate(invalid="ignore"):
        assert np.isnan(angular_momentum_change(WATER.numbers, gone, velocities))
        assert np.isnan(equipartition(WATER.numbers, gone, velocities).chance)
    assert np.isnan(equipartition(WATER.numbers, positions, broken).chance)
    assert np.isnan(momentum_change(WATER.numbers, np.zeros((10, 3, 3))))  # nothing moves: nothing is known


@pytest.mark.parametrize(("name", "expected"), [("H2O", 3), ("CH4", 9), ("CO2", 4), ("H2", 1)])
def test_the_atoms_share_all_internal_degrees_of_freedom(name, expected):
    atoms = molecule(name)
    arms = (atoms.positions - atoms.get_center_of_mass())[None]
    share = _degrees_of_freedom(atomic_masses[atoms.numbers], arms)
    assert share.sum() == pytest.approx(expected, abs=1e-9)
    assert (share > 0).all()


def test_a_canonical_ensemble_is_in_equipartition():
    # velocities of a rigid water, drawn anew for each frame, without overall motion
    from gmd26_md.dynamics.motion import without_overall_motion

    rng = np.random.default_rng(1)
    masses = atomic_masses[WATER.numbers]
    drawn = rng.normal(size=(4000, 3, 3)) * np.sqrt(300.0 * units.kB / masses)[None, :, None]
    velocities = np.array([without_overall_motion(WATER.positions, v, masses) for v in drawn])
    found = equipartition(WATER.numbers, np.repeat(WATER.positions[None], 4000, axis=0), velocities)
    # 300 K sqrt(2 / (4000 dof)): 4 K for the whole, 8 K for the oxygen's 0.5 degrees of freedom; four of them
    assert found.mean_K == pytest.approx(300.0, abs=20.0)
    assert found.temperature_K["H"] == pytest.approx(300.0, abs=20.0)
    assert found.temperature_K["O"] == pytest.approx(300.0, abs=60.0)
    assert found.chance > 0.5


def test_the_chance_of_a_share_is_what_frozen_modes_have():
    """Draws energies of independent modes, exponential each, and looks how often a chance below p comes up."""
    rng = np.random.default_rng(2)
    atoms = molecule("CH3OH")
    positions = np.repeat(atoms.positions[None], 2, axis=0)
    dof = _degrees_of_freedom(atomic_masses[atoms.numbers], (positions - atoms.get_center_of_mass()))
    chances = []
    for _ in range(400):
        energy = rng.gamma(dof)  # of each atom, as if modes were atoms
        speed = np.sqrt(energy / atomic_masses[atoms.numbers])
        velocities = np.zeros((2, len(atoms), 3))
        velocities[:, :, 0] = speed
        chances.append(equipartition(atoms.numbers, positions, velocities).chance)
    # Bonferroni over three elements makes it a little safe: at most p, and not vanishing
    below = np.mean(np.array(chances) < 0.2)
    assert 0.05 < below < 0.25


def test_a_hot_element_is_named_and_is_no_chance():
    rng = np.random.default_rng(3)
    atoms = molecule("C3H8")
    masses = atomic_masses[atoms.numbers]
    velocities = rng.normal(size=(200, len(atoms), 3)) * np.sqrt(300.0 * units.kB / masses)[None, :, None]
    velocities[:, atoms.numbers == 6] *= 3.0
    found = equipartition(atoms.numbers, np.repeat(atoms.positions[None], 200, axis=0), velocities)
    assert found.temperature_K["C"] > 4.0 * found.temperature_K["H"]
    assert found.chance < 1e-3
    assert found.deviation > 1.0


def test_a_molecule_of_one_element_shares_with_nobody():
    atoms = molecule("H2")
    velocities = np.repeat(np.array([[[0, 0, 0.1], [0, 0, -0.1]]]), 3, axis=0)
    found = equipartition(atoms.numbers, np.repeat(atoms.positions[None], 3, axis=0), velocities)
    assert (found.deviation, found.chance) == (0.0, 1.0)


def test_the_way_back_is_measured_as_it_stands():
    assert distance_rms(CHIRAL_AT, CHIRAL_AT) == 0.0
    assert distance_rms(CHIRAL_AT, CHIRAL_AT + np.array([0.0, 0.3, 0.4])) == pytest.approx(
        0.5
    )  # a shift is not forgiven
