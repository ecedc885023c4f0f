"""The straight line: what is finished is never done again, and what fails stops nothing."""

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms

from gmd26_md import evaluate, tasks
from gmd26_md.calculators import load_calculator
from gmd26_md.observables.verdict import Thresholds
from gmd26_md.protocols import stability, stability_analysis
from gmd26_md.protocols.cases import cases_of_task
from gmd26_md.protocols.subject import open_subject
from gmd26_md.question import Question
from gmd26_md.records import read_records
from gmd26_md.run_folder import open_run_folder

DRIVER = Path(__file__).parent / "resume_driver.py"


@pytest.fixture(autouse=True)
def one_thread():
    """Sums in one order: resuming is promised bit by bit on one CPU thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def without_cost(line):
    """Return a record without what it cost in seconds, which no two runs share."""
    record = json.loads(line)
    record["cost"] = {k: v for k, v in record["cost"].items() if not k.endswith(("wall_s", "max_rss_MB"))}
    return record


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the driver forks")
def test_a_run_killed_again_and_again_ends_as_the_undisturbed_one(short_run, tmp_path):
    arguments = [str(a) for a in (*short_run, "--n-seeds", 2)]
    done = subprocess.run(
        [sys.executable, DRIVER, tmp_path / "killed", tmp_path / "whole", *arguments],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=True,
    )
    *steps, whole = json.loads(done.stdout)
    status = {step["disturbed_by"]: step["status"] for step in steps}
    assert status == {
        "interrupt_in_static_errors": 130,
        "kill_in_dynamics": -signal.SIGKILL,
        "kill_in_labelling": -signal.SIGKILL,
        "kill_between_records": -signal.SIGKILL,
        "forbid_dynamics": 0,
    }, done.stderr
    assert "interrupted; the same command goes on" in done.stderr
    assert whole["status"] == 0
    # two static errors and two batches of two runs
    assert [len(step["records"]) for step in (*steps, whole)] == [1, 4, 4, 5, 6, 6]
    for before, after in pairwise(steps):
        assert after["records"][: len(before["records"])] == before["records"], "a finished record was made again"
    at = json.loads((tmp_path / "resumed-at.json").read_text())
    assert at == [[0, 6], [0, 6]]  # the third snapshot, at a frame each 2 steps
    # if this fails, a resumed run is another run: look at what the snapshot leaves out
    assert [without_cost(r) for r in steps[-1]["records"]] == [without_cost(r) for r in whole["records"]]
    for path in sorted((tmp_path / "whole" / "trajectories").iterdir()):
        assert (tmp_path / "killed" / "trajectories" / path.name).read_bytes() == path.read_bytes()
    assert {p.name for p in (tmp_path / "killed").iterdir()} == {p.name for p in (tmp_path / "whole").iterdir()}


@pytest.fixture
def question(tiny_model, frames_folder):
    subject = open_subject(str(tiny_model), device="cpu")
    cases = cases_of_task(tasks.get("duplication"), frames_folder, "gfn2-xtb", only=("acetic acid", "oxalic acid"))
    return Question(subject, "duplication", cases)


@pytest.fixture
def settings():
    return stability.Settings(
        temperature_K=1.0, thermalise_ps=0.0, run_ps=0.005, save_every_fs=1.0, n_label_frames=2, reference="gfn2-xtb"
    )


def folder_for(question, path):
    return open_run_folder(path, question.content("stability", {}))


class NanFor:
    """A provider whose forces are not a number for one molecule, from some call on."""

    def __init__(self, provider, formula_sum, after):
        self.provider, self.formula_sum, self.after = provider, formula_sum, after
        self.device = provider.device

    def bind(self, numbers):
        return _BoundNan(self, self.provider.bind(numbers), list(numbers))

    def cost(self, numbers, positions):
        return self.provider.cost(numbers, positions)

    def capacity(self):
        return self.provider.capacity()


class _BoundNan:
    def __init__(self, owner, bound, numbers):
        self.owner, self.bound, self.numbers, self.errors = owner, bound, numbers, bound.errors
        bad = [int(z.sum()) == owner.formula_sum for z in numbers]
        self.bad = torch.as_tensor(np.repeat(bad, [len(z) for z in numbers]))

    def only(self, kept):
        return _BoundNan(self.owner, self.bound.only(kept), [self.numbers[i] for i in kept])

    def joined(self, other):
        return _BoundNan(self.owner, self.bound.joined(other.bound), [*self.numbers, *other.numbers])

    def __call__(self, positions):
        energy, forces = self.bound(positions)
        self.owner.after -= 1
        if self.owner.after < 0:
            forces = torch.where(self.bad[:, None], torch.nan, forces)
        return energy, forces


def test_a_molecule_that_explodes_leaves_the_others_as_they_were(question, settings, tmp_path):
    oxalic = question.cases[1]
    sick = replace(question.subject, provider=NanFor(question.subject.provider, int(oxalic.numbers.sum()), after=4))
    for name, subject in (("well", question.subject), ("sick", sick)):
        asked = replace(question, subject=subject)
        evaluate.measure_stability(asked, folder_for(asked, tmp_path / name), settings, Thresholds())
    well, ill = (read_records(tmp_path / name / "records.jsonl") for name in ("well", "sick"))
    assert [r.verdict for r in well] == ["silent", "silent"]
    assert [r.verdict for r in ill] == ["exploded", "silent"]  # as they end
    assert ill[1].metrics == well[0].metrics
    assert ill[0].metrics["failed_at_ps"] == pytest.approx(0.002, abs=1e-9)  # the fourth step of 0.5 fs
    assert ill[0].trajectory is not None
    ase.io.read(tmp_path / "sick" / ill[0].evidence["last_frames"], ":")
    training = ase.io.read(tmp_path / "well" / well[0].evidence["labels"], ":")
    assert len(training) == settings.n_label_frames
    reference = load_calculator("gfn2-xtb")
    again = reference.get_forces(Atoms(training[1].numbers, training[1].positions))
    assert np.abs(training[1].get_forces() - again).max() < 1e-4  # another start of the same self-consistent field


def test_an_analysis_that_fails_is_that_molecules_record_only(question, settings, tmp_path, monkeypatch):
    analyse = stability_analysis.analyse

    def stumbles(order, *rest):
        if order.case.slug == "ethanoic-acid":
            raise np.linalg.LinAlgError("SVD did not converge")
        return analyse(order, *rest)

    monkeypatch.setattr(stability_analysis, "analyse", stumbles)
    folder = folder_for(question, tmp_path / "run")
    evaluate.measure_stability(question, folder, settings, Thresholds())
    assert [r.verdict for r in folder.records()] == ["error", "silent"]
    assert "LinAlgError: SVD did not converge" in folder.records()[0].reason


def test_a_molecule_without_a_reference_minimum_is_an_error_and_stops_nothing(question, settings, tmp_path):
    first, second = question.cases
    lost = replace(question, cases=[replace(first, minimum=None), second])
    folder = folder_for(lost, tmp_path / "run")
    evaluate.measure_stability(lost, folder, settings, Thresholds())
    assert {r.molecule: r.verdict for r in folder.records()} == {"ethanoic acid": "error", "ethanedioic acid": "silent"}


def test_a_time_limit_censors_and_fails_nothing(question, settings, tmp_path):
    folder = folder_for(question, tmp_path / "run")
    unlabelled = replace(settings, n_label_frames=0)  # labels would already call it silent
    evaluate.measure_stability(question, folder, unlabelled, Thresholds(), minutes=1e-9)
    assert [r.verdict for r in folder.records()] == ["censored", "censored"]
    assert all("cut by the time limit" in r.reason for r in folder.records())


def test_static_errors_whose_record_is_missing_are_measured_again_and_recorded_once(question, tmp_path):
    folder = folder_for(question, tmp_path / "run")
    evaluate.measure_static_errors(question, folder, 0)
    lines = folder.records_path.read_bytes().splitlines(keepends=True)
    folder.records_path.write_bytes(lines[0])  # killed between the table and the record of the second
    evaluate.measure_static_errors(question, folder, 0)
    again = folder.records_path.read_bytes().splitlines(keepends=True)
    assert again[0] == lines[0]
    assert [json.loads(line)["molecule"] for line in again] == ["ethanoic acid", "ethanedioic acid"]


# --- a full disk ---

FULL = """
set -u
mount -t tmpfs -o size={size} tmpfs "$1" || exit 99
mkdir "$1/run"
shift 2
"$@"; code=$?
cp -r {mnt}/run {kept}
exit $code
"""


def can_mount():
    probe = ["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return shutil.which("unshare") is not None and subprocess.run(probe, capture_output=True).returncode == 0


def limit_file_size():
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (16384, 16384))


def test_a_full_disk_is_one_line_and_what_was_finished_is_kept(cli, short_run, tmp_path):
    """On a disk of 64 KiB where the machine lets us mount one; else a limit on the size of files stands for it."""
    disk, kept = tmp_path / "disk", tmp_path / "kept"
    disk.mkdir()
    command = [
        sys.executable,
        "-m",
        "gmd26_md",
        *map(str, short_run),
        "--nve-ps",
        "0.06",
        "--quiet",
        "--out",
        disk / "run",
    ]
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    if can_mount():
        script = FULL.format(size="64k", mnt=disk, kept=kept)
        command = ["unshare", "-m", "bash", "-c", script, "bash", disk, "--", *command]
        done = subprocess.run(command, capture_output=True, text=True, env=env)
        words = "the disk is full"
    else:
        done = subprocess.run(command, capture_output=True, text=True, env=env, preexec_fn=limit_file_size)
        shutil.copytree(disk / "run", kept)
        words = "size limit"
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    finished = (kept / "records.jsonl").read_bytes()
    assert [r.protocol for r in read_records(kept / "records.jsonl")] == ["static-errors"] * 2
    assert not list(kept.rglob("*.part"))
    # on a disk with room the same command goes on
    code, _, _ = cli(*short_run, "--nve-ps", 0.06, "--quiet", "--out", kept)
    assert code == 0
    assert (kept / "records.jsonl").read_bytes().startswith(finished)
    assert len(read_records(kept / "records.jsonl")) == 4
