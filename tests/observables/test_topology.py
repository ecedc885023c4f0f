import numpy as np
import pytest
from ase.build import molecule

from gmd26_md.observables.bonds import bond_graph
from gmd26_md.observables.topology import Limits, examine_topology, spans

# Two oxygens 2.5 Å apart on a bridge of three carbons; the proton lies between them, 0.97 Å from the first.
DONOR, ACCEPTOR, PROTON = 0, 1, 2
BRIDGE_NUMBERS = np.array([8, 8, 1, 6, 6, 6])
BRIDGE = np.array([[0, 0, 0], [2.5, 0, 0], [0.95, -0.2, 0], [-0.2, 1.3, 0], [2.7, 1.3, 0], [1.25, 1.9, 0]], dtype=float)


def still(atoms, n_frames, interval_fs=1.0):
    positions = np.repeat(atoms.positions[None], n_frames, axis=0)
    return bond_graph(atoms.numbers, atoms.positions), positions, interval_fs * np.arange(n_frames)


def bridge_run(proton_x):
    positions = np.repeat(BRIDGE[None], len(proton_x), axis=0)
    positions[:, PROTON, 0] = proton_x
    return bond_graph(BRIDGE_NUMBERS, BRIDGE), positions


def test_a_molecule_at_rest_is_intact():
    report = examine_topology(*still(molecule("CH3CH2OH"), 20))
    assert report.intact
    assert set(report.metrics().values()) == {None}


def test_a_methyl_rotation_is_nothing():
    atoms = molecule("C2H6")
    graph, positions, time_fs = still(atoms, 361)
    carbons = np.flatnonzero(atoms.numbers == 6)
    methyl = [j if i == carbons[1] else i for i, j in graph.bonds if carbons[1] in (i, j) and carbons[0] not in (i, j)]
    assert len(methyl) == 3
    turning = atoms.copy()
    axis = turning.positions[carbons[1]] - turning.positions[carbons[0]]
    for frame in range(361):
        part = turning[methyl]
        part.rotate(frame, axis, center=turning.positions[carbons[1]])
        positions[frame, methyl] = part.positions
    assert np.abs(positions - positions[0]).max() > 1.5  # they did move
    assert examine_topology(graph, positions, time_fs).intact


def test_a_stretched_bond_is_found_to_the_frame():
    atoms = molecule("C2H6")
    graph, positions, time_fs = still(atoms, 100, interval_fs=2.0)
    i, j = np.flatnonzero(atoms.numbers == 6)
    half = np.flatnonzero(np.sign(atoms.positions[:, 2]) == np.sign(atoms.positions[j, 2]))
    axis = (atoms.positions[j] - atoms.positions[i]) / atoms.get_distance(i, j)
    positions[:, half] += 0.0099 * np.arange(100)[:, None, None] * axis
    report = examine_topology(graph, positions, time_fs)
    # 50 x 0.0099 = 0.495 Å is allowed, 51 x 0.0099 = 0.5049 Å is not.
    assert report.bond_broken.frame == 51
    assert report.bond_broken.at_ps == pytest.approx(0.102)
    assert report.bond_broken.atoms == (min(i, j), max(i, j))
    assert report.bond_broken.value == pytest.approx(0.5049, abs=1e-9)
    # By radii it breaks at 1.5 x 1.52 = 2.28 Å.
    first = int(np.ceil((2.28 - atoms.get_distance(i, j)) / 0.0099))
    assert report.bond_broken_by_radii.frame == first
    assert report.lost == ((min(i, j), max(i, j)),)


def test_a_compressed_bond_is_broken_too():
    atoms = molecule("C2H6")
    graph, positions, time_fs = still(atoms, 3)
    i, j = np.flatnonzero(atoms.numbers == 6)
    positions[1, j] = positions[1, i] + 0.6 * (positions[1, j] - positions[1, i])
    report = examine_topology(graph, positions, time_fs)
    assert report.bond_broken.frame == 1
    assert report.bond_broken_by_radii is None


def test_halves_pulled_ten_angstrom_apart_are_broken():
    atoms = molecule("C2H6")  # its axis is z
    graph, positions, time_fs = still(atoms, 10)
    positions[6:, atoms.positions[:, 2] > 0] += [0.0, 0.0, 10.0]
    report = examine_topology(graph, positions, time_fs)
    assert report.bond_broken.frame == report.bond_broken_by_radii.frame == 6
    assert report.graph_changed
    assert not report.intact


