"""One molecule is a batch of one: neighbours, their order and their deaths change nothing."""

import time

import numpy as np
import pytest
from ase.calculators.calculator import Calculator, all_changes

from gmd26_md.calculators import load_calculator
from gmd26_md.dynamics.engine import Checks, Segment, System, integrate
from gmd26_md.dynamics.forces import AseForces

SEGMENTS = [Segment("nvt", 40, 0.5, 10, friction_per_fs=0.02), Segment("nve", 40, 0.5, 10)]


def four_systems(tetrahedron):
    triangle = np.array([[0.0, 0, 0], [1.0, 0, 0.05], [0.5, 0.9, 0]])
    return [
        System("a", np.array([6, 1, 8, 1]), tetrahedron, seed=1, temperature_K=300.0),
        System("b", np.array([8, 1]), np.array([[0.0, 0, 0], [0, 0, 1.02]]), seed=2, temperature_K=200.0),
        System("c", np.array([8, 1, 1]), triangle, seed=3, temperature_K=400.0),
        System("d", np.array([6, 1, 8, 1]), tetrahedron, seed=4, temperature_K=300.0),
    ]


def far_dimer(key="far", velocity=0.0, max_temperature_K=1e6):
    """Two atoms, 1 Å apart at rest, that fly apart with this speed each, Å per ASE unit of time."""
    speed, start = np.array([[0, 0, -velocity], [0, 0, velocity]]), np.array([[0.0, 0, 0], [0, 0, 1.0]])
    return System(key, np.array([6, 6]), start, 9, 300.0, speed, checks=Checks(max_temperature_K))


class GivesUp(Calculator):
    """No force on anything; raises at its n-th calculation."""

    implemented_properties = ("energy", "forces")

    def __init__(self, at_call):
        super().__init__()
        self.left = at_call

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.left -= 1
        if self.left <= 0:
            raise RuntimeError("the field did not converge")
        self.results = {"energy": 0.0, "forces": np.zeros((len(atoms), 3))}


def test_neighbours_and_their_order_change_no_bit(springs, tetrahedron, same):
    systems = four_systems(tetrahedron)
    together = integrate(springs(), systems, SEGMENTS)
    turned = integrate(springs(), systems[::-1], SEGMENTS)
    alone = [integrate(springs(), [system], SEGMENTS)[0] for system in systems]
    assert same(together, turned[::-1])
    assert same(together, alone)
    assert not np.array_equal(together[0].frames["nve"].positions, together[3].frames["nve"].positions)


def test_a_planted_nan_stops_its_system_and_changes_no_bit_of_the_others(springs, tetrahedron, same):
    systems = four_systems(tetrahedron)
    network = springs(k=0.5, nan_beyond=1.6)
    mixed = integrate(network, [*systems[:2], far_dimer(velocity=0.3), *systems[2:]], SEGMENTS)
    dead = mixed.pop(2)
    assert same(mixed, integrate(network, systems, SEGMENTS))
    assert all(run.stopped is None for run in mixed)
    assert dead.stopped == "exploded"
    assert "not finite" in dead.reason
    frames = dead.frames["nvt"]
    assert np.isfinite(frames.energies[0])
    assert np.isnan(frames.energies[-1])  # the last frame is kept as it was
    assert np.isnan(frames.forces[-1]).all()
    assert frames.time_fs[-2] < dead.stopped_at_fs <= frames.time_fs[-1]
    assert "nve" not in dead.frames


def test_the_time_of_a_failure_is_known_to_the_step_where_no_frames_are_kept(springs):
    segments = [Segment("warm", 200, 0.5, 0, friction_per_fs=1e-9), Segment("nve", 10, 0.5, 5)]
    each = [Segment("watched", 200, 0.5, 1, friction_per_fs=1e-9)]
    provider, systems = springs(k=0.5, nan_beyond=1.6), [far_dimer(velocity=0.3)]
    blind = integrate(provider, systems, segments)[0]
    seen = integrate(provider, systems, each)[0]
    # 0.6 Å at twice 0.3 Å an ASE unit of time, which is 10.2 fs, a little slower for the spring
    assert 10.2 < blind.stopped_at_fs == seen.stopped_at_fs < 13.0
    assert blind.frames == {}
    assert blind.n_force_calls <= seen.n_force_calls + 20


