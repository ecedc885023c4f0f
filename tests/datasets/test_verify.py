"""Reference data that is sound passes; each fault that is put in gets its own line, with its place and its number."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase.units import Bohr, Hartree, kcal, mol

from gmd26_md import molecules, own_molecules
from gmd26_md.datasets import energy_checks, frame_checks, pair_checks, store
from gmd26_md.datasets.sample import SamplingSettings
from gmd26_md.datasets.verify import Asked, verify, verify_molecule
from gmd26_md.files import sha256_of
from gmd26_md.trajectory import Trajectory

LEVEL = "gfn2-xtb"
QUICK = Asked(n_label_frames=0)


@pytest.fixture
def data(sound_data, tmp_path) -> Path:
    """A copy of sound data that a test may spoil."""
    return Path(shutil.copytree(sound_data, tmp_path / "data"))


@pytest.fixture
def spoil(data, ethane):
    """Return a function that changes the frames of a stage, and lets the provenance know of the new file."""

    def change(stage, how):
        path = store.path_of(data, LEVEL, ethane, stage)
        frames = Trajectory.read(path)
        arrays = {name: getattr(frames, name).copy() for name in ("time_fs", "positions", "energies", "forces")}
        how(arrays)
        entry = store.read_provenance(path.parent)[stage]
        store.write_stage(path.parent, stage, replace(frames, **arrays), entry)

    return change


@pytest.fixture
def retell(data, ethane):
    """Return a function that changes what the provenance says of a stage."""

    def change(stage, **entries):
        path = store.folder_of(data, LEVEL, ethane) / "provenance.json"
        told = json.loads(path.read_text())
        told[stage] |= entries
        path.write_text(json.dumps(told))

    return change


def found(data, molecule, asked=QUICK):
    """Return what is wrong as (stage, kind), and the lines."""
    problems = verify_molecule(molecule, data, asked).problems
    lines = [problem.line for problem in problems]
    assert all("\n" not in line for line in lines)
    return {(p.stage, p.fault.kind) for p in problems}, "\n".join(lines)


# --- sound ---


def test_sound_data_has_no_problem_and_says_what_was_measured(sound_data, ethane):
    report = verify_molecule(ethane, sound_data, Asked())
    assert report.problems == ()
    assert {stage: m["n_frames"] for stage, m in report.measured.items()} == {
        "minimum": 1,
        "primary": 60,
        "secondary": 60,
    }
    for stage in ("primary", "secondary"):
        measured = report.measured[stage]
        assert measured["energy_eV"] < 1e-6  # 6e-8 was seen; the limit is 1e-5
        assert 0 < measured["force_eV_per_A"] < 1e-3
        assert 0 < measured["difference_eV_per_A"] < 1e-3
        assert 0.8 < measured["work_slope"] < 1.2
        assert 1.0 < measured["longest_bond_radii"] < 1.3
        assert measured["largest_jump_eV"] < measured["jump_limit_eV"]
        assert measured["temperature_K"] == 500.0
    # a turned methyl group or two, against half a step of vibration
    assert report.measured["secondary"]["start_rmsd_A"] > report.measured["secondary"]["step_rmsd_A"] / 2


def test_without_a_reference_nothing_is_computed(sound_data, ethane):
    report = verify_molecule(ethane, sound_data, QUICK)
    assert report.problems == ()
    assert "energy_eV" not in report.measured["primary"]


def test_frames_too_few_for_a_temperature_are_not_judged_by_it(untouched_data, ethane):
    report = verify_molecule(ethane, untouched_data, Asked())
    assert report.problems == ()
    assert report.measured["primary"]["virial_K"] is None


def test_a_small_set_that_travels_is_verified_by_what_it_has(sound_data, ethane, tmp_path):
    from gmd26_md.datasets.heldout import write_small_set

    write_small_set(sound_data, LEVEL, [(ethane, "ood")], tmp_path / "small", 5, "a test")
    report = verify_molecule(ethane, tmp_path / "small", Asked())
    assert report.problems == ()
    assert set(report.measured) == {"minimum", "test"}
    assert report.measured["test"]["energy_limit_eV"] == 1e-3  # rounded to 1e-5 Å


def test_imported_frames_are_verified_without_what_dynamics_tells(data, ethane):
    path = store.folder_of(data, LEVEL, ethane) / "provenance.json"
    told = json.loads(path.read_text())
    del told["minimum"]
    for entry in told.values():
        del entry["integrator"]
        entry["settings"] = {}
    path.write_text(json.dumps(told))
    report = verify_molecule(ethane, data, Asked())
    assert report.problems == ()
    assert set(report.measured) == {"primary", "secondary"}
    assert "virial_K" not in report.measured["primary"]
    shutil.copy(path.with_name("primary.extxyz"), path.with_name("secondary.extxyz"))
    assert found(data, ethane)[0] == {("secondary", "hash"), ("secondary", "dependent")}
    assert ("secondary", "missing") in found_without(path, "secondary", data, ethane)


def found_without(path, stage, data, molecule):
    told = json.loads(path.read_text())
    del told[stage]
    path.write_text(json.dumps(told))
    return found(data, molecule, replace(QUICK, n_secondary=60))[0]


# --- the files and what they say of themselves ---


def test_a_molecule_without_data_is_named(sound_data):
    kinds, lines = found(sound_data, molecules.get("propane"))
    assert kinds == {("", "missing")}
    assert lines.startswith("propane: no data in ")


def test_a_stage_that_is_not_done_is_named(data, ethane):
    path = store.folder_of(data, LEVEL, ethane) / "provenance.json"
    told = json.loads(path.read_text())
    del told["secondary"]
    path.write_text(json.dumps(told))
    kinds, lines = found(data, ethane)
    assert kinds == {("secondary", "missing")}
    assert "ethane, secondary: is not done: a file without an entry in provenance.json" in lines


def test_a_generation_that_was_killed_after_the_minimum_is_not_whole(data, ethane):
    folder = store.folder_of(data, LEVEL, ethane)
    told = json.loads((folder / "provenance.json").read_text())
    (folder / "provenance.json").write_text(json.dumps({"minimum": told["minimum"]}))
    for stage in ("primary", "secondary"):
        (folder / f"{stage}.extxyz").unlink()
    assert found(data, ethane)[0] == {("primary", "missing"), ("secondary", "missing")}


def test_a_stage_that_failed_says_why(data, ethane, retell):
    retell("primary", status="failed", reason="error at 8.0 fs: it gave up")
    kinds, lines = found(data, ethane)
    assert kinds == {("primary", "failed")}
    assert "ethane, primary: is not done: error at 8.0 fs: it gave up" in lines


def test_a_lost_file_is_named(data, ethane):
    store.path_of(data, LEVEL, ethane, "primary").unlink()
    assert found(data, ethane)[0] == {("primary", "missing")}


def test_a_provenance_that_is_no_json_is_a_problem_and_not_an_end(data, ethane):
    (store.folder_of(data, LEVEL, ethane) / "provenance.json").write_text("{")
    kinds, lines = found(data, ethane)
    assert kinds == {("", "unreadable")}
    assert "is not JSON" in lines


def test_a_changed_file_has_another_hash(data, ethane):
    path = store.path_of(data, LEVEL, ethane, "primary")
    path.write_text(path.read_text().replace("time_fs=0.0", "time_fs=0.00", 1))  # the same numbers
    kinds, lines = found(data, ethane)
    assert kinds == {("primary", "hash")}
    assert f"hash {sha256_of(path)[:12]}, its provenance says " in lines


@pytest.mark.parametrize(
    ("entries", "kind", "words"),
    [
        ({"level_of_theory": "gfn1-xtb"}, "level", "level of theory gfn1-xtb, want gfn2-xtb"),
        ({"units": {"energies": "Hartree", "forces": "eV/Å", "positions": "Å", "time": "fs"}}, "unit", "in Hartree"),
        ({"units": {}}, "unit", "says energies in None, want eV"),
        ({"n_frames": 61}, "count", "has 60 frames, its provenance says 61"),
    ],
)
def test_what_the_provenance_says_is_held_against_what_there_is(data, ethane, retell, entries, kind, words):
    retell("primary", **entries)
    kinds, lines = found(data, ethane)
    assert kinds == {("primary", kind)}
    assert words in lines


def test_fewer_frames_than_asked_for_are_counted(data, ethane, spoil):
    def cut(a):
        a.update({name: values[:-1] for name, values in a.items()})

    spoil("primary", cut)
    kinds, lines = found(data, ethane)
    assert kinds == {("primary", "count")}
    assert "has 59 frames, its settings asked for 60" in lines


def test_frames_are_counted_against_what_the_user_wants(sound_data, ethane):
    kinds, lines = found(sound_data, ethane, replace(QUICK, n_secondary=500))
    assert kinds == {("secondary", "count")}
    assert "has 60 frames, wanted are 500" in lines


# --- the frames ---


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda text: text[: len(text) // 2], "Run it again, or delete it"),
        (lambda text: text[: text.index("\nH", len(text) // 2)], "it ends inside a frame"),
        (lambda text: text.replace("energy=", "label=", 1), "frame 0 has no energy"),
        (lambda text: text.replace(":forces:R:3", ""), "the columns of frame 0 are not"),
        (lambda text: "", "it is empty"),
    ],
)
def test_a_file_that_is_cut_or_lacks_a_field_is_unreadable(data, ethane, retell, harm, words):
    path = store.path_of(data, LEVEL, ethane, "primary")
    path.write_text(harm(path.read_text()))
    kinds, lines = found(data, ethane)
    assert kinds == {("primary", "hash"), ("primary", "unreadable")}
    assert words in lines
    retell("primary", sha256=sha256_of(path))
    assert found(data, ethane)[0] == {("primary", "unreadable")}


@pytest.mark.parametrize("name", ["positions", "energies", "forces"])
def test_a_number_that_is_none_is_found(data, ethane, spoil, name):
    spoil("secondary", lambda a: a[name].__setitem__((7, ...), np.nan))
    kinds, lines = found(data, ethane)
    assert kinds == {("secondary", "not finite")}
    assert f"ethane, secondary, frame 7: {name} that are not finite" in lines


def test_a_frame_that_stands_there_twice_is_found(data, ethane, spoil):
    def repeat(a):
        for name in ("positions", "energies", "forces"):
            a[name][30] = a[name][10]

    spoil("primary", repeat)
    kinds, lines = found(data, ethane)
    assert ("primary", "duplicate") in kinds
    assert "ethane, primary, frame 30: the same positions as frame 10: a duplicate frame" in lines


def turned(vectors):
    """Return vectors, the last axis of an array, turned by a right angle and a bit."""
    angle = 1.7
    turn = np.array([[np.cos(angle), -np.sin(angle), 0.0], [np.sin(angle), np.cos(angle), 0.0], [0.0, 0.0, 1.0]])
    return vectors @ turn.T


def test_a_frame_that_comes_again_moved_and_turned_is_found(data, ethane, spoil):
    def repeat(a):
        a["positions"][30] = turned(a["positions"][10]) + 1.5
        a["forces"][30], a["energies"][30] = turned(a["forces"][10]), a["energies"][10]

    spoil("primary", repeat)
    kinds, lines = found(data, ethane)
    assert ("primary", "duplicate") in kinds
    assert "ethane, primary, frame 30: the shape of frame 10, moved or turned: a duplicate frame" in lines


def test_a_label_that_was_not_computed_is_found(data, ethane, spoil):
    spoil("primary", lambda a: a["forces"].__setitem__(31, a["forces"][30]))
    kinds, lines = found(data, ethane)
    assert ("primary", "duplicate") in kinds
    assert "frame 31: the same forces to the last bit as frame 30" in lines


def test_a_frame_at_the_wrong_time_is_found(data, ethane, spoil):
    spoil("primary", lambda a: a["time_fs"].__setitem__(slice(5, None), a["time_fs"][5:] + 10.0))
    kinds, lines = found(data, ethane)
    assert kinds == {("primary", "clock")}
    assert "frame 5: at 60 fs, want 50 fs (and 54 more frames)" in lines


def test_a_broken_bond_is_found(data, ethane, spoil):
    spoil("primary", lambda a: a["positions"].__setitem__((12, 7), a["positions"][12, 1] + [2.0, 0.0, 0.0]))
    kinds, lines = found(data, ethane)
    assert ("primary", "graph") in kinds
    assert "ethane, primary, frame 12: bond C1-H7 is broken: " in lines


def test_atoms_that_are_pressed_together_are_found(data, ethane, spoil):
    spoil("primary", lambda a: a["positions"].__setitem__((12, 7), a["positions"][12, 6] + [0.3, 0.0, 0.0]))
    kinds, lines = found(data, ethane)
    assert {("primary", "clash"), ("primary", "graph")} <= kinds
    assert "frame 12: H6-H7 clash: 0.30 Å apart" in lines


def test_another_molecule_in_its_place_is_named(data, ethane, spoil):
    propane = molecules.get("propane").atoms()
    folder = store.folder_of(data, LEVEL, ethane)
    for stage in store.STAGES:
        entry = store.read_provenance(folder)[stage]
        n = entry["n_frames"]
        shape = (n, len(propane), 3)
        frames = Trajectory(
            propane.numbers,
            10.0 * np.arange(n),
            propane.positions + np.zeros(shape),
            None,
            np.zeros(n),
            np.zeros(shape),
        )
        store.write_stage(folder, stage, frames, entry)
    kinds, lines = found(data, ethane, Asked())
    assert kinds == {(stage, "molecule") for stage in store.STAGES}
    assert "holds C3H8, and ethane is C2H6: another molecule's file" in lines


def test_atoms_in_another_order_are_named(data, ethane):
    path = store.path_of(data, LEVEL, ethane, "primary")
    frames = Trajectory.read(path)
    turned = replace(
        frames, numbers=frames.numbers[::-1], positions=frames.positions[:, ::-1], forces=frames.forces[:, ::-1]
    )
    store.write_stage(path.parent, "primary", turned, store.read_provenance(path.parent)["primary"])
    kinds, lines = found(data, ethane)
    assert kinds == {("primary", "molecule")}
    assert "not in the order" in lines


def test_a_minimum_with_other_bonds_than_its_smiles_is_found(data, ethane, spoil):
    def hand_over(a):  # a hydrogen of the first carbon goes to the second
        first, second = a["positions"][0, 0], a["positions"][0, 1]
        a["positions"][0, 2] = second + 1.1 * (second - first) / np.linalg.norm(second - first)

    spoil("minimum", hand_over)
    kinds, lines = found(data, ethane)
    assert ("minimum", "molecule") in kinds
    assert "its bonds are not those of ethane (1 of 7 missing, 1 others): an isomer?" in lines


def test_a_minimum_that_is_none_is_found(data, ethane, retell):
    retell("minimum", settings={"fmax_eV_per_A": 1e-6, "accuracy": 1.0})
    kinds, lines = found(data, ethane)
    assert kinds == {("minimum", "minimum")}
    assert "its settings asked for 1e-06" in lines


# --- labels, units, temperature ---


@pytest.mark.parametrize(
    ("what", "factor", "unit"),
    [
        ("energies", 1 / Hartree, "Hartree"),
        ("energies", mol / kcal, "kcal/mol"),
        ("forces", Bohr / Hartree, "Hartree/Bohr"),
        ("forces", mol / kcal, "kcal/mol/Å"),
        ("forces", -1.0, "eV/Å with the sign of the gradient"),
    ],
)
@pytest.mark.parametrize("asked", [QUICK, Asked()], ids=["quick", "with the reference"])
def test_a_wrong_unit_is_found_and_named(data, ethane, spoil, what, factor, unit, asked):
    spoil("primary", lambda a: a.__setitem__(what, a[what] * factor))
    kinds, lines = found(data, ethane, asked)
    assert kinds == {("primary", "unit")}
    assert f"{what} are likely in {unit}, and must be " in lines
    if asked.n_label_frames:
        assert f"likely in {unit}, must be" in lines


def test_everything_in_kcal_per_mol_is_named_without_a_reference(data, ethane, spoil):
    for stage in store.STAGES:
        spoil(stage, lambda a: a.update(energies=a["energies"] * mol / kcal, forces=a["forces"] * mol / kcal))
    kinds, lines = found(data, ethane)
    assert kinds == {("minimum", "minimum"), ("primary", "unit"), ("secondary", "unit")}
    assert "energies and forces are likely in kcal/mol, and must be in eV and eV/Å" in lines


def test_positions_in_bohr_are_named(data, ethane, spoil):
    spoil("primary", lambda a: a.update(positions=a["positions"] / Bohr))
    kinds, lines = found(data, ethane)
    assert kinds == {("primary", "unit")}
    assert "positions are likely in Bohr; they must be in Å" in lines


def test_labels_of_another_level_are_found(data, ethane, spoil):
    spoil("primary", lambda a: a.update(energies=a["energies"] + 0.01, forces=a["forces"] * 1.03))
    assert found(data, ethane)[0] == set()  # too little to be told without the reference
    kinds, lines = found(data, ethane, Asked())
    assert kinds == {("primary", "energy"), ("primary", "force")}
    assert "the level itself says" in lines


def test_the_swing_of_a_soft_bond_is_no_jump_and_a_jump_within_it_is_one():
    """A Morse bond of O-H's depth and width, from far out to far in as heat does now and then."""
    depth, width, rest = 4.2, 2.2, 0.97
    lengths = np.tile([1.18, 0.87, 0.97, 1.0], 40) + np.linspace(0.0, 0.002, 160)
    grown = 1.0 - np.exp(-width * (lengths - rest))
    pull = 2.0 * depth * width * grown * np.exp(-width * (lengths - rest))
    positions, forces = np.zeros((2, 160, 2, 3))
    positions[:, 1, 0] = lengths
    forces[:, 0, 0], forces[:, 1, 0] = pull, -pull
    frames = Trajectory(np.array([8, 1]), 10.0 * np.arange(160), positions, None, depth * grown**2, forces)
    change, work = energy_checks.changes(frames)
    off = energy_checks.off_work(frames, np.array([[0, 1]]))
    assert np.abs(change - work).max() > 0.4
    assert np.abs(off).max() < 0.2
    frames.energies[80:] += 0.5
    jumped = energy_checks.off_work(frames, np.array([[0, 1]]))
    (fault,) = energy_checks.jumps(jumped, 0.46)
    assert fault.frame == 80


