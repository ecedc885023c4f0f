"""The records of a campaign's units, brought together: a run folder a protocol, model and task.

CAMPAIGN/runs/<protocol>-<model>-<task>/    what `table`, `verdict`, `correlate` and `report` open
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import shutil
import socket
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gmd26_md import strict_json, tasks
from gmd26_md.campaign.drive import is_done
from gmd26_md.campaign.units import Unit
from gmd26_md.errors import UserError
from gmd26_md.files import write_text_whole
from gmd26_md.records import Record, append_record, read_records
from gmd26_md.run_folder import ASKED, RunFolder

_numbers = itertools.count()
_TRIES = 10  # to take a place that other drivers take too
_LINKED = ("static", "static-forces", "trajectories", "labels", "failures", "curves")


def gather(out: Path, units: Sequence[Unit], failed: Mapping[str, str]) -> list[Path]:
    """Bring the units that are done together, and return the run folders.

    A folder is made anew, aside, when other units are done or failed than it was made of, and then takes the place of
    the old one. Files are hard links to the units' own where the disk can have them. The molecules of units that failed
    are records of the verdict "error": they stay in the denominator, also where no unit of a task is done and one of
    the same model and protocol on another task is. A folder of which no unit is done any more, as of a model whose file
    has changed, is removed; the units' own folders stay.

    Limit: where every unit of a model and protocol failed, there is no record to go by, and no folder.

    Parameters
    ----------
    failed
        Why units failed, by key.
    """
    groups: dict[tuple[str, str, str], list[Unit]] = {}
    for unit in units:
        groups.setdefault(unit.group, []).append(unit)
    found = []
    ended = [unit for unit in units if is_done(out, unit)]
    keys = {unit.key for unit in ended}  # another driver may have done what failed in this one
    likes = {unit.group[:2]: unit for unit in reversed(ended)}
    for group, mine in groups.items():
        done = [u for u in mine if u.key in keys]
        lost = [u for u in mine if u.key in failed and u.key not in keys]
        target = out / "runs" / "-".join(group)
        like = done[0] if done else likes.get(group[:2])
        if like and (done or lost):
            found.append(_gathered(out, target, mine, done, lost, failed, like))
        else:
            _put_away(target, _aside(out))
    return found


def _gathered(
    out: Path,
    target: Path,
    planned: Sequence[Unit],
    units: Sequence[Unit],
    lost: Sequence[Unit],
    failed: Mapping[str, str],
    like: Unit,
) -> Path:
    parts = {
        "campaign_units": [unit.key for unit in units],
        "campaign_failed": {u.key: failed[u.key] for u in lost},
        "campaign_planned": [unit.key for unit in planned],
    }
    if _made_of(target) == parts:
        return target
    aside = _aside(out)
    aside.mkdir(parents=True)
    try:
        _fill(aside, out, planned, units, lost, failed, like, parts)
        _take_place(aside, target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return target


def _fill(
    aside: Path,
    out: Path,
    planned: Sequence[Unit],
    units: Sequence[Unit],
    lost: Sequence[Unit],
    failed: Mapping[str, str],
    like: Unit,
    parts: Mapping[str, Any],
) -> None:
    """Write what a run folder holds; failures are written as `like` was, which is done."""
    pattern = out / "units" / like.key
    folders = [out / "units" / unit.key for unit in units]
    lines = [(folder / "records.jsonl").read_text(encoding="utf-8") for folder in folders]
    write_text_whole(aside / "records.jsonl", "".join(text if text.endswith("\n") else text + "\n" for text in lines))
    for record in _errors(_alike(read_records(pattern / "records.jsonl"), like), lost, failed):
        append_record(aside / "records.jsonl", record)
    for folder in folders:
        for kind in _LINKED:
            _link(folder / kind, aside / kind)
    write_text_whole(aside / "run.json", json.dumps(_about(folders, pattern, planned, parts), indent=1, sort_keys=True))
    _summarised(aside, pattern, same_task=bool(units))


def _aside(out: Path) -> Path:
    """Return a folder of this process alone, named so that the next driver clears it away if this one is killed."""
    return out / "at-work" / f"gathered-{socket.gethostname()}-{os.getpid()}-{next(_numbers)}"


def _take_place(aside: Path, target: Path) -> None:
    """Move a folder to where an older one may be; another driver may do the same, and one of the two stays."""
    target.parent.mkdir(parents=True, exist_ok=True)
    for _ in range(_TRIES):
        _put_away(target, aside.with_name(f"{aside.name}.old"))
        try:
            aside.rename(target)
        except OSError as problem:
            if problem.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        else:
            return


def _put_away(target: Path, aside: Path) -> None:
    """Remove a folder at once: it is renamed, then deleted."""
    aside.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        target.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)


def _made_of(target: Path) -> Mapping[str, Any] | None:
    """Return which units a folder was made of; None where there is none, or not for the moment of a rename."""
    try:
        found = json.loads((target / "run.json").read_text(encoding="utf-8"))
        whole = (target / "summary.json").is_file()
    except FileNotFoundError:
        return None
    return (
        {name: found.get(name) for name in ("campaign_units", "campaign_failed", "campaign_planned")} if whole else None
    )


def _about(
    folders: Sequence[Path], pattern: Path, planned: Sequence[Unit], parts: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Return what a unit's run folder was made for, with the molecules of all units, those still to come too."""
    questions = [json.loads((folder / "run.json").read_text(encoding="utf-8")) for folder in folders]
    whole = dict(questions[0] if questions else json.loads((pattern / "run.json").read_text(encoding="utf-8")))
    if not questions:  # of another task
        whole.pop(ASKED, None)
        whole |= {"task": _task(planned[0]), "task_sha256": _task_sha256(planned[0])}
    for part in ("molecules", "frames"):
        whole[part] = {name: value for question in questions for name, value in question.get(part, {}).items()}
    for unit in planned:
        if unit.task_file:
            task = tasks.get(unit.task_file)
            for name in unit.molecules:
                whole["molecules"].setdefault(task.find(name).slug, None)
    return whole | {**parts, "campaign_group": list(planned[0].group)}


