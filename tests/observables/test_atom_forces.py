"""Errors by atom: the split into direction and length, on forces whose answer is known."""

import numpy as np
import pytest

from gmd26_md.observables.atom_forces import FORCE_METRICS, N_COLUMNS, AtomForces, class_sums, force_numbers
from gmd26_md.observables.bonds import BondGraph
from gmd26_md.observables.errors import FrameSums, pooled


def graph(numbers):
    return BondGraph(np.asarray(numbers), np.zeros((0, 2), dtype=int), np.zeros(0))


def forces(n_frames=50, n_atoms=4, seed=0):
    return np.random.default_rng(seed).normal(size=(n_frames, n_atoms, 3))


def numbers(predicted, reference, members=None):
    found = AtomForces(graph([1] * reference.shape[1]), predicted, reference)
    everyone = np.ones(reference.shape[1], dtype=bool) if members is None else np.asarray(members)
    sums = class_sums(found.columns, [everyone])[:, 0].sum(axis=0)
    return dict(zip(FORCE_METRICS, force_numbers(sums).tolist(), strict=True))


def test_all_atoms_together_give_the_published_columns():
    reference = forces()
    predicted = reference + 0.1 * forces(seed=1)
    found = numbers(predicted, reference)
    energies = np.zeros(len(reference))
    published = pooled([FrameSums.of(energies, energies, predicted, reference)])
    for name in ("force_mae_eV_per_A", "force_rmse_eV_per_A", "force_cosine", "force_magnitude_mae_eV_per_A"):
        assert found[name] == pytest.approx(published[name], rel=1e-12), name
    # one molecule: its RMS component is that of the frames
    assert found["force_rmse_normalised_ratio"] == pytest.approx(published["force_rmse_relative_ratio"], rel=1e-12)


def test_forces_that_are_too_long_have_the_right_direction():
    reference = forces()
    found = numbers(1.2 * reference, reference)
    assert found["force_magnitude_bias_ratio"] == pytest.approx(0.2, rel=1e-12)
    assert found["force_direction_fraction"] == pytest.approx(0.0, abs=1e-12)
    assert found["force_angle_deg"] == pytest.approx(0.0, abs=1e-6)  # a cross product of 1e-16, as an angle


def test_forces_that_are_turned_have_the_right_length():
    reference = forces()
    axis = np.cross(reference, [0.0, 0.0, 1.0])
    axis /= np.linalg.norm(axis, axis=-1, keepdims=True)
    angle = np.radians(10.0)
    turned = np.cos(angle) * reference + np.sin(angle) * np.cross(axis, reference)
    found = numbers(turned, reference)
    assert found["force_angle_deg"] == pytest.approx(10.0, rel=1e-9)
    assert found["force_direction_fraction"] == pytest.approx(1.0, abs=1e-12)
    assert found["force_magnitude_bias_ratio"] == pytest.approx(0.0, abs=1e-12)


def test_small_errors_without_a_direction_are_two_thirds_direction():
    reference = forces(4000)
    reference /= np.linalg.norm(reference, axis=-1, keepdims=True)
    found = numbers(reference + 1e-3 * forces(4000, seed=1), reference)
    assert found["force_direction_fraction"] == pytest.approx(2 / 3, abs=0.01)  # 16,000 vectors: 0.003 is one sigma


def test_a_class_of_atoms_is_summed_alone_and_nan_stays_in_it():
    reference = forces()
    predicted = reference.copy()
    predicted[:, 0] += 0.3
    predicted[7, 1] = np.nan
    assert numbers(predicted, reference, [True, False, False, False])["force_mae_eV_per_A"] == pytest.approx(0.3)
    assert np.isnan(numbers(predicted, reference, [False, True, False, False])["force_mae_eV_per_A"])
    assert numbers(predicted, reference, [False, False, True, True])["force_mae_eV_per_A"] == 0.0


def test_a_class_may_change_from_frame_to_frame():
    found = AtomForces(graph([1, 1]), forces(2, 2), forces(2, 2, seed=1))
    members = np.array([[True, False], [True, True]])
    sums = class_sums(found.columns, [members, ~members])
    assert sums.shape == (2, 2, N_COLUMNS)
    assert sums[:, :, 0].tolist() == [[1, 1], [2, 0]]


def test_a_force_of_no_length_has_no_direction():
    reference = forces(1, 1)
    found = numbers(np.zeros_like(reference), reference)
    assert (found["force_cosine"], found["force_angle_deg"]) == (0.0, 90.0)
    assert found["force_magnitude_bias_ratio"] == -1.0


def test_no_error_has_no_share():
    assert np.isnan(numbers(forces(), forces())["force_direction_fraction"])


def test_shapes_that_do_not_agree_are_refused():
    with pytest.raises(ValueError, match="want forces"):
        AtomForces(graph([1, 1]), forces(3, 2), forces(4, 2))
