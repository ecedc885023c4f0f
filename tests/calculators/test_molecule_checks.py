"""What a molecule says about itself is heard, and what no model can evaluate is refused."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms

from gmd26_md import UserError, load_calculator

SOURCES = ["deepset-moe", "gfn2-xtb", "harmonic"]  # one of each kind of engine


@pytest.fixture(params=SOURCES)
def source(request, checkpoint_path):
    return checkpoint_path(request.param) if request.param == "deepset-moe" else request.param


@pytest.fixture
def calculator(source):
    return load_calculator(source, device="cpu")


@pytest.mark.parametrize("value", ["one", [0, 1], 0.5, float("nan"), {}])
def test_a_charge_that_is_no_whole_number_is_refused(calculator, acid, value):
    acid.info["charge"] = value
    with pytest.raises(UserError, match="only one whole number is allowed"):
        calculator.get_property("energy", acid)


@pytest.mark.parametrize(
    "info", [{"charge": 0}, {"charge": np.array([0.0])}, {"spin": 1}, {"spin": 0}, {"multiplicity": 1}]
)
def test_a_stated_neutral_singlet_is_like_one_that_states_nothing(source, acid, info):
    silent = load_calculator(source, device="cpu").get_property("energy", acid)
    acid.info.update(info)
    assert load_calculator(source, device="cpu").get_property("energy", acid) == silent


def test_spin_and_multiplicity_that_contradict_each_other_are_refused(calculator, acid):
    acid.info.update(spin=1, multiplicity=3)
    with pytest.raises(UserError, match=r"both mean 2 S \+ 1"):
        calculator.get_property("energy", acid)


@pytest.mark.parametrize("key", ["multiplicity", "spin"])
def test_a_trained_model_refuses_a_triplet_and_gfn2_computes_it(checkpoint_path, acid, key):
    singlet = load_calculator("gfn2-xtb").get_property("energy", acid)
    acid.info[key] = 3
    assert load_calculator("gfn2-xtb").get_property("energy", acid) > singlet + 0.5
    with pytest.raises(UserError, match="states multiplicity 3"):
        load_calculator(checkpoint_path("deepset-moe"), device="cpu").get_property("energy", acid)


def test_initial_charges_are_a_charge_too(checkpoint_path, acid):
    stated = acid.copy()
    stated.info["charge"] = -1
    acid.set_initial_charges([-1.0] + [0.0] * (len(acid) - 1))
    one, other = load_calculator("gfn2-xtb"), load_calculator("gfn2-xtb")
    assert one.get_property("energy", acid) == other.get_property("energy", stated)
    with pytest.raises(UserError, match="charge -1"):
        load_calculator(checkpoint_path("deepset-moe"), device="cpu").get_property("energy", acid)


def test_no_atoms_are_refused(calculator):
    with pytest.raises(UserError, match="no atoms"):
        calculator.get_property("energy", Atoms())


@pytest.mark.parametrize("pbc", [True, [True, False, False]])
def test_a_periodic_cell_is_refused(calculator, acid, pbc):
    acid.set_cell([20, 20, 20])
    acid.pbc = pbc
    with pytest.raises(UserError, match="is periodic"):
        calculator.get_property("forces", acid)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_positions_that_are_not_finite_are_refused_and_the_old_answer_is_not_given(calculator, acid, value):
    acid.calc = calculator
    acid.get_forces()
    acid.positions[3, 1] = value
    for _ in range(2):
        with pytest.raises(UserError, match="atom 3 first"):
            acid.get_forces()


def test_a_refused_molecule_is_never_answered_with_another_ones_energy(calculator, acid):
    calculator.calculate(acid)
    stranger = acid.copy()
    stranger.pbc = True
    with pytest.raises(UserError):
        calculator.calculate(stranger)
    assert calculator.get_property("energy", stranger, allow_calculation=False) is None
    with pytest.raises(UserError):
        calculator.get_property("energy", stranger)


def test_an_error_names_the_molecule_if_it_has_a_name(calculator, acid):
    acid.info["name"] = "acetic acid"
    acid.pbc = True
    with pytest.raises(UserError, match="acetic acid is periodic"):
        calculator.get_property("energy", acid)
