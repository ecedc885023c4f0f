"""Normal modes of springs: the frequencies are known on paper."""

import numpy as np
import pytest
from ase import units
from ase.build import molecule
from ase.data import atomic_masses
from scipy.spatial.transform import Rotation

from gmd26_md.calculators.harmonic import HarmonicEngine, dimer_period_fs
from gmd26_md.observables.modes import (
    Modes,
    displaced,
    hessian,
    matched,
    n_imaginary,
    normal_modes,
    rigid_motions,
)

STEP = 0.005
# springs in space stiffen sideways as (step / length)^2: 2e-5 of a force constant
SAME = 1e-4


def modes_of(numbers, positions, **springs):
    engine = HarmonicEngine({"bonds": None, "k_eV_per_A2": 30.0, "r0_A": None} | springs)
    numbers = np.asarray(numbers)
    engine(numbers, positions, 0, None)  # the first geometry is the one at rest
    forces = np.stack([engine(numbers, x, 0, None)[1] for x in displaced(positions, STEP)])
    return normal_modes(numbers, positions, hessian(forces, STEP))


def wavenumber(omega_squared):
    """Return 1/cm for a squared angular frequency in eV/Å²/u."""
    per_second = np.sqrt(omega_squared * units._e * 1e20 / units._amu) / (2 * np.pi)
    return per_second / (100 * units._c)


def test_a_dimer_vibrates_as_often_as_its_period_says():
    found = modes_of([8, 1], np.array([[0, 0, 0], [0.3, -0.5, 0.77]]))
    mass_o, mass_h = atomic_masses[[8, 1]]
    period_cm = dimer_period_fs(mass_o, mass_h, 30.0) * 1e-15 * 100 * units._c
    assert found.frequencies_per_cm == pytest.approx([1 / period_cm], rel=SAME)


def test_water_on_three_springs_has_the_frequencies_of_wilsons_gf_matrix():
    atoms = molecule("H2O")
    bonds = [[0, 1], [0, 2], [1, 2]]
    k = np.array([30.0, 20.0, 5.0])
    found = modes_of(atoms.numbers, atoms.positions, bonds=bonds, k_eV_per_A2=k.tolist())
    b = np.zeros((3, 3, 3))  # change of each length with each atom's move
    for row, (i, j) in enumerate(bonds):
        along = atoms.positions[j] - atoms.positions[i]
        b[row, j], b[row, i] = along / np.linalg.norm(along), -along / np.linalg.norm(along)
    g = np.einsum("rax,sax,a->rs", b, b, 1 / atomic_masses[atoms.numbers])
    expected = np.sort(wavenumber(np.linalg.eigvals(g @ np.diag(k)).real))
    assert found.frequencies_per_cm == pytest.approx(expected, rel=SAME)


def test_a_linear_molecule_has_one_mode_more_than_a_bent_one():
    straight = np.array([[0, 0, -1.16], [0, 0, 0], [0, 0, 1.16]])
    found = modes_of([8, 6, 8], straight, bonds=[[0, 1], [1, 2]])
    mass_o, mass_c = atomic_masses[[8, 6]]
    assert len(found.frequencies_per_cm) == 4
    stretches = [wavenumber(30.0 / mass_o), wavenumber(30.0 * (1 / mass_o + 2 / mass_c))]
    assert found.frequencies_per_cm[2:] == pytest.approx(stretches, rel=SAME)
    # nothing holds the bend: what is seen is the differences' error
    assert np.abs(found.frequencies_per_cm[:2]).max() < 10.0
    assert len(modes_of([8, 1, 1], molecule("H2O").positions).frequencies_per_cm) == 3
    assert len(modes_of([8], np.zeros((1, 3)), bonds=[]).frequencies_per_cm) == 0


def test_a_hill_is_an_imaginary_frequency_and_noise_is_none():
    line = np.array([[0, 0, 0], [0, 0, 0.97]])
    k = np.zeros((6, 6))
    k[2, 2] = k[5, 5] = -1.0
    k[2, 5] = k[5, 2] = 1.0
    found = normal_modes(np.array([1, 1]), line, k)
    assert found.frequencies_per_cm == pytest.approx([-wavenumber(2.0 / atomic_masses[1])], rel=1e-9)
    assert n_imaginary(found, 20.0) == 1
    assert n_imaginary(Modes(np.array([-19.0, 5.0]), np.eye(2)), 20.0) == 0
    assert n_imaginary(Modes(np.array([np.nan, 5.0]), np.eye(2)), 20.0) == 1


def test_a_push_on_the_whole_molecule_is_no_mode():
    atoms = molecule("CH3CH2OH")
    rigid = rigid_motions(atoms.numbers, atoms.positions)
    assert rigid.shape == (27, 6)
    root = np.sqrt(np.repeat(atomic_masses[atoms.numbers], 3))
    # a Hessian that resists nothing but translations and rotations
    only_rigid = 50.0 * (rigid @ rigid.T) * np.outer(root, root)
    found = normal_modes(atoms.numbers, atoms.positions, only_rigid)
    assert len(found.frequencies_per_cm) == 21
    assert np.abs(found.frequencies_per_cm).max() < 1e-2


def test_frequencies_do_not_turn_with_the_molecule():
    atoms = molecule("CH3OH")
    turn = Rotation.random(random_state=3)
    turned = turn.apply(atoms.positions) + np.array([5.0, -3.0, 40.0])
    here, there = (modes_of(atoms.numbers, x).frequencies_per_cm for x in (atoms.positions, turned))
    held = here > 100.0  # soft ones are the differences' error, which depends on the axes
    assert held.sum() >= 5
    assert there[held] == pytest.approx(here[held], rel=SAME)


def test_modes_are_paired_by_what_moves_and_not_by_their_order():
    first = modes_of([8, 1, 1], molecule("H2O").positions, bonds=[[0, 1], [0, 2], [1, 2]], k_eV_per_A2=[30, 20, 5])
    shuffled = Modes(first.frequencies_per_cm[[2, 0, 1]], -first.vectors[[2, 0, 1]])
    partner, cosine = matched(first, shuffled)
    assert partner.tolist() == [1, 2, 0]
    assert cosine == pytest.approx(1.0)


def test_a_hessian_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="not finite"):
        normal_modes(np.array([1, 1]), np.array([[0, 0, 0], [0, 0, 1.0]]), np.full((6, 6), np.nan))
