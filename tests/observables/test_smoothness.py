"""Curves whose minima, roughness and work are known."""

import numpy as np
import pytest

from gmd26_md.observables.smoothness import Dip, dips, finer_minimum, roughness, unmatched, work_error

STEP = 0.01


def morse(depth=4.6, a=2.3, r0=0.97):
    """Return stretches, energies (eV) and slopes of an O-H bond from 0.8 to 1.5 of its length."""
    by = STEP * np.arange(round(-0.2 * r0 / STEP), round(0.5 * r0 / STEP) + 1)
    decay = np.exp(-a * by)
    return by, depth * (1 - decay) ** 2, 2 * depth * a * (1 - decay) * decay


def test_a_parabola_has_one_minimum_and_no_roughness():
    by = STEP * np.arange(-20, 51)
    energies = 15.0 * by**2
    assert [d.index for d in dips(energies)] == [20]
    # 4 eV in float64, through a filter whose weights are solved for
    assert np.abs(roughness(energies, STEP)).max() < 1e-10
    assert np.abs(work_error(energies, 30.0 * by, STEP)).max() < 1e-10


def test_a_real_bond_is_smooth_to_a_tenth_of_a_millielectronvolt():
    by, energies, slopes = morse()
    assert [d.index for d in dips(energies)] == [int(np.argmin(np.abs(by)))]
    assert 1000 * np.abs(roughness(energies, STEP)).max() < 0.1
    assert 1000 * np.abs(work_error(energies, slopes, STEP)).max() < 0.01


@pytest.mark.parametrize("wavelength_A", [0.03, 0.05, 0.08])
def test_a_ripple_is_found_at_its_own_size(wavelength_A):
    by, energies, _ = morse()
    ripple = 2e-3 * np.sin(2 * np.pi * by / wavelength_A + 0.3)
    found = roughness(energies + ripple, STEP)
    # the polynomial follows up to 15 % of it
    assert np.sqrt((found**2).mean()) == pytest.approx(2e-3 / np.sqrt(2), rel=0.15)


def test_a_long_wave_is_not_roughness():
    by, energies, _ = morse()
    wave = 2e-3 * np.sin(2 * np.pi * by / 0.3)
    assert 1000 * np.abs(roughness(energies + wave, STEP) - roughness(energies, STEP)).max() < 0.1


def test_a_kink_and_a_jump_are_found_where_they_are():
    by, energies, _ = morse()
    at = int(np.argmin(np.abs(by - 0.203)))
    kinked = energies + 0.5 * np.maximum(by - 0.203, 0.0)  # the slope jumps by 0.5 eV/Å
    found = np.abs(roughness(kinked, STEP))
    assert abs(int(np.argmax(found)) - at) <= 1
    assert found.max() == pytest.approx(0.5 * 0.0045, rel=0.2)
    jumped = energies + 0.01 * (by > 0.203)
    found = np.abs(roughness(jumped, STEP))
    assert abs(int(np.argmax(found)) - at) <= 1
    assert found.max() == pytest.approx(0.004, rel=0.2)


def test_forces_that_are_no_gradient_do_other_work():
    _, energies, slopes = morse()
    wrong = work_error(energies, slopes + 0.1, STEP)
    # 0.1 eV/Å along 0.67 Å, about its mean
    assert np.ptp(wrong) == pytest.approx(0.1 * STEP * (len(energies) - 1), rel=1e-3)


def test_a_grid_too_wide_or_a_curve_too_short_is_refused():
    with pytest.raises(ValueError, match=r"100 points 0\.05 Å apart"):
        roughness(np.zeros(100), 0.05)
    with pytest.raises(ValueError, match="want 21 or more"):
        roughness(np.zeros(20), STEP)


def test_the_depth_of_a_minimum_is_the_climb_out_of_it():
    values = np.array([5.0, 1.0, 3.0, 2.0, 4.0, 0.0, 6.0])
    assert dips(values) == [Dip(1, 3.0), Dip(3, 1.0), Dip(5, 6.0)]


def test_a_curve_that_falls_to_its_end_has_a_minimum_there():
    values = np.array([3.0, 0.0, 2.0, 1.5])
    assert dips(values) == [Dip(1, 3.0), Dip(3, 0.5)]
    assert dips(np.array([0.0, 1.0, 2.0])) == [Dip(0, 2.0)]


def test_a_full_turn_closes_and_equal_minima_are_all_counted():
    angles = np.arange(0, 360, 15)
    methyl = 50.0 - 50.0 * np.cos(np.radians(3 * angles))
    found = dips(methyl, periodic=True)
    assert [int(angles[d.index]) for d in found] == [0, 120, 240]
    assert [d.depth for d in found] == pytest.approx([100.0, 100.0, 100.0])
    assert [d.index for d in dips(np.roll(methyl, 3), periodic=True)] == [3, 11, 19]


def test_walls_flat_lines_and_nothing():
    wall = np.inf
    assert dips(np.array([wall, 2.0, 1.0, wall, 3.0, wall]), periodic=True) == [Dip(2, 2.0)]
    assert dips(np.ones(5)) == dips(np.ones(5), periodic=True) == []
    assert dips(np.full(3, wall)) == []
    with pytest.raises(ValueError, match="NaN"):
        dips(np.array([0.0, np.nan, 1.0]))


def test_minima_are_matched_by_place_and_the_short_way_round():
    mine, others = [Dip(23, 50.0), Dip(10, 50.0), Dip(15, 5.0)], [Dip(0, 0.1)]
    assert unmatched(mine, others, within=2, min_depth=10.0, period=24) == [Dip(10, 50.0)]
    assert unmatched(mine, others, within=2, min_depth=10.0) == [Dip(23, 50.0), Dip(10, 50.0)]


def test_a_parabola_tells_its_minimum_between_the_points():
    at = np.arange(10.0)
    assert finer_minimum((at - 4.3) ** 2, 4) == pytest.approx(4.3)
    assert finer_minimum((at + 1.0) ** 2, 0) == 0.0
