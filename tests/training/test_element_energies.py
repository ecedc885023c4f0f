"""Per-element energies: what the compositions fix, and what they leave open."""

import numpy as np
import pytest

from gmd26_md import molecules
from gmd26_md.errors import UserError
from gmd26_md.training.element_energies import composition_matrix, element_energies, is_identifiable

TRUE_EV = {1: -10.7, 6: -48.9, 8: -102.6}


def numbers_of(family: str, chains: range) -> list[np.ndarray]:
    counted = [m for m in molecules.family_members(family) if m.n_carbon in chains]
    return [m.atoms().numbers for m in counted]


def energies_of(all_numbers: list[np.ndarray]) -> list[np.ndarray]:
    return [np.full(3, sum(TRUE_EV[int(z)] for z in numbers)) for numbers in all_numbers]


@pytest.fixture(scope="module")
def acids():
    return numbers_of("carboxylic-acids", range(2, 6))


def test_carboxylic_acids_have_rank_two_for_three_elements(acids):
    fitted = element_energies("least-squares", acids, energies_of(acids), "gfn2-xtb")
    card = fitted.card()
    assert (card["composition_rank"], card["n_elements"], card["energies_identifiable"]) == (2, 3, False)
    (direction,) = fitted.null_directions
    # C(n)H(2n)O(2): 2n h + n c + 2 o = 0 for every n has the one solution h = -c/2, o = 0, in the order H, C, O.
    assert np.allclose(np.array(direction) / direction[1], [-0.5, 1.0, 0.0], atol=1e-12)  # rounding of an SVD


def test_least_squares_reproduces_training_energies_and_has_the_smallest_norm(acids):
    energies = energies_of(acids)
    fitted = element_energies("least-squares", acids, energies, "gfn2-xtb")
    values = np.array([fitted.energies_eV[z] for z in (1, 6, 8)])
    predicted = composition_matrix(acids, (1, 6, 8)) @ values
    assert np.allclose(predicted, [e[0] for e in energies], atol=1e-8)  # exact data, thousands of eV in float64
    assert abs(values @ np.array(fitted.null_directions[0])) < 1e-9  # no part along the null direction


def test_with_alcohols_beside_acids_the_elements_are_found_exactly(acids):
    mixed = acids + numbers_of("alcohols", range(2, 5))
    fitted = element_energies("least-squares", mixed, energies_of(mixed), "gfn2-xtb")
    assert fitted.rank == 3
    assert fitted.null_directions == ()
    assert fitted.energies_eV == pytest.approx(TRUE_EV, abs=1e-8)  # float64 on a 3 x 3 problem


def test_a_dicarboxylic_acid_lies_outside_what_the_acids_fix(acids):
    compositions = composition_matrix(acids, (1, 6, 8))
    assert is_identifiable(compositions, np.array([28.0, 14.0, 2.0]))  # a longer carboxylic acid
    assert not is_identifiable(compositions, np.array([8.0, 5.0, 4.0]))  # pentanedioic acid


def test_molecules_with_more_frames_weigh_more():
    one, two = np.array([1]), np.array([1, 1])
    fitted = element_energies("least-squares", [one, two], [np.zeros(1), np.full(9, 2.0)], "any")
    # minimise 1 (x - 0)^2 + 9 (2 x - 2)^2: x = 36 / 37
    assert fitted.energies_eV[1] == pytest.approx(36 / 37, rel=1e-12)


def test_zero_leaves_everything_to_the_network(acids):
    assert set(element_energies("zero", acids, energies_of(acids), "any").energies_eV.values()) == {0.0}


def test_isolated_atoms_of_an_unknown_level_are_refused(acids):
    with pytest.raises(UserError, match="least-squares"):
        element_energies("isolated-atoms", acids, energies_of(acids), "pbe-d3")
