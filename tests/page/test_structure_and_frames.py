"""The drawing of a molecule, and what the files of a run add."""

import re

import numpy as np
import pytest

from gmd26_md import molecules
from gmd26_md.page import structure
from gmd26_md.page.frames import frame_of, labels_of, track_of
from gmd26_md.page.sources import gather
from gmd26_md.trajectory import temperature_K
from tests.page.page_records import run_of

ACID = molecules.get("ethanedioic acid")


def test_atoms_are_in_the_order_of_the_structures_with_both_groups_and_double_bonds():
    found = structure.of_benchmark(ACID.name)
    assert list(found.symbols) == ACID.atoms().get_chemical_symbols()
    assert sorted(len(g) for g in found.groups) == [4, 4]
    assert sorted(order for *_, order in found.bonds) == [1, 1, 1, 1, 1, 2, 2]


def test_a_geometry_gives_the_same_bonds_as_the_name():
    atoms = ACID.atoms()
    by_name, by_place = structure.of_benchmark(ACID.name), structure.of_geometry(atoms.numbers, atoms.positions)
    assert {(min(i, j), max(i, j), n) for i, j, n in by_name.bonds} == {
        (min(i, j), max(i, j), n) for i, j, n in by_place.bonds
    }


def test_a_radical_is_drawn_with_single_bonds():
    found = structure.of_geometry(
        np.array([6, 1, 1, 1]), np.array([[0, 0, 0], [1.08, 0, 0], [-0.54, 0.93, 0], [-0.54, -0.93, 0.0]])
    )
    assert [order for *_, order in found.bonds] == [1, 1, 1]


def test_the_largest_error_is_darkest_and_what_is_no_number_is_black():
    found = structure.of_benchmark(ACID.name)
    text = structure.svg(found, [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, float("nan")])
    balls = re.findall(r'cx="\d+" cy="\d+" r="[\d.]+" fill="(#\w+)"', text)
    assert (balls[0], balls[6], balls[7]) == (structure.ramp()[0], structure.ramp()[-1], "#000000")
    assert "cross" not in text


def test_a_broken_bond_is_crossed_and_other_atoms_are_ringed():
    found = structure.of_benchmark(ACID.name)
    i, j, _ = found.bonds[0]
    assert 'class="cross"' in structure.svg(found, None, (i, j))
    assert structure.svg(found, None, (3,)).count('class="hit"') == 1


def test_a_run_in_time_has_its_temperature_and_the_energy_since_it_began(run_folders):
    sources = gather(run_folders)
    record = next(r for r in sources.records if r.verdict == "silent")
    labels = labels_of(record, sources)
    track = track_of(record, sources, labels)
    assert track.time_ps[-1] == pytest.approx(2.0)
    n_before = int((track.time_ps < 0.5).sum())
    assert np.isnan(track.energy_change_meV_per_atom[:n_before]).all()
    assert track.energy_change_meV_per_atom[n_before] == 0.0
    assert track.energy_change_meV_per_atom[-1] > 0.0  # it warms up
    assert (np.diff(track.temperature_K) > 0.0).all()
    assert track.temperature_K[5] == pytest.approx(temperature_K(labels)[0])
    assert np.array_equal(track.forces[:, 0], track.forces[:, 1])  # the labels are the model's own here


def test_the_frame_to_look_at_is_the_failing_one_or_the_most_wrong_one(run_folders):
    sources = gather(run_folders)
    broken, silent = (next(r for r in sources.records if r.verdict == v) for v in ("broken", "silent"))
    failing = frame_of(broken, sources, labels_of(broken, sources))
    assert failing.marked == (0, 1)
    assert np.linalg.norm(failing.positions[0] - failing.positions[1]) == pytest.approx(3.0)
    assert (0, 1) in failing.bonds  # of the start, so that the page can show it gone
    worst = frame_of(silent, sources, labels_of(silent, sources))
    assert worst.words == "most wrong, 0.090 eV/Å at 1.500 ps"
    assert worst.marked == ()


def test_files_that_are_gone_or_damaged_are_no_frames(run_folders, tmp_path):
    sources = gather(run_folders)
    gone = run_of("ethanedioic acid", "silent", 7, trajectory="trajectories/gone.extxyz", evidence={"labels": "x"})
    assert labels_of(gone, sources) is None
    assert track_of(gone, sources, None) is None
    assert frame_of(gone, sources, None) is None
