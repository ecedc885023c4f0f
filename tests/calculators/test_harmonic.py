"""The harmonic toy gives the answers that are known by hand."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import molecule
from ase.calculators.calculator import CalculationFailed
from ase.md.verlet import VelocityVerlet

from gmd26_md import UserError, load_calculator
from gmd26_md.calculators.harmonic import dimer_period_fs


def test_a_harmonic_dimer_has_its_period():
    dimer = molecule("HCl")
    dimer.calc = load_calculator("harmonic", bonds=[[0, 1]], k_eV_per_A2=30.0, r0_A=1.3)
    dimer.set_distance(0, 1, 1.31, fix=0.5)
    expected = dimer_period_fs(*dimer.get_masses(), 30.0)  # 11.6 fs
    stretch, dynamics = [], VelocityVerlet(dimer, timestep=0.02 * units.fs)
    for _ in range(round(4.1 * expected / 0.02)):
        dynamics.run(1)
        stretch.append(dimer.get_distance(0, 1) - 1.3)
    signs = np.sign(stretch)
    crossings = np.flatnonzero(signs[1:] != signs[:-1])  # two a period
    period = 2 * 0.02 * (crossings[-1] - crossings[0]) / (len(crossings) - 1)
    assert len(crossings) == 8
    assert period == pytest.approx(expected, rel=2e-3)  # a crossing is known to a step: 0.02 of 40 fs


def test_springs_can_be_given_one_by_one_and_wrong_ones_are_refused():
    water = molecule("H2O")
    springs = load_calculator("harmonic", bonds=[[0, 1], [0, 2]], k_eV_per_A2=[10.0, 20.0], r0_A=[0.9, 1.0])
    length = water.get_distance(0, 1)
    wanted = 0.5 * (10 * (length - 0.9) ** 2 + 20 * (length - 1.0) ** 2)
    assert springs.get_property("energy", water) == pytest.approx(wanted, rel=1e-12)
    with pytest.raises(UserError, match="has 2 values for 1 bonds"):
        load_calculator("harmonic", bonds=[[0, 1]], r0_A=[1.0, 1.0]).get_property("energy", water)
    with pytest.raises(UserError, match="name atom 5"):
        load_calculator("harmonic", bonds=[[0, 5]]).get_property("energy", water)


def test_the_first_geometry_of_a_spring_molecule_is_its_minimum_also_in_a_copy(acid):
    calculator = load_calculator("harmonic")
    assert calculator.get_property("energy", acid) == 0
    acid.rattle(0.05, seed=3)
    stretched = calculator.get_property("energy", acid)
    assert stretched > 0.01
    assert pickle.loads(pickle.dumps(calculator)).get_property("energy", acid) == stretched


def test_two_atoms_on_one_place_are_a_failed_calculation():
    calculator = load_calculator("harmonic")
    calculator.get_property("energy", molecule("H2"))
    with pytest.raises(CalculationFailed, match="coincide"):
        calculator.get_property("forces", Atoms("H2", positions=np.zeros((2, 3))))
