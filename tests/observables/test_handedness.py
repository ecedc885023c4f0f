"""Handedness of four bonds, and its loss along a trajectory in which no distance is ever out of bounds."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.geometry import get_distances
from scipy.spatial.transform import Rotation

from gmd26_md.observables.bonds import bond_graph
from gmd26_md.observables.evidence import examine
from gmd26_md.observables.handedness import centres, handedness
from gmd26_md.observables.topology import examine_topology
from gmd26_md.observables.verdict import judge
from gmd26_md.observables.where import first_place
from gmd26_md.trajectory import Trajectory

FRAMES = Path(__file__).parents[2] / "checkpoints" / "frames"
PROPANE = molecule("C3H8")
GRAPH = bond_graph(PROPANE.numbers, PROPANE.positions)
MIDDLE = next(c for c in centres(GRAPH) if sorted(PROPANE.numbers[c[1:]]) == [1, 1, 6, 6])


def turned(degrees):
    """Return propane with the two hydrogens of its middle turned about their axis, a frame every 10 fs."""
    centre, pair = MIDDLE[0], [i for i in MIDDLE[1:] if PROPANE.numbers[i] == 1]
    positions = np.repeat(PROPANE.positions[None], len(degrees), axis=0)
    arms = positions[0, pair] - positions[0, centre]
    axis = arms.mean(axis=0) / np.linalg.norm(arms.mean(axis=0))
    for frame, angle in zip(positions, np.radians(degrees), strict=True):
        frame[pair] = frame[centre] + Rotation.from_rotvec(angle * axis).apply(arms)
    return positions, 10.0 * np.arange(len(degrees))


def test_a_regular_tetrahedron_has_one_and_its_mirror_image_minus_one():
    methane = molecule("CH4")
    (centre,) = centres(bond_graph(methane.numbers, methane.positions))
    here, mirrored = handedness(np.stack([methane.positions, -methane.positions]), centre)
    assert abs(here) == pytest.approx(1.0)
    assert mirrored == -here


def test_two_neighbours_that_change_places_are_an_inversion():
    positions, time_fs = turned([*[0.0] * 20, *np.linspace(0.0, 180.0, 11), *[180.0] * 20])
    before, after = (get_distances(p)[1] for p in positions[[0, -1]])
    assert np.allclose(np.sort(before.ravel()), np.sort(after.ravel()), atol=1e-3)  # no distance tells
    report = examine_topology(GRAPH, positions, time_fs)
    assert report.inversion.atoms == (MIDDLE[0],)
    assert report.inversion.frame == 26  # past a quarter turn
    assert report.inversion.value < -0.9
    assert report.metrics()["inversion_at_ps"] == 0.26
    assert not report.intact
    assert (report.bond_broken, report.new_bond, report.graph_changed) == (None, None, False)
    run = Trajectory(
        PROPANE.numbers, time_fs, positions, np.full(positions.shape, 1e-3), np.zeros(len(time_fs)), 0.0 * positions
    )
    evidence, metrics = examine(run, GRAPH, asked_ps=0.5, target_temperature_K=300.0)
    verdict = judge(evidence)
    assert (verdict.name, verdict.decided_by, verdict.at_ps) == ("reacted", "inversion", 0.26)
    assert verdict.reason == f"centre of four bonds turned inside out, handedness -1.00 at 0.260 ps, atom {MIDDLE[0]}"
    assert metrics["failed_at_ps"] == 0.26
    assert first_place(GRAPH, report, run, nonfinite_at_ps=None, too_hot_at_ps=None).elements == ("C",)


@pytest.mark.parametrize(("degrees", "event"), [([180.0] * 10, False), ([180.0] * 11, True), ([85.0] * 30, False)])
def test_an_inversion_must_last(degrees, event):
    report = examine_topology(GRAPH, *turned([0.0, *degrees, 0.0]))
    assert (report.inversion is not None) == event


def test_an_inversion_that_the_run_ends_in_counts_however_late():
    assert examine_topology(GRAPH, *turned([*[0.0] * 10, 180.0])).inversion.frame == 10


def test_four_bonds_in_a_plane_have_no_handedness_to_lose():
    square = Atoms("XeF4", [[0, 0, 0], [1.95, 0, 0.02], [-1.95, 0, 0.02], [0, 1.95, 0], [0, -1.95, 0]])
    graph = bond_graph(square.numbers, square.positions)
    assert len(centres(graph)) == 1
    positions = np.repeat(square.positions[None], 30, axis=0)
    positions[10:, :, 2] *= -1.0
    assert examine_topology(graph, positions, 10.0 * np.arange(30)).intact


def test_a_centre_that_has_lost_an_atom_is_broken_and_not_inverted():
    positions, time_fs = turned([0.0] * 30)
    atom = MIDDLE[-1]
    positions[10:, atom] = positions[10:, MIDDLE[0]] - 3.0 * (positions[10:, atom] - positions[10:, MIDDLE[0]])
    report = examine_topology(GRAPH, positions, time_fs)
    assert report.bond_broken.frame == 10
    assert report.inversion is None


def test_heat_inverts_no_centre():
    path = sorted(FRAMES.rglob("*.extxyz"))[-1]
    frames = Trajectory.read(path)
    graph = bond_graph(frames.numbers, frames.positions[0])
    for centre in centres(graph):
        assert np.abs(handedness(frames.positions, centre)).min() > 0.8
    assert examine_topology(graph, frames.positions, frames.time_fs).inversion is None