def test_an_energy_that_jumps_is_found(data, ethane, spoil):
    spoil("primary", lambda a: a["energies"].__setitem__(20, a["energies"][20] + 1.5))
    kinds, lines = found(data, ethane)
    assert kinds == {("primary", "jump")}
    assert "ethane, primary, frame 20: the energy jumps: +1." in lines


def test_another_temperature_than_stated_is_found(data, ethane, retell):
    entry = store.read_provenance(store.folder_of(data, LEVEL, ethane))["primary"]
    retell("primary", settings=entry["settings"] | {"temperature_K": 150.0})
    kinds, lines = found(data, ethane)
    assert kinds == {("primary", "temperature")}
    assert "not 150 K" in lines


def test_a_temperature_is_held_to_what_is_stated_though_the_integrator_is_not_named(data, ethane, retell):
    path = store.folder_of(data, LEVEL, ethane) / "provenance.json"
    told = json.loads(path.read_text())
    for entry in told.values():
        entry.pop("integrator")
    told["primary"]["settings"]["temperature_K"] = 150.0
    path.write_text(json.dumps(told))
    kinds, _ = found(data, ethane)
    assert kinds == {("primary", "temperature")}


def test_an_energy_that_never_changes_is_found(data, ethane, spoil):
    spoil("primary", lambda a: a["energies"].fill(a["energies"][0]))
    kinds, lines = found(data, ethane)
    assert ("primary", "energy") in kinds
    assert "energies do not change while the forces do work" in lines


