"""Records of units brought together: each once, whatever failed before, whoever else gathers, and whole."""

from __future__ import annotations

import json
import threading
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from ase import Atoms
from ase.io import write
from click.testing import CliRunner

from gmd26_md.campaign.description import read_campaign
from gmd26_md.campaign.drive import Progress, _clean, _failed_again, run_missing
from gmd26_md.campaign.gather import _made_of, gather
from gmd26_md.campaign.units import Unit, units_of
from gmd26_md.commands.campaign import _print_summaries, command
from gmd26_md.protocols.stability_settings import Settings
from gmd26_md.records import Record, append_record, read_records

FILE = """
name: audit
out: {out}
models: [{{model: harmonic, name: m}}]
tasks: [duplication]
protocols: [stability]
molecules_per_unit: 12
"""


@pytest.fixture
def plan(tmp_path: Path) -> tuple[Path, list[Unit]]:
    """Return a campaign's folder, and its two units of twelve molecules."""
    path = tmp_path / "campaign.yaml"
    path.write_text(FILE.format(out=tmp_path / "out"), encoding="utf-8")
    return tmp_path / "out", units_of(read_campaign(path))


def record(molecule: str, **more: Any) -> Record:
    settings = asdict(Settings(temperature_K=more.pop("temperature_K", 300.0), reference="gfn2-xtb"))
    given = {"seed": 0, "verdict": "faithful", "protocol": "stability"} | more
    return Record(
        model="m", model_sha256="0", family="f", molecule=molecule, formula="H2O", split="ood", task="duplication",
        settings=settings, **given,
    )  # fmt: skip


def put(out: Path, unit: Unit, records: list[Record], *, file: str = "x") -> None:
    """Lay down a unit that is done."""
    folder = out / "units" / unit.key
    for one in records:
        append_record(folder / "records.jsonl", one)
    for name, content in (("run.json", {"model": "m"}), ("summary.json", {}), ("unit.json", {"verdicts": {}})):
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    (folder / "trajectories").mkdir()
    (folder / "trajectories" / file).write_text(unit.key, encoding="utf-8")


def verdicts(out: Path) -> Counter[str | None]:
    (folder,) = (out / "runs").iterdir()
    return Counter(r.verdict for r in read_records(folder / "records.jsonl"))


def test_a_unit_that_failed_and_was_done_later_leaves_no_error(plan: tuple[Path, list[Unit]]) -> None:
    out, (first, second) = plan
    put(out, first, [record(name) for name in first.molecules])
    gather(out, [first, second], {second.key: "no memory"})
    assert verdicts(out) == {"faithful": 12, "error": 12}
    put(out, second, [record(name) for name in second.molecules])
    gather(out, [first, second], {})
    assert verdicts(out) == {"faithful": 24}


def test_what_another_driver_failed_at_is_no_error_where_it_is_done(plan: tuple[Path, list[Unit]]) -> None:
    out, both = plan
    for unit in both:
        put(out, unit, [record(name) for name in unit.molecules])
    gather(out, both, {both[0].key: "no memory"})
    assert verdicts(out) == {"faithful": 24}


def test_a_molecule_that_failed_counts_as_often_as_one_that_was_run(plan: tuple[Path, list[Unit]]) -> None:
    out, (first, second) = plan
    runs = [record(first.molecules[0], temperature_K=t, seed=s) for t in (300.0, 500.0) for s in (0, 1, 2)]
    static = record(first.molecules[0], protocol="static-errors", verdict=None)  # it stands before them
    put(out, first, [static, *runs, record(first.molecules[1])])
    (folder,) = gather(out, [first, second], {second.key: "no memory"})
    errors = [r for r in read_records(folder / "records.jsonl") if r.verdict == "error"]
    assert {r.protocol for r in errors} == {"stability"}
    assert Counter(r.molecule for r in errors) == dict.fromkeys(second.molecules, 6)
    assert len({r.key for r in errors}) == len(errors)
    assert {r.reason for r in errors} == {"error: no memory"}


def test_a_molecule_that_failed_is_lost_from_every_start_of_a_relaxation(plan: tuple[Path, list[Unit]]) -> None:
    out, both = plan
    first, second = (replace(u, protocol="relaxation", arguments=("relaxation", *u.arguments[1:])) for u in both)
    starts = [
        record(first.molecules[0], protocol="relaxation", verdict=None, reason="agrees: it does", seed=seed)
        for seed in (0, 1, 2)
    ]
    put(out, first, starts)
    (folder,) = gather(out, [first, second], {second.key: "no memory"})
    errors = [r for r in read_records(folder / "records.jsonl") if r.verdict == "error"]
    assert Counter(r.molecule for r in errors) == dict.fromkeys(second.molecules, 3)
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    assert len(summary["failures"]) == len(errors)