@pytest.mark.parametrize("direction", [1.0, -1.0])
def test_two_molecules_that_drift_apart_break_nothing_and_two_that_collide_clash(direction):
    water, acid = molecule("H2O"), molecule("HCOOH")
    acid.positions += [8.0, 0.0, 0.0]
    graph, positions, time_fs = still(water + acid, 200)
    positions[:, len(water) :, 0] += direction * 0.05 * np.arange(200)[:, None]  # 10 Å in the end
    report = examine_topology(graph, positions, time_fs)
    assert report.bond_broken is None  # no bond joins them, so none can break
    if direction > 0:
        assert report.intact
    else:
        assert {report.clash.atoms[0] < 3, report.clash.atoms[1] < 3} == {True, False}


def test_a_clash_names_the_pair():
    atoms = molecule("CH3CH2OH")
    graph, positions, time_fs = still(atoms, 10)
    hydrogens = np.flatnonzero(atoms.numbers == 1)
    positions[4, hydrogens[-1]] = positions[4, hydrogens[0]] + [0.0, 0.0, 0.4]  # 0.7 x 0.62 = 0.434 Å
    report = examine_topology(graph, positions, time_fs)
    assert report.clash.frame == 4
    assert report.clash.atoms == (hydrogens[0], hydrogens[-1])
    assert report.clash.value == pytest.approx(0.4)


@pytest.mark.parametrize(("contact_fs", "lasts"), [(99, False), (100, True), (150, True)])
def test_a_new_bond_must_last_a_hundred_femtoseconds_without_a_gap(contact_fs, lasts):
    numbers = np.array([6, 6])
    apart, together = [[0, 0, 0], [0, 0, 3.0]], [[0, 0, 0], [0, 0, 1.6]]
    frames = [apart] * 20 + [together] * (contact_fs + 1) + [apart] + [together] * 60 + [apart]
    graph = bond_graph(numbers, np.array(apart))
    report = examine_topology(graph, np.array(frames), np.arange(len(frames)))
    assert (report.new_bond is not None) == lasts
    if lasts:
        assert report.new_bond.frame == 20
        assert report.new_bond.atoms == (0, 1)
    assert not report.graph_changed  # apart again at the end


def test_a_proton_that_hops_between_two_oxygens_is_a_transfer_and_not_broken():
    path = np.concatenate([np.full(50, 0.95), np.linspace(0.95, 1.55, 7), np.full(200, 1.55)])
    graph, positions = bridge_run(path)
    assert (DONOR, PROTON) in graph.pairs
    report = examine_topology(graph, positions, np.arange(len(path)))
    # The new owner has it once it is nearer and within 1.2 x 0.97 = 1.164 Å: x = 1.35 is 1.167 Å away, x = 1.45 inside.
    assert report.transfer.atoms == (DONOR, PROTON, ACCEPTOR)
    assert report.transfer.frame == 55
    assert report.bond_broken is None
    assert report.bond_broken_by_radii is None
    assert report.new_bond is None
    assert report.lost == ((DONOR, PROTON),)
    assert report.gained == ((ACCEPTOR, PROTON),)
    assert not report.intact
    # Without the other oxygen the same path is a broken bond.
    keep = [0, 2, 3, 4, 5]
    alone = bond_graph(BRIDGE_NUMBERS[keep], BRIDGE[keep])
    assert examine_topology(alone, positions[:, keep], np.arange(len(path))).bond_broken is not None


WIDE = BRIDGE + np.array([[0.0, 0.5, 0.0, 0.0, 0.0, 0.0], [0.0] * 6, [0.0] * 6]).T  # 3.0 Å: half-way neither has it


def wide_run(proton_x, every_fs=10.0):
    positions = np.repeat(WIDE[None], len(proton_x), axis=0)
    positions[:, PROTON, 0] = proton_x
    return bond_graph(BRIDGE_NUMBERS, WIDE), positions, every_fs * np.arange(len(proton_x))


def test_a_proton_on_its_way_to_another_atom_is_not_a_broken_bond():
    there = [*[0.95] * 5, 1.52, 1.54, *[2.05] * 20]
    report = examine_topology(*wide_run(there))
    assert report.bond_broken is None
    assert report.bond_broken_by_radii is None
    assert report.transfer.frame == 7
    # and back again, before it lasts: nothing has happened
    assert examine_topology(*wide_run([*there[:12], 1.5, 1.5, *[0.95] * 20])).intact


