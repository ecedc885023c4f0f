"""Places in the batch: who leaves, who follows, what happens when memory runs out; and rules of one's own."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from gmd26_md.dynamics import loop
from gmd26_md.dynamics.engine import Progress, Segment, System, integrate
from gmd26_md.dynamics.waiting import WaitingLine

SEGMENTS = [Segment("nvt", 40, 0.5, 10, friction_per_fs=0.02), Segment("nve", 40, 0.5, 10)]
FOUR = np.array([6, 1, 8, 1])


@pytest.fixture
def many(tetrahedron):
    """Seven systems of four and two atoms; the third flies apart."""
    pair = np.array([[0.0, 0, 0], [0, 0, 1.02]])
    apart = np.array([[0, 0, -0.3], [0, 0, 0.3]])
    fours = [System(f"four{i}", FOUR, tetrahedron, seed=i, temperature_K=300.0) for i in range(4)]
    pairs = [System(f"pair{i}", np.array([8, 1]), pair, seed=i, temperature_K=200.0) for i in range(2)]
    flies = System("flies", np.array([6, 6]), pair, seed=9, temperature_K=300.0, velocities=apart)
    return [*fours[:2], flies, *pairs, *fours[2:]]


def short_of_memory(provider, n_atoms, calls_before=0):
    """Let the springs run out of memory with more atoms at once than that, once a number of calls are done."""
    network = provider.potential.network
    plain = network.forward

    def forward(batch):
        if len(batch.numbers) > n_atoms and network.n_calls >= calls_before:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return plain(batch)

    network.forward = forward
    return provider


@pytest.mark.parametrize("max_cost", [1.0, 12.0, 25.0])
def test_the_size_of_the_batch_changes_no_bit(springs, many, same, max_cost):
    together = integrate(springs(k=0.5, nan_beyond=2.2), many, SEGMENTS)
    assert [run.key for run in together if run.stopped] == ["flies"]
    assert same(integrate(springs(k=0.5, nan_beyond=2.2), many, SEGMENTS, max_cost=max_cost), together)


def test_the_next_takes_the_place_of_one_that_dies(springs, many):
    provider = springs(k=0.5, nan_beyond=2.2)
    room = sum(provider.cost(s.numbers, s.positions) for s in many[:3])
    runs = integrate(provider, many[:4], SEGMENTS, max_cost=room)
    died = runs[2].n_force_calls
    assert died < 80
    # the fourth begins where the third left, not where the first two ended
    assert provider.potential.network.n_calls == died + runs[3].n_force_calls == died + 81


@pytest.mark.parametrize(("limit", "calls_before"), [(12, 0), (12, 30), (4, 0), (4, 50)])
def test_out_of_memory_halves_the_batch_and_loses_nothing(springs, many, same, limit, calls_before):
    undisturbed = integrate(springs(k=0.5, nan_beyond=2.2), many, SEGMENTS)
    tight = short_of_memory(springs(k=0.5, nan_beyond=2.2), limit, calls_before)
    assert same(integrate(tight, many, SEGMENTS), undisturbed)


def test_out_of_memory_is_remembered_by_a_snapshot(springs, many, same, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "_SNAPSHOT_EVERY_S", -1.0)
    undisturbed = integrate(springs(k=0.5, nan_beyond=2.2), many, SEGMENTS)
    tight = short_of_memory(springs(k=0.5, nan_beyond=2.2), 12, 20)
    tight.potential.network.interrupt_at = 80
    with pytest.raises(KeyboardInterrupt):
        integrate(tight, many, SEGMENTS, folder=tmp_path)
    again = short_of_memory(springs(k=0.5, nan_beyond=2.2), 12)
    assert same(integrate(again, many, SEGMENTS, folder=tmp_path), undisturbed)


def test_one_that_does_not_fit_by_itself_is_an_error_and_the_others_run(springs, many, same):
    undisturbed = integrate(springs(k=0.5, nan_beyond=2.2), many, SEGMENTS)
    runs = integrate(short_of_memory(springs(k=0.5, nan_beyond=2.2), 3), many, SEGMENTS)
    for run, calm in zip(runs, undisturbed, strict=True):
        if run.key.startswith("four"):
            assert run.stopped == "error"
            assert "4 atoms do not fit" in run.reason
        else:
            assert same([run], [calm])


def test_another_failure_of_the_model_is_not_swallowed(springs, many):
    provider = springs()

    def forward(batch):
        raise RuntimeError("sizes do not match")

    provider.potential.network.forward = forward
    with pytest.raises(RuntimeError, match="sizes do not match"):
        integrate(provider, many, SEGMENTS)


def test_each_system_has_its_own_time_step_and_temperature(springs, tetrahedron, same):
    def own(key, dt, friction, temperature):
        n = round(20 / dt)
        segments = (Segment("nvt", n, dt, n // 4, friction), Segment("nve", n + 3, dt, n // 4))
        return System(key, FOUR, tetrahedron, seed=3, temperature_K=temperature, segments=segments)

    systems = [
        own("a", 0.25, 0.02, 300.0),
        own("b", 0.5, 0.01, 500.0),
        own("c", 1.0, 0.0, 300.0),
        own("d", 0.4, 0.1, 1.0),
    ]
    together = integrate(springs(), systems)
    assert same(together, [integrate(springs(), [system])[0] for system in systems])
    assert [run.frames["nve"].time_fs[-1] for run in together] == pytest.approx([40.75, 41.5, 43.0, 41.2])
    # one trajectory without friction, at two time steps: close, and not the same
    fine = replace(systems[2], segments=(Segment("nve", 40, 0.5, 40),))
    coarse = replace(systems[2], segments=(Segment("nve", 20, 1.0, 20),))
    x, y = (run.frames["nve"].positions[-1] for run in integrate(springs(), [replace(fine, key="f"), coarse]))
    assert 1e-6 < np.abs(x - y).max() < 0.02


def test_what_is_seen_at_every_step_agrees_with_frames_of_every_step(springs, tetrahedron):
    from gmd26_md.trajectory import kinetic_energy

    system = System("a", FOUR, tetrahedron, seed=3, temperature_K=300.0)
    seldom = integrate(springs(), [system], [Segment("nve", 60, 0.5, 30)])[0]
    often = integrate(springs(), [system], [Segment("nve", 60, 0.5, 1)])[0].frames["nve"]
    seen, kinetic = seldom.observed["nve"], kinetic_energy(often)[1:]
    total = kinetic + often.energies[1:]
    assert seen.n_steps == 60
    assert seen.kinetic_sum_eV == pytest.approx(kinetic.sum(), rel=1e-12)
    assert seen.kinetic_max_eV == pytest.approx(kinetic.max(), rel=1e-12)
    assert seen.kinetic_max_step == 1 + int(np.argmax(kinetic)) > 20  # it is not of the first look
    assert (seen.total_min_eV, seen.total_max_eV) == pytest.approx((total.min(), total.max()), abs=1e-9)
    assert seen.total_max_eV > seen.total_min_eV


def test_progress_counts_molecule_steps(springs, many, monkeypatch):
    said: list[Progress] = []
    monkeypatch.setattr(loop.time, "monotonic", iter(np.arange(0.0, 1e5, 0.6)).__next__)  # half a second a look
    integrate(springs(k=0.5, nan_beyond=2.2), many, SEGMENTS, on_progress=said.append)
    done = [p.n_steps_done for p in said]
    assert done == sorted(done)
    assert said[-1].n_steps == 7 * 80 >= done[-1] > 6 * 80
    assert said[-1].n_finished == 1
    assert said[-1].n_moving == 6
    assert all(p.steps_per_s > 0 for p in said)


def test_two_systems_of_one_name_are_refused(springs, many):
    with pytest.raises(ValueError, match="same key"):
        integrate(springs(), [many[0], many[0]], SEGMENTS)
    with pytest.raises(ValueError, match="no segments"):
        integrate(springs(), many[:1])


def test_the_line_gives_room_by_cost_and_never_starves():
    line = WaitingLine([("big", 10.0), ("a", 2.0), ("b", 2.0), ("c", 2.0)], capacity=4.5)
    assert line.next(1.0) == []
    assert line.next(0.0) == [("big", 10.0)]  # it goes alone, whatever it costs
    assert line.next(0.0) == [("a", 2.0), ("b", 2.0)]
    line.back([("x", 1.0), ("y", 1.0)])
    assert list(line) == ["x", "y", "c"]
    assert len(line) == 3
    assert line.clear() == ["x", "y", "c"]
    assert len(line) == 0
