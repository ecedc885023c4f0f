"""Units that are run: whole or not at all, whatever befalls the process, the model's file, or the disk."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from ase.build import molecule
from ase.io import write

from gmd26_md.campaign import child, worker
from gmd26_md.campaign.description import Campaign, read_campaign
from gmd26_md.campaign.drive import is_done, run_missing
from gmd26_md.campaign.gather import gather
from gmd26_md.campaign.units import Unit, units_of
from gmd26_md.campaign.worker import UnitFailedError, run_unit
from gmd26_md.commands.campaign import _standing, _words
from gmd26_md.records import Record, read_records

MODELS = Path(__file__).with_name("models_for_campaigns.py")
SHORT = "{run-ps: 0.02, thermalise-ps: 0.01, n-label-frames: 2, level-of-theory: gfn2-xtb}"


@pytest.fixture(autouse=True, scope="module")
def _no_child_is_left() -> Iterator[None]:
    yield
    worker._end_children()
    worker._children.clear()


def campaign(folder: Path, models: str, more: str = "") -> Campaign:
    """Return a campaign of short runs of two small molecules, a unit each."""
    for name in ("H2O", "NH3"):
        write(folder / f"{name}.xyz", molecule(name))
    text = f"""
name: audit
out: {folder / "out"}
models: {models}
molecules: [{folder / "H2O.xyz"}, {folder / "NH3.xyz"}]
protocols:
  - stability: {SHORT}
{more}"""
    (folder / "campaign.yaml").write_text(text, encoding="utf-8")
    return read_campaign(folder / "campaign.yaml")


def one_unit(folder: Path, function: str, options: str = "{}") -> tuple[Unit, dict[str, Any], str]:
    models = f"[{{model: '{MODELS}:{function}', options: {options}}}]"
    found = campaign(folder, models)
    unit = units_of(found)[0]
    return unit, {**asdict(unit), "resources": {}}, str(found.out)


def test_a_unit_is_in_its_place_when_it_has_ended_and_its_work_folder_is_gone(tmp_path: Path) -> None:
    unit, plain, out = one_unit(tmp_path, "good")
    told = run_unit(plain, out, 6e13, "all")  # as good as no limit
    folder = tmp_path / "out" / "units" / unit.key
    assert told["n_records"] == len(read_records(folder / "records.jsonl")) == 1
    assert not list((tmp_path / "out" / "at-work").iterdir())
    assert not worker._children  # its code is its own: what that imported must not answer for another's
    before = (folder / "unit.json").stat().st_mtime_ns
    assert run_unit(plain, out, 6e13, "all") == told  # found, not run
    assert (folder / "unit.json").stat().st_mtime_ns == before
    about = json.loads((folder / "unit.json").read_text(encoding="utf-8"))
    assert {"host", "versions", "wall_s", "max_rss_MB", "unit"} <= set(about)


@pytest.mark.slow
def test_a_process_that_dies_is_a_failure_and_the_next_attempt_works(tmp_path: Path) -> None:
    argument = f'{{model-arg: "marker={tmp_path / "marker"}"}}'
    unit, plain, out = one_unit(tmp_path, "dies_once", argument)
    with pytest.raises(UnitFailedError, match="signal 9"):
        run_unit(plain, out, 120.0, "all")
    assert not is_done(Path(out), unit)
    assert run_unit(plain, out, 120.0, "all")["n_records"] == 1


def test_a_unit_that_hangs_is_killed(tmp_path: Path) -> None:
    unit, plain, out = one_unit(tmp_path, "hangs")
    with pytest.raises(UnitFailedError, match="hung"):
        run_unit(plain, out, 5.0, "all")
    assert not is_done(Path(out), unit)


@pytest.mark.slow
def test_a_reference_that_hangs_is_killed_too(tmp_path: Path) -> None:
    unit, plain, out = one_unit(tmp_path, "good", f"{{reference: '{MODELS}:hangs'}}")
    with pytest.raises(UnitFailedError, match="hung"):
        run_unit(plain, out, 5.0, "all")
    assert not is_done(Path(out), unit)


@pytest.mark.slow
def test_a_model_runs_by_the_python_of_its_environment_with_its_worker_s_share_of_the_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "65536")  # as a Dask worker has it: the child must not
    monkeypatch.setenv("OMP_NUM_THREADS", "3")  # as local processes and Dask say it
    python = tmp_path / "python"
    python.write_text(
        f'#!/bin/sh\nGMD26_TEST_ENVIRONMENT=other$MALLOC_TRIM_THRESHOLD_ exec {sys.executable} "$@"\n',
        encoding="utf-8",
    )
    python.chmod(0o755)
    argument = f'"marker={tmp_path / "marker"}"'
    models = f"[{{model: '{MODELS}:tells', environment: other, options: {{model-arg: {argument}}}}}]"
    found = campaign(tmp_path, models, f"environments: {{other: {python}}}")
    unit = units_of(found)[0]
    run_unit({**asdict(unit), "resources": {}}, str(found.out), 120.0, "all")
    assert (tmp_path / "marker").read_text(encoding="utf-8") == "other, 3 cores"


def test_a_model_s_file_that_changes_under_way_spoils_the_unit(tmp_path: Path) -> None:
    own = tmp_path / "changing.py"
    shutil.copyfile(MODELS, own)
    unit, plain, out = one_unit(tmp_path, "good")
    found = campaign(tmp_path, f"['{own}:changes']")
    unit = units_of(found)[0]
    plain = {**asdict(unit), "resources": {}}
    with pytest.raises(UnitFailedError, match="has changed"):
        run_unit(plain, out, 120.0, "all")
    with pytest.raises(UnitFailedError, match="has changed"):  # and is met before anything is run
        run_unit(plain, out, 120.0, "all")
    assert not is_done(Path(out), unit)


def test_structures_that_change_after_the_plan_spoil_the_unit(tmp_path: Path) -> None:
    unit, plain, out = one_unit(tmp_path, "good")
    write(tmp_path / "H2O.xyz", molecule("H2"))
    with pytest.raises(UnitFailedError, match=r"H2O\.xyz has changed"):
        run_unit(plain, out, 120.0, "all")
    assert not is_done(Path(out), unit)


def test_another_version_than_the_planned_one_fails_the_unit_before_it_is_run(tmp_path: Path) -> None:
    _, plain, out = one_unit(tmp_path, "tells", f'{{model-arg: "marker={tmp_path / "marker"}"}}')
    with pytest.raises(UnitFailedError, match=r"planned with 9\.9"):
        run_unit({**plain, "code_version": "9.9"}, out, 120.0, "all")
    assert not (tmp_path / "marker").exists()


def test_what_asks_a_person_fails_at_once_and_hangs_no_worker(tmp_path: Path) -> None:
    _, plain, out = one_unit(tmp_path, "asks")
    with pytest.raises(UnitFailedError, match="EOF"):
        run_unit(plain, out, 60.0, "all")


def test_a_process_that_lives_on_and_cannot_answer_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_LAST_S", 0.5)
    _, plain, out = one_unit(tmp_path, "stops_answering")
    with pytest.raises(UnitFailedError, match="its process died"):
        run_unit(plain, out, 60.0, "all")


def test_all_folders_of_a_unit_are_synced_before_it_is_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, target, synced = tmp_path / "work", tmp_path / "units" / "key", []
    (work / "trajectories").mkdir(parents=True)
    monkeypatch.setattr(worker, "_sync", lambda folder: synced.append((folder, target.exists())))
    worker._in_place(work, target)
    assert set(synced) == {(work, False), (work / "trajectories", False), (target.parent, True)}


def test_what_another_protocol_judged_badly_is_a_failure_that_is_kept(tmp_path: Path) -> None:
    (tmp_path / "trajectories").mkdir()
    records = []
    for seed, judgement in enumerate(("agrees", "another minimum")):
        path = f"trajectories/water-{seed}.extxyz"
        (tmp_path / path).touch()
        made = record(seed, "faithful", path)
        records.append(replace(made, protocol="relaxation", verdict=None, reason=f"{judgement}: so it is"))
    worker._prune(tmp_path, records, "failures")
    assert [(tmp_path / str(r.trajectory)).is_file() for r in records] == [False, True]


def test_relative_paths_are_from_the_driver_s_folder_wherever_a_worker_was_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit, _, _ = one_unit(tmp_path, "good")
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path)
    assert child.answer({"arguments": ["--version"], "at": str(tmp_path / "there")})["reason"] == ""
    assert Path.cwd() == tmp_path / "there"
    assert "nowhere" in child.answer({"arguments": ["--version"], "at": str(tmp_path / "nowhere")})["reason"]
    shutil.copyfile(MODELS, tmp_path / "model.py")
    relative = replace(unit, model_file="model.py")
    worker._check_files(relative, str(tmp_path))
    with pytest.raises(FileNotFoundError):
        worker._check_files(relative, str(tmp_path / "there"))


def test_what_the_command_refuses_is_the_reason(tmp_path: Path) -> None:
    _, plain, out = one_unit(tmp_path, "good", "{device: 'cuda:99'}")
    with pytest.raises(UnitFailedError, match="cuda"):
        run_unit(plain, out, 120.0, "all")


def test_a_full_disk_fails_the_unit_and_leaves_nothing(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24k", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        unit, plain, _ = one_unit(tmp_path, "good")
        with pytest.raises(UnitFailedError, match=r"disk is full|No space left"):
            run_unit(plain, str(disk), 120.0, "all")
        assert not is_done(disk, unit)
        assert not list((disk / "at-work").glob("*"))
    finally:
        worker._end_children()
        worker._children.clear()
        subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.mark.parametrize(
    ("kept", "n_faithful", "n_broken"), [("all", 9, 1), ("failures", 0, 1), ("none", 0, 0), (0.5, 5, 1)]
)
def test_trajectories_are_kept_by_rule(tmp_path: Path, kept: str | float, n_faithful: int, n_broken: int) -> None:
    # which of them make up the fraction hangs on their keys alone, not on the worker
    (tmp_path / "trajectories").mkdir()
    records = []
    for seed, verdict in enumerate(["faithful"] * 9 + ["broken"]):
        path = f"trajectories/water-seed{seed}.extxyz"
        (tmp_path / path).touch()
        records.append(record(seed, verdict, path))
    worker._prune(tmp_path, records, kept)
    left = [r for r in records if (tmp_path / str(r.trajectory)).is_file()]
    assert sum(r.verdict == "faithful" for r in left) == n_faithful
    assert sum(r.verdict == "broken" for r in left) == n_broken


def test_the_frames_that_distributions_are_made_of_are_kept_by_rule_too(tmp_path: Path) -> None:
    files = {
        "water": (
            "sampled/water-distributions-run0.npz",
            "sampled/water-distributions-run1.npz",
            "reference-runs/a.npz",
        ),
        "heavy": ("sampled/heavy-distributions-run0.npz", "reference-runs/b.npz"),
    }
    records = []
    for (name, mine), judgement, run in zip(files.items(), ("within noise", "off"), ("a", "b"), strict=True):
        for path in mine:
            (tmp_path / path).parent.mkdir(exist_ok=True)
            (tmp_path / path).touch()
        made = replace(record(0, "faithful", ""), molecule=name, trajectory=None, evidence={"reference_runs": [run]})
        records.append(replace(made, protocol="distributions", verdict=None, reason=f"{judgement}: so it is"))
    worker._prune(tmp_path, records, "failures")
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.npz")}
    assert left == set(files["heavy"])
    worker._prune(tmp_path, records, "none")
    assert not list(tmp_path.rglob("*.npz"))


def record(seed: int, verdict: str, trajectory: str) -> Record:
    return Record(
        model="m", model_sha256="0", family="f", molecule="water", formula="H2O", split="user", task="user",
        protocol="stability", settings={}, seed=seed, verdict=verdict, trajectory=trajectory,
    )  # fmt: skip


@pytest.mark.slow
def test_a_campaign_is_run_on_processes_and_again_only_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the wall clock jumps: nothing here may hang on it
    monkeypatch.setattr(time, "time", lambda: random.uniform(0.0, 4e9))
    argument = f'"marker={tmp_path / "marker"}"'
    dying = f"{{model: '{MODELS}:dies_once', name: dying, options: {{model-arg: {argument}}}}}"
    wrong = "{model: gfn2-xtb, name: wrong, options: {device: 'cuda:99'}}"  # no code of its own: one child for all
    found = campaign(tmp_path, f"[{dying}, {wrong}]", "n_retries: 1")
    units = units_of(found)
    progress = run_missing(found, units, n_workers=1)
    assert {u.model for u in units if u.key in progress.done} == {"dying"}
    assert {u.model for u in units if u.key in progress.failed} == {"wrong"}
    told = json.loads(next((found.out / "failed").iterdir()).read_text(encoding="utf-8"))
    assert len(told["reasons"]) == 2  # tried once more
    assert progress.verdicts["dying"].total() == 2  # a record a unit
    assert "wrong" not in progress.verdicts

    assert _words(progress).endswith("to do: ")
    assert "wrong on" in _words(replace(progress, failed={}))
    standing = {
        (s["model"], s["task"]): (s["n_done"], s["n_failed"]) for s in _standing(units, progress.done, progress.failed)
    }
    assert standing == {
        ("dying", "H2O"): (1, 0),
        ("dying", "NH3"): (1, 0),
        ("wrong", "H2O"): (0, 1),
        ("wrong", "NH3"): (0, 1),
    }

    folders = gather(found.out, units, progress.failed)
    assert [folder.name for folder in folders] == [f"stability-dying-{name}" for name in ("H2O", "NH3")]
    summary = json.loads((folders[0] / "summary.json").read_text(encoding="utf-8"))
    assert summary["n_records"] == 1

    stamps = {
        u.key: (found.out / "units" / u.key / "unit.json").stat().st_mtime_ns for u in units if u.model == "dying"
    }
    fewer = replace(found, models=found.models[:1])
    again = run_missing(fewer, units_of(fewer), n_workers=1)
    assert len(again.done) == again.n_before == 2
    assert stamps == {key: (found.out / "units" / key / "unit.json").stat().st_mtime_ns for key in stamps}
