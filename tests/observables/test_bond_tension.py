"""A constant pull along each bond is found and taken away, and nothing else is."""

import numpy as np
import pytest

from gmd26_md.observables.bond_tension import without_tension

BONDS = np.array([[0, 1], [1, 2]])


def frames(n):
    return np.random.default_rng(0).normal(size=(n, 3, 3)) * 0.1 + np.array([[0, 0, 0], [1.0, 0, 0], [1.5, 1.0, 0]])


def test_another_rest_length_of_equally_stiff_bonds_leaves_nothing():
    positions = frames(5)
    difference = np.zeros_like(positions)
    for (i, j), stiffness, shift in zip(BONDS, (30.0, 40.0), (0.01, -0.02), strict=True):
        unit = positions[:, j] - positions[:, i]
        unit /= np.linalg.norm(unit, axis=-1, keepdims=True)
        difference[:, i] += stiffness * shift * unit
        difference[:, j] -= stiffness * shift * unit
    assert np.abs(difference).max() > 0.1
    assert np.abs(without_tension(BONDS, positions, difference)).max() < 1e-12


def test_what_no_bond_pulls_at_stays():
    positions = frames(400)
    noise = np.random.default_rng(1).normal(size=positions.shape)
    left = without_tension(BONDS, positions, noise)
    # two numbers are fitted to 3600
    assert (left**2).sum() / (noise**2).sum() == pytest.approx(1.0, abs=5e-3)


def test_without_a_bond_all_of_it_is_left():
    positions = frames(2)
    assert np.array_equal(without_tension(np.zeros((0, 2), dtype=int), positions, positions), positions)