@pytest.mark.filterwarnings("error")
def test_forces_that_are_nought_are_found(data, ethane, spoil):
    spoil("primary", lambda a: a["forces"].fill(0.0))
    kinds, _ = found(data, ethane)
    assert ("primary", "unit") in kinds


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("smiles", ["[He]", "O=O", "O", "C"])
def test_sound_data_of_few_atoms_have_no_problem(smiles, tmp_path, sampled):
    molecule = own_molecules.from_smiles(smiles)
    sampled(molecule, tmp_path, SamplingSettings(n_primary=80, n_secondary=60, equilibrate_ps=0.1))
    assert found(tmp_path, molecule, Asked(n_label_frames=1))[1] == ""


def test_two_frames_of_water_may_be_near_and_the_same_one_may_not_begin_both():
    random = np.random.default_rng(3)
    shape = molecules.get("ethanol").atoms().positions[:3]
    positions = shape + 0.05 * random.normal(size=(40, 3, 3))
    one = Trajectory(np.array([8, 1, 1]), np.arange(40.0), positions, None, np.arange(40.0), positions)
    near, same = positions.copy(), positions.copy()
    near[0] = positions[0] + 0.008 * random.normal(size=(3, 3))  # a third of a step
    faults = [pair_checks.dependence(one, replace(one, positions=p), [1, 2])[0] for p in (near, same)]
    assert ["the same start" in " ".join(f.words for f in some) for some in faults] == [False, True]


