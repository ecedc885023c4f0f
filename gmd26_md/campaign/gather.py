"""The records of a campaign's units, brought together: a run folder a protocol, model and task.

CAMPAIGN/runs/<protocol>-<model>-<task>/    what `table`, `verdict`, `correlate` and `report` open
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gmd26_md import strict_json, tasks
from gmd26_md.campaign.drive import is_done
from gmd26_md.campaign.units import Unit
from gmd26_md.files import write_text_whole
from gmd26_md.records import Record, append_record, read_records
from gmd26_md.run_folder import RunFolder

_LINKED = ("static", "static-forces", "trajectories", "labels", "failures", "curves")


def gather(out: Path, units: Sequence[Unit], failed: Mapping[str, str]) -> list[Path]:
    """Bring the units that are done together, and return the run folders.

    A folder is made anew, aside, when other units are done than it was made of, and then takes the place of the old
    one. Files are hard links to the units' own where the disk can have them. The molecules of units that failed are
    records of the verdict "error": they stay in the denominator.

    Parameters
    ----------
    failed
        Why units failed, by key.
    """
    groups: dict[tuple[str, str, str], list[Unit]] = {}
    for unit in units:
        groups.setdefault(unit.group, []).append(unit)
    return [
        _gathered(out, group, done, [u for u in mine if u.key in failed], failed)
        for group, mine in groups.items()
        if (done := [u for u in mine if is_done(out, u)])
    ]


def _gathered(
    out: Path, group: tuple[str, str, str], units: Sequence[Unit], lost: Sequence[Unit], failed: Mapping[str, str]
) -> Path:
    target = out / "runs" / "-".join(group)
    keys = [unit.key for unit in (*units, *lost)]
    if _made_of(target) == keys:
        return target
    aside = out / "at-work" / f"{target.name}.gathered"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    folders = [out / "units" / unit.key for unit in units]
    lines = [(folder / "records.jsonl").read_text(encoding="utf-8") for folder in folders]
    write_text_whole(aside / "records.jsonl", "".join(text if text.endswith("\n") else text + "\n" for text in lines))
    for record in _errors(read_records(aside / "records.jsonl")[0], lost, failed):
        append_record(aside / "records.jsonl", record)
    for folder in folders:
        for kind in _LINKED:
            _link(folder / kind, aside / kind)
    write_text_whole(aside / "run.json", json.dumps(_about(folders, group, keys), indent=1, sort_keys=True))
    _summarised(aside, folders)
    shutil.rmtree(target, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    aside.rename(target)
    return target


def _made_of(target: Path) -> list[str] | None:
    path = target / "run.json"
    if not ((target / "summary.json").is_file() and path.is_file()):
        return None
    found = json.loads(path.read_text(encoding="utf-8"))
    return list(found.get("campaign_units", []))


def _about(folders: Sequence[Path], group: tuple[str, str, str], keys: Sequence[str]) -> Mapping[str, Any]:
    """Return what the first unit's run folder was made for, with the molecules of all."""
    questions = [json.loads((folder / "run.json").read_text(encoding="utf-8")) for folder in folders]
    whole = dict(questions[0])
    for part in ("molecules", "frames"):
        whole[part] = {name: value for question in questions for name, value in question.get(part, {}).items()}
    return whole | {"campaign_units": list(keys), "campaign_group": list(group)}


def _errors(like: Record, lost: Sequence[Unit], failed: Mapping[str, str]) -> list[Record]:
    """Return a record for each molecule of a unit that failed; model, protocol and settings are as the others'."""
    found = []
    for unit in lost:
        known = tasks.get(unit.task_file) if unit.task_file else None
        for name in unit.molecules or (unit.task,):
            molecule = known.find(name) if known else None
            found.append(
                replace(
                    like,
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
            )
    return found


def _link(source: Path, target: Path) -> None:
    for path in sorted(source.glob("*")):
        target.mkdir(exist_ok=True)
        try:
            os.link(path, target / path.name)
        except OSError:
            shutil.copyfile(path, target / path.name)


def _summarised(folder: Path, parts: Sequence[Path]) -> None:
    """Write summary and table of all records; what a unit's summary says of the model is the same for all."""
    from gmd26_md.report.summary import summarise
    from gmd26_md.report.tables import render

    run = RunFolder(folder)
    one = strict_json.decoded(json.loads((parts[0] / "summary.json").read_text(encoding="utf-8")))
    summary = summarise(run.records(), run.static_tables(), one.get("composition"))
    summary |= {name: one[name] for name in ("level_of_theory", "training") if name in one}
    run.write_summary(summary, render(summary))
