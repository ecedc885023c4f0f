import numpy as np
import pytest

from gmd26_md.observables.composition import (
    composition_matrix,
    composition_of,
    elements_of,
    identifiable,
    null_directions,
    rank,
)

ELEMENTS = (1, 6, 8)
ACIDS = np.array([[2 * n, n, 2] for n in range(2, 14)])  # C(n)H(2n)O(2)
DIACIDS = np.array([[2 * n - 2, n, 4] for n in range(2, 14)])  # C(n)H(2n-2)O(4)
ALKANES = np.array([[2 * n + 2, n, 0] for n in range(2, 7)])  # C(n)H(2n+2)


def test_carboxylic_acids_fix_two_of_three_element_energies_and_no_diacid():
    assert rank(ACIDS) == 2
    assert not any(identifiable(ACIDS, diacid) for diacid in DIACIDS)
    assert all(identifiable(ACIDS, acid) for acid in ACIDS)


def test_longer_alkanes_are_fixed_by_shorter_ones():
    assert identifiable(ALKANES, np.array([28, 13, 0]))
    assert not identifiable(ALKANES, np.array([6, 2, 1]))  # ethanol has an element they lack


def test_a_null_direction_is_unseen_by_the_training_set_and_felt_by_the_diacids():
    (direction,) = null_directions(ACIDS)
    assert np.linalg.norm(direction) == pytest.approx(1.0)
    np.testing.assert_allclose(ACIDS @ direction, 0.0, atol=1e-12)
    # H : C : O = 1 : -2 : 0, so a diacid, two hydrogens short, is shifted by the same amount whatever its length.
    np.testing.assert_allclose(direction / direction[0], [1.0, -2.0, 0.0], atol=1e-12)
    shifts = DIACIDS @ direction
    np.testing.assert_allclose(shifts, shifts[0])
    assert abs(shifts[0]) > 0.5


def test_full_rank_leaves_no_null_direction_and_no_training_fixes_nothing():
    assert null_directions(np.vstack([ACIDS, DIACIDS])).shape == (0, 3)
    assert null_directions(np.zeros((0, 3))).shape == (3, 3)
    assert not identifiable(np.zeros((0, 3)), ACIDS[0])


def test_compositions_are_counted():
    molecules = [[8, 1, 1], [6, 1, 1, 1, 1]]
    assert elements_of(molecules) == ELEMENTS
    np.testing.assert_array_equal(composition_matrix(molecules, ELEMENTS), [[2, 0, 1], [4, 1, 0]])


def test_an_uncounted_element_is_refused():
    with pytest.raises(ValueError, match="elements"):
        composition_of([14, 1, 1, 1, 1], ELEMENTS)


def test_a_composition_over_other_elements_is_refused():
    with pytest.raises(ValueError, match="want shape"):
        identifiable(ACIDS, np.array([1, 2]))
