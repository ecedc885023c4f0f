import numpy as np
import pytest

from gmd26_md.observables.committee import (
    LabelledRun,
    area_under_roc,
    calibration,
    energy_change_spread,
    force_spread,
    miscalibration,
    rank_correlation,
)

NAN = float("nan")


def runs_of(n_molecules, *, scale=1.0, noise=None, n_frames=30, n_atoms=8, seed=0):
    """Return runs whose errors are Gaussian with `scale` times the spread that is told, or with another size."""
    random = np.random.default_rng(seed)
    runs = []
    for i in range(n_molecules):
        spread = random.uniform(0.02, 0.4, size=(n_frames, 1)) * random.uniform(0.8, 1.2, size=(n_frames, n_atoms))
        true = scale * spread if noise is None else np.full_like(spread, noise)
        runs.append(LabelledRun(f"molecule {i}", spread, true[..., None] * random.normal(size=(n_frames, n_atoms, 3))))
    return runs


def test_the_spread_is_the_root_mean_square_of_the_standard_deviations_of_the_components():
    forces = np.zeros((2, 1, 2, 3))
    forces[1, 0, 0] = [
        2.0,
        0.0,
        0.0,
    ]  # two members 2 apart: standard deviation sqrt(2); over three components sqrt(2/3)
    assert force_spread(forces) == pytest.approx(np.array([[np.sqrt(2.0 / 3.0), 0.0]]))


def test_the_spread_knows_the_size_of_the_noise_that_made_it():
    forces = 0.3 * np.random.default_rng(1).normal(size=(4, 200, 20, 3))
    # 12,000 variances of 3 degrees of freedom each: their mean is good to sqrt(2 / 36000) = 0.7 %, the root to half
    assert np.sqrt((force_spread(forces) ** 2).mean()) == pytest.approx(0.3, rel=0.01)


def test_one_member_has_no_spread():
    with pytest.raises(ValueError, match="two members"):
        force_spread(np.zeros((1, 5, 3, 3)))


def test_offsets_of_the_energy_do_not_enter_its_spread_and_slopes_do():
    time = np.linspace(0.0, 1.0, 5)
    energies = np.array([[-800.0], [-840.0], [-795.0]]) + np.array([[1.0], [2.0], [3.0]]) * time
    assert energy_change_spread(energies) == pytest.approx(time, abs=1e-12)  # slopes 1, 2, 3: standard deviation 1


def test_a_spread_that_is_the_error_is_calibrated():
    runs = runs_of(10)
    assert miscalibration(runs) == pytest.approx(1.0, rel=0.05)  # 7200 components
    found = calibration(runs, factor=1.0, limit_eV_per_A=0.2)
    ratio = found["error_over_spread_ratio"]
    assert 0.9 < ratio.low < ratio.value < ratio.high < 1.1  # 1 % is the standard error of the value itself
    assert found["error_over_spread_median_ratio"].value == pytest.approx(1.0, abs=0.05)
    assert found["within_one_sigma_fraction"].value == pytest.approx(0.683, abs=0.02)  # 3 of sqrt(p (1-p) / 7200)
    assert found["within_two_sigma_fraction"].value == pytest.approx(0.954, abs=0.01)
    for name in ("of_frames", "within_runs"):
        assert found[f"rank_correlation_{name}_ratio"].value > 0.9
    assert found["warns_of_error_auroc_fraction"].value > 0.95


def test_a_spread_half_as_large_as_the_error_is_found_out_and_mended_by_its_factor():
    known, unseen = runs_of(10, scale=2.0, seed=1), runs_of(10, scale=2.0, seed=2)
    factor = miscalibration(known)
    assert factor == pytest.approx(2.0, rel=0.05)
    found = calibration(unseen, factor=factor, limit_eV_per_A=0.2)
    assert found["error_over_spread_ratio"].value == pytest.approx(2.0, rel=0.05)
    assert found["within_one_sigma_fraction"].value == pytest.approx(0.683, abs=0.03)
    raw = calibration(unseen, factor=1.0, limit_eV_per_A=0.2)
    assert raw["within_one_sigma_fraction"].value == pytest.approx(0.383, abs=0.03)  # half a sigma
    assert raw["rank_correlation_of_frames_ratio"] == found["rank_correlation_of_frames_ratio"]


