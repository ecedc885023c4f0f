"""The gauge of element energies, on compositions whose null direction one can write down."""

import numpy as np
import pytest

from gmd26_md.observables.gauge import Gauge

# H, C, O: carboxylic acids C(n)H(2n)O(2), and dicarboxylic ones C(n)H(2n-2)O(4)
ACIDS = np.array([[2 * n, n, 2] for n in range(2, 14)])
DIACIDS = np.array([[2 * n - 2, n, 4] for n in range(2, 14)])
DIRECTION = np.array([1.0, -2.0, 0.0]) / np.sqrt(5.0)


@pytest.fixture
def gauge():
    return Gauge(np.array([-34.0, -17.0, -110.0]), ACIDS)


def test_the_open_direction_trades_a_carbon_for_two_hydrogens(gauge):
    (found,) = gauge.directions
    assert abs(found @ DIRECTION) == pytest.approx(1.0, abs=1e-12)


def test_a_pin_moves_no_training_molecule_and_all_unseen_ones_alike(gauge):
    change = gauge.change_towards(np.array([-10.7, -48.8, -102.5]))
    assert np.abs(ACIDS @ change).max() < 1e-12
    shifts = DIACIDS @ change  # 2 H fewer than a training composition of as many C: -2 a_H
    np.testing.assert_allclose(shifts, -2.0 * change[0], atol=1e-12)
    assert abs(shifts[0]) > 30.0


def test_pinned_energies_are_the_nearest_to_the_target(gauge):
    target = np.array([-10.7, -48.8, -102.5])
    pinned = gauge.energies + gauge.change_towards(target)
    assert (pinned - target) @ DIRECTION == pytest.approx(0.0, abs=1e-12)
    assert gauge.change_towards(gauge.energies) == pytest.approx(np.zeros(3))


def test_the_fit_removes_what_a_gauge_can(gauge):
    errors = 40.0 + np.linspace(-0.1, 0.1, len(DIACIDS))
    left = errors + DIACIDS @ gauge.change_fitted(DIACIDS, errors)
    assert left.mean() == pytest.approx(0.0, abs=1e-9)
    np.testing.assert_allclose(left, errors - 40.0, atol=1e-9)


def test_only_unseen_compositions_are_open(gauge):
    assert gauge.identifiable([*ACIDS, *DIACIDS]) == [True] * 12 + [False] * 12


def test_where_training_fixes_everything_no_pin_does_anything():
    gauge = Gauge(np.array([-10.0, -40.0, -100.0]), np.vstack([ACIDS, DIACIDS]))
    assert gauge.directions.shape == (0, 3)
    assert gauge.change_towards(np.zeros(3)).tolist() == [0.0, 0.0, 0.0]
    assert gauge.change_fitted(DIACIDS, np.ones(12)).tolist() == [0.0, 0.0, 0.0]


def test_other_elements_than_the_compositions_are_refused():
    with pytest.raises(ValueError, match="differ in elements"):
        Gauge(np.zeros(2), ACIDS)
