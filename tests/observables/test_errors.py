import numpy as np
import pytest

from gmd26_md.metrics import METRICS
from gmd26_md.observables.errors import (
    ERROR_METRICS,
    FrameSums,
    cosines,
    force_mae_by_atom,
    pooled,
    pooled_with_spread,
)


def frames(n_frames, n_atoms, seed=0):
    random = np.random.default_rng(seed)
    return random.normal(size=n_frames), random.normal(size=(n_frames, n_atoms, 3))


def errors_of(energies, forces, reference_energies, reference_forces):
    return pooled([FrameSums.of(energies, reference_energies, forces, reference_forces)])


def test_a_perfect_model_has_no_error():
    energies, forces = frames(5, 4)
    errors = errors_of(energies, forces, energies, forces)
    assert errors.pop("force_cosine") == pytest.approx(1.0, abs=1e-15)
    assert set(errors.values()) == {0.0}


def test_no_error_is_none_of_vanishing_forces_either():
    energies, forces = np.zeros(5), np.zeros((5, 1, 3))  # a lone atom
    errors = errors_of(energies, forces, energies, forces)
    assert errors["force_mae_relative_ratio"] == errors["force_rmse_relative_ratio"] == 0.0
    wrong = errors_of(energies, forces + 0.1, energies, forces)
    assert not wrong["force_mae_relative_ratio"] <= 1e9
    unknown = errors_of(energies, forces, energies, forces * np.nan)
    assert np.isnan(unknown["force_mae_relative_ratio"])


def test_a_constant_shift_of_every_component_is_the_mae_and_the_rmse():
    energies, forces = frames(5, 4)
    errors = errors_of(energies, forces + 0.1, energies, forces)
    assert errors["force_mae_eV_per_A"] == pytest.approx(0.1)
    assert errors["force_rmse_eV_per_A"] == pytest.approx(0.1)
    assert errors["force_mae_relative_ratio"] == pytest.approx(0.1 / np.abs(forces).mean())
    assert errors["force_rmse_relative_ratio"] == pytest.approx(0.1 / np.sqrt((forces**2).mean()))


@pytest.mark.parametrize(("factor", "cosine"), [(2.0, 1.0), (0.5, 1.0), (-1.0, -1.0)])
def test_scaled_forces_keep_their_direction_and_lose_their_magnitude(factor, cosine):
    energies, forces = frames(5, 4)
    errors = errors_of(energies, factor * forces, energies, forces)
    assert errors["force_cosine"] == pytest.approx(cosine, abs=1e-14)
    expected = abs(abs(factor) - 1.0) * np.linalg.norm(forces, axis=2).mean()
    assert errors["force_magnitude_mae_eV_per_A"] == pytest.approx(expected, abs=1e-15)


def test_energies_come_three_ways():
    energies, forces = frames(4, 2)
    wrong = energies + 7.0 + np.array([0.1, -0.1, 0.3, -0.3])
    errors = errors_of(wrong, forces, energies, forces)
    assert errors["energy_mae_eV"] == pytest.approx(7.0)
    assert errors["energy_offset_eV"] == pytest.approx(7.0)
    assert errors["energy_offset_removed_mae_eV"] == pytest.approx(0.2)
    assert errors["energy_offset_removed_rmse_eV"] == pytest.approx(np.sqrt(0.05))


def test_the_offset_is_removed_a_molecule_at_a_time():
    energies, forces = frames(4, 2)
    up = FrameSums.of(energies + 5.0, energies, forces, forces)
    down = FrameSums.of(energies - 5.0, energies, forces, forces)
    errors = pooled([up, down])
    assert errors["energy_mae_eV"] == pytest.approx(5.0)
    assert errors["energy_offset_removed_mae_eV"] == pytest.approx(0.0, abs=1e-12)


