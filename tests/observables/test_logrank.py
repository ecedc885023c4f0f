import numpy as np
import pytest
from scipy.stats import CensoredData, logrank

from gmd26_md.observables.logrank import clustered_log_rank, log_rank

# Remission in weeks, 6-mercaptopurine and placebo (Freireich et al. 1963; Gehan 1965); negative: censored.
TREATED = [6, 6, 6, -6, 7, -9, 10, -10, -11, 13, 16, -17, -19, -20, 22, 23, -25, -32, -32, -34, -35]
PLACEBO = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]


def molecules(lives):
    """Return each life as a molecule of one run."""
    return [np.array([[abs(t), float(t > 0)]]) for t in lives]


def censored(lives):
    array = np.array(lives, dtype=float)
    return CensoredData(uncensored=array[array > 0], right=-array[array < 0])


def test_the_textbook_example_comes_out():
    weeks = np.array(TREATED + PLACEBO)
    found = log_rank(np.abs(weeks), weeks > 0, np.arange(42) >= 21)
    # Kleinbaum and Klein, Survival Analysis, chapter 2: observed 9 and 21, expected 19.25 and 10.75, chi2 16.79.
    assert found.observed == (9.0, 21.0)
    assert found.expected == pytest.approx((19.25, 10.75), abs=5e-3)
    assert found.chi2 == pytest.approx(16.79, abs=5e-3)
    assert found.z > 0  # placebo fails sooner


@pytest.mark.parametrize("trial", range(5))
def test_it_agrees_with_scipy_with_ties_and_censoring(trial):
    random = np.random.default_rng(trial)
    one, two = (random.integers(1, 6, n) * random.choice([1, 1, -1], n) for n in (14, 9))
    both = np.concatenate([one, two])
    found = log_rank(np.abs(both), both > 0, np.arange(23) >= 14)
    known = logrank(censored(one), censored(two))
    assert found.z == pytest.approx(-known.statistic, rel=1e-9)  # scipy's sign is the first group's
    assert found.p == pytest.approx(known.pvalue, rel=1e-9)


def test_groups_without_a_failure_are_not_compared():
    found = clustered_log_rank(molecules([-5, -5]), molecules([-5, -5, -5]))
    assert (found.z, found.p, found.p_permuted) == (None, None, None)
    assert found.observed == (0.0, 0.0)


def test_few_molecules_are_dealt_out_in_every_way():
    found = clustered_log_rank(molecules([-9, -9, -9]), molecules([1, 2, 3]))
    assert found.exact
    assert found.n_permutations == 20
    assert found.p_permuted == pytest.approx(2 / 20)  # only this dealing and its mirror are as uneven


def test_many_molecules_are_dealt_out_at_random_and_agree_with_theory_where_runs_are_independent():
    found = clustered_log_rank(molecules(TREATED), molecules(PLACEBO), n_permutations=4999)
    assert not found.exact
    assert found.p_permuted < 0.002  # theory: 4e-5, which 4,999 dealings cannot show
    mild = clustered_log_rank(molecules(TREATED[:10]), molecules(PLACEBO[8:18]), n_permutations=4999)
    assert mild.p_permuted == pytest.approx(mild.p, abs=0.04)  # theory is for many runs; there are twenty


def test_seeds_that_repeat_their_molecule_add_no_certainty():
    one, two = molecules([-9, -9, -9, 8]), molecules([1, 2, -9, 3])
    once, often = (
        clustered_log_rank([np.repeat(m, n, axis=0) for m in one], [np.repeat(m, n, axis=0) for m in two])
        for n in (1, 20)
    )
    assert often.p < 1e-6 < once.p  # as if there were 160 independent runs
    # each molecule's seeds are copies: what molecules say is all there is to say, up to the order of near ties
    assert often.p_permuted == pytest.approx(once.p_permuted, abs=0.1)


def test_the_permuted_p_is_as_rare_as_it_says_where_molecules_differ_but_groups_do_not():
    random = np.random.default_rng(26)
    found = []
    for _ in range(200):
        frail = random.exponential(size=12)  # a molecule's own frailty: its three seeds fail together
        runs = [np.stack([f * random.uniform(0.8, 1.2, 3), np.ones(3)], axis=1) for f in frail]
        found.append(clustered_log_rank(runs[:6], runs[6:], n_permutations=999))
    # 200 trials at 5 %: 10 expected, 3.1 their deviation, four of them allowed
    assert np.mean([f.p_permuted <= 0.05 for f in found]) < 0.05 + 4 * 0.0154
    assert np.mean([f.p <= 0.05 for f in found]) > 0.2  # and the textbook's p would cry wolf


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ValueError, match="both groups"):
        log_rank([1.0, 2.0], [True, True], [False, False])
    with pytest.raises(ValueError, match="finite"):
        log_rank([1.0, np.nan], [True, True], [False, True])
    with pytest.raises(ValueError, match="one time"):
        log_rank([1.0], [True, True], [False, True])
