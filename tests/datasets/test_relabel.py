"""Labels of one level for geometries of another: the reference's own numbers, kept as they are made, never mixed."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import Calculator

from gmd26_md import molecules, tasks
from gmd26_md.calculators import load_calculator
from gmd26_md.datasets import store
from gmd26_md.datasets.heldout import heldout_frames
from gmd26_md.datasets.relabel import relabel
from gmd26_md.datasets.relabel_jobs import LabelSettings, open_jobs
from gmd26_md.datasets.relabel_journal import Answer, Journal
from gmd26_md.datasets.relabel_sources import sources_of
from gmd26_md.datasets.relabel_work import Remembering
from gmd26_md.errors import UserError
from gmd26_md.protocols.cases import cases_of_task
from gmd26_md.reference.minima import relaxed
from gmd26_md.training.training_data import training_data
from gmd26_md.trajectory import Trajectory

ETHANE = molecules.get("ethane")
TOY, LEVEL = "toy", "gfn2-xtb"
SETTINGS = LabelSettings(LEVEL, TOY, n_test=4, minimum=False)
SCRIPT = Path(__file__).with_name("label_and_be_killed.py")


def toy_frames(n_frames, seed):
    random = np.random.default_rng(seed)
    atoms = ETHANE.atoms()
    shape = (n_frames, len(atoms), 3)
    return Trajectory(
        numbers=atoms.numbers,
        time_fs=10.0 * np.arange(n_frames),
        positions=atoms.positions + 0.05 * random.normal(size=shape),
        velocities=None,
        energies=random.normal(size=n_frames),
        forces=random.normal(size=shape),
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Return a folder with ethane at a level whose labels are nonsense; look, do not change."""
    folder = tmp_path_factory.mktemp("toy")
    for seed, (stage, n) in enumerate([("minimum", 1), ("primary", 400), ("secondary", 130)]):
        store.write_stage(store.folder_of(folder, TOY, ETHANE), stage, toy_frames(n, seed), {"settings": {}})
    return folder


@pytest.fixture(scope="module")
def done(data, tmp_path_factory) -> Path:
    """Return the labels of four frames; look, do not change."""
    out = tmp_path_factory.mktemp("done")
    labelled(data, out)
    return out


def labelled(data, out, settings=SETTINGS, split="ood", n_workers=1, **options):
    return relabel(open_jobs([(ETHANE, split)], data, out, settings, "a test"), settings, n_workers, **options)


def frames_of(out, stage="test", level=LEVEL):
    return store.read_frames(store.path_of(out, level, ETHANE, stage))


def journal_of(out, stage="test"):
    return store.folder_of(out, LEVEL, ETHANE) / f".{stage}.labels.jsonl"


def test_labels_are_the_references_own_on_the_samplers_geometries(data, tmp_path):
    done = []
    made = labelled(data, tmp_path, n_workers=2, on_progress=lambda fraction, words: done.append(fraction))
    found, given = frames_of(tmp_path), heldout_frames(data, TOY, ETHANE, "ood", 4)
    assert np.array_equal(found.positions, given.positions)
    assert np.array_equal(found.time_fs, given.time_fs)
    calculator = load_calculator(LEVEL)
    for positions, energy, forces in zip(found.positions, found.energies, found.forces, strict=True):
        atoms = Atoms(ETHANE.atoms().numbers, positions)
        # the same calculation at the same geometry; its self-consistent field ends at 1e-8 eV or below
        assert energy == pytest.approx(calculator.get_property("energy", atoms), rel=0, abs=1e-6)
        assert np.abs(forces - calculator.get_property("forces", atoms)).max() < 1e-5
    told = made["ethane"]["test"]
    assert (told["sampled_by"], told["level_of_theory"], told["n_frames"]) == (TOY, LEVEL, 4)
    assert told["method"] == "geometries sampled by toy dynamics; energies and forces of gfn2-xtb"
    assert told["versions"]["tblite"]
    assert not journal_of(tmp_path).exists()
    assert done == pytest.approx([0.25, 0.5, 0.75, 1.0])


