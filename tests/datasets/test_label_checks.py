"""Labels against a reference of which the answer is known on paper: a spring to the origin for every atom."""

from dataclasses import replace

import numpy as np
import pytest

from gmd26_md.datasets.label_checks import wrong_labels
from gmd26_md.trajectory import Trajectory

STIFFNESS = 30.0  # eV/Å^2, as a C-H bond


def springs(positions):
    """Return E = k x^2 / 2 and F = -k x, whose central differences are exact."""
    return 0.5 * STIFFNESS * float((positions**2).sum()), -STIFFNESS * positions


def leaning(positions):
    """Return the springs' energy with forces that are not its gradient."""
    energy, forces = springs(positions)
    return energy, forces + 0.05


@pytest.fixture
def frames():
    positions = np.random.default_rng(3).normal(size=(4, 3, 3))
    energies, forces = zip(*(springs(one) for one in positions), strict=True)
    return Trajectory(np.array([8, 1, 1]), 10.0 * np.arange(4), positions, None, np.array(energies), np.array(forces))


def checked(frames, reference=springs, n_components=9):
    return wrong_labels(frames, [1, 3], n_components, reference, np.random.default_rng(0))


def test_right_labels_are_right_to_rounding(frames):
    faults, seen = checked(frames)
    assert faults == []
    assert (seen.energy_eV, seen.force_eV_per_A) == (0.0, 0.0)
    # energies of 100 eV have a last digit of 1e-14 eV; over the step of 2e-3 Å that is 1e-11 eV/Å
    assert 0 < seen.difference_eV_per_A < 1e-9


def test_the_size_of_what_is_wrong_is_told_exactly(frames):
    forces = frames.forces.copy()
    forces[3, 2, 1] += 0.25
    faults, seen = checked(replace(frames, forces=forces, energies=frames.energies - 0.5))
    assert seen.energy_eV == pytest.approx(0.5)
    assert seen.force_eV_per_A == pytest.approx(0.25)
    assert seen.difference_eV_per_A == pytest.approx(0.25)  # all nine components were asked
    told = {fault.kind: fault for fault in faults}
    assert set(told) == {"energy", "force"}
    assert told["energy"].frame == 1  # the first that was looked at
    assert told["force"].frame == 3
    assert told["force"].words.startswith("force on atom 2, y is ")


def test_a_frame_that_was_not_chosen_is_not_seen(frames):
    forces = frames.forces.copy()
    forces[0] += 1.0
    assert checked(replace(frames, forces=forces))[0] == []


def test_forces_that_are_no_gradient_are_found_where_the_reference_agrees_with_them(frames):
    faults, seen = checked(replace(frames, forces=frames.forces + 0.05), leaning)
    assert [fault.kind for fault in faults] == ["slope"]
    assert seen.difference_eV_per_A == pytest.approx(0.05)
    assert "off the slope of the energy" in faults[0].words


def test_one_unit_must_explain_every_force_or_none_is_named(frames):
    (fault,) = (f for f in checked(replace(frames, forces=frames.forces / 51.422))[0] if "force" in f.words)
    assert (fault.kind, "likely in Hartree/Bohr" in fault.words) == ("unit", True)
    mixed = frames.forces / 51.422
    mixed[:, 0] *= 2.0
    (fault,) = (f for f in checked(replace(frames, forces=mixed))[0] if "force" in f.words)
    assert (fault.kind, "likely" in fault.words) == ("force", False)


def test_rounded_frames_are_allowed_what_rounding_does(frames):
    rounded = frames.positions.round(5)
    labelled = replace(frames, positions=rounded)  # labels of the positions before
    faults, seen = checked(labelled)
    assert faults == []
    assert 0 < seen.force_eV_per_A <= STIFFNESS * 0.5e-5 + 1e-12
    assert seen.force_limit_eV_per_A == 4e-3
