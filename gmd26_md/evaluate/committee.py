"""A committee on the runs of a stability folder: reads what was made, asks the members, writes what it comes to."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from gmd26_md import strict_json
from gmd26_md.dynamics.committee_forces import CommitteeForces
from gmd26_md.errors import UserError
from gmd26_md.evaluate.common import Show, quiet
from gmd26_md.files import write_text_whole
from gmd26_md.protocols import committee, committee_analysis
from gmd26_md.protocols.committee import PastRun, Settings
from gmd26_md.protocols.subject import Subject
from gmd26_md.records import Record
from gmd26_md.run_folder import RunFolder
from gmd26_md.trajectory import Trajectory


def past_runs(folder: RunFolder) -> list[PastRun]:
    """Return the stability runs of a folder, with their frames.

    Raises
    ------
    UserError
        If it is no folder of stability runs, none has been made yet, or a file of frames is damaged.
    """
    marker = folder.path / "run.json"
    if not marker.is_file():
        raise UserError(f"{folder.path} is no run folder; give one that 'gmd26-md stability' made.")
    try:
        protocol = json.loads(marker.read_text(encoding="utf-8")).get("protocol")
    except (ValueError, AttributeError) as problem:
        raise UserError(f"{marker} does not parse ({problem}); make the run again.") from problem
    if protocol != "stability":
        raise UserError(f"{folder.path} holds {protocol} records; give a folder that 'gmd26-md stability' made.")
    records = [r for r in folder.records() if r.protocol == "stability"]
    if not records:
        raise UserError(f"{folder.path} holds no finished run yet; give the command that made it again.")
    return [_past_run(folder.path, record) for record in records]


def _past_run(folder: Path, record: Record) -> PastRun:
    trajectory, labels = record.trajectory, record.evidence.get("labels")
    return PastRun(
        name=Path(trajectory).stem if trajectory else f"{record.molecule}-seed{record.seed}",
        molecule=record.molecule,
        split=record.split,
        seed=record.seed,
        verdict=record.verdict,
        failed_at_ps=_failed_at_ps(record),
        model_sha256=record.model_sha256,
        labelled=_frames(folder, labels),
        saved=_frames(folder, trajectory),
    )


def _failed_at_ps(record: Record) -> float | None:
    """Return when a run first failed, a proton transfer included; its end where only the graph at the end differs."""
    if record.verdict not in ("exploded", "broken", "reacted"):
        return record.metrics.get("failed_at_ps")
    times = [record.metrics.get(name) for name in ("failed_at_ps", "transfer_at_ps")]
    return min((t for t in times if t is not None and math.isfinite(t)), default=record.metrics.get("alive_ps"))


def _frames(folder: Path, name: str | None) -> Trajectory | None:
    """Return the frames in a file of the folder; None where it is not there, as when only labels were kept."""
    return Trajectory.read(folder / name) if name and (folder / name).is_file() else None


def measure_committee(
    subject: Subject, folder: RunFolder, out: Path, settings: Settings, show: Show = quiet
) -> dict[str, Any]:
    """Ask a committee about the runs of a folder; write what it comes to into OUT/committee.json, and return it.

    Raises
    ------
    UserError
        If the subject is no committee on the batched road, see `past_runs`, or no run can be asked about.
    """
    provider = subject.provider
    if not isinstance(provider, CommitteeForces):
        raise UserError(f"{subject.name} is one model, which has no spread; name several with --model, each once.")
    found = past_runs(folder)
    known = [run for run in found if _knows(subject, run)]
    said = committee.run(
        provider, known, on_progress=lambda n: show(n / len(known), f"asking the members: {n} of {len(known)} runs")
    )
    answer = {
        "run": str(folder.path),
        "committee": subject.name,
        "family": subject.family,
        "sha256": subject.sha256,
        "members": list(subject.members),
        "level_of_theory": subject.level_of_theory,
        "references": sorted({str(run.labelled.info.get("reference")) for run in known if run.labelled is not None}),
        "device": f"{subject.device} {subject.dtype}",
        "left_out": [_left_out(run, known, subject) for run in found if run not in [s.run for s in said]],
        **committee_analysis.analyse(said, subject.members, settings),
    }
    write_text_whole(out / "committee.json", strict_json.dumps(answer) + "\n")
    return answer


def _knows(subject: Subject, run: PastRun) -> bool:
    frames = run.labelled if run.saved is None else run.saved
    return frames is None or subject.elements is None or set(frames.numbers.tolist()) <= subject.elements


def _left_out(run: PastRun, known: list[PastRun], subject: Subject) -> dict[str, Any]:
    why = "no frames were kept" if run in known else f"{subject.name} does not know all of its elements"
    return {"name": run.name, "molecule": run.molecule, "split": run.split, "verdict": run.verdict, "why": why}
