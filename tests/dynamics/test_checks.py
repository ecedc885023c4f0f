"""What is looked at while molecules move: distances that must hold, each run by itself."""

import numpy as np
import pytest

from gmd26_md.dynamics.engine import Checks, PairCheck, Segment, System, integrate

SEGMENTS = [Segment("nve", 60, 0.5, 20)]
PAIR = np.array([[0, 1]])


def within(low, high, name="bond", stops=False, pairs=PAIR):
    n = len(pairs)
    return PairCheck(name, pairs, np.full(n, low), np.full(n, high), stops)


def flying(key="flies", checks=(), every=5, seed=1):
    """Two carbons without force on them, 1 Å apart, moving apart with 0.6 Å per ASE unit of time (10.18 fs)."""
    speed = np.array([[0, 0, -0.3], [0, 0, 0.3]])
    start = np.array([[0.0, 0, 0], [0, 0, 1.0]])
    return System(key, np.array([6, 6]), start, seed, 300.0, speed, checks=Checks(1e6, tuple(checks), every))


@pytest.mark.parametrize("every", [1, 5, 7])
def test_the_first_violation_is_noted_to_the_look(springs, every):
    run = integrate(springs(k=1e-9), [flying(checks=[within(0.0, 1.5)], every=every)], SEGMENTS)[0]
    seen = run.noticed["bond"]
    exact_fs = 0.5 / 0.6 * 10.1805  # 8.48 fs
    assert seen.at_fs == pytest.approx(np.ceil(exact_fs / (0.5 * every)) * 0.5 * every)
    assert seen.atoms == (0, 1)
    assert seen.distance_A == pytest.approx(1.0 + 0.6 * seen.at_fs / 10.1805, rel=1e-4)
    assert run.stopped is None


def test_a_check_that_stops_ends_the_run_and_no_other(springs, same):
    calm, stopped = flying("calm"), flying("stopped", [within(0.0, 1.5, stops=True)], every=1)
    runs = integrate(springs(k=1e-9), [calm, stopped], SEGMENTS)
    assert same(runs[:1], integrate(springs(k=1e-9), [calm], SEGMENTS))
    assert runs[1].stopped == "check"
    assert runs[1].stopped_at_fs == runs[1].noticed["bond"].at_fs == 8.5
    assert "bond: atoms 0 and 1 were 1.5" in runs[1].reason
    assert runs[1].frames["nve"].time_fs.tolist() == [0.0, 10.0]  # its last frame is kept


def test_the_worst_pair_is_named_and_checks_are_told_apart(springs):
    line = np.array([[0.0, 0, 0], [0, 0, 1.0], [0, 0, 2.3]])
    checks = (
        within(0.0, 1.2, "long", pairs=np.array([[0, 1], [1, 2], [0, 2]])),
        within(1.1, np.inf, "clash", pairs=np.array([[1, 2], [0, 1]])),
        within(0.0, np.inf, "never"),
    )
    system = System(
        "three", np.array([6, 6, 6]), line, 1, 300.0, np.zeros((3, 3)), checks=Checks(pairs=checks, every=1)
    )
    seen = integrate(springs(k=1e-9), [flying(seed=2), system], SEGMENTS)[1].noticed
    assert seen["long"].atoms == (0, 2)
    assert seen["long"].distance_A == pytest.approx(2.3, abs=1e-6)
    assert seen["clash"].atoms == (0, 1)
    assert "never" not in seen


def test_a_distance_that_is_no_number_passes_no_check_but_the_explosion_comes_first(springs):
    checks = [within(0.0, 100.0)]
    run = integrate(springs(k=1e-9, nan_beyond=1.5), [flying(checks=checks, every=1)], SEGMENTS)[0]
    assert run.stopped == "exploded"
    assert run.noticed == {}  # the positions were still right when the force was not


def test_looks_do_not_depend_on_neighbours(springs, tetrahedron):
    checks = [within(0.0, 1.5)]
    odd = System("odd", np.array([6, 1, 8, 1]), tetrahedron, 3, 300.0, segments=(Segment("nve", 13, 0.3, 3),))
    alone = integrate(springs(k=1e-9), [flying(checks=checks, every=7)], SEGMENTS)[0]
    beside = integrate(springs(k=1e-9), [odd, flying(checks=checks, every=7)], SEGMENTS)[1]
    assert alone.noticed == beside.noticed
    assert alone.noticed["bond"].at_fs == 10.5
