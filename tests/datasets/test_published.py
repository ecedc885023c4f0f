"""The reader of the published set, on small files of every shape it knows, right and wrong."""

import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms, units
from ase.io import Trajectory as AseTrajectory
from ase.io import write

from gmd26_md import molecules, tasks
from gmd26_md.datasets import store
from gmd26_md.datasets.heldout import heldout_frames
from gmd26_md.datasets.published import stage_of, survey
from gmd26_md.datasets.published_files import Names
from gmd26_md.datasets.published_import import ImportSettings, import_molecules
from gmd26_md.datasets.published_molecules import identify
from gmd26_md.datasets.published_parts import LEVEL, Asked
from gmd26_md.datasets.published_units import recognise_energies, stiffness_eV_per_A2, units_of
from gmd26_md.errors import UserError
from gmd26_md.observables.bonds import bond_graph
from gmd26_md.protocols.cases import cases_of_task
from gmd26_md.trajectory import Trajectory

_KIT = runpy.run_path(str(Path(__file__).with_name("published_set.py")))
ACID, ETHANE, ATOM_ENERGIES, EV, ENDINGS, WRITERS = (
    _KIT[name] for name in ("ACID", "ETHANE", "ATOM_ENERGIES", "EV", "ENDINGS", "WRITERS")
)
labelled, put, reversed_order, with_labels, ase_frames, write_traj, write_npz = (
    _KIT[name] for name in ("labelled", "put", "reversed_order", "with_labels", "ase_frames", "write_traj", "write_npz")
)


def imported(folder, out, asked=None, settings=None, molecule=ACID):
    seen = survey(folder, asked)
    (result,) = import_molecules(seen, [molecule], out, settings)
    return result.stages


def read(out, stage, molecule=ACID, level=LEVEL):
    return store.read_frames(store.path_of(out, level, molecule, stage))


@pytest.mark.parametrize("kind", WRITERS)
def test_every_kind_of_file_gives_the_same_frames(kind, tmp_path):
    put(tmp_path / "set", kind=kind)
    asked = Asked(units=EV if kind == "npz" else {})
    assert imported(tmp_path / "set", tmp_path / "out", asked) == {"secondary": "done", "primary": "done"}
    found, want = read(tmp_path / "out", "primary"), labelled(ACID, 8, 1)
    # written to 1e-8 (extended XYZ) or better; the box of 30 Å takes 1e-14
    assert np.allclose(found.positions, want.positions, atol=2e-8)
    assert np.allclose(found.forces, want.forces, atol=2e-8)
    assert np.allclose(found.energies, want.energies, atol=1e-6)
    assert np.array_equal(found.numbers, ACID.atoms().numbers)


def test_what_was_imported_is_what_tasks_read(tmp_path):
    put(tmp_path / "set", n_secondary=105)
    imported(tmp_path / "set", tmp_path / "out")
    assert heldout_frames(tmp_path / "out", LEVEL, ACID, "ood").n_frames == 8
    assert heldout_frames(tmp_path / "out", LEVEL, ACID, "id").n_frames == 5  # without the 100 that validate


def test_static_errors_need_no_minimum_which_the_set_does_not_have(tmp_path):
    put(tmp_path / "set", n_secondary=105)
    imported(tmp_path / "set", tmp_path / "out")
    (case,) = cases_of_task(
        tasks.get("duplication"), tmp_path / "out", LEVEL, only=["acetic acid"], compute_minima=False
    )
    assert case.minimum is None
    assert case.frames.n_frames == 5
    assert np.array_equal(case.frames.numbers, case.numbers)


def test_a_file_in_another_order_of_atoms_comes_out_in_ours(tmp_path):
    put(tmp_path / "set", order=reversed_order(ACID))
    imported(tmp_path / "set", tmp_path / "out")
    found, want = read(tmp_path / "out", "primary"), labelled(ACID, 8, 1)
    assert np.array_equal(found.numbers, want.numbers)
    heavy = found.numbers > 1  # hydrogens of one methyl group may be exchanged: the graph does not tell them apart
    assert np.allclose(found.forces[:, heavy], want.forces[:, heavy])
    assert np.allclose(found.energies, want.energies)
    stiffness, correlation = stiffness_eV_per_A2(found.numbers, found.positions, found.forces)
    assert 25 < stiffness < 35  # other bonds pull as well
    assert correlation < -0.8


