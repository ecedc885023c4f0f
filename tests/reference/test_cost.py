"""What a reference will cost: nothing for a cheap one, words for one that takes longer than a minute."""

import time
from importlib.util import find_spec

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from gmd26_md.calculators import load_calculator
from gmd26_md.calculators.pbe_d3bj import relative_cost
from gmd26_md.reference import cost
from gmd26_md.reference.cost import STEPS_TO_A_MINIMUM, Estimate, estimate, foretold

needs_pyscf = pytest.mark.skipif(find_spec("pyscf") is None, reason="pyscf (the extra dft) is not installed")


@pytest.mark.parametrize("reference", ["gfn2-xtb", "harmonic", "./a-checkpoint.pt", "no-such-level"])
def test_a_cheap_reference_costs_nothing_however_much_is_asked(reference):
    assert estimate(reference, [molecule("CH3COOH")] * 1000, 10**6, n_minima=1) == Estimate(0.0, "")


def test_nothing_asked_costs_nothing_and_needs_no_package():
    assert estimate("pbe-d3bj/def2-svp", [molecule("H2O")]) == Estimate(0.0, "")
    assert estimate("pbe-d3bj/def2-svp", [], 5, n_minima=1) == Estimate(0.0, "")


def test_work_is_shared_among_cores_but_for_the_longest_relaxation():
    assert foretold([2.0, 3.0], [10, 10], [0, 0], n_cores=1) == pytest.approx(50.0)
    assert foretold([2.0, 3.0], [100, 100], [0, 0], n_cores=4) == pytest.approx(500.0 / 4)
    one = 2.0 * STEPS_TO_A_MINIMUM
    assert foretold([2.0], [0], [1], n_cores=64) == pytest.approx(one)  # one thread
    assert foretold([2.0, 2.0], [0, 0], [2, 2], n_cores=2) == pytest.approx(4 * one / 2)
    assert 10.0 > foretold([1.0], [10], [0], n_cores=2) > 5.0  # threads on one molecule are worth less than processes


def test_the_cost_grows_with_atoms_and_basis_functions():
    water, acid = molecule("H2O"), molecule("CH3COOH")
    # PySCF counts 24 and 76 functions in def2-SVP, 43 and 148 in def2-TZVP
    for basis, n_water, n_acid in (("def2-svp", 24, 76), ("def2-tzvp", 43, 148)):
        ratio = relative_cost(acid.numbers, f"pbe-d3bj/{basis}") / relative_cost(water.numbers, f"pbe-d3bj/{basis}")
        assert np.log(ratio) / np.log(8 * n_acid / (3 * n_water)) == pytest.approx(1.1)


@needs_pyscf
def test_an_expensive_reference_is_timed_and_its_cost_put_in_words():
    water = molecule("H2O")
    calculator = load_calculator("pbe-d3bj", n_threads=1)
    calculator.get_property("energy", molecule("H2"))  # what the first evaluation in a process takes
    began = time.monotonic()
    calculator.get_property("energy", water)
    once = time.monotonic() - began
    found = estimate("pbe-d3bj/def2-svp", [molecule("CH3COOH"), water], [0, 10_000], n_minima=[0, 1], n_cores=1)
    # one evaluation twice, on a machine that others use
    assert once / 5 < found.seconds / (10_000 + STEPS_TO_A_MINIMUM) < 5 * once
    assert found.words.startswith("pbe-d3bj/def2-svp will take about ")
    assert "for 1 minimum and 10000 labels: an evaluation of H2O takes " in found.words
    few = estimate("pbe-d3bj/def2-svp", [water], 1)
    assert 0 < few.seconds < cost.WORTH_SAYING_S
    assert few.words == ""


@needs_pyscf
def test_elements_that_the_reference_does_not_know_and_failures_do_not_stop_anybody():
    assert estimate("pbe-d3bj", [Atoms("U")], 10) == Estimate(0.0, "")
    failed = estimate("pbe-d3bj", [Atoms("H2", positions=np.zeros((2, 3)))], 10)
    assert np.isnan(failed.seconds)
    assert "cannot be told" in failed.words
