"""A run that is killed goes on to the same numbers, or begins anew where the snapshot is not its own."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from gmd26_md.dynamics import engine
from gmd26_md.dynamics.engine import Segment, System, integrate

SEGMENTS = [
    Segment("warm", 25, 0.5, 0, friction_per_fs=0.02),
    Segment("nvt", 30, 0.5, 5, friction_per_fs=0.02),
    Segment("nve", 30, 0.5, 5),
]


@pytest.fixture(autouse=True)
def save_at_every_look(monkeypatch):
    monkeypatch.setattr(engine, "_SNAPSHOT_EVERY_S", -1.0)


@pytest.fixture
def systems(tetrahedron):
    doomed = np.array([[0.0, 0, 0], [0, 0, 1.0]])
    apart = np.array([[0, 0, -0.3], [0, 0, 0.3]])  # leaves the potential's reach within a few fs
    return [
        System("a", np.array([6, 1, 8, 1]), tetrahedron, seed=1, temperature_K=300.0),
        System("dies", np.array([6, 6]), doomed, seed=2, temperature_K=300.0, velocities=apart),
        System("b", np.array([6, 1, 8, 1]), tetrahedron, seed=3, temperature_K=300.0),
    ]


def run(provider, systems, path=None):
    return integrate(provider, systems, SEGMENTS, snapshot_path=path, max_temperature_K=1e6)


def interrupted(provider, systems, path, at_call):
    provider.potential.network.interrupt_at = at_call
    with pytest.raises(KeyboardInterrupt):
        run(provider, systems, path)


@pytest.mark.parametrize("at_call", [3, 24, 48, 57, 74])
def test_an_interrupted_run_goes_on_to_the_same_bits(springs, systems, same, tmp_path, at_call):
    undisturbed = run(springs(k=0.5, nan_beyond=2.2), systems)
    assert [one.stopped for one in undisturbed] == [None, "exploded", None]
    path = tmp_path / "snapshot.pt"
    interrupted(springs(k=0.5, nan_beyond=2.2), systems, path, at_call)
    assert path.is_file() == (at_call > 20)  # nothing to save before the first look
    second = springs(k=0.5, nan_beyond=2.2)
    assert same(run(second, systems, path), undisturbed)
    assert 28.5 < undisturbed[1].stopped_at_fs < 36.0  # after all kills but the last
    # 86 calls in one go; what the snapshot holds is not computed again
    assert second.potential.network.n_calls <= 86 - (at_call - 20 if at_call > 20 else 0) + 1
    assert not path.exists()


def test_a_snapshot_of_another_question_is_not_continued(springs, systems, same, tmp_path):
    path = tmp_path / "snapshot.pt"
    interrupted(springs(k=0.5, nan_beyond=2.2), systems, path, 60)
    others = [replace(system, seed=system.seed + 10) for system in systems]
    found = run(springs(k=0.5, nan_beyond=2.2), others, path)
    assert same(found, run(springs(k=0.5, nan_beyond=2.2), others))


@pytest.mark.parametrize("content", [b"", b"no snapshot", "torn", "list"])
def test_what_is_no_snapshot_is_not_continued(springs, systems, same, tmp_path, content):
    path = tmp_path / "snapshot.pt"
    interrupted(springs(k=0.5, nan_beyond=2.2), systems, path, 60)
    if content == "torn":
        path.write_bytes(path.read_bytes()[:1000])
    elif content == "list":
        torch.save([1, 2], path)
    else:
        path.write_bytes(content)
    found = run(springs(k=0.5, nan_beyond=2.2), systems, path)
    assert same(found, run(springs(k=0.5, nan_beyond=2.2), systems))