def test_a_changed_order_of_atoms_between_frames_is_mended_and_said(tmp_path):
    where = put(tmp_path / "set")
    mixed = [labelled(ACID, 4, 1), labelled(ACID, 4, 3, reversed_order(ACID))]
    write_traj(where / "primary.traj", *mixed)
    seen = survey(tmp_path / "set")
    assert [len(part.at) for part in seen.found[ACID.slug]["primary"].parts] == [4, 4]
    assert imported(tmp_path / "set", tmp_path / "out")["primary"] == "done"
    found = read(tmp_path / "out", "primary")
    assert np.allclose(found.energies, np.concatenate([t.energies for t in mixed]))  # the file's order of frames
    carbon_1 = [t.forces[:, list(t.numbers).index(6)] for t in mixed[:1]]
    assert np.allclose(found.forces[:4, list(found.numbers).index(6)], carbon_1[0])
    assert len(store.read_provenance(store.folder_of(tmp_path / "out", LEVEL, ACID))["primary"]["atom_order"]) == 2


def test_exchanged_atoms_of_one_element_are_another_order_of_atoms(tmp_path):
    good = labelled(ACID, 5, 1)
    positions, forces = good.positions[:1].copy(), good.forces[:1].copy()
    oxygens = np.flatnonzero(good.numbers == 8)
    for array in (positions, forces):
        array[0, oxygens] = array[0, oxygens[::-1]]
    exchanged = Trajectory(good.numbers, np.zeros(1), positions, None, good.energies[:1], forces)
    write_traj(tmp_path / "set" / "primary.traj", good.part(slice(1, None)), exchanged)
    assert [len(p.at) for p in survey(tmp_path / "set").found[ACID.slug]["primary"].parts] == [4, 1]
    imported(tmp_path / "set", tmp_path / "out")
    assert np.array_equal(read(tmp_path / "out", "primary").forces[4, oxygens], good.forces[0, oxygens])


def test_two_molecules_in_one_file_are_taken_apart(tmp_path):
    write_traj(tmp_path / "set" / "primary.traj", labelled(ACID, 4, 1), labelled(ETHANE, 3, 2), labelled(ACID, 2, 3))
    seen = survey(tmp_path / "set")
    assert {slug: stages["primary"].n_frames for slug, stages in seen.found.items()} == {ACID.slug: 6, ETHANE.slug: 3}
    import_molecules(seen, [ACID, ETHANE], tmp_path / "out")
    assert read(tmp_path / "out", "primary").n_frames == 6
    assert read(tmp_path / "out", "primary", ETHANE).n_frames == 3


def test_a_file_that_repeats_an_earlier_molecule_is_taken_once_and_said(tmp_path):
    """The authors' labelling script gathers: each file it writes holds the molecules before it too."""
    write_traj(tmp_path / "set" / "a_primary.traj", labelled(ACID, 4, 1))
    write_traj(tmp_path / "set" / "b_primary.traj", labelled(ACID, 4, 1), labelled(ETHANE, 3, 2))
    seen = survey(tmp_path / "set")
    assert seen.problems == []
    assert len(seen.twins) == 1
    assert "b_primary.traj" in seen.twins[0]


def test_different_frames_for_one_stage_are_a_problem_and_nothing_is_chosen(tmp_path):
    write_traj(tmp_path / "set" / "x" / "primary.traj", labelled(ACID, 4, 1))
    write_traj(tmp_path / "set" / "y" / "primary.traj", labelled(ACID, 5, 9))
    seen = survey(tmp_path / "set")
    assert seen.found == {}
    assert "different primary frames" in seen.problems[0]
    assert "--include" in seen.problems[0]
    assert survey(tmp_path / "set", Asked(include=("y/*",))).found[ACID.slug]["primary"].n_frames == 5


def test_an_unknown_molecule_is_listed_and_left_out(tmp_path):
    put(tmp_path / "set")
    water = Atoms("OH2", [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])
    with AseTrajectory(tmp_path / "set" / "water.traj", "w") as file:
        file.write(with_labels(water.numbers, water.positions, -2080.0, np.zeros((3, 3))))
    seen = survey(tmp_path / "set")
    assert [(u.formula, u.n_frames, u.path.name) for u in seen.contents.unknown] == [("H2O", 1, "water.traj")]
    assert set(seen.found) == {ACID.slug}


