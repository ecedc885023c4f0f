"""Does distance go with error? Made-up atoms whose answer is known."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from gmd26_md.observables.distance_correlation import AtomErrors, far_and_near, over_atoms, over_molecules


def made_up(name, seed, *, level=1.0, n_frames=20):
    """Return atoms whose error is their distance squared and a little luck; a column of noise beside it."""
    random = np.random.default_rng(seed)
    distance = level * random.uniform(0.5, 2.0, size=(n_frames, 4))
    error = distance**2 * random.uniform(0.9, 1.1, size=distance.shape)
    columns = {"soap nearest": distance, "noise": random.normal(size=distance.shape)}
    return AtomErrors(name, "id", np.array([8, 6, 1, 1]), error, columns, {"soap": distance > 1.5})


MOLECULES = [made_up(f"m{i}", i, level=1.0 + 0.1 * i) for i in range(8)]


def test_over_atoms_it_is_spearmans_with_a_spread_that_holds_it():
    found = over_atoms(MOLECULES)
    distance = np.concatenate([m.columns["soap nearest"].ravel() for m in MOLECULES])
    error = np.concatenate([m.error.ravel() for m in MOLECULES])
    assert found["soap nearest"].value == pytest.approx(spearmanr(distance, error)[0], abs=1e-12)
    assert found["soap nearest"].low < found["soap nearest"].value < found["soap nearest"].high
    assert found["soap nearest"].value > 0.95
    assert found["noise"].low < 0.0 < found["noise"].high
    assert found["noise"].over == "molecules, frames"


def test_over_one_element_only_its_atoms_count():
    m = MOLECULES[0]
    turned = AtomErrors(m.molecule, m.split, m.numbers, np.where(m.numbers == 8, -m.error, m.error), m.columns, m.far)
    assert over_atoms([turned], 8)["soap nearest"].value < -0.95
    assert over_atoms([turned], 1)["soap nearest"].value > 0.95
    assert over_atoms([turned], 7) == {}


def test_over_molecules_means_are_ranked():
    found = over_molecules(MOLECULES)
    assert found["soap nearest"].rho == pytest.approx(1.0)  # levels rise by more than the luck of 80 atoms
    assert found["soap nearest"].n == 8
    assert found["soap nearest"].p < 0.01
    assert abs(found["noise"].rho) < 0.9


def test_few_molecules_have_no_correlation_and_it_says_why():
    found = over_molecules(MOLECULES[:4])
    assert found["soap nearest"].rho is None
    assert found["soap nearest"].why == "4 of 5 that are needed"


def test_infinite_distance_and_an_error_that_is_no_number_are_the_worst():
    m = made_up("m", 3)
    distance, error = m.columns["soap nearest"].copy(), m.error.copy()
    distance[:, 0], error[:, 0] = np.inf, np.nan
    broken = AtomErrors("m", "id", m.numbers, error, {"soap nearest": distance}, {"soap": np.isinf(distance)})
    assert over_atoms([broken])["soap nearest"].value > 0.97
    swapped = AtomErrors("m", "id", m.numbers, error, {"soap nearest": np.where(np.isinf(distance), 0.0, distance)}, {})
    assert over_atoms([swapped])["soap nearest"].value < 0.5
    found = far_and_near([broken], "soap")
    assert found["far_fraction"] == pytest.approx(0.25)
    assert np.isinf(found["far_error_eV_per_A"])
    assert found["worst_far_fraction"] == 1.0


def test_what_being_far_says_is_counted_over_all_atoms():
    found = far_and_near(MOLECULES, "soap")
    far = np.concatenate([m.far["soap"].ravel() for m in MOLECULES])
    error = np.concatenate([m.error.ravel() for m in MOLECULES])
    assert found["far_fraction"] == pytest.approx(far.mean())
    assert found["far_error_eV_per_A"] == pytest.approx(np.median(error[far]))
    assert found["near_error_eV_per_A"] == pytest.approx(np.median(error[~far]))
    assert found["worst_far_fraction"] == 1.0  # a twentieth with the largest errors is beyond 1.5 in distance


def test_without_a_far_atom_there_is_nothing_to_say_of_them():
    m = MOLECULES[0]
    found = far_and_near([AtomErrors("m", "id", m.numbers, m.error, m.columns, {"soap": m.error < 0.0})], "soap")
    assert np.isnan(found["far_error_eV_per_A"])
    assert found["worst_far_fraction"] == 0.0