def _alike(records: Sequence[Record], unit: Unit) -> list[Record]:
    """Return what a molecule that failed would have had: another's, one a seed, condition, start or scan."""
    mine = [r for r in records if r.protocol == unit.arguments[0]] or list(records)
    return [r for r in mine if r.molecule == mine[0].molecule]


def _errors(alike: Sequence[Record], lost: Sequence[Unit], failed: Mapping[str, str]) -> list[Record]:
    """Return the records of each molecule of a unit that failed; model, protocol, settings and seeds are others'."""
    found = []
    for unit in lost:
        known = tasks.get(unit.task_file) if unit.task_file else None
        for name in unit.molecules or (unit.task,):
            molecule = known.find(name) if known else None
            found += [
                replace(
                    like,
                    task=_task(unit),
                    task_sha256=_task_sha256(unit),
                    molecule=name,
                    molecule_slug=molecule.slug if molecule else "",
                    formula=molecule.formula if molecule else "",
                    split=known.split_of(molecule) if known and molecule else "user",
                    verdict="error",
                    reason=f"error: {failed[unit.key]}",
                    metrics={},
                    cost={},
                    trajectory=None,
                    structure_sha256="",
                    evidence={},
                )
                for like in alike
            ]
    return found


def _task(unit: Unit) -> str:
    """Return what records call a unit's task."""
    return unit.task if unit.task_file else "user"


def _task_sha256(unit: Unit) -> str:
    return tasks.get(unit.task_file).sha256 if unit.task_file else ""


def _link(source: Path, target: Path) -> None:
    for path in sorted(source.glob("*")):
        target.mkdir(exist_ok=True)
        try:
            os.link(path, target / path.name)
        except FileExistsError:  # a link to another unit's: to copy over it would be to write into that unit
            continue
        except OSError:
            shutil.copyfile(path, target / path.name)


def _summarised(folder: Path, pattern: Path, *, same_task: bool) -> None:
    """Write summary and table of all records; what a unit's summary says of the model is the same for all."""
    from gmd26_md.report.static_breakdown import break_down, with_breakdown
    from gmd26_md.report.static_folder import measured_in
    from gmd26_md.report.summary import summarise
    from gmd26_md.report.tables import render

    run = RunFolder(folder)
    one = strict_json.decoded(json.loads((pattern / "summary.json").read_text(encoding="utf-8")))
    summary = summarise(run.records(), run.static_tables(), one.get("composition") if same_task else None)
    summary |= {name: one[name] for name in ("level_of_theory", "training") if name in one}
    with contextlib.suppress(UserError):  # no static errors, or a molecule whose unit failed: then they stay whole
        summary = with_breakdown(summary, break_down(measured_in(run)))
    run.write_summary(summary, render(summary))
