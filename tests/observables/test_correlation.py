import numpy as np
import pytest
from scipy.stats import spearmanr

from gmd26_md.observables.correlation import Paired, correlate, spearman


def table(x, y, units=None):
    """Return one model's table of columns (n_units, n_columns)."""
    x, y = np.atleast_2d(np.asarray(x, dtype=float).T).T, np.atleast_2d(np.asarray(y, dtype=float).T).T
    return Paired(tuple(units or (f"m{i}" for i in range(len(x)))), x[None], y[None])


def test_known_values_come_out():
    iq = [106, 100, 86, 101, 99, 103, 97, 113, 112, 110]
    television = [7, 27, 2, 50, 28, 29, 20, 12, 6, 17]
    assert spearman(iq, television) == pytest.approx(-29 / 165)  # 1 - 6 * 194 / 990, by hand
    assert spearman([1, 2, 3, 4, 5], [10, 20, 30, 40, 1000]) == pytest.approx(1.0)
    assert spearman([1, 2, 3, 4, 5], [5, 4, 3, 2, 1]) == pytest.approx(-1.0)


def test_ties_share_their_mean_rank():
    # ranks 1.5 1.5 3 4 5 and 1 2 3.5 3.5 5: by hand the Pearson correlation of these is 9 / sqrt(9.5 * 9.5)
    assert spearman([1, 1, 2, 3, 4], [1, 2, 3, 3, 4]) == pytest.approx(9.0 / 9.5)
    random = np.random.default_rng(0)
    for _ in range(5):
        x, y = random.integers(0, 5, 20), random.integers(0, 3, 20)
        assert spearman(x, y) == pytest.approx(spearmanr(x, y).statistic, rel=1e-9)


def test_too_few_or_a_constant_column_have_no_correlation():
    assert spearman([1, 2, 3, 4], [1, 2, 3, 4]) is None
    assert spearman([1, 2, 3, 4, np.nan], [1, 2, 3, 4, 5]) is None
    assert spearman([1, 2, 3, 4, 5], [7, 7, 7, 7, 7]) is None
    ((few,),), ((flat,),) = correlate([table([1, 2, 3, 4], [1, 2, 3, 4]), table(range(9), [0.1] * 9)])
    assert (few.rho, few.p_adjusted, few.why) == (None, None, "4 of 5 that are needed")
    assert (flat.rho, flat.n, flat.why) == (None, 9, "one of them is constant")


def test_a_table_agrees_with_its_pairs_also_where_numbers_are_missing():
    random = np.random.default_rng(1)
    x, y = random.normal(size=(15, 4)), random.normal(size=(15, 3))
    x[2, 0] = x[5, 1] = y[7, 2] = np.nan
    (found,) = correlate([table(x, y)], n_permutations=99, n_resamples=20)
    for i in range(4):
        for j in range(3):
            assert found[i][j].rho == pytest.approx(spearman(x[:, i], y[:, j]))
    assert (found[0][0].n, found[0][2].n, found[3][0].n) == (14, 13, 15)


def test_the_p_value_is_the_known_one():
    x = np.arange(20.0)
    y = np.random.default_rng(2).permutation(20) + 0.8 * x
    found = correlate([table(x, y)], n_permutations=9999)[0][0][0]
    known = spearmanr(x, y)
    assert found.rho == pytest.approx(known.statistic)
    assert found.p == pytest.approx(known.pvalue, abs=0.01)  # theory by Student's t; 9,999 dealings: 0.005 at most
    assert found.p_adjusted == found.p  # nothing else was tried


def test_the_interval_is_as_wide_as_theory_has_it():
    random = np.random.default_rng(3)
    x = random.normal(size=100)
    y = x + random.normal(size=100)
    found = correlate([table(x, y)], n_permutations=99, n_resamples=999)[0][0][0]
    # Fisher's z with the variance of Bonett and Wright (2000), (1 + rho^2 / 2) / (n - 3)
    half = 1.96 * np.sqrt((1 + found.rho**2 / 2) / 97)
    known = np.tanh(np.arctanh(found.rho) + np.array([-half, half]))
    assert (found.low, found.high) == pytest.approx(tuple(known), abs=0.05)


def test_noise_is_not_sold_as_a_finding_however_much_of_it_is_tried():
    random = np.random.default_rng(4)
    n_cries, n_raw = 0, 0
    for trial in range(40):
        noise = table(random.normal(size=(24, 40)), random.normal(size=(24, 5)))
        (found,) = correlate([noise], n_permutations=199, n_resamples=2, seed=trial)
        n_cries += min(c.p_adjusted for row in found for c in row) <= 0.05
        n_raw += min(c.p for row in found for c in row) <= 0.05
    assert n_cries <= 6  # 2 expected of 40, 1.4 their deviation, three of them allowed
    assert n_raw == 40  # each of them would have been sold


def test_a_planted_predictor_is_found_among_noise():
    random = np.random.default_rng(5)
    x, y = random.normal(size=(24, 40)), random.normal(size=(24, 5))
    y[:, 3] = x[:, 7] + 0.3 * random.normal(size=24)
    (found,) = correlate([table(x, y)], n_resamples=100)
    best = min((c.p_adjusted, i, j) for i, row in enumerate(found) for j, c in enumerate(row))
    assert best[1:] == (7, 3)
    assert best[0] < 0.01
    assert found[7][3].low > 0.5


def test_models_share_their_molecules_and_do_not_count_as_more_of_them():
    random = np.random.default_rng(6)
    x, y = random.normal(size=(12, 1)), random.normal(size=(12, 1))
    units = tuple(f"m{i}" for i in range(12))
    alone, copies = Paired(units, x[None], y[None]), Paired(units, np.stack([x] * 8), np.stack([y] * 8))
    ((one,),), ((eight,),) = correlate([alone, copies])
    assert (one.n_models, eight.n_models) == (1, 8)
    assert eight.rho == pytest.approx(one.rho)
    assert eight.p == one.p  # eight copies say what one says
    assert eight.p_adjusted == pytest.approx(one.p)  # and to try the same twice is to try it once


def test_models_that_agree_each_with_its_own_noise_say_more_together():
    random = np.random.default_rng(7)
    x = random.normal(size=(6, 12, 1))
    y = x + 1.5 * random.normal(size=(6, 12, 1))
    units = tuple(f"m{i}" for i in range(12))
    (together,), *single = correlate([Paired(units, x, y)] + [Paired(units, x[[i]], y[[i]]) for i in range(6)])
    assert together[0].p < min(s[0][0].p for s in single) + 1e-3
    assert together[0].rho == pytest.approx(np.mean([s[0][0].rho for s in single]))


def test_a_model_in_which_nothing_varies_is_left_out_of_the_mean():
    x = np.stack([np.arange(8.0), np.arange(8.0)])[:, :, None]
    y = np.stack([np.arange(8.0), np.zeros(8)])[:, :, None]
    found = correlate([Paired(tuple("abcdefgh"), x, y)], n_permutations=99, n_resamples=50)[0][0][0]
    assert found.rho == pytest.approx(1.0)
    assert found.n_models == 1


def test_tables_of_other_shapes_are_refused():
    with pytest.raises(ValueError, match="units"):
        Paired(("a",), np.zeros((1, 2, 1)), np.zeros((1, 2, 1)))