def test_a_broken_molecule_is_not_taken_for_a_whole_one(tmp_path):
    whole = labelled(ACID, 3, 1)
    positions = whole.positions.copy()
    positions[1, -1] += 3.0  # a hydrogen is gone
    torn = Trajectory(whole.numbers, whole.time_fs, positions, None, whole.energies, whole.forces)
    write_traj(tmp_path / "set" / "primary.traj", torn)
    seen = survey(tmp_path / "set")
    assert seen.found[ACID.slug]["primary"].n_frames == 2
    assert [u.n_frames for u in seen.contents.unknown] == [1]


@pytest.mark.parametrize(
    ("name", "n_frames", "asked", "want"),
    [
        ("data/x/primary/a.traj", 3, Asked(), ("primary", "path")),
        ("data/x/CCO_secondary.traj", 3, Asked(), ("secondary", "path")),
        ("data/x/CCO_total.traj", 2013, Asked(), ("primary", "count")),
        ("data/x/CCO_total.traj", 2513, Asked(), None),  # it may hold both
        ("data/x/CCO_total.traj", 2513, Asked(primary="*_total.traj"), ("primary", "asked")),
        ("data/x/CCO_final.traj", 501, Asked(), ("secondary", "count")),
        ("data/x/CCO_final.traj", 1000, Asked(), None),
        ("data/primary_or_secondary.traj", 1000, Asked(), None),
        ("data/x/CCO_final.traj", 2013, Asked(secondary="*_final.traj"), ("secondary", "asked")),
        ("data/x/CCO_total.traj", 2013, Asked(secondary="*_final.traj"), None),
        ("data/x/CCO_secondary.traj", 60, Asked(primary="*_total.traj"), ("secondary", "path")),
        ("data/x/CCO_primary.traj", 60, Asked(primary="*_total.traj"), None),
        ("data/x/CCO_secondary.traj", 60, Asked(primary="*_total.traj", secondary="*_final.traj"), None),
    ],
)  # fmt: skip
def test_primary_and_secondary_are_told_by_a_rule_or_not_at_all(name, n_frames, asked, want):
    assert stage_of(name, n_frames, asked) == want


def test_frames_that_no_rule_places_are_a_problem_with_its_cure(tmp_path):
    write_traj(tmp_path / "set" / "CC_total.traj", labelled(ETHANE, 7, 1))
    (problem,) = survey(tmp_path / "set").problems
    assert "7 frames of ethane may be primary" in problem
    assert "--primary PATTERN" in problem
    seen = survey(tmp_path / "set", Asked(primary="*_total.traj", secondary="*_final.traj"))
    assert seen.problems == []
    assert seen.found["ethane"]["primary"].n_frames == 7


def test_a_single_frame_is_no_trajectory_and_no_problem(tmp_path):
    where = put(tmp_path / "set")
    write_traj(where / "last_step.traj", labelled(ACID, 1, 8))
    seen = survey(tmp_path / "set")
    assert seen.problems == []
    assert list(seen.left_out) == ["a single frame of ethanoic acid, no trajectory"]


# ---- units


def test_hartree_energies_are_named_and_read_when_the_user_says_so(tmp_path):
    where = put(tmp_path / "set")
    for stage, n, seed in (("primary", 8, 1), ("secondary", 10, 2)):
        t = labelled(ACID, n, seed)
        (where / f"{stage}.traj").unlink()
        in_hartree = Trajectory(
            t.numbers, t.time_fs, t.positions, None, t.energies / units.Hartree, t.forces * units.Bohr / units.Hartree
        )
        write_traj(where / f"{stage}.traj", in_hartree)
    seen = survey(tmp_path / "set")
    assert seen.found == {}
    assert "look like Hartree and not eV; say --energy-unit Hartree" in seen.problems[0]
    only_energy = Asked(units={"energy": "Hartree"})
    failed = imported(tmp_path / "set", tmp_path / "out", only_energy)["primary"]
    assert failed.startswith("failed:")
    assert "say --force-unit Hartree/Bohr" in failed
    both = Asked(units={"energy": "Hartree", "force": "Hartree/Bohr"})
    assert imported(tmp_path / "set", tmp_path / "out", both)["primary"] == "done"
    assert np.allclose(read(tmp_path / "out", "primary").forces, labelled(ACID, 8, 1).forces)