def test_a_spread_that_knows_nothing_of_the_error_has_no_rank_correlation_and_warns_like_a_coin():
    found = calibration(runs_of(10, noise=0.2), factor=1.0, limit_eV_per_A=0.2)
    # ranks of 300 frames scatter by 1/sqrt(299) = 0.06 about zero; three of those. The area: half of that about 1/2.
    for name in ("of_frames", "within_runs"):
        assert abs(found[f"rank_correlation_{name}_ratio"].value) < 0.18, name
    assert abs(found["warns_of_error_auroc_fraction"].value - 0.5) < 0.1


def test_members_that_agree_on_a_mistake_are_infinitely_miscalibrated():
    run = LabelledRun("a", np.zeros((5, 3)), np.ones((5, 3, 3)))
    assert miscalibration([run]) == np.inf
    found = calibration([run], factor=1.0, limit_eV_per_A=0.2)
    assert found["within_two_sigma_fraction"].value == 0.0
    assert np.isnan(found["rank_correlation_of_frames_ratio"].value)


def test_a_nan_is_in_no_interval_of_sigma_reaches_the_ratio_and_ranks_first():
    spread, error = np.full((4, 2), 0.1), np.full((4, 2, 3), 0.05)
    spread[2], error[2] = NAN, NAN
    found = calibration([LabelledRun("a", spread, error)], factor=1.0, limit_eV_per_A=0.2)
    assert np.isnan(found["error_over_spread_ratio"].value)
    assert found["within_one_sigma_fraction"].value == 0.75
    assert found["warns_of_error_auroc_fraction"].value == 1.0  # the NaN frame alone is wrong, and is warned of first


def test_ranks_are_those_of_textbooks():
    a = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    assert rank_correlation(a, a**3) == pytest.approx(1.0)
    assert rank_correlation(a, -a) == pytest.approx(-1.0)
    assert rank_correlation(a, np.array([2.0, 1.0, 4.0, 3.0, 5.0])) == pytest.approx(1.0 - 6.0 * 4.0 / (5 * 24))
    assert np.isnan(rank_correlation(a[:2], a[:2]))
    assert np.isnan(rank_correlation(a, np.ones(5)))
    assert rank_correlation(a, np.array([1.0, 2.0, 3.0, 4.0, NAN])) == pytest.approx(1.0), "NaN is above everything"
    assert rank_correlation(a, np.array([NAN, 2.0, 3.0, 4.0, 5.0])) < 0.5


def test_area_under_the_curve_by_hand():
    signal, happened = np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True])
    assert area_under_roc(signal, happened) == 0.75  # of four pairs, one is the wrong way round
    assert area_under_roc(np.ones(4), happened) == 0.5
    assert area_under_roc(np.array([0.1, 0.2, NAN, 0.8]), happened) == 1.0
    assert np.isnan(area_under_roc(signal, np.ones(4, dtype=bool)))


def test_intervals_are_over_molecules_so_that_more_frames_of_the_same_do_not_narrow_them():
    scales = [0.5, 1.0, 2.0]
    few, many = (
        [
            LabelledRun(f"{s}", (r := runs_of(1, scale=s, n_frames=n, seed=i)[0]).spread, r.error)
            for i, s in enumerate(scales)
        ]
        for n in (10, 200)
    )
    widths = []
    for runs in (few, many):
        found = calibration(runs, factor=1.0, limit_eV_per_A=0.2)["error_over_spread_ratio"]
        assert found.over == "molecules, frames"
        widths.append(found.high - found.low)
    assert widths[1] > 0.6 * widths[0]


def test_nothing_cannot_be_calibrated():
    with pytest.raises(ValueError, match="no run"):
        calibration([], factor=1.0, limit_eV_per_A=0.2)
