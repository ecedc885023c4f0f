"""Distances between distributions that can be told by hand, on the line and on the circle."""

import numpy as np
import pytest

from gmd26_md.observables.distributions import (
    HR_BIN_A,
    circle_distance_deg,
    circle_spread_deg,
    hr_error,
    interatomic_distances,
    line_distance,
    line_spread,
)

TRIANGLE = np.array([[0.0, 0, 0], [1.02, 0, 0], [0.51, 0.1, 0]])  # one side of 1.02 Å and two of 0.52 Å


def rigid(n_frames=3):
    """Return a triangle that flies and turns, (n_frames, 3, 3)."""
    angles = np.linspace(0, 2, n_frames)
    turns = [np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]]) for a in angles]
    return np.stack([TRIANGLE @ turn + 5.0 * a for turn, a in zip(turns, angles, strict=True)])


def test_h_of_r_of_a_rigid_molecule_stands_at_its_distances():
    h = interatomic_distances(rigid())
    assert h.sum() * HR_BIN_A == pytest.approx(1.0)
    shares = {i: h[i] * HR_BIN_A for i in np.flatnonzero(h)}
    assert shares == {10: pytest.approx(2 / 3), 20: pytest.approx(1 / 3)}


def test_the_error_of_h_of_r_is_the_integral_of_the_difference():
    h = interatomic_distances(rigid())
    stretched = interatomic_distances(rigid() * 10)
    assert hr_error(h, h) == 0.0
    assert hr_error(h, stretched) == hr_error(stretched, h) == pytest.approx(2.0)  # nothing in common
    moved = rigid()
    moved[0] *= 10  # one frame of three is elsewhere
    assert hr_error(h, interatomic_distances(moved)) == pytest.approx(2 / 3)


def test_h_of_r_of_many_frames_is_that_of_its_parts():
    many = rigid(1203)
    assert interatomic_distances(many) == pytest.approx(interatomic_distances(rigid(3)))


def test_a_position_that_is_no_number_makes_no_h_of_r():
    broken = rigid()
    broken[1, 0, 0] = np.nan
    assert np.isnan(hr_error(interatomic_distances(broken), interatomic_distances(rigid())))


def test_a_shifted_sample_is_off_by_the_shift():
    sample = np.random.default_rng(0).normal(size=(50, 3))
    assert line_distance(sample, sample + 0.3) == pytest.approx(0.3)
    assert line_distance(sample, sample[::-1]) == 0.0
    assert np.isnan(line_distance(sample, sample * np.nan))
    assert line_spread(np.array([0.0, 2.0])) == 1.0


def test_around_180_degrees_the_short_way_counts():
    first, second = np.array([179.0, 178.0]), np.array([-179.0, -178.0])
    assert circle_distance_deg(first, second) == pytest.approx(3.0)
    assert circle_distance_deg(np.array([0.0]), np.array([180.0])) == pytest.approx(180.0)
    assert circle_distance_deg(np.array([10.0]), np.array([370.0])) == pytest.approx(0.0)
    assert np.isnan(circle_distance_deg(first, np.array([np.nan])))


@pytest.mark.parametrize("seed", range(5))
def test_the_distance_on_the_circle_is_the_best_matching(seed):
    random = np.random.default_rng(seed)
    first, second = random.uniform(-180, 180, 40), random.normal(170, 40, 40)
    # equal numbers of points on a circle are best matched in order, begun somewhere
    one, other = np.sort(first % 360), np.sort(second % 360)
    best = min(np.abs((one - np.roll(other, k) + 180) % 360 - 180).mean() for k in range(40))
    assert circle_distance_deg(first, second) == pytest.approx(best, abs=1e-9)
    turned = circle_distance_deg((first + 123.4) % 360 - 180, (second + 123.4) % 360 - 180)
    assert turned == pytest.approx(best, abs=1e-9)  # wherever the circle is cut
    twice = np.concatenate([second, second])
    assert circle_distance_deg(first, twice) == pytest.approx(best, abs=1e-9)  # and whatever the numbers


def test_the_spread_on_the_circle():
    narrow = np.random.default_rng(1).normal(180, 5, 20000)
    assert circle_spread_deg((narrow + 180) % 360 - 180) == pytest.approx(5, rel=0.03)
    assert circle_spread_deg(np.linspace(-180, 180, 3600, endpoint=False)) == pytest.approx(360 / 12**0.5, rel=1e-3)