# --- independence ---


def test_a_secondary_that_is_the_primary_is_found(data, ethane, retell):
    folder = store.folder_of(data, LEVEL, ethane)
    shutil.copy(folder / "primary.extxyz", folder / "secondary.extxyz")
    retell("secondary", sha256=sha256_of(folder / "secondary.extxyz"))
    kinds, lines = found(data, ethane)
    assert kinds == {("secondary", "dependent")}
    assert "secondary, frame 0: stands in the primary as frame 0 (and 59 more frames)" in lines
    assert "the same start" in lines
    assert "correlation 1.000" in lines


def test_a_secondary_that_is_a_later_part_of_the_primary_turned_is_found(data, ethane, spoil):
    primary = store.read_frames(store.path_of(data, LEVEL, ethane, "primary"))

    def take(a):
        for name in ("positions", "forces"):
            a[name][:20] = turned(getattr(primary, name)[40:])
        a["energies"][:20] = primary.energies[40:]

    spoil("secondary", take)
    kinds, lines = found(data, ethane)
    assert ("secondary", "dependent") in kinds
    assert "frame 0: stands in the primary as frame 40, moved or turned (and 19 more frames): the two must" in lines


def test_one_shared_frame_is_enough(data, ethane, spoil):
    primary = store.read_frames(store.path_of(data, LEVEL, ethane, "primary"))
    spoil("secondary", lambda a: a["positions"].__setitem__(59, primary.positions[33]))
    kinds, lines = found(data, ethane)
    assert ("secondary", "dependent") in kinds
    assert "secondary, frame 59: stands in the primary as frame 33" in lines


