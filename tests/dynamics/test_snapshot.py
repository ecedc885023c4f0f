"""A run that is killed goes on to the same numbers, or begins anew where the snapshot is not its own."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from gmd26_md.dynamics import loop
from gmd26_md.dynamics.engine import Segment, System, integrate, stream

SEGMENTS = [
    Segment("warm", 25, 0.5, 0, friction_per_fs=0.02),
    Segment("nvt", 30, 0.5, 5, friction_per_fs=0.02),
    Segment("nve", 30, 0.5, 5),
]


@pytest.fixture(autouse=True)
def save_at_every_look(monkeypatch):
    monkeypatch.setattr(loop, "_SNAPSHOT_EVERY_S", -1.0)


@pytest.fixture
def systems(tetrahedron):
    doomed = np.array([[0.0, 0, 0], [0, 0, 1.0]])
    apart = np.array([[0, 0, -0.3], [0, 0, 0.3]])  # leaves the potential's reach within a few fs
    return [
        System("a", np.array([6, 1, 8, 1]), tetrahedron, seed=1, temperature_K=300.0),
        System("dies", np.array([6, 6]), doomed, seed=2, temperature_K=300.0, velocities=apart),
        System("b", np.array([6, 1, 8, 1]), tetrahedron, seed=3, temperature_K=300.0),
    ]


def run(provider, systems, folder=None, **options):
    return integrate(provider, systems, SEGMENTS, folder=folder, **options)


def interrupted(provider, systems, folder, at_call, **options):
    provider.potential.network.interrupt_at = at_call
    with pytest.raises(KeyboardInterrupt):
        run(provider, systems, folder, **options)


@pytest.mark.parametrize("at_call", [3, 24, 48, 57, 74])
def test_an_interrupted_run_goes_on_to_the_same_bits(springs, systems, same, tmp_path, at_call):
    undisturbed = run(springs(k=0.5, nan_beyond=2.2), systems)
    assert [one.stopped for one in undisturbed] == [None, "exploded", None]
    interrupted(springs(k=0.5, nan_beyond=2.2), systems, tmp_path, at_call)
    assert (tmp_path / "state.pt").is_file() == (at_call > 20)  # nothing to save before the first look
    second = springs(k=0.5, nan_beyond=2.2)
    assert same(run(second, systems, tmp_path), undisturbed)
    assert 28.5 < undisturbed[1].stopped_at_fs < 36.0  # after all kills but the last
    # 86 calls in one go; what the snapshot holds is not computed again, and a stretch is of 20 steps at most
    assert second.potential.network.n_calls <= 86 - (at_call - 21)
    assert not tmp_path.exists()  # nothing is left behind


@pytest.mark.parametrize("at_call", [30, 90, 130])
def test_one_at_a_time_goes_on_as_well(springs, systems, same, tmp_path, at_call):
    undisturbed = run(springs(k=0.5, nan_beyond=2.2), systems)
    interrupted(springs(k=0.5, nan_beyond=2.2), systems, tmp_path, at_call, max_cost=1.0)
    second = springs(k=0.5, nan_beyond=2.2)
    assert same(run(second, systems, tmp_path, max_cost=1.0), undisturbed)
    whole = springs(k=0.5, nan_beyond=2.2)
    run(whole, systems, max_cost=1.0)
    assert second.potential.network.n_calls <= whole.potential.network.n_calls - (at_call - 21)


def test_killed_twice_and_frames_written_after_the_snapshot_are_cut_off(springs, systems, same, tmp_path, monkeypatch):
    undisturbed = run(springs(k=0.5, nan_beyond=2.2), systems)
    interrupted(springs(k=0.5, nan_beyond=2.2), systems, tmp_path, 48)
    snapshot = (tmp_path / "state.pt").read_bytes()
    interrupted(springs(k=0.5, nan_beyond=2.2), systems, tmp_path, 25)  # goes on, and writes more frames
    (tmp_path / "state.pt").write_bytes(snapshot)
    assert same(run(springs(k=0.5, nan_beyond=2.2), systems, tmp_path), undisturbed)


def test_frames_that_are_lost_are_computed_again(springs, systems, same, tmp_path):
    undisturbed = run(springs(k=0.5, nan_beyond=2.2), systems)
    interrupted(springs(k=0.5, nan_beyond=2.2), systems, tmp_path, 74)
    files = sorted(tmp_path.glob("*.frames"))
    assert len(files) == 3
    files[0].write_bytes(files[0].read_bytes()[:100])
    files[1].unlink()
    assert same(run(springs(k=0.5, nan_beyond=2.2), systems, tmp_path), undisturbed)


@pytest.mark.parametrize("other", [{"seed": 17}, {"masses": "heavy"}])
def test_what_is_asked_otherwise_begins_anew_and_the_rest_goes_on(springs, systems, same, tmp_path, other):
    if "masses" in other:
        other = {"masses": np.full(len(systems[2].numbers), 20.0)}
    interrupted(springs(k=0.5, nan_beyond=2.2), systems, tmp_path, 60)
    others = [systems[0], replace(systems[2], **other)]
    second = springs(k=0.5, nan_beyond=2.2)
    found = run(second, others, tmp_path, max_cost=1.0)
    assert same(found, run(springs(k=0.5, nan_beyond=2.2), others))
    assert second.potential.network.n_calls < 86 + 50


@pytest.mark.parametrize("content", [b"", b"no snapshot", "torn", "list"])
def test_what_is_no_snapshot_is_not_continued(springs, systems, same, tmp_path, content):
    path = tmp_path / "state.pt"
    interrupted(springs(k=0.5, nan_beyond=2.2), systems, tmp_path, 60)
    if content == "torn":
        path.write_bytes(path.read_bytes()[:1000])
    elif content == "list":
        torch.save([1, 2], path)
    else:
        path.write_bytes(content)
    found = run(springs(k=0.5, nan_beyond=2.2), systems, tmp_path)
    assert same(found, run(springs(k=0.5, nan_beyond=2.2), systems))


def test_a_stream_hands_over_a_run_again_until_the_next_is_asked_for(springs, systems, same, tmp_path):
    whole = {one.key: one for one in run(springs(k=0.5, nan_beyond=2.2), systems)}
    first = stream(springs(k=0.5, nan_beyond=2.2), systems, SEGMENTS, folder=tmp_path)
    assert next(first).key == "dies"  # the first to leave, long before the others end
    first.close()
    second = springs(k=0.5, nan_beyond=2.2)
    again = stream(second, systems, SEGMENTS, folder=tmp_path)
    dead = next(again)
    assert second.potential.network.n_calls == 0
    assert same([dead], [whole["dies"]])
    rest = list(again)
    assert [one.key for one in rest] == ["a", "b"]
    assert same(rest, [whole["a"], whole["b"]])
    assert not tmp_path.exists()  # nothing is left behind


def test_what_is_handed_over_may_be_left_out_of_the_next_call(springs, systems, same, tmp_path):
    first = stream(springs(k=0.5, nan_beyond=2.2), systems, SEGMENTS, folder=tmp_path)
    next(first)
    first.close()
    second = springs(k=0.5, nan_beyond=2.2)
    rest = list(stream(second, [systems[0], systems[2]], SEGMENTS, folder=tmp_path))
    assert same(rest, run(springs(k=0.5, nan_beyond=2.2), [systems[0], systems[2]]))
    assert second.potential.network.n_calls < 86 - 50