def test_what_is_done_is_not_made_again(data, done):
    assert open_jobs([(ETHANE, "ood")], data, done, SETTINGS) == []


@pytest.mark.parametrize("changed", [{"n_test": 5}, {"sampled_by": "another"}])
def test_labels_of_other_settings_are_refused_and_left_alone(data, done, tmp_path, changed):
    (tmp_path / "another").symlink_to(data / TOY)
    before = store.path_of(done, LEVEL, ETHANE, "test").read_bytes()
    source = tmp_path if "sampled_by" in changed else data
    with pytest.raises(UserError, match=r"n_frames=4, asked is n_frames=5|sampled_by=toy, asked is sampled_by=another"):
        open_jobs([(ETHANE, "ood")], source, done, replace(SETTINGS, **changed))
    assert store.path_of(done, LEVEL, ETHANE, "test").read_bytes() == before


@pytest.mark.slow
def test_a_killed_labelling_keeps_what_it_had_and_ends_as_one_that_was_not(data, tmp_path):
    settings = replace(SETTINGS, n_test=400)
    started = subprocess.Popen([sys.executable, str(SCRIPT), str(data), str(tmp_path / "killed")])
    journal = journal_of(tmp_path / "killed")
    try:
        until = time.monotonic() + 60
        while not (journal.is_file() and len(journal.read_bytes().splitlines()) > 20):
            assert started.poll() is None, "if this fails, the script ended before it could be killed"
            assert time.monotonic() < until
            time.sleep(0.002)
    finally:
        started.send_signal(signal.SIGKILL)
        started.wait()
    kept = journal.read_bytes()
    with journal.open("ab") as handle:
        handle.write(b'{"geometry": "torn')
    jobs = open_jobs([(ETHANE, "ood")], data, tmp_path / "killed", settings)
    assert len(jobs[0].missing) == 400 - (len(kept.splitlines()) - 1)
    assert 0 < len(jobs[0].missing) <= 380
    relabel(jobs, settings, 1)
    labelled(data, tmp_path / "whole", settings)
    one, other = frames_of(tmp_path / "killed"), frames_of(tmp_path / "whole")
    # without a warm start an answer does not depend on what was asked before
    assert np.array_equal(one.energies, other.energies)
    assert np.array_equal(one.forces, other.forces)


def test_an_answer_in_the_journal_is_not_computed_again(data, tmp_path):
    job = open_jobs([(ETHANE, "ood")], data, tmp_path, SETTINGS)[0]
    frames = job.source.frames
    for index in range(4):
        job.journal.add(frames.positions[index], Answer(-float(index), frames.forces[index]))
    labelled(data, tmp_path)  # all labels are there; only the stage was not written
    assert frames_of(tmp_path).energies.tolist() == [0.0, -1.0, -2.0, -3.0]
    assert np.array_equal(frames_of(tmp_path).forces, frames.forces)


def test_a_journal_of_another_kind_is_refused(data, tmp_path):
    job = open_jobs([(ETHANE, "ood")], data, tmp_path, SETTINGS)[0]
    job.journal.add(job.source.frames.positions[0], Answer(0.0, job.source.frames.forces[0]))
    lines = job.journal.path.read_text().splitlines()
    job.journal.path.write_text("\n".join([json.dumps(json.loads(lines[0]) | {"versions": "old"}), *lines[1:]]) + "\n")
    with pytest.raises(UserError, match="begun with versions=old"):
        open_jobs([(ETHANE, "ood")], data, tmp_path, SETTINGS)


def test_a_dry_look_leaves_no_file(data, tmp_path):
    open_jobs([(ETHANE, "ood")], data, tmp_path, SETTINGS)
    assert list(tmp_path.iterdir()) == []


