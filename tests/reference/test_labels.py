"""Labels: every frame has one, or a reason; and the road through worker processes gives the same."""

import numpy as np
import pytest
from ase.build import molecule

from gmd26_md.calculators import load_calculator
from gmd26_md.errors import UserError
from gmd26_md.reference import labels
from gmd26_md.reference.labels import Frames, label


def frames_of(name, n_frames, seed=0):
    atoms = molecule(name)
    noise = 0.05 * np.random.default_rng(seed).normal(size=(n_frames, len(atoms), 3))
    return Frames(atoms.numbers, atoms.positions + noise)


def test_labels_are_what_the_calculator_says():
    job = frames_of("H2O", 2)
    atoms = molecule("H2O")
    atoms.calc = load_calculator("gfn2-xtb")
    found = label([job])[0]
    assert found.problems == {}
    for index, positions in enumerate(job.positions):
        atoms.positions = positions
        # the same code on the same geometry, each from scratch
        assert found.energies[index] == pytest.approx(atoms.get_potential_energy(), abs=1e-9)
        assert found.forces[index] == pytest.approx(atoms.get_forces(), abs=1e-7)


def test_a_frame_that_cannot_be_labelled_is_nan_with_its_reason_and_is_never_dropped():
    job = frames_of("H2O", 4)
    job.positions[1, 0, 0] = np.nan
    job.positions[2, 1] = job.positions[2, 2]  # two atoms in one place
    found = label([job])[0]
    assert np.isnan(found.energies).tolist() == [False, True, True, False]
    assert np.isnan(found.forces).all(axis=(1, 2)).tolist() == [False, True, True, False]
    assert found.forces.shape == job.positions.shape
    assert found.problems.keys() == {1, 2}
    assert "not finite" in found.problems[1]
    assert "gfn2-xtb failed" in found.problems[2]
    whole = label([Frames(job.numbers, job.positions[3:])])[0]
    assert found.energies[3] == pytest.approx(whole.energies[0], abs=1e-9)  # a failure leaves nothing behind


def test_no_frames_have_no_labels():
    found = label([Frames(np.array([8, 1, 1]), np.zeros((0, 3, 3)))], "harmonic")[0]
    assert found.energies.shape == (0,)
    assert found.forces.shape == (0, 3, 3)
    assert label([]) == []


def test_worker_processes_give_the_same_labels_in_the_same_order(monkeypatch):
    jobs = [frames_of("H2O", 2), frames_of("CH4", 3), frames_of("H2", 1)]
    jobs[1].positions[2, 0] = np.nan
    here, progress = label(jobs), []
    monkeypatch.setattr(labels, "WORTH_A_POOL", 1)
    there = label(jobs, n_workers=2, on_progress=progress.append)
    for one, other in zip(here, there, strict=True):
        # threads may add in another order
        assert one.energies == pytest.approx(other.energies, abs=1e-9, nan_ok=True)
        assert one.forces == pytest.approx(other.forces, abs=1e-7, nan_ok=True)
        assert one.problems == other.problems
    assert progress == sorted(progress)
    assert progress[-1] == 1.0


def test_an_unknown_reference_is_one_line():
    with pytest.raises(UserError, match="gfn3-xtb"):
        label([frames_of("H2", 1)], "gfn3-xtb")