def test_nan_at_the_first_geometry_is_an_explosion(springs):
    run = integrate(springs(nan_beyond=0.5), [far_dimer()], SEGMENTS)[0]
    assert run.stopped == "exploded"
    assert run.stopped_at_fs <= 0.5


def test_a_molecule_too_hot_has_exploded(springs, tetrahedron):
    systems = [
        four_systems(tetrahedron)[0],
        far_dimer(velocity=1.0, max_temperature_K=3000.0),
    ]  # 12 eV of kinetic energy
    calm, hot = integrate(springs(), systems, SEGMENTS)
    assert calm.stopped is None
    assert (hot.stopped, hot.stopped_at_fs) == ("exploded", 0.5)
    assert np.isfinite(hot.frames["nvt"].positions).all()


def test_a_calculator_that_raises_is_an_error_with_its_words():
    made = iter([GivesUp(1000), GivesUp(30), GivesUp(1000)])
    runs = integrate(AseForces(lambda: next(made)), [far_dimer(str(i)) for i in range(3)], SEGMENTS)
    assert [run.stopped for run in runs] == [None, "error", None]
    assert runs[1].reason == "RuntimeError: the field did not converge"
    assert runs[1].stopped_at_fs == 14.5  # call 30 is step 29
    assert runs[1].frames["nvt"].n_frames == 4


def test_survivors_keep_the_calculators_they_had(same):
    # springs that take their rest length from the first geometry: asked anew midway, they would take another
    def run(last_call):
        made = iter([load_calculator("harmonic"), GivesUp(last_call), load_calculator("harmonic")])
        return integrate(AseForces(lambda: next(made)), systems, SEGMENTS)

    thermal = System("OH", np.array([8, 1]), np.array([[0.0, 0, 0], [0, 0, 1.0]]), seed=1, temperature_K=300.0)
    systems = [thermal, far_dimer(), System("HO", thermal.numbers, thermal.positions, seed=2, temperature_K=300.0)]
    disturbed, calm = run(last_call=30), run(last_call=1000)
    assert disturbed[1].stopped == "error"
    assert same(disturbed[::2], calm[::2])


def test_a_deadline_censors_what_still_runs(springs, tetrahedron):
    past = time.monotonic() - 1.0
    systems = [*four_systems(tetrahedron), far_dimer(velocity=0.3)]
    runs = integrate(springs(k=0.5, nan_beyond=1.2), systems[-1:], SEGMENTS, deadline=past)
    assert runs[0].stopped == "exploded"  # a failure before the cut stays one
    runs = integrate(springs(), systems[:4], SEGMENTS, deadline=past)
    assert {run.stopped for run in runs} == {"censored"}
    assert {run.stopped_at_fs for run in runs} == {5.0}
    assert all(run.frames["nvt"].time_fs.tolist() == [0.0, 5.0] for run in runs)


def test_a_run_that_came_to_its_end_is_not_censored_however_late(springs, tetrahedron):
    runs = integrate(springs(), four_systems(tetrahedron), [Segment("nve", 10, 0.5, 10)], deadline=0.0)
    assert all(run.stopped is None for run in runs)


@pytest.mark.parametrize("road", ["batched", "ase"])
def test_all_systems_may_die(springs, road):
    provider = springs(nan_beyond=0.5) if road == "batched" else AseForces(lambda: GivesUp(1))
    runs = integrate(provider, [far_dimer("1"), far_dimer("2")], SEGMENTS)
    assert [run.stopped for run in runs] == [{"batched": "exploded", "ase": "error"}[road]] * 2