def test_positions_in_bohr_are_named(tmp_path):
    t = labelled(ACID, 3, 1)
    in_bohr = Trajectory(t.numbers, t.time_fs, t.positions / units.Bohr, None, t.energies, t.forces)
    write_traj(tmp_path / "set" / "primary.traj", in_bohr)
    seen = survey(tmp_path / "set")
    assert "say --length-unit Bohr" in seen.contents.unknown[0].why
    assert survey(tmp_path / "set", Asked(units={"length": "Bohr"})).found[ACID.slug]["primary"].n_frames == 3


def test_an_archive_without_units_is_refused_and_one_that_states_them_is_read(tmp_path):
    write_npz(tmp_path / "set" / "primary.npz", labelled(ACID, 8, 1))
    (problem,) = survey(tmp_path / "set").problems
    assert "states no unit of energy" in problem
    assert "--energy-unit" in problem
    kcal = units.kcal / units.mol
    t = labelled(ACID, 8, 1)
    write_npz(
        tmp_path / "set" / "primary.npz", t, E=t.energies / kcal, F=t.forces / kcal, e_unit="kcal/mol", r_unit="Ang"
    )
    assert imported(tmp_path / "set", tmp_path / "out")["primary"] == "done"
    assert np.allclose(read(tmp_path / "out", "primary").energies, t.energies)
    (problem,) = survey(tmp_path / "set", Asked(units={"energy": "eV"})).problems
    assert "states kcal/mol itself" in problem


def test_energies_of_another_level_are_left_out_and_said(tmp_path):
    put(tmp_path / "set" / "pbe")
    t = labelled(ACID, 8, 5)
    xtb = Trajectory(t.numbers, t.time_fs, t.positions, None, np.full(8, -393.1), t.forces)  # GFN2-xTB's own
    write_traj(tmp_path / "set" / "xtb" / "primary.traj", xtb)
    seen = survey(tmp_path / "set")
    assert seen.problems == []
    assert len(seen.contents.other_level) == 1
    assert "looks like gfn2-xtb in eV" in seen.contents.other_level[0]
    assert survey(tmp_path / "set", Asked(level="gfn2-xtb")).found[ACID.slug]["primary"].path.parent.name == "xtb"


def test_relative_energies_need_the_users_word(tmp_path):
    t = labelled(ACID, 8, 5)
    relative = Trajectory(t.numbers, t.time_fs, t.positions, None, t.energies - t.energies.mean(), t.forces)
    write_traj(tmp_path / "set" / "primary.traj", relative)
    assert "--no-check-energies" in survey(tmp_path / "set").problems[0]
    assert survey(tmp_path / "set", Asked(check_energies=False)).found[ACID.slug]["primary"].n_frames == 8


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: -f, "they are gradients; turn them with --map forces=-NAME"),
        (lambda f: f / (units.kcal / units.mol), "say --force-unit kcal/mol/Å"),
        (lambda f: f[:, ::-1], "belong to other atoms or frames"),
        (lambda f: f[np.roll(np.arange(len(f)), 1)], "belong to other atoms or frames"),
    ],
)
def test_forces_that_do_not_follow_the_bonds_are_refused_with_the_likely_reason(change, words, tmp_path):
    t = labelled(ACID, 40, 5)
    wrong = Trajectory(t.numbers, t.time_fs, t.positions, None, t.energies, change(t.forces))
    write_traj(tmp_path / "set" / "primary.traj", wrong)
    failed = imported(tmp_path / "set", tmp_path / "out")["primary"]
    assert failed.startswith("failed:")
    assert words in failed
    assert not store.path_of(tmp_path / "out", LEVEL, ACID, "primary").exists()
    ok = ImportSettings(check_forces=False)
    assert imported(tmp_path / "set", tmp_path / "out", settings=ok)["primary"] == "done"


def test_gradients_are_turned_by_a_minus_before_the_name(tmp_path):
    t = labelled(ACID, 8, 5)
    write_npz(tmp_path / "set" / "primary.npz", t, gradient=-t.forces)
    asked = Asked(units=EV, names=Names({"forces": "-gradient"}))
    assert imported(tmp_path / "set", tmp_path / "out", asked)["primary"] == "done"
    assert np.allclose(read(tmp_path / "out", "primary").forces, t.forces)


