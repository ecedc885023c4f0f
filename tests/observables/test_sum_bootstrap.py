"""The fast bootstrap gives the spread of the plain one, and of theory."""

import numpy as np
import pytest

from gmd26_md.observables.statistics import mean_of_all, spreads
from gmd26_md.observables.sum_bootstrap import resampled_sums, spreads_of_sums


def ratio(sums):
    return sums[..., 1:] / sums[..., :1]


def found(tables, seed=0, n_resamples=2000):
    random = np.random.default_rng(seed)
    return spreads_of_sums(tables, [resampled_sums(t, random, n_resamples) for t in tables], ratio, random)


def with_counts(values):
    return np.stack([np.ones_like(values), values], axis=1)


def test_frames_of_one_molecule_spread_as_theory_says():
    values = np.random.default_rng(1).normal(size=400)
    (spread,) = found([with_counts(values)])
    assert spread.value == pytest.approx(values.mean())
    # 2,000 resamples know a standard error to 1.6 %: three sigma
    assert spread.standard_error == pytest.approx(values.std() / np.sqrt(400), rel=0.05)
    assert (spread.over, spread.n_molecules, spread.n_frames) == ("frames", 1, 400)


def test_molecules_and_frames_spread_as_in_the_plain_bootstrap():
    random = np.random.default_rng(2)
    groups = [random.normal(loc=random.normal(), size=n) for n in (30, 60, 20, 40)]
    (plain,) = spreads(groups, mean_of_all, n_resamples=2000)
    (fast,) = found([with_counts(g) for g in groups])
    assert fast.value == pytest.approx(plain.value)
    assert fast.standard_error == pytest.approx(plain.standard_error, rel=0.07)  # both sides are sampled
    assert fast.low == pytest.approx(plain.low, abs=0.2 * plain.standard_error)
    assert fast.high == pytest.approx(plain.high, abs=0.2 * plain.standard_error)
    assert fast.over == plain.over == "molecules, frames"


def test_a_molecule_drawn_twice_has_two_draws_of_its_frames():
    values = np.random.default_rng(3).normal(size=100)
    (one,) = found([with_counts(values)])
    (two,) = found([with_counts(values), with_counts(values)])  # each twice as many independent frames
    assert two.standard_error == pytest.approx(one.standard_error / np.sqrt(2), rel=0.07)


def test_nan_reaches_its_own_column_only():
    table = np.ones((10, 3))
    table[4, 2] = np.nan
    first, second = found([table])
    assert (first.value, first.standard_error) == (1.0, 0.0)
    assert np.isnan(second.value)
    assert np.isnan(second.standard_error)


def test_one_frame_of_one_molecule_has_no_spread_and_none_is_refused():
    (spread,) = found([np.ones((1, 2))])
    assert spread.over == "nothing"
    assert np.isnan(spread.standard_error)
    with pytest.raises(ValueError, match="at least one molecule"):
        spreads_of_sums([], [], ratio, np.random.default_rng(0))
