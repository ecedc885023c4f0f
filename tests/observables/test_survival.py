import numpy as np
import pytest

from gmd26_md.observables.survival import clustered_survival, first_failure, kaplan_meier

# Remission of 21 patients on 6-mercaptopurine, in weeks (Freireich et al. 1963); negative: censored.
WEEKS = [6, 6, 6, -6, 7, -9, 10, -10, -11, 13, 16, -17, -19, -20, 22, 23, -25, -32, -32, -34, -35]


def test_the_textbook_example_comes_out():
    survival = kaplan_meier(np.abs(WEEKS), np.array(WEEKS) > 0)
    np.testing.assert_array_equal(survival.time_ps, [6, 7, 10, 13, 16, 22, 23])
    np.testing.assert_array_equal(survival.n_at_risk, [21, 17, 15, 12, 11, 7, 6])
    np.testing.assert_array_equal(survival.n_failed, [3, 1, 1, 1, 1, 1, 1])
    # The published table, to its digits.
    np.testing.assert_allclose(survival.probability, [0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448], atol=6e-4)
    np.testing.assert_allclose(
        survival.standard_error, [0.0764, 0.0869, 0.0963, 0.1068, 0.1141, 0.1282, 0.1346], atol=6e-5
    )
    np.testing.assert_allclose(survival.low[1], 0.807 - 1.96 * 0.0869, atol=1e-3)
    assert survival.high[1] == pytest.approx(0.807 + 1.96 * 0.0869, abs=1e-3)


def test_the_estimate_is_a_step_function():
    survival = kaplan_meier(np.abs(WEEKS), np.array(WEEKS) > 0)
    assert survival.at(5.9)[0] == 1.0
    assert survival.at(6.0)[0] == pytest.approx(18 / 21)
    assert survival.at(6.9)[0] == pytest.approx(18 / 21)
    assert survival.at(100.0)[0] == pytest.approx(survival.probability[-1])


def test_without_censoring_it_is_the_share_alive():
    survival = kaplan_meier([1.0, 2.0, 3.0, 4.0], [True] * 4)
    np.testing.assert_allclose(survival.probability, [0.75, 0.5, 0.25, 0.0])
    np.testing.assert_allclose(survival.standard_error[1], np.sqrt(0.5 * 0.5 / 4))


def test_all_dead_and_all_alive_still_leave_doubt():
    edge = 0.05 ** (1.0 / 3.0)
    dead = kaplan_meier([1.0, 1.0, 1.0], [True] * 3)
    assert dead.at(1.0) == (0.0, 0.0, pytest.approx(1.0 - edge))
    alive = kaplan_meier([5.0, 5.0, 5.0], [False] * 3)
    assert alive.time_ps.size == 0
    assert alive.at(5.0) == (1.0, pytest.approx(edge), 1.0)


def test_a_run_censored_is_not_a_run_failed():
    cut = kaplan_meier([1.0, 2.0, 2.0], [False, False, False])
    failed = kaplan_meier([1.0, 2.0, 2.0], [True, False, False])
    assert cut.at(2.0)[0] == 1.0
    assert failed.at(2.0)[0] == pytest.approx(2 / 3)


@pytest.mark.parametrize("times", [[np.nan, 1.0], [-1.0, 1.0], [np.inf, 1.0], [1.0], []])
def test_times_that_are_none_are_refused(times):
    with pytest.raises(ValueError, match="time"):
        kaplan_meier(times, [True, False])


def test_the_first_failure_is_the_earliest_and_none_means_never():
    assert first_failure([None, 3.0, 1.5]) == 1.5
    assert first_failure([0.0, None]) == 0.0
    assert first_failure([None, None]) is None


def test_the_restricted_mean_is_the_area_under_the_curve():
    survival = kaplan_meier([1.0, 2.0, 3.0, 4.0], [True] * 4)
    assert survival.restricted_mean_ps(4.0) == pytest.approx(1.0 + 0.75 + 0.5 + 0.25)
    assert survival.restricted_mean_ps(2.5) == pytest.approx(1.0 + 0.75 + 0.25)
    assert survival.restricted_mean_ps(0.5) == pytest.approx(0.5)
    assert kaplan_meier([5.0], [False]).restricted_mean_ps(5.0) == pytest.approx(5.0)


def test_seeds_that_share_their_molecules_fate_widen_the_interval():
    fates = [(1.0, 1.0), (5.0, 0.0)] * 5
    molecules = [np.array([fate] * 20) for fate in fates]
    (end,), mean = clustered_survival(molecules, [5.0], 5.0)
    runs = np.concatenate(molecules)
    greenwood = kaplan_meier(runs[:, 0], runs[:, 1] > 0)
    assert end.value == pytest.approx(0.5)
    # ten molecules, half of them: 0.158; two hundred runs as if independent: 0.035
    assert end.standard_error == pytest.approx(np.sqrt(0.25 / 10), rel=0.15)
    assert greenwood.standard_error[0] == pytest.approx(np.sqrt(0.25 / 200), rel=1e-9)
    assert (end.low, end.high) == (pytest.approx(0.2, abs=0.11), pytest.approx(0.8, abs=0.11))
    assert mean.value == pytest.approx(3.0)
    assert mean.low < 2.5 < 3.5 < mean.high


def test_no_failure_in_any_molecule_is_still_no_certainty():
    (end,), mean = clustered_survival([np.array([[5.0, 0.0]] * 3)] * 12, [5.0], 5.0)
    assert (end.value, end.low, end.high) == (1.0, pytest.approx(0.05 ** (1 / 12)), 1.0)
    assert (mean.value, mean.low) == (5.0, pytest.approx(5.0 * 0.05 ** (1 / 12)))
    (dead,), _ = clustered_survival([np.array([[1.0, 1.0]])] * 12, [5.0], 5.0)
    assert (dead.value, dead.low, dead.high) == (0.0, 0.0, pytest.approx(1.0 - 0.05 ** (1 / 12)))


def test_no_run_that_could_begin_is_no_certainty_either():
    # the mirror of the case above: of twelve molecules none began, and a true share of 0.22 would allow that at 95 %
    _, mean = clustered_survival([np.array([[0.0, 1.0]] * 3)] * 12, [5.0], 5.0)
    assert (mean.value, mean.low, mean.high) == (0.0, 0.0, pytest.approx(5.0 * (1.0 - 0.05 ** (1 / 12))))