@pytest.mark.parametrize(
    ("per_atom", "unit", "want"),
    [
        (ATOM_ENERGIES, "eV", ("all-electron", "eV")),
        (ATOM_ENERGIES, "kcal/mol", ("all-electron", "kcal/mol")),
        ({1: -13.68, 6: -58.71, 7: -79.54, 8: -110.37}, "Hartree", ("gfn2-xtb", "Hartree")),
    ],
)
def test_every_one_of_our_molecules_is_told_by_its_energy_in_any_unit(per_atom, unit, want):
    from gmd26_md.datasets.published_units import ENERGY_UNITS

    for molecule in molecules.all_molecules()[::7]:
        numbers = np.array([6] * molecule.n_carbon + [1] * 2 * molecule.n_carbon + [8] * 4)
        energy = sum(per_atom[z] for z in numbers.tolist()) / ENERGY_UNITS[unit]
        assert recognise_energies(numbers, np.array([energy])) == want


def test_a_stated_energy_and_length_make_the_unit_of_force_and_nothing_is_guessed():
    assert units_of({"energy": "kcal/mol", "length": "Ang"}, {}, ase_units=False).force == "kcal/mol/Å"
    with pytest.raises(UserError, match="unknown unit of energy 'Rydberg'"):
        units_of({"energy": "Rydberg"}, {}, ase_units=True)
    with pytest.raises(UserError, match="states no unit of force"):
        units_of({}, {"energy": "eV", "length": "Å"}, ase_units=False)


# ---- files that are wrong


@pytest.mark.parametrize("kind", WRITERS)
def test_a_file_cut_short_is_said_and_the_others_are_read(kind, tmp_path):
    where = put(tmp_path / "set", kind=kind, n_primary=40)
    path = where / f"primary.{ENDINGS[kind]}"
    path.write_bytes(path.read_bytes()[: int(0.6 * path.stat().st_size)])
    seen = survey(tmp_path / "set", Asked(units=EV))
    said = seen.problems + [f"{path}: {why}" for why, names in seen.left_out.items() for path in names]
    assert len(said) == 1
    assert "primary" in said[0]
    assert "fetch it again" in said[0]
    assert "\n" not in said[0]
    assert set(seen.found[ACID.slug]) == {"secondary"}


def test_a_missing_field_is_said_with_what_is_there_and_can_be_mapped(tmp_path):
    t = labelled(ACID, 8, 1)
    bare = [Atoms(t.numbers, p, info={"REF_energy": e}) for p, e in zip(t.positions, t.energies, strict=True)]
    for atoms, f in zip(bare, t.forces, strict=True):
        atoms.arrays["REF_forces"] = f
    (tmp_path / "set").mkdir()
    write(tmp_path / "set" / "primary.xyz", bare, format="extxyz")
    (problem,) = survey(tmp_path / "set").problems
    assert "expected energies as 'energy', found REF_energy, REF_forces" in problem
    asked = Asked(names=Names({"energies": "REF_energy", "forces": "REF_forces"}))
    assert imported(tmp_path / "set", tmp_path / "out", asked)["primary"] == "done"
    assert np.allclose(read(tmp_path / "out", "primary").energies, t.energies)


def test_an_archive_with_pickled_objects_is_never_unpickled(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "boom"), "w"))

    write_npz(tmp_path / "set" / "primary.npz", labelled(ACID, 3, 1), E=np.array([Bomb()], dtype=object))
    (problem,) = survey(tmp_path / "set", Asked(units=EV)).problems
    assert "does not read" in problem
    assert not (tmp_path / "boom").exists()


def test_an_archive_whose_arrays_do_not_match_is_said(tmp_path):
    t = labelled(ACID, 4, 1)
    write_npz(tmp_path / "set" / "primary.npz", t, F=t.forces[:3])
    assert "expected 4 forces, one a geometry, found 3" in survey(tmp_path / "set", Asked(units=EV)).problems[0]
    write_npz(tmp_path / "set" / "primary.npz", t, F=t.forces[:, :5])
    assert "expected forces (8, 3) a frame, found (5, 3)" in survey(tmp_path / "set", Asked(units=EV)).problems[0]
    two = np.stack([t.energies - 1.0, t.energies], axis=1)  # of which state, or level?
    write_npz(tmp_path / "set" / "primary.npz", t, E=two)
    assert (
        "expected one energy a frame, found energies of shape (4, 2)"
        in survey(tmp_path / "set", Asked(units=EV)).problems[0]
    )
    write_npz(tmp_path / "set" / "primary.npz", t, forces=t.forces)
    assert "expected forces as one array F or forces" in survey(tmp_path / "set", Asked(units=EV)).problems[0]


