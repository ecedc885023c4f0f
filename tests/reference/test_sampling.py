"""Reference dynamics: named by what they depend on, made once, kept only where whole."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms

from gmd26_md.dynamics.engine import Segment
from gmd26_md.dynamics.sampled import Sampled
from gmd26_md.errors import UserError
from gmd26_md.reference.sampling import Order, estimated_s, path_of, sample

DIMER = Atoms("N2", positions=[[0, 0, 0], [1.1, 0, 0]])


@pytest.fixture
def order():
    segments = (Segment("equilibrate", 10, 1.0, 0, 0.01), Segment("sample", 40, 1.0, 2, 0.01))
    return Order(DIMER.numbers, DIMER.positions, segments, 300.0, 7, 1e5, "harmonic")


def test_a_run_is_made_once_and_then_read(order, tmp_path):
    other = replace(order, seed=8)
    made = dict(sample([order, other], tmp_path, n_workers=1))
    assert made[0].positions.shape == (21, 2, 3)
    assert made[0].stopped is None
    assert not np.array_equal(made[0].positions, made[1].positions)
    # what lies there is what is given, even where it is another run: nothing was made again
    made[1].write(path_of(order, tmp_path))
    again = dict(sample([order], tmp_path, n_workers=1))
    assert np.array_equal(again[0].positions, made[1].positions)
    assert again[0].info["seed"] == 8


def test_workers_make_what_this_process_makes(order, tmp_path):
    orders = [order, replace(order, seed=8)]
    here, there = (dict(sample(orders, tmp_path / str(n), n_workers=n)) for n in (1, 2))
    for index in (0, 1):
        assert np.array_equal(here[index].positions, there[index].positions)


def test_the_name_tells_apart_all_that_a_run_depends_on(order, tmp_path):
    moved = order.positions + np.array([[0, 0, 0], [0.001, 0, 0]])
    longer = (*order.segments[:1], replace(order.segments[1], n_steps=50))
    (tmp_path / "a.pt").write_text("a")
    (tmp_path / "emt.py").write_text("from ase.calculators.emt import EMT as make\n")
    others = [
        replace(order, seed=8),
        replace(order, temperature_K=301.0),
        replace(order, positions=moved),
        replace(order, numbers=np.array([7, 8])),
        replace(order, segments=longer),
        replace(order, reference="gfn2-xtb"),
        replace(order, reference=f"{tmp_path}/emt.py:make"),
        replace(order, reference=str(tmp_path / "a.pt")),
    ]
    names = {order.name, *(other.name for other in others)}
    (tmp_path / "a.pt").write_text("b")  # a file counts by its content, and a function by its file's
    (tmp_path / "emt.py").write_text("from ase.calculators.emt import EMT\nmake = EMT\n")
    assert len(names | {other.name for other in others[-2:]}) == 1 + len(others) + 2
    assert replace(order, positions=order.positions + 1e-6).name == order.name


def test_a_run_that_exploded_is_told_and_not_kept(order, tmp_path):
    hot = replace(order, max_temperature_K=1.0)
    found = dict(sample([hot], tmp_path, n_workers=1))[0]
    assert found.stopped == "exploded"
    assert found.stopped_at_fs is not None
    assert not list(tmp_path.iterdir())


def test_the_estimate_counts_what_is_missing(order, tmp_path):
    both = [order, replace(order, seed=8)]
    assert estimated_s(both, tmp_path, n_workers=1) > 0.0
    list(sample(both, tmp_path, n_workers=1))
    assert estimated_s(both, tmp_path) == 0.0


def test_a_sampled_run_comes_back_from_its_file(order, tmp_path):
    frames = np.random.default_rng(0).normal(size=(4, 2, 3)).astype(np.float32).astype(np.float64)
    frames[2, 1, 0] = np.nan
    sampled = Sampled(DIMER.numbers, np.arange(4.0), frames, frames, "exploded", 3.0, "too hot", 5, 0.5, {"a": "b"})
    sampled.write(tmp_path / "run.npz")
    back = Sampled.read(tmp_path / "run.npz")
    assert np.array_equal(back.positions, frames, equal_nan=True)
    assert (back.stopped, back.stopped_at_fs, back.reason, back.n_force_calls) == ("exploded", 3.0, "too hot", 5)
    assert back.info == {"a": "b"}


@pytest.mark.parametrize("content", [b"", b"nonsense", b"PK\x03\x04 torn"])
def test_a_damaged_file_is_named(order, tmp_path, content):
    path_of(order, tmp_path).write_bytes(content)
    with pytest.raises(UserError, match=r"\.npz is no sampled run of ours"):
        list(sample([order], tmp_path))
