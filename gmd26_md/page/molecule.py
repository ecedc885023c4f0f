"""A molecule's section: its structures, its runs in words, its figures and the frames to turn."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gmd26_md.page import structure
from gmd26_md.page.content import TITLES, Model, TaskContent
from gmd26_md.page.figure import Figure, plain
from gmd26_md.page.frames import Frame, Track, frame_of, labels_of, track_of
from gmd26_md.page.molecule_figures import molecule_figures
from gmd26_md.page.sources import Sources
from gmd26_md.records import Record
from gmd26_md.report.lives import condition_of
from gmd26_md.report.reasoning import reasoning
from gmd26_md.report.reasoning_words import in_words
from gmd26_md.report.repeat import repeat_command
from gmd26_md.report.sections import heading_of

ModelAtHand = Callable[[Record], Any]
"""The checkpoint of a record, or a calculator's name; None where it is not at hand."""


@dataclass(frozen=True)
class Run:
    """One run in words."""

    model: str
    index: int
    seed: int
    condition: str
    verdict: str
    reason: str
    words: str
    command: str


@dataclass(frozen=True)
class Drawing:
    """A structure of a molecule as one model errs on it."""

    model: str
    svg: str
    top: str


@dataclass(frozen=True, eq=False)
class Section:
    """What a molecule's section shows; `packed` is what its figures and 3D frames are drawn from."""

    anchor: str
    name: str
    formula: str
    split: str
    drawings: list[Drawing]
    runs: list[Run]
    n_runs: int
    others: list[tuple[str, str, str]]
    figures: list[Figure]
    packed: dict[str, Any]
    forces: dict[tuple[str, str], list[Any]] = field(default_factory=dict)


def section(
    task: TaskContent, molecule: str, sources: Sources, chosen: frozenset[str], at_hand: ModelAtHand
) -> Section:
    """Return the section of one molecule.

    Parameters
    ----------
    chosen
        Keys of the runs that are shown in words and frames.
    """
    records = {m.label: [r for r in m.records if r.molecule == molecule] for m in task.models}
    first = next(r for mine in records.values() for r in mine)
    runs = [(m, r) for m in task.models for r in records[m.label] if r.protocol == "stability"]
    shown = [(m, r) for m, r in runs if r.key in chosen]
    tracks, frames, forces = _from_files(shown, sources)
    skeleton = _skeleton(task, first, [f for _, _, f in frames])
    figures = molecule_figures(task, molecule, shown, tracks)
    return Section(
        anchor=task.anchor(molecule),
        name=molecule,
        formula=first.formula,
        split=first.split,
        drawings=[d for m in task.models if (d := _drawing(m, records[m.label], skeleton)) is not None],
        runs=[_run(m, r, sources, at_hand) for m, r in sorted(shown, key=_worst_first)],
        n_runs=len(runs),
        others=[
            (m.label, heading_of(r), r.reason)
            for m in task.models
            for r in records[m.label]
            if r.protocol not in ("stability", "static-errors") and r.reason
        ],
        figures=figures,
        packed={"figures": [plain(f) for f in figures], "frames": [_plain_frame(m, r, f) for m, r, f in frames]},
        forces=forces,
    )


def _worst_first(run: tuple[Model, Record]) -> tuple[int, float]:
    return severity(run[1])


_WORST = ("exploded", "broken", "reacted", "drifting", "silent", "error", "unsupported", "censored", "faithful")


def severity(record: Record) -> tuple[int, float]:
    """Return by what runs are sorted, the worst first: by verdict, then by force error along the run."""
    error = record.metrics.get("path_force_mae_eV_per_A")
    rank = _WORST.index(record.verdict) if record.verdict in _WORST else len(_WORST)
    return rank, -error if error is not None and math.isfinite(error) else -math.inf


def _from_files(
    runs: Sequence[tuple[Model, Record]], sources: Sources
) -> tuple[dict[str, Track], list[tuple[Model, Record, Frame]], dict[tuple[str, str], list[Any]]]:
    """Return runs in time by their key, a frame of each run that has one, and forces to compare by model and split."""
    tracks: dict[str, Track] = {}
    frames: list[tuple[Model, Record, Frame]] = []
    forces: dict[tuple[str, str], list[Any]] = {}
    for model, record in sorted(runs, key=_worst_first):
        labels = labels_of(record, sources)
        track = track_of(record, sources, labels)
        if track is not None:
            tracks[record.key] = track
            forces.setdefault((model.sha, record.split), []).append(track.forces)
        faithful_too = any(m is model and r.verdict == "faithful" for m, r, _ in frames)
        if record.verdict != "faithful" or not faithful_too:  # of the faithful runs of a model the most wrong one
            frame = frame_of(record, sources, labels)
            if frame is not None:
                frames.append((model, record, frame))
    return tracks, frames, forces


def _skeleton(task: TaskContent, record: Record, frames: Sequence[Frame]) -> structure.Skeleton | None:
    found = None if task.name == "user" else structure.of_benchmark(record.molecule)
    if not frames:
        return found
    frame = frames[0]
    if found is not None and found.symbols == frame.symbols:
        return found
    return structure.of_geometry(frame.numbers, frame.positions)


def _drawing(model: Model, records: Sequence[Record], skeleton: structure.Skeleton | None) -> Drawing | None:
    if skeleton is None:
        return None
    runs = [r for r in records if r.protocol == "stability"]
    lists = [e for r in runs if (e := r.evidence.get("force_mae_by_atom_eV_per_A")) and len(e) == len(skeleton.symbols)]
    broken: tuple[int, ...] = ()
    for record in sorted(runs, key=severity):  # as the 3D view begins with the worst run
        where = record.evidence.get("where")
        if where and record.verdict != "faithful" and not broken:
            broken = tuple(int(i) for i in where.get("atoms") or ())
    if not lists:
        return Drawing(model.label, structure.svg(skeleton, None, broken), "") if runs else None
    values = np.array([[math.nan if v is None else v for v in row] for row in lists], dtype=float)
    errors = np.where(np.isfinite(values).any(axis=0), np.nanmean(np.where(np.isfinite(values), values, np.nan), axis=0)
                      if np.isfinite(values).any() else np.nan, np.nan)  # fmt: skip
    finite = errors[np.isfinite(errors)]
    top = f"{finite.max():.3f}" if finite.size else "no number"
    return Drawing(model.label, structure.svg(skeleton, errors.tolist(), broken), top)


def _run(model: Model, record: Record, sources: Sources, at_hand: ModelAtHand) -> Run:
    found = reasoning(record, model.records)
    for kind, name in found["files"].items():
        if name is not None and sources.file(record, name) is None:
            found["files"][kind] = f"{name}, which is gone"
    return Run(
        model=model.label,
        index=model.index,
        seed=record.seed,
        condition=condition_of(record.settings),
        verdict=str(record.verdict),
        reason=record.reason,
        words=in_words(found, width=96),
        command=repeat_command(record, at_hand(record)),
    )


def _plain_frame(model: Model, record: Record, frame: Frame) -> dict[str, Any]:
    where = record.evidence.get("where") or {}
    return {
        "title": f"{model.label}, seed {record.seed}: {record.verdict}",
        "words": frame.words,
        "symbols": list(frame.symbols),
        "positions": [round(float(v), 3) for v in frame.positions.ravel()],
        "bonds": [list(b) for b in frame.bonds],
        "marked": list(frame.marked),
        "event": str(where.get("event", "")) if frame.marked else "",
    }


def title(section: Section) -> str:
    """Return the heading of a section in plain words."""
    return f"{section.name} ({section.formula}, {TITLES[section.split]})"
