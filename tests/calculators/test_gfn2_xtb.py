"""GFN2-xTB: tblite's own numbers, whatever the order of the questions, and lone atoms in their ground state."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.calculator import CalculationFailed

from gmd26_md import UserError, load_calculator
from gmd26_md.calculators import gfn2_xtb
from gmd26_md.calculators.gfn2_xtb import isolated_atom_energy


def test_gfn2_agrees_with_tblites_own_calculator(acid):
    from tblite.ase import TBLite

    acid.calc = TBLite(method="GFN2-xTB", verbosity=0, accuracy=0.01)
    calculator = load_calculator("gfn2-xtb")
    assert calculator.get_property("energy", acid) == pytest.approx(acid.get_potential_energy(), rel=1e-12)
    assert np.abs(calculator.get_property("forces", acid) - acid.get_forces()).max() < 1e-9


def test_a_warm_start_changes_the_last_digits_only(acid):
    cold, warm = load_calculator("gfn2-xtb"), load_calculator("gfn2-xtb", warm_start=True)
    for seed in range(5):
        acid.rattle(0.02, seed=seed)
        # the promise is 1e-6 eV; forces feel the density's error first
        assert warm.get_property("energy", acid) == pytest.approx(cold.get_property("energy", acid), rel=0, abs=1e-6)
        assert np.abs(warm.get_property("forces", acid) - cold.get_property("forces", acid)).max() < 1e-4


def test_without_a_warm_start_the_order_of_the_questions_does_not_show(acid, alcohol):
    first, second = load_calculator("gfn2-xtb"), load_calculator("gfn2-xtb")
    moved = acid.copy()
    moved.rattle(0.05, seed=2)
    forwards = [first.get_property("energy", m) for m in (acid, moved, alcohol)]
    backwards = [second.get_property("energy", m) for m in (alcohol, moved, acid)]
    assert forwards == backwards[::-1]


def test_the_charge_can_be_an_option_and_the_molecule_overrides_it(acid):
    cation = load_calculator("gfn2-xtb", charge=1).get_property("energy", acid)
    acid.info["charge"] = 1
    assert load_calculator("gfn2-xtb").get_property("energy", acid) == cation
    acid.info["charge"] = 0
    neutral = load_calculator("gfn2-xtb").get_property("energy", acid)
    assert load_calculator("gfn2-xtb", charge=1).get_property("energy", acid) == neutral


@pytest.mark.parametrize(("number", "multiplicity"), [(1, 2), (6, 3), (7, 4), (8, 3)])
def test_isolated_atoms_are_in_their_ground_state(number, multiplicity):
    atom = Atoms([number], positions=[[0, 0, 0]], info={"multiplicity": multiplicity})
    assert isolated_atom_energy(number) == load_calculator("gfn2-xtb").get_property("energy", atom)


def test_molecules_are_bound_and_isolated_atoms_of_unknown_elements_are_refused(acid):
    atoms = sum(isolated_atom_energy(int(z)) for z in acid.numbers)
    binding = load_calculator("gfn2-xtb").get_property("energy", acid) - atoms
    # experiment: 33 eV; GFN2-xTB overbinds, as its atoms are not spin-polarised
    assert -55 < binding < -25
    with pytest.raises(UserError, match="1 to 86"):
        isolated_atom_energy(92)


def test_two_atoms_on_one_place_are_a_failed_calculation_and_the_next_one_works():
    calculator = load_calculator("gfn2-xtb")
    energy = calculator.get_property("energy", molecule("H2"))
    with pytest.raises(CalculationFailed, match="Too close"):
        calculator.get_property("forces", Atoms("H2", positions=np.zeros((2, 3))))
    assert calculator.get_property("energy", molecule("H2")) == energy


def test_a_self_consistent_field_that_does_not_converge_is_an_ase_failure_and_mends(acid):
    calculator = load_calculator("gfn2-xtb", max_iterations=2)
    for _ in range(2):
        with pytest.raises(CalculationFailed, match="not converged"):
            calculator.get_property("energy", acid)
    calculator.set(max_iterations=250)
    assert calculator.get_property("energy", acid) == load_calculator("gfn2-xtb").get_property("energy", acid)


def test_the_answer_does_not_depend_on_how_many_threads_the_machine_offers():
    import torch

    atoms = molecule("CH3CH2OH")
    atoms.rattle(0.05, seed=1)
    before, answers = torch.get_num_threads(), []
    for n_threads in (1, 2):
        torch.set_num_threads(n_threads)
        try:
            answers.append(gfn2_xtb.engine(gfn2_xtb.OPTIONS)(atoms.numbers, atoms.positions, 0, None))
            assert torch.get_num_threads() == n_threads  # the setting of the caller is as it was
        finally:
            torch.set_num_threads(before)
    assert answers[0][0] == answers[1][0]
    assert np.array_equal(answers[0][1], answers[1][1])
