"""Where a run broke, on pentanoic acid that is broken by hand."""

import numpy as np
import pytest

from gmd26_md import molecules
from gmd26_md.observables.bonds import bond_graph
from gmd26_md.observables.topology import examine_topology
from gmd26_md.observables.where import first_place, last_frames
from gmd26_md.trajectory import Trajectory

N_FRAMES, EVERY_FS = 60, 10.0


def at_rest(name="pentanoic acid"):
    """Return a molecule that does not move, and its bonds."""
    atoms = molecules.get(name).atoms()
    n = len(atoms)
    still = np.repeat(atoms.positions[None], N_FRAMES, axis=0)
    frames = Trajectory(
        atoms.numbers, EVERY_FS * np.arange(N_FRAMES), still, np.full((N_FRAMES, n, 3), 1e-3),
        np.zeros(N_FRAMES), np.zeros((N_FRAMES, n, 3)),
    )  # fmt: skip
    return frames, bond_graph(atoms.numbers, atoms.positions)


def place(frames, graph, *, nonfinite=None, too_hot=None):
    report = examine_topology(graph, frames.positions, frames.time_fs)
    return first_place(graph, report, frames, nonfinite_at_ps=nonfinite, too_hot_at_ps=too_hot)


def last_hydrogen(graph):
    """Return the hydrogen and carbon of the methyl end."""
    return next((i, j) for i, j in reversed(graph.bonds.tolist()) if graph.numbers[j] == 1)


def test_a_run_without_events_went_wrong_nowhere():
    assert place(*at_rest()) is None


def test_the_bond_that_broke_first_is_named_with_its_way_to_the_group():
    frames, graph = at_rest()
    carbon, hydrogen = last_hydrogen(graph)
    axis = frames.positions[0, hydrogen] - frames.positions[0, carbon]
    frames.positions[30:, hydrogen] += axis / np.linalg.norm(axis)
    found = place(frames, graph, too_hot=0.31)
    assert (found.event, found.at_ps) == ("bond_broken", pytest.approx(0.30))
    assert set(found.atoms) == {carbon, hydrogen}
    assert sorted(found.elements) == ["C", "H"]
    assert found.bonds_from_group == 4  # C5 of pentanoic acid, counted from the carboxyl group's carbon


def test_a_distance_names_the_place_where_heat_and_bond_come_together():
    frames, graph = at_rest()
    _, hydrogen = last_hydrogen(graph)
    frames.positions[30:, hydrogen] += 2.0
    assert place(frames, graph, too_hot=0.30).event == "bond_broken"
    assert place(frames, graph, too_hot=0.29).event == "too_hot"


def test_heat_names_the_atom_that_moves_with_most_energy():
    frames, graph = at_rest()
    frames.velocities[30, 3] = 0.5
    found = place(frames, graph, too_hot=0.305)  # the engine met it between frames 30 and 31
    assert (found.event, found.atoms) == ("too_hot", (3,))


@pytest.mark.parametrize("array", ["positions", "velocities", "forces"])
def test_what_is_no_number_names_its_atoms(array):
    frames, graph = at_rest()
    getattr(frames, array)[40, 5] = np.nan
    found = place(frames, graph, nonfinite=0.40)
    assert 5 in found.atoms
    assert found.at_ps == pytest.approx(0.40)


def test_an_alkane_has_no_group_to_count_from():
    frames, graph = at_rest("butane")
    frames.positions[30:, -1] += 2.0
    assert place(frames, graph).bonds_from_group is None


def test_the_last_frames_lead_to_the_event_and_are_whole():
    frames, _ = at_rest()
    kept = last_frames(frames, 0.30)
    assert kept.time_fs.tolist() == (EVERY_FS * np.arange(10, 31)).tolist()
    frames.positions[29:] = np.nan
    assert last_frames(frames, 0.30).time_fs[-1] == 280.0
    frames.positions[:] = np.nan
    assert last_frames(frames, 0.30) is None


def test_an_event_in_the_first_frame_has_that_frame():
    frames, _ = at_rest()
    assert last_frames(frames, 0.0).n_frames == 1


def test_other_bonds_in_the_last_frame_are_a_place_too():
    frames, graph = at_rest()
    carbon, hydrogen = last_hydrogen(graph)
    axis = frames.positions[0, hydrogen] - frames.positions[0, carbon]
    frames.positions[-1, hydrogen] += 0.35 * axis / np.linalg.norm(axis)  # past 1.25 radii, within 0.5 Å
    found = place(frames, graph)
    assert (found.event, found.at_ps) == ("end_graph", pytest.approx(0.59))
    assert set(found.atoms) == {carbon, hydrogen}