def test_an_archive_of_padded_molecules_is_taken_apart(tmp_path):
    a, b = labelled(ETHANE, 2, 1), labelled(molecules.get("propane"), 3, 2)
    n = b.n_atoms

    def padded(array):
        return np.pad(array, [(0, 0), (0, n - array.shape[1]), *[(0, 0)] * (array.ndim - 2)])

    numbers = [padded(np.tile(t.numbers, (t.n_frames, 1))) for t in (a, b)]
    (tmp_path / "set").mkdir()
    np.savez(
        tmp_path / "set" / "primary.npz",
        atomic_numbers=np.concatenate(numbers),
        coordinates=np.concatenate([padded(a.positions), b.positions]),
        forces=np.concatenate([padded(a.forces), b.forces]),
        energies=np.concatenate([a.energies, b.energies])[:, None],
    )
    seen = survey(tmp_path / "set", Asked(units=EV))
    assert {slug: s["primary"].n_frames for slug, s in seen.found.items()} == {"ethane": 2, "propane": 3}


@pytest.mark.parametrize("field", ["positions", "energies", "forces"])
def test_a_value_that_is_no_number_stops_the_molecule_or_is_dropped_and_counted(field, tmp_path):
    where = put(tmp_path / "set", kind="npz")
    t = labelled(ACID, 8, 1)
    getattr(t, field)[2, ...] = np.nan
    write_npz(where / "primary.npz", t)
    stages = imported(tmp_path / "set", tmp_path / "out", Asked(units=EV))
    assert stages["secondary"] == "done"
    assert (
        "1 of 8 frames with energies, forces or positions that are not finite (the first is number 2"
        in stages["primary"]
    )
    stages = imported(tmp_path / "set", tmp_path / "out", Asked(units=EV), ImportSettings(drop_bad_frames=True))
    assert stages["primary"] == "done"
    assert read(tmp_path / "out", "primary").n_frames == 7
    entry = store.read_provenance(store.folder_of(tmp_path / "out", LEVEL, ACID))["primary"]
    assert list(entry["dropped"].values()) == [1]


def test_a_frame_without_labels_is_named(tmp_path):
    frames = ase_frames(labelled(ACID, 3, 1))
    frames[1].calc = None
    (tmp_path / "set").mkdir()
    with AseTrajectory(tmp_path / "set" / "primary.traj", "w") as file:
        for atoms in frames:
            file.write(atoms)
    (problem,) = survey(tmp_path / "set").problems
    assert "frame 1: expected energies as 'energy', found no labels at all" in problem


def test_a_frame_that_comes_twice_is_said_or_dropped(tmp_path):
    again = labelled(ACID, 4, 1)
    write_traj(tmp_path / "set" / "primary.traj", again, again.part(slice(3, 4)))
    assert "1 of 5 frames whose positions come twice" in imported(tmp_path / "set", tmp_path / "out")["primary"]
    imported(tmp_path / "set", tmp_path / "out", settings=ImportSettings(drop_bad_frames=True))
    assert read(tmp_path / "out", "primary").n_frames == 4


def test_a_primary_that_holds_frames_of_the_secondary_is_not_independent(tmp_path):
    write_traj(tmp_path / "set" / "primary.traj", labelled(ACID, 4, 1), labelled(ACID, 3, 2))
    write_traj(tmp_path / "set" / "secondary.traj", labelled(ACID, 3, 2))
    assert "3 of 7 frames that are in the secondary" in imported(tmp_path / "set", tmp_path / "out")["primary"]
    imported(tmp_path / "set", tmp_path / "out", settings=ImportSettings(drop_bad_frames=True))
    assert read(tmp_path / "out", "primary").n_frames == 4
    assert read(tmp_path / "out", "secondary").n_frames == 3  # the test stays whole


@pytest.mark.parametrize("kind", ["extxyz", "npz"])
def test_frames_of_the_secondary_are_known_in_another_file_order_and_place(kind, tmp_path):
    primary, secondary = tmp_path / "set" / "primary.traj", tmp_path / "set" / f"secondary.{ENDINGS[kind]}"
    write_traj(primary, labelled(ACID, 6, 1))
    t = labelled(ACID, 6, 1, reversed_order(ACID)).part(slice(2, 5))
    WRITERS[kind](secondary, replace(t, positions=t.positions + 0.5))
    found = imported(tmp_path / "set", tmp_path / "out", Asked(units=EV))
    assert "3 of 6 frames that are in the secondary trajectory too (the first is number 2" in found["primary"]