def frames_at(*along_x):
    """Return frames of one atom at these places, Å."""
    n = len(along_x)
    positions = np.zeros((n, 1, 3))
    positions[:, 0, 0] = along_x
    forces = np.arange(3.0 * n).reshape(n, 1, 3)
    return Trajectory(np.array([1]), 10.0 * np.arange(n), positions, None, np.zeros(n), forces)


def test_frames_are_the_same_by_their_distance_whatever_the_digits():
    ends = frames_at(1.0000004999, 1.0, 2.0, 1.0000005001, 1.0000025)  # the first and the fourth round differently
    assert [(f.frame, f.words) for f in frame_checks.repeated(ends)] == [
        (1, "the same positions as frame 0 (and 1 more frame): a duplicate frame")
    ]
    assert frame_checks.twins_before(ends.positions).tolist() == [-1, 0, -1, 0, -1]
    copies = frames_at(5.0, 1.0, 1.0 + 9e-7, 1.0 + 9e-7, 5.0, 5.0 + 2e-6)
    assert frame_checks.twins_before(copies.positions).tolist() == [-1, -1, 1, 1, 0, -1]
    assert frame_checks.repeated(frames_at(1.0, 1.0 + 1.1e-6)) == []
    (fault,) = pair_checks.shared_frames(frames_at(0.0, 1.0000004999), frames_at(2.0, 2.0, 1.0000005001))
    assert (fault.frame, fault.value) == (2, 1.0)
    assert "as frame 1: " in fault.words
    assert pair_checks.shared_frames(frames_at(0.0), frames_at(2.0, 2.0)) == []