def test_a_split_is_the_mean_over_all_atoms_of_all_frames():
    sets = [(*frames(3, 4, 1), *frames(3, 4, 2)), (*frames(8, 9, 3), *frames(8, 9, 4))]
    errors = pooled([FrameSums.of(e, r, f, g) for e, f, r, g in sets])
    components = np.concatenate([np.abs(f - g).ravel() for _, f, _, g in sets])
    lengths = [np.abs(np.linalg.norm(f, axis=2) - np.linalg.norm(g, axis=2)).ravel() for _, f, _, g in sets]
    directions = [
        (f * g).sum(axis=2).ravel() / (np.linalg.norm(f, axis=2) * np.linalg.norm(g, axis=2)).ravel()
        for _, f, _, g in sets
    ]
    assert errors["force_mae_eV_per_A"] == pytest.approx(components.mean())
    assert errors["force_rmse_eV_per_A"] == pytest.approx(np.sqrt((components**2).mean()))
    assert errors["force_magnitude_mae_eV_per_A"] == pytest.approx(np.concatenate(lengths).mean())
    assert errors["force_cosine"] == pytest.approx(np.concatenate(directions).mean())
    assert errors["energy_mae_eV"] == pytest.approx(np.concatenate([np.abs(e - r) for e, _, r, _ in sets]).mean())


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_bad_force_of_many_makes_every_force_error_nan(value):
    energies, forces = frames(50, 9)
    wrong = forces.copy()
    wrong[17, 3, 1] = value
    errors = errors_of(energies, wrong, energies, forces)
    assert all(np.isnan(errors[name]) for name in ERROR_METRICS if name.startswith("force"))
    assert errors["energy_mae_eV"] == 0.0


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_one_bad_energy_of_many_makes_every_energy_error_nan(value):
    energies, forces = frames(50, 9)
    wrong = energies.copy()
    wrong[17] = value
    errors = errors_of(wrong, forces, energies, forces)
    assert all(np.isnan(errors[name]) for name in ERROR_METRICS if name.startswith("energy"))
    assert errors["force_mae_eV_per_A"] == 0.0


def test_a_vector_without_length_has_no_direction():
    vectors = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    np.testing.assert_array_equal(cosines(vectors, np.array([[1.0, 0.0, 0.0], [2.0, 0.0, 0.0]])), [0.0, 1.0])


def test_errors_by_atom():
    _, forces = frames(6, 3)
    wrong = forces + np.array([0.3, 0.1, 0.2])[None, :, None]
    np.testing.assert_allclose(force_mae_by_atom(wrong, forces), [0.3, 0.1, 0.2])
    wrong[2, 1, 0] = np.inf
    assert np.isnan(force_mae_by_atom(wrong, forces)).tolist() == [False, True, False]


def test_spreads_stand_beside_the_pooled_numbers():
    molecules = []
    for seed in range(4):
        energies, forces = frames(20, 5, seed)
        predicted, wrong = frames(20, 5, seed + 10)
        molecules.append(FrameSums.of(predicted, energies, wrong, forces))
    values = pooled(molecules)
    for name, spread in pooled_with_spread(molecules, n_resamples=200).items():
        assert spread.value == values[name]
        assert spread.low < spread.high
        assert spread.over == "molecules, frames"
    # Removing the offset of resampled frames biases that error down a little; of the others the value lies inside.
    inside = [name for name in ERROR_METRICS if "removed" not in name]
    spreads = pooled_with_spread(molecules, n_resamples=200)
    assert all(spreads[name].low <= values[name] <= spreads[name].high for name in inside)


def test_the_names_are_those_of_the_record():
    assert set(ERROR_METRICS) <= set(METRICS)


def test_shapes_must_agree():
    energies, forces = frames(5, 4)
    with pytest.raises(ValueError, match="differ in shape"):
        FrameSums.of(energies, energies, forces, forces[:, :3])
    with pytest.raises(ValueError, match="want energies"):
        FrameSums.of(energies[:4], energies[:4], forces, forces)
    with pytest.raises(ValueError, match="no molecule"):
        pooled([])