def test_an_empty_line_between_frames_does_not_end_a_file_in_silence(tmp_path):
    put(tmp_path / "set", kind="extxyz")
    (path,) = (tmp_path / "set").rglob("primary.xyz")
    path.write_text(path.read_text().replace("\n8\n", "\n\n8\n", 1))
    (said,) = survey(tmp_path / "set").problems
    assert "primary.xyz: an empty line at byte" in said
    path.write_text(path.read_text().replace("\n\n8\n", "\n8\n", 1) + "\n \n")  # at the end they say nothing
    assert survey(tmp_path / "set").problems == []


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty; fetch it again"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "git lfs pull"),
        (b"\x89HDF\r\n\x1a\n", "HDF5, which is not read here"),
        (b"PAR1....", "Parquet, which is not read here"),
        (b"\x1f\x8b\x08", "compressed; unpack it first"),
        (b"\x80\x04\x95", "not a data file"),
    ],
)
def test_what_is_no_data_is_told_by_content_and_left_out(content, why, tmp_path):
    put(tmp_path / "set")
    (tmp_path / "set" / "looks-like.traj").write_bytes(content)
    seen = survey(tmp_path / "set")
    assert any(why in reason and names == ["looks-like.traj"] for reason, names in seen.left_out.items())
    assert set(seen.found) == {ACID.slug}


def test_a_folder_of_pointers_says_that_the_data_is_not_there(tmp_path):
    (tmp_path / "a.traj").write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(UserError, match=r"no data file .*1 a pointer of Git LFS, not the data"):
        survey(tmp_path)
    with pytest.raises(UserError, match="no folder"):
        survey(tmp_path / "nowhere")


# ---- going on


def test_what_is_imported_is_not_touched_again_and_other_data_are_not_written_over(tmp_path):
    where = put(tmp_path / "set")
    imported(tmp_path / "set", tmp_path / "out")
    path = store.path_of(tmp_path / "out", LEVEL, ACID, "primary")
    before = path.stat().st_mtime_ns
    assert imported(tmp_path / "set", tmp_path / "out") == {"secondary": "kept", "primary": "kept"}
    assert path.stat().st_mtime_ns == before
    path.unlink()
    assert imported(tmp_path / "set", tmp_path / "out") == {"secondary": "kept", "primary": "done"}
    (where / "primary.traj").unlink()
    write_traj(where / "primary.traj", labelled(ACID, 9, 77))
    with pytest.raises(UserError, match="was made with imported_sha256"):
        imported(tmp_path / "set", tmp_path / "out")
    assert read(tmp_path / "out", "primary").n_frames == 8


def test_no_frame_is_called_a_minimum_and_the_time_is_said_to_be_a_number(tmp_path):
    put(tmp_path / "set")
    imported(tmp_path / "set", tmp_path / "out")
    assert not store.path_of(tmp_path / "out", LEVEL, ACID, "minimum").exists()
    assert "do not state the interval" in read(tmp_path / "out", "primary").info["time_fs"]
    entry = store.read_provenance(store.folder_of(tmp_path / "out", LEVEL, ACID))["primary"]
    assert entry["file"].endswith("primary.traj")
    assert "none in the set" in entry["minimum"]


def test_all_our_molecules_are_known_by_their_bonds_in_any_order_and_no_two_alike():
    random = np.random.default_rng(3)
    # ten of them: embedding all 120 takes half a minute; that no two have one graph is seen without structures
    for molecule in molecules.all_molecules()[::13]:
        atoms = molecule.atoms()
        order = random.permutation(len(atoms))
        found, back = identify(atoms.numbers[order].astype(np.int64), atoms.positions[order])
        assert found == molecule
        assert np.array_equal(atoms.numbers[order][back], atoms.numbers)
        bonds = bond_graph(atoms.numbers, atoms.positions).pairs
        assert bond_graph(atoms.numbers, atoms.positions[order][back]).pairs == bonds
    from gmd26_md.datasets.published_molecules import _known

    assert len(_known()) == 120


def test_the_unit_that_is_suggested_is_the_one_that_the_forces_are_in_whatever_was_claimed(tmp_path):
    write_traj(tmp_path / "set" / "primary.traj", labelled(ACID, 40, 5))
    claimed = Asked(units={"force": "Hartree/Bohr"})
    assert "say --force-unit eV/Å" in imported(tmp_path / "set", tmp_path / "out", claimed)["primary"]