def test_a_task_of_which_every_unit_failed_is_there_as_errors(plan: tuple[Path, list[Unit]], tmp_path: Path) -> None:
    out, _ = plan
    write(tmp_path / "mine.xyz", Atoms("He"))
    path = tmp_path / "campaign.yaml"
    more = f"tasks: [duplication, fusion]\nmolecules: [{tmp_path / 'mine.xyz'}]"
    path.write_text(path.read_text(encoding="utf-8").replace("tasks: [duplication]", more), encoding="utf-8")
    units = units_of(read_campaign(path))
    put(out, units[0], [record(units[0].molecules[0], seed=seed) for seed in (0, 1)])
    lost = {u.key: "unknown element" for u in units if u.task in ("fusion", "mine")}
    folders = gather(out, units, lost)
    assert [f.name for f in folders] == ["stability-m-duplication", "stability-m-fusion", "stability-m-mine"]
    for folder, task, names in (
        (folders[1], "fusion", {name for u in units if u.task == "fusion" for name in u.molecules}),
        (folders[2], "user", {"mine"}),
    ):
        found = read_records(folder / "records.jsonl")
        assert Counter(r.molecule for r in found) == dict.fromkeys(names, 2)
        assert {(r.task, r.verdict, r.reason) for r in found} == {(task, "error", "error: unknown element")}
        assert len({r.key for r in found}) == len(found)
        assert json.loads((folder / "run.json").read_text(encoding="utf-8"))["task"] == task
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        assert summary["n_records"] == len(summary["failures"]) == len(found)
    assert gather(out, units, lost) == folders
    assert [f.name for f in gather(out, units, {})] == ["stability-m-duplication"]  # tried again, and not ended yet


def test_units_still_to_come_are_asked_for_in_the_gathered_folder(plan: tuple[Path, list[Unit]]) -> None:
    out, (first, second) = plan
    put(out, first, [record(name) for name in first.molecules])
    (folder,) = gather(out, [first, second], {})
    asked = json.loads((folder / "run.json").read_text(encoding="utf-8"))["molecules"]
    assert len(asked) == len(first.molecules) + len(second.molecules)
    stamp = (folder / "run.json").stat().st_mtime_ns
    gather(out, [first, second], {})
    assert (folder / "run.json").stat().st_mtime_ns == stamp
    gather(out, [first], {})  # the plan is another one
    assert (folder / "run.json").stat().st_mtime_ns != stamp


def test_a_stale_folder_goes_even_where_nothing_is_at_work(plan: tuple[Path, list[Unit]]) -> None:
    out, both = plan
    (out / "runs" / "-".join(both[0].group)).mkdir(parents=True)
    assert gather(out, both, {}) == []
    assert not list((out / "runs").iterdir())


def test_gathering_writes_into_no_unit(plan: tuple[Path, list[Unit]]) -> None:
    out, both = plan
    for unit in both:  # a file of one name in both
        put(out, unit, [record(name) for name in unit.molecules], file="same.extxyz")
    gather(out, both, {})
    for unit in both:
        text = (out / "units" / unit.key / "trajectories" / "same.extxyz").read_text(encoding="utf-8")
        assert text == unit.key


def test_a_folder_of_which_no_unit_is_done_any_more_is_gone_and_the_units_stay(plan: tuple[Path, list[Unit]]) -> None:
    out, both = plan
    put(out, both[0], [record("water")])
    (folder,) = gather(out, both, {})
    changed = [replace(unit, key=f"other{number}") for number, unit in enumerate(both)]
    assert gather(out, changed, {}) == []
    assert not folder.exists()
    assert (out / "units" / both[0].key / "records.jsonl").is_file()


