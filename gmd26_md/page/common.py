"""Small questions that several figures ask of records."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from gmd26_md.page.content import Model, TaskContent
from gmd26_md.page.limits import MAX_MODELS_IN_FIGURE
from gmd26_md.records import Record
from gmd26_md.report.lives import condition_of


def runs_of(model: Model, condition: str, split: str) -> list[Record]:
    """Return a model's stability runs of a split under a condition."""
    return [
        r
        for r in model.records
        if r.protocol == "stability" and r.split == split and condition_of(r.settings) == condition
    ]


def of_protocol(model: Model, protocol: str, split: str | None = None) -> list[Record]:
    """Return a model's records of a protocol, of one split or of all."""
    return [r for r in model.records if r.protocol == protocol and split in (None, r.split)]


def by_molecule(records: Iterable[Record]) -> dict[str, list[Record]]:
    """Return records by molecule, in order of appearance."""
    found: dict[str, list[Record]] = {}
    for record in records:
        found.setdefault(record.molecule, []).append(record)
    return found


def mean(values: Iterable[float | None]) -> float | None:
    """Return the mean of what was measured; None where nothing was, NaN where any is no number."""
    known = [v for v in values if v is not None]
    return math.fsum(known) / len(known) if known else None


def figure_name(task: TaskContent, what: str, kind: str = "", kinds: Sequence[str] = ()) -> str:
    """Return the file name of a figure; of one kind among several, as a condition of the runs, with the kind."""
    shown = kind.replace(", ", "-").replace(" ", "")
    return "-".join([task.name, what, *([shown] if len(kinds) > 1 else [])])


def together(task: TaskContent) -> str:
    """Return a sentence that runs of several conditions are drawn together; empty where there is one."""
    return f" Runs of {' and of '.join(task.conditions)} are drawn together." if len(task.conditions) > 1 else ""


def shown_models(task: TaskContent) -> tuple[list[Model], str]:
    """Return the models that figures show, and a sentence on those that they do not."""
    shown = task.models[:MAX_MODELS_IN_FIGURE]
    left = len(task.models) - len(shown)
    return shown, f" Of {len(task.models)} models the first {len(shown)} of the table are drawn." if left else ""