def test_numbers_come_back_from_the_journal_exactly(tmp_path):
    random = np.random.default_rng(3)
    positions, forces = random.normal(size=(2, 3)), random.normal(size=(2, 3))
    journal = Journal(tmp_path / "j", {"reference": "a"})
    journal.add(positions, Answer(1 / 3, forces))
    journal.add(positions + 1.0, Answer(float("nan"), np.full((2, 3), np.nan), "no field"))
    again = Journal(tmp_path / "j", {"reference": "a"})
    assert len(again) == 2
    assert again.get(positions).energy == 1 / 3
    assert np.array_equal(again.get(positions).forces, forces)
    assert again.get(positions + 1.0).problem == "no field"
    assert np.isnan(again.get(positions + 1.0).energy)
    assert again.get(positions + 1e-12) is None


def test_a_frame_that_the_reference_cannot_do_is_left_out_and_named(tmp_path):
    frames = toy_frames(4, 0)
    frames.positions[2, 1] = frames.positions[2, 0]
    folder = store.folder_of(tmp_path, TOY, ETHANE)
    store.write_stage(folder, "primary", frames, {"settings": {}})
    told = labelled(tmp_path, tmp_path)["ethane"]["test"]
    assert [entry["time_fs"] for entry in told["failed_frames"]] == [20.0]
    assert told["failed_frames"][0]["reason"]
    assert frames_of(tmp_path).time_fs.tolist() == [0.0, 10.0, 30.0]


class Counting(Calculator):
    """Springs that count, and raise after so many calculations."""

    implemented_properties = ("energy", "forces")

    def __init__(self, n_calls):
        super().__init__()
        self.n_calls = n_calls

    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        super().calculate(atoms, properties, system_changes)
        if not self.n_calls:
            raise RuntimeError("killed")
        self.n_calls -= 1
        bond = atoms.positions[1] - atoms.positions[0]
        length = float(np.linalg.norm(bond))
        stretch = length - 1.0
        pull = (10.0 * stretch + 400.0 * stretch**3) * bond / length
        self.results = {"energy": 5.0 * stretch**2 + 100.0 * stretch**4, "forces": np.array([pull, -pull])}


def test_a_relaxation_that_was_killed_walks_over_its_old_steps(tmp_path):
    start = Atoms("H2", positions=[[0, 0, 0], [0.9, 0.4, 1.6]])
    whole = relaxed(start, Remembering(Counting(100), Journal(tmp_path / "whole", {})), 0.001)
    n_steps = len(Journal(tmp_path / "whole", {}))
    assert n_steps > 4
    assert relaxed(start, Remembering(Counting(3), Journal(tmp_path / "cut", {})), 0.001) is None
    resumed = relaxed(start, Remembering(Counting(n_steps - 3), Journal(tmp_path / "cut", {})), 0.001)
    assert np.array_equal(resumed.positions, whole.positions)
    assert np.linalg.norm(whole.positions[0, 1] - whole.positions[0, 0]) == pytest.approx(1.0, abs=1e-3)


def test_a_minimum_is_one_of_the_new_level(data, tmp_path):
    settings = LabelSettings(LEVEL, TOY, n_test=0, fmax_eV_per_A=0.05)
    told = labelled(data, tmp_path, settings)["ethane"]["minimum"]
    assert told["method"] == "relaxed with gfn2-xtb by L-BFGS, from the minimum of toy"
    minimum = frames_of(tmp_path, "minimum")
    assert np.linalg.norm(minimum.forces[0], axis=-1).max() < 0.05
    assert not journal_of(tmp_path, "minimum").exists()


def test_what_tests_is_never_what_trains_or_validates(data):
    counts = {"test": 30, "primary": 400, "secondary": 100}
    test, primary, secondary = (s.frames for s in sources_of(data, TOY, ETHANE, "id", counts))
    whole = store.read_frames(store.path_of(data, TOY, ETHANE, "secondary"))
    assert np.array_equal(test.positions, whole.positions[100:])
    assert np.array_equal(secondary.positions, whole.positions[:100])
    assert np.array_equal(primary.positions, store.read_frames(store.path_of(data, TOY, ETHANE, "primary")).positions)