def test_drivers_that_gather_at_once_leave_one_whole_folder(plan: tuple[Path, list[Unit]]) -> None:
    out, (first, second) = plan
    put(out, first, [record(name) for name in first.molecules])
    problems: list[Exception] = []

    def often(number: int) -> None:
        try:
            for n in range(10):  # another reason each time, so that the folder is made each time
                gather(out, [first, second], {second.key: f"{number} {n}"})
        except Exception as problem:
            problems.append(problem)

    threads = [threading.Thread(target=often, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert verdicts(out) == {"faithful": 12, "error": 12}
    assert not list((out / "at-work").iterdir())


def test_a_folder_that_another_driver_is_renaming_is_no_error(
    plan: tuple[Path, list[Unit]], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, both = plan
    put(out, both[0], [record(name) for name in both[0].molecules])
    (folder,) = gather(out, both, {})
    read = Path.read_text

    def gone(path: Path, *given: Any, **more: Any) -> str:
        if path.parent == folder:  # it was there a moment ago
            raise FileNotFoundError(path)
        return read(path, *given, **more)

    monkeypatch.setattr(Path, "read_text", gone)
    assert _made_of(folder) is None
    _print_summaries([folder])


def test_what_a_driver_that_was_killed_had_half_gathered_is_cleared_away(
    plan: tuple[Path, list[Unit]], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, _ = plan
    monkeypatch.setattr("gmd26_md.campaign.gather.os.getpid", lambda: 2**22 + 1)  # no process has this number
    from gmd26_md.campaign.gather import _aside

    left = _aside(out)
    monkeypatch.undo()
    mine = _aside(out)
    for folder in (left, left.with_name(f"{left.name}.old"), mine):
        folder.mkdir(parents=True)
    _clean(out)
    assert [path.name for path in (out / "at-work").iterdir()] == [mine.name]


def test_what_a_worker_of_another_host_left_goes_when_its_unit_is_done(plan: tuple[Path, list[Unit]]) -> None:
    out, (first, second) = plan
    put(out, first, [record("water")])
    left, may_be_alive = (out / "at-work" / f"{unit.key}-node-7-4711-0" for unit in (first, second))
    for folder in (left, may_be_alive):
        folder.mkdir(parents=True)
    _clean(out)
    assert list((out / "at-work").iterdir()) == [may_be_alive]


def test_the_reason_of_a_failure_is_one_line(plan: tuple[Path, list[Unit]], tmp_path: Path) -> None:
    _, (first, _) = plan
    campaign = replace(read_campaign(tmp_path / "campaign.yaml"), n_retries=0)
    progress = Progress([first])
    assert _failed_again(campaign, first, RuntimeError("one\n  two"), {}, progress)
    assert progress.failed == {first.key: "one two"}


def test_the_next_call_and_the_status_forget_a_failure_of_a_unit_that_is_done(
    plan: tuple[Path, list[Unit]], tmp_path: Path
) -> None:
    # as when the driver is killed between the two
    out, both = plan
    for unit in both:
        put(out, unit, [record(name) for name in unit.molecules])
    failed = out / "failed" / f"{both[0].key}.json"
    failed.parent.mkdir()
    failed.write_text(json.dumps({"reasons": ["no memory"]}), encoding="utf-8")
    told = CliRunner().invoke(command, ["status", str(tmp_path / "campaign.yaml"), "--json"], standalone_mode=False)
    assert told.return_value == 0
    outcome = json.loads(told.stdout)
    assert {name: outcome[name] for name in ("n_units", "n_done", "failed")} == {
        "n_units": 2,
        "n_done": 2,
        "failed": {},
    }
    assert [(s["n_units"], s["n_done"]) for s in outcome["standing"]] == [(2, 2)]
    assert verdicts(out) == {"faithful": 24}
    progress = run_missing(read_campaign(tmp_path / "campaign.yaml"), both)
    assert progress.failed == {}
    assert not failed.exists()


def test_a_file_of_structures_that_failed_is_told_by_its_name(tmp_path: Path) -> None:
    write(tmp_path / "mine.xyz", Atoms("He"))
    text = FILE.format(out=tmp_path / "out").replace("tasks: [duplication]", f"molecules: [{tmp_path / 'mine.xyz'}]")
    (tmp_path / "campaign.yaml").write_text(text, encoding="utf-8")
    (unit,) = units_of(read_campaign(tmp_path / "campaign.yaml"))
    failed = tmp_path / "out" / "failed" / f"{unit.key}.json"
    failed.parent.mkdir(parents=True)
    failed.write_text(json.dumps({"reasons": ["no memory"]}), encoding="utf-8")
    told = CliRunner().invoke(command, ["status", str(tmp_path / "campaign.yaml")], standalone_mode=False)
    assert told.exception is None
    assert told.return_value == 1
    assert "failed: m on mine, stability: no memory" in told.output
