"""Labels beside the dynamics are the labels that one gets afterwards, whatever happens in between."""

import importlib
import multiprocessing
import os
import signal
import time

import numpy as np
import pytest
from ase.build import molecule

from gmd26_md.reference import beside
from gmd26_md.reference.beside import LabelsBeside
from gmd26_md.reference.labels import Frames, label

MANY = 10_000  # worth workers


def shaken(name, n_frames, seed=0):
    atoms = molecule(name)
    noise = np.random.default_rng(seed).normal(scale=0.05, size=(n_frames, len(atoms), 3))
    return atoms.numbers, atoms.positions + noise


def equal(one, other):
    assert np.array_equal(one.energies, other.energies, equal_nan=True)
    assert np.array_equal(one.forces, other.forces, equal_nan=True)
    assert one.problems == other.problems


@pytest.fixture(scope="module")
def afterwards():
    """The labels of two molecules, ten frames each, one of them no geometry, from one-thread workers."""
    water, ethanol = shaken("H2O", 60), shaken("CH3CH2OH", 60, seed=1)
    water[1][3, 0, 0] = np.nan
    answers = label([Frames(*water), Frames(*ethanol)], "gfn2-xtb", n_workers=2)
    return water, ethanol, answers


def workers_of_ours():
    return multiprocessing.active_children()


def test_labels_are_those_of_a_call_afterwards_bit_by_bit(afterwards):
    (z, water), (c, ethanol), (of_water, of_ethanol) = afterwards
    with LabelsBeside("gfn2-xtb", n_expected=MANY, n_workers=2) as labels:
        for i in range(60):  # in turns, two runs at once
            labels.submit("w", i, z, water[i])
            if i % 2:
                labels.submit("e", i, c, ethanol[i])  # every second one is left for later
        equal(labels.take("e", list(range(60)), c, ethanol), of_ethanol)
        equal(labels.take("w", list(range(60)), z, water), of_water)
        assert list(of_water.problems) == [3]
        assert labels.n_done == labels.n_submitted == 120
    assert not workers_of_ours()


def test_some_of_the_frames_in_another_order(afterwards):
    (z, water), _, (of_water, _) = afterwards
    chosen = [7, 3, 20]
    with LabelsBeside("gfn2-xtb", n_expected=MANY, n_workers=1) as labels:
        for i in range(10):
            labels.submit("w", i, z, water[i])
        found = labels.take("w", chosen, z, water[chosen])
    assert np.array_equal(found.energies, of_water.energies[chosen], equal_nan=True)
    assert np.array_equal(found.forces, of_water.forces[chosen], equal_nan=True)
    assert list(found.problems) == [1]


def test_a_frame_is_labelled_once(afterwards):
    (z, water), *_ = afterwards
    with LabelsBeside("gfn2-xtb", n_expected=MANY, n_workers=1) as labels:
        for _ in range(3):
            for i in range(6):
                labels.submit("w", i, z, water[i])
        assert labels.n_submitted == 6


def test_a_few_labels_start_no_worker(afterwards):
    (z, water), _, (of_water, _) = afterwards
    with LabelsBeside("gfn2-xtb", n_expected=5) as labels:
        for i in range(5):
            labels.submit("w", i, z, water[i])
        found = labels.take("w", list(range(5)), z, water[:5])
        assert not workers_of_ours()
    # on more than one thread, sums in another order
    np.testing.assert_allclose(found.energies, of_water.energies[:5], rtol=0, atol=1e-8)
    np.testing.assert_allclose(found.forces, of_water.forces[:5], rtol=0, atol=1e-7)


def test_a_worker_that_is_killed_loses_no_label(afterwards):
    (z, water), _, (of_water, _) = afterwards
    with LabelsBeside("gfn2-xtb", n_expected=MANY, n_workers=2) as labels:
        for i in range(20):
            labels.submit("w", i, z, water[i])
        while labels.n_done == 0:
            time.sleep(0.02)
        for worker in workers_of_ours()[:1]:
            os.kill(worker.pid, signal.SIGKILL)
        for i in range(20, 60):
            labels.submit("w", i, z, water[i])
        equal(labels.take("w", list(range(60)), z, water), of_water)


KILLER = """
import os, pathlib, signal

def die(frames, reference):
    pathlib.Path(__file__).with_name(f"died-{os.getpid()}").touch()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_frame_that_kills_every_worker_is_a_label_that_failed(monkeypatch, tmp_path):
    (tmp_path / "kills_its_worker.py").write_text(KILLER)  # a worker cannot import a module of tests
    monkeypatch.syspath_prepend(tmp_path)
    die = importlib.import_module("kills_its_worker").die
    z, water = shaken("H2O", 4)
    monkeypatch.setattr(beside, "label_in_worker", die)
    with LabelsBeside("gfn2-xtb", n_expected=MANY, n_workers=1) as labels:
        found = labels.take("w", [0, 1, 2, 3], z, water)
    assert np.isnan(found.energies).all()
    assert np.isnan(found.forces).all()
    assert found.forces.shape == (4, 3, 3)
    assert set(found.problems) == {0, 1, 2, 3}
    assert "worker process died" in found.problems[0]
    assert list(tmp_path.glob("died-*"))  # of the frame, and not of a function that it did not find


def interrupted_with_a_backlog(labels, numbers, positions):
    with labels:
        for run in range(40):
            for i in range(60):
                labels.submit(f"w{run}", i, numbers, positions[i])
        raise KeyboardInterrupt


def test_leaving_with_a_backlog_leaves_no_worker(afterwards):
    (z, water), *_ = afterwards
    labels = LabelsBeside("gfn2-xtb", n_expected=MANY, n_workers=2)
    with pytest.raises(KeyboardInterrupt):
        interrupted_with_a_backlog(labels, z, water)
    assert labels.n_submitted == 2400
    assert not workers_of_ours()


@pytest.mark.slow
def test_a_run_that_is_forgotten_may_be_asked_for_again(afterwards):
    (z, water), _, (of_water, _) = afterwards
    with LabelsBeside("gfn2-xtb", n_expected=MANY, n_workers=1) as labels:
        for i in range(8):
            labels.submit("w", i, z, water[i])
        labels.forget("w")
        found = labels.take("w", [4, 5], z, water[4:6])
    assert np.array_equal(found.energies, of_water.energies[4:6])