@pytest.mark.parametrize("level", ["pbe-d3bj/def2-svp", "pbe-d3bj/def2-tzvp"])
def test_a_level_with_a_slash_in_its_name_is_found_by_everybody(tmp_path, level):
    folder = store.folder_of(tmp_path, level, ETHANE)
    task = tasks.get("chain-extension")
    for m in task.train:
        for seed, stage in enumerate(("primary", "secondary")):
            frames = replace_molecule(m, 105, seed)
            store.write_stage(store.folder_of(tmp_path, level, m), stage, frames, {"settings": {}})
    store.write_stage(folder, "minimum", toy_frames(1, 3), {"settings": {}})
    assert store.missing(tmp_path, level, [ETHANE], store.STAGES) == []
    assert heldout_frames(tmp_path, level, ETHANE, "id").n_frames == 5
    assert len(training_data(task, tmp_path, level, 7).train[0].energies) == 7
    case = cases_of_task(task, tmp_path, level, only=("ethane",))[0]
    assert case.frames.n_frames == 5
    assert np.array_equal(case.minimum.positions, toy_frames(1, 3).positions)
    other = "pbe-d3bj/def2-tzvp" if level.endswith("svp") else "pbe-d3bj/def2-svp"
    assert heldout_frames(tmp_path, other, ETHANE, "id") is None


def replace_molecule(molecule, n_frames, seed):
    atoms = molecule.atoms()
    shape = (n_frames, len(atoms), 3)
    positions = atoms.positions + 0.05 * np.random.default_rng(seed).normal(size=shape)
    return Trajectory(atoms.numbers, 10.0 * np.arange(n_frames), positions, None, np.zeros(n_frames), np.zeros(shape))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"reference": TOY}, "has its labels already|have its labels already"),
        ({"n_test": 0}, "nothing is asked for"),
    ],
)
def test_settings_that_cannot_be_are_one_line(given, said):
    with pytest.raises(UserError, match=said):
        replace(SETTINGS, **given)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (replace(SETTINGS, reference="pbe-d4"), "'pbe-d4' is no level of theory"),
        (replace(SETTINGS, sampled_by="nothing"), "has no test frames of ethane"),
        (replace(SETTINGS, sampled_by="nothing", n_primary=1, n_test=0), "has no primary frames of ethane"),
        (replace(SETTINGS, sampled_by="nothing", n_test=0, minimum=True), "no reference data at"),
    ],
)
def test_what_cannot_be_labelled_is_said_before_anything_is(data, tmp_path, settings, said):
    with pytest.raises(UserError, match=said):
        open_jobs([(ETHANE, "ood")], data, tmp_path, settings)
    assert list(tmp_path.iterdir()) == []


def test_the_command_says_what_is_left_what_failed_and_what_was_left_out(tmp_path, cli, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frames = toy_frames(3, 0)
    frames.positions[1, 1] = frames.positions[1, 0]
    broken = toy_frames(2, 1)
    broken.positions[:, 1] = broken.positions[:, 0]
    for stage, content in (("primary", frames), ("secondary", broken)):
        store.write_stage(store.folder_of(tmp_path / "data", TOY, ETHANE), stage, content, {"settings": {}})
    asked = ("data", "label", "--reference", LEVEL, "--sampled-by", TOY, "--task", "chain-extension")
    asked += ("--only", "ethane", "--no-minimum", "--n-test", 0, "--n-primary", 3, "--n-secondary", 2)
    code, out, _ = cli(*asked, "--dry-run")
    assert (code, out) == (0, "To be made: 5 labels, 0 minima.\n")
    code, out, _ = cli(*asked, "--workers", 1)
    assert code == 1
    assert out.startswith("data/gfn2-xtb has the labels of 1 molecule, but for 1 stage.\n")
    assert "left out: 1 frame of ethane, primary; the first at 10 fs: " in out
    assert "failed: ethane, secondary: every frame failed: " in out
    assert json.loads(cli(*asked, "--dry-run", "--json")[1]) == {"n_labels": 2, "n_minima": 0, "seconds": 0.0}