@pytest.mark.parametrize("seed", [None, "the primary's"])
def test_streams_must_be_two(data, ethane, retell, seed):
    told = store.read_provenance(store.folder_of(data, LEVEL, ethane))
    retell("secondary", stream_seed=told["primary"]["stream_seed"] if seed else None)
    kinds, lines = found(data, ethane)
    assert kinds == {("secondary", "dependent")}
    assert "they must be two different ones" in lines


# --- all together ---


def test_a_check_that_breaks_has_not_passed(data, ethane, retell):
    retell("primary", settings={"temperature_K": "hot", "n_frames": 60})
    kinds, lines = found(data, ethane)
    assert kinds == {("", "check failed")}
    assert "could not be checked: ValueError" in lines


def test_workers_find_what_one_finds_and_say_how_far_they_are(data, ethane, spoil):
    spoil("primary", lambda a: a["forces"].__setitem__((7, ...), np.nan))
    asked = [ethane, molecules.get("propane")]
    seen = []
    alone = verify(asked, data, QUICK)
    together = verify(asked, data, QUICK, n_workers=2, on_progress=lambda *p: seen.append(p))
    assert alone == together
    assert [report.molecule for report in together] == ["ethane", "propane"]
    assert [(done, n) for done, n, _ in seen] == [(1, 2), (2, 2)]
    assert seen[-1][2] == 0.0
