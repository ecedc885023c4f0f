import numpy as np
import pytest

from gmd26_md.observables.statistics import mean_and_spread, mean_of_all, mean_of_molecules, spreads


def test_the_spread_of_one_molecules_mean_is_its_textbook_standard_error_and_says_frames_only():
    values = np.random.default_rng(0).normal(size=400)
    (spread,) = spreads([values], mean_of_all, n_resamples=2000)
    assert spread.over == "frames"
    assert spread.value == pytest.approx(values.mean())
    # 2000 resamples give the standard error to 1/sqrt(4000) = 1.6 %; three of those.
    assert spread.standard_error == pytest.approx(values.std() / 20.0, rel=0.05)
    assert spread.low == pytest.approx(values.mean() - 1.96 * values.std() / 20.0, abs=0.015)
    assert spread.high == pytest.approx(values.mean() + 1.96 * values.std() / 20.0, abs=0.015)


def test_molecules_that_differ_more_than_their_frames_dominate_the_spread():
    centres = np.array([0.0, 1.0, 2.0, 3.0, 4.0])
    random = np.random.default_rng(1)
    groups = [centre + 0.01 * random.normal(size=100) for centre in centres]
    (spread,) = spreads(groups, mean_of_all, n_resamples=2000)
    assert spread.over == "molecules, frames"
    assert (spread.n_molecules, spread.n_frames) == (5, 500)
    assert spread.standard_error == pytest.approx(centres.std() / np.sqrt(5.0), rel=0.06)
    # Frames alone would claim a spread of 0.06; taken as the sample of one molecule they do.
    (alone,) = spreads([np.concatenate(groups)], mean_of_all, n_resamples=500)
    assert alone.standard_error < 0.2 * spread.standard_error


def test_the_same_seed_gives_the_same_spread_and_another_seed_another():
    groups = [np.arange(10.0), np.arange(5.0)]
    first, second, other = (spreads(groups, mean_of_all, seed=seed)[0] for seed in (1, 1, 2))
    assert first == second
    assert first.standard_error != other.standard_error


def test_nan_in_one_frame_reaches_the_value_and_its_spread():
    (spread,) = spreads([np.array([1.0, np.nan, 2.0]), np.ones(3)], mean_of_all)
    assert np.isnan([spread.value, spread.standard_error, spread.low, spread.high]).all()


def test_one_frame_of_one_molecule_has_no_spread_and_says_so():
    (spread,) = spreads([np.array([3.0])], mean_of_all)
    assert spread.value == 3.0
    assert spread.over == "nothing"
    assert np.isnan([spread.standard_error, spread.low, spread.high]).all()


def test_one_frame_each_of_many_molecules_says_molecules():
    (spread,) = spreads([np.array([float(i)]) for i in range(6)], mean_of_all)
    assert spread.over == "molecules"
    assert spread.standard_error > 0.0


def test_means_over_frames_and_over_molecules_weigh_differently():
    groups = [np.array([0.0, 0.0, 0.0]), np.array([1.0])]
    assert mean_of_all(groups)[0] == 0.25
    assert mean_of_molecules(groups)[0] == 0.5


def test_nothing_to_draw_from_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        spreads([], mean_of_all)
    with pytest.raises(ValueError, match="at least one"):
        spreads([np.ones(2), np.zeros(0)], mean_of_all)


def test_mean_and_spread_of_seeds():
    assert mean_and_spread([1.0, 2.0, 3.0]) == (2.0, 1.0)
    mean, deviation = mean_and_spread([4.0])
    assert mean == 4.0
    assert np.isnan(deviation)
    assert np.isnan(mean_and_spread([])).all()
