"""Distances from training environments: known clouds of points, and what must come out for them."""

import numpy as np
import pytest

from gmd26_md.observables.environments import LEVELS, MIN_ROWS, distances, fitted


def cloud(n, seed, covariance, mean=0.0):
    random = np.random.default_rng(seed)
    return random.multivariate_normal(np.full(len(covariance), mean), covariance, size=n)


MIXING = np.array([[2.0, 0.6, 0.0], [0.6, 1.0, 0.3], [0.0, 0.3, 0.5]])


def test_with_all_directions_kept_it_is_the_mahalanobis_distance():
    train, heldout, asked = (cloud(4000, seed, MIXING) for seed in (1, 2, 3))
    found = distances(fitted(train, heldout, variance=1.0), asked[:50])
    inverse = np.linalg.inv(np.cov(train.T, bias=True))

    def textbook(rows):
        centred = rows - train.mean(axis=0)
        return np.sqrt(np.einsum("ij,jk,ik->i", centred, inverse, centred))

    # two of three directions are kept, the third is the noise; half precision of the directions leaves some 1e-3
    assert np.allclose(found.mahalanobis, textbook(asked[:50]) / np.median(textbook(heldout)), rtol=5e-3)


def test_held_out_environments_have_a_median_of_one_and_percentiles_that_are_uniform():
    train, heldout, again = (cloud(3000, seed, MIXING, mean=5.0) for seed in (4, 5, 6))
    found = distances(fitted(train, heldout), again)
    for values, percentiles in (
        (found.nearest, found.nearest_percentile),
        (found.mahalanobis, found.mahalanobis_percentile),
    ):
        assert np.median(values) == pytest.approx(1.0, abs=0.05)  # 3000 draws: the median is sure to some 2 %
        for share in (10.0, 50.0, 90.0, 99.0):
            assert (percentiles < share).mean() * 100.0 == pytest.approx(share, abs=3.0)  # sd below 1 %, twice drawn


def test_a_kept_environment_is_its_own_nearest_and_a_step_from_it_is_as_far_as_the_step():
    train = np.random.default_rng(7).normal(size=(200, 4)) * [1.0, 10.0, 0.1, 1.0]
    environments = fitted(train, train, n_kept=200, variance=1.0)
    # half precision keeps coordinates of size 3 to 1e-3; the median of held-out distances is the unit, here nearly zero
    raw = distances(environments, train).nearest * environments.nearest[LEVELS.index(0.5)]
    assert raw.max() < 5e-3
    far = train[:1] + np.array([0.0, 1000.0, 0.0, 0.0])  # hundred standard deviations of that feature
    step = distances(environments, far).nearest[0] * environments.nearest[LEVELS.index(0.5)]
    assert step == pytest.approx(1000.0 / train[:, 1].std(), rel=0.05)  # less what another one is nearer by


def test_the_unit_of_a_feature_does_not_matter():
    train, heldout, asked = (cloud(500, seed, MIXING) for seed in (8, 9, 10))
    unit = np.array([1.0, 3.0, 0.5])
    one = distances(fitted(train, heldout), asked)
    other = distances(fitted(train * unit, heldout * unit), asked * unit)
    assert np.allclose(one.mahalanobis, other.mahalanobis, rtol=2e-3)  # half precision of slightly other directions
    assert np.allclose(one.nearest, other.nearest, rtol=2e-2, atol=2e-2)


def test_dependent_and_constant_features_are_no_trouble_and_leaving_their_relation_is_far():
    base = cloud(1000, 11, MIXING)
    rows = np.concatenate([base, base @ MIXING, np.full((1000, 2), 3.0)], axis=1)  # rank 3 of 8
    environments = fitted(rows[:500], rows[500:])
    assert np.isfinite(environments.variances).all()
    assert environments.noise > 0.0
    usual = distances(environments, rows[500:600])
    assert usual.mahalanobis.max() < 5.0
    broken, moved = rows[500:600].copy(), rows[500:600].copy()
    broken[:, 3] += 3.0 * rows[:, 3].std()  # within its own range, but not with the others
    moved[:, 7] = 3.1  # what never varied now does
    for odd in (broken, moved):
        found = distances(environments, odd)
        assert found.mahalanobis.min() > 3.0 * usual.mahalanobis.max()
        assert (found.mahalanobis_percentile == 100.0).all()


def test_a_correlation_that_is_broken_is_seen_by_mahalanobis_before_the_nearest_neighbour():
    tight = np.array([[1.0, 0.98], [0.98, 1.0]])
    environments = fitted(cloud(2000, 12, tight), cloud(2000, 13, tight))
    along, across = np.array([[1.0, 1.0]]), np.array([[0.7, -0.7]])
    assert distances(environments, across).mahalanobis[0] > 5.0 * distances(environments, along).mahalanobis[0]


def test_what_is_no_number_is_infinitely_far():
    environments = fitted(cloud(50, 14, MIXING), cloud(50, 15, MIXING))
    found = distances(environments, np.array([[0.0, np.nan, 0.0], [np.inf, 0.0, 0.0], [0.0, 0.0, 0.0]]))
    assert np.isinf(found.mahalanobis[:2]).all()
    assert np.isinf(found.nearest[:2]).all()
    assert found.mahalanobis_percentile[:2].tolist() == [100.0, 100.0]
    assert np.isfinite([found.nearest[2], found.mahalanobis[2]]).all()


def test_no_environments_have_no_distances():
    environments = fitted(cloud(50, 14, MIXING), cloud(50, 15, MIXING))
    assert distances(environments, np.zeros((0, 3))).nearest.shape == (0,)


def test_identical_environments_are_one_point():
    same = np.ones((20, 3))
    environments = fitted(same, same)
    found = distances(environments, np.array([[1.0, 1.0, 1.0], [1.0, 1.1, 1.0]]))
    assert found.mahalanobis[0] == 0.0
    assert found.mahalanobis[1] > 1.0


def test_the_draw_is_the_same_each_time():
    train = cloud(300, 16, MIXING)
    assert np.array_equal(fitted(train, train, n_kept=40).kept, fitted(train, train, n_kept=40).kept)


@pytest.mark.parametrize(
    ("train", "heldout", "words"),
    [
        (np.zeros((MIN_ROWS - 1, 2)), np.zeros((20, 2)), "9 training and 20 held-out environments; 10 are needed"),
        (np.zeros((20, 2)), np.full((20, 2), np.nan), "not finite"),
    ],
)
def test_too_little_to_fit_is_said(train, heldout, words):
    with pytest.raises(ValueError, match=words):
        fitted(train, heldout)


def test_another_number_of_features_is_refused():
    environments = fitted(cloud(50, 17, MIXING), cloud(50, 18, MIXING))
    with pytest.raises(ValueError, match=r"want \(n, 3\) features, got \(2, 4\)"):
        distances(environments, np.zeros((2, 4)))