@pytest.mark.parametrize(
    "path",
    [
        [*[0.95] * 5, *[1.52] * 2, *[0.95] * 20],  # nobody took it
        [*[0.95] * 5, *[1.52] * 7, *[2.05] * 20],  # too long on its way
        [*[0.95] * 5, *[1.52] * 2],  # never arrived
        [*[0.95] * 5, np.nan, *[2.05] * 20],
    ],
)
def test_a_proton_that_is_taken_by_nobody_in_time_is_broken(path):
    assert examine_topology(*wide_run(path)).bond_broken.frame == 5


def test_a_proton_that_visits_and_goes_home_is_no_event():
    path = np.concatenate([np.full(50, 0.95), np.full(50, 1.55), np.full(50, 0.95)])
    graph, positions = bridge_run(path)
    assert examine_topology(graph, positions, np.arange(150)).intact


def test_a_proton_that_ends_on_the_other_oxygen_is_a_transfer_however_late():
    path = np.concatenate([np.full(50, 0.95), np.full(3, 1.55)])
    graph, positions = bridge_run(path)
    report = examine_topology(graph, positions, np.arange(53))
    assert report.transfer.frame == 50
    assert report.bond_broken is None


def test_a_proton_that_leaves_for_nowhere_is_broken():
    graph, positions = bridge_run(np.full(100, 0.95))
    positions[30:, PROTON] = [1.25, -5.0, 0.0]
    report = examine_topology(graph, positions, np.arange(100))
    assert report.bond_broken.frame == 30
    assert report.bond_broken.atoms == (DONOR, PROTON)
    assert report.transfer is None


def test_a_proton_that_hops_and_then_flies_off_is_broken_when_it_flies():
    path = np.concatenate([np.full(50, 0.95), np.full(150, 1.55), np.full(50, 1.55)])
    graph, positions = bridge_run(path)
    positions[200:, PROTON] = [1.25, -5.0, 0.0]
    report = examine_topology(graph, positions, np.arange(250))
    assert report.transfer.frame == 50
    assert report.bond_broken.frame == 200


def test_a_carbon_hydrogen_that_moves_to_oxygen_is_not_excused_as_a_transfer():
    atoms = molecule("CH3CH2OH")
    graph, positions, time_fs = still(atoms, 200)
    oxygen = int(np.flatnonzero(atoms.numbers == 8)[0])
    carbon = next(int(i) for i, j in graph.bonds if atoms.numbers[i] == 6 and j != oxygen and atoms.numbers[j] == 1)
    hydrogen = next(int(j) for i, j in graph.bonds if i == carbon and atoms.numbers[j] == 1)
    away = atoms.positions[oxygen] - atoms.positions.mean(axis=0)
    positions[40:, hydrogen] = atoms.positions[oxygen] + 1.0 * away / np.linalg.norm(away)
    report = examine_topology(graph, positions, time_fs)
    assert report.bond_broken.frame == 40
    assert report.new_bond.frame == 40
    assert report.transfer is None


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_position_that_is_no_number_fails_every_bond_of_its_atom(value):
    atoms = molecule("CH3CH2OH")
    graph, positions, time_fs = still(atoms, 10)
    positions[7, 2, 1] = value
    report = examine_topology(graph, positions, time_fs)
    assert report.nonfinite.frame == report.bond_broken.frame == report.bond_broken_by_radii.frame == 7
    assert report.nonfinite.atoms == (2,)
    assert not report.intact


def test_one_lone_atom_that_is_no_number_is_not_intact():
    graph = bond_graph(np.array([2]), np.zeros((1, 3)))
    positions = np.zeros((3, 1, 3))
    assert examine_topology(graph, positions, np.arange(3)).intact
    positions[2] = np.nan
    assert not examine_topology(graph, positions, np.arange(3)).intact


def test_limits_are_settings():
    atoms = molecule("C2H6")
    graph, positions, time_fs = still(atoms, 3)
    positions[1:] *= 1.2
    assert examine_topology(graph, positions, time_fs).bond_broken is None
    assert examine_topology(graph, positions, time_fs, Limits(bond_change_A=0.2)).bond_broken.frame == 1


def test_a_wrong_shape_is_named():
    atoms = molecule("C2H6")
    graph, positions, time_fs = still(atoms, 3)
    with pytest.raises(ValueError, match=r"want \(3, 8, 3\)"):
        examine_topology(graph, positions[:, :5], time_fs)


def test_spans_are_first_and_last_of_each_run():
    flags = np.array([True, True, False, True, False, False, True])
    np.testing.assert_array_equal(spans(flags), [[0, 1], [3, 3], [6, 6]])
    assert spans(np.zeros(3, dtype=bool)).shape == (0, 2)
