"""The tables of a page: static beside dynamic, what predicts trouble, molecules by model, the other protocols."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from gmd26_md.page.common import by_molecule
from gmd26_md.page.content import Model, TaskContent
from gmd26_md.page.limits import MAX_COLUMNS
from gmd26_md.records import VERDICTS, Record
from gmd26_md.report.lives import condition_of, life_of
from gmd26_md.report.path_errors import PATH, STATIC
from gmd26_md.report.sections import SECTIONS
from gmd26_md.report.stability_table import p_words

Spread = dict[str, Any]


@dataclass(frozen=True)
class Cell:
    """A number for people: its text, its spread, its interval in words, and which molecules stand behind it."""

    text: str
    spread: str = ""
    hint: str = ""
    split: str = ""
    metric: str = ""


@dataclass(frozen=True)
class Column:
    """A pair of columns, ID beside OOD: words, unit, the metric of the molecules' table, digits, factor."""

    words: str
    unit: str
    metric: str
    digits: int
    of: Callable[[dict[str, Any], str], Spread | None]
    factor: float = 1.0


def _stability(split: dict[str, Any], condition: str) -> dict[str, Any]:
    found: dict[str, Any] = split.get("stability", {}).get(condition, {})
    return found


def _metric(name: str) -> Callable[[dict[str, Any], str], Spread | None]:
    return lambda split, condition: _stability(split, condition).get("metrics", {}).get(name)


COLUMNS = (
    Column("static force MAE", "eV/Å", "static", 4, lambda s, c: s.get("static_errors", {}).get(STATIC)),
    Column("survival", "%", "life", 0, lambda s, c: _stability(s, c).get("survival", {}).get("survival"), 100.0),
    Column("faithful", "%", "verdict", 0, lambda s, c: _stability(s, c).get("faithful_fraction"), 100.0),
    Column("|drift|", "meV/atom/ps", "drift", 3, _metric("absolute_energy_drift_meV_per_atom_per_ps")),
    Column("force MAE on the run", "eV/Å", "path", 4, _metric(PATH)),
    Column("over static", "", "path", 2,
           lambda s, c: _stability(s, c).get("path_errors", {}).get("path_over_static_ratio")),
    Column("true-energy change", "meV/atom", "true", 1, _metric("true_energy_change_max_meV_per_atom")),
)  # fmt: skip
"""Static beside dynamic, in the order of the table."""


@dataclass(frozen=True)
class Row:
    """A model under one condition, a list of cells a column, one a split."""

    model: Model
    condition: str
    cells: list[list[Cell]]
    log_rank: str


def static_and_dynamic(task: TaskContent) -> tuple[list[Column], list[Row]]:
    """Return the columns that any model has a number in, and a row a model and condition."""
    rows = []
    for model in task.models:
        splits = model.summary["splits"]
        conditions = [c for c in task.conditions if any(_stability(s, c) for s in splits.values())]
        for condition in conditions or [""]:
            cells = [[_cell(c, splits.get(s, {}), task, condition, s) for s in task.splits] for c in COLUMNS]
            test = model.summary["log_rank"].get(condition)
            p = "" if test is None or test["p_permuted"] is None else p_words(test["p_permuted"])
            rows.append(Row(model, condition, cells, p))
    rows = [row for row in rows if any(cell.metric for cells in row.cells for cell in cells)]
    kept = [i for i in range(len(COLUMNS)) if any(cell.metric for row in rows for cell in row.cells[i])]
    slim = [Row(r.model, r.condition, [r.cells[i] for i in kept], r.log_rank) for r in rows]
    return [COLUMNS[i] for i in kept], slim


def _cell(column: Column, split: dict[str, Any], task: TaskContent, condition: str, name: str) -> Cell:
    spread = column.of(split, condition)
    if spread is None:
        return Cell("–", "", "not measured")
    text, error = spread_words(spread, column.digits, column.factor)
    return Cell(text, error, interval_words(spread, column), name, _key(column.metric, task, condition))


def spread_words(spread: Spread, digits: int, factor: float = 1.0) -> tuple[str, str]:
    """Return "0.0292" and "± 0.0012"; of a share that all or none have the limit that counting allows.

    Digits are as given, or more where the error would have none.
    """
    value, error = factor * spread["value"], factor * spread["standard_error"]
    if not math.isfinite(value):
        return "not finite", ""
    if factor == 100.0 and value in (0.0, 100.0):
        return f"{value:.0f}", f"≥ {100 * spread['low']:.0f}" if value else f"≤ {100 * spread['high']:.0f}"
    if not math.isfinite(error):
        return f"{value:.{digits}f}", "± ?"
    if factor == 1.0 and 1e-9 * abs(value) < error < 10.0**-digits and digits > 0:
        digits = min(-math.floor(math.log10(error)), digits + 4)
    return f"{value:.{digits}f}", f"± {error:.{digits}f}"


def interval_words(spread: Spread, column: Column) -> str:
    """Return the interval at 95 %, and from how many molecules and runs."""
    n = f"{spread['n_molecules']} molecules"
    if "n_values" in spread:
        n += f", {spread['n_values']} {'frames' if column.metric == 'static' else 'runs'}"
    if spread.get("n_missing"):
        n += f", {spread['n_missing']} runs without"
    low, high = (column.factor * spread[key] for key in ("low", "high"))
    if not (math.isfinite(low) and math.isfinite(high)):
        return f"no interval from {n}"
    return f"95 %: {low:.{column.digits}f} to {high:.{column.digits}f} {column.unit}; {n}".replace(" ;", ";")


@dataclass(frozen=True)
class Bar:
    """Verdicts of one model, condition and split: name, how many, where its part begins and how wide, in per cent."""

    split: str
    n_runs: int
    parts: list[tuple[str, int, float, float]]


def bars(model: Model, condition: str, splits: Sequence[str]) -> list[Bar]:
    """Return a verdict bar a split, ID first."""
    found = []
    for split in splits:
        part = _stability(model.summary["splits"].get(split, {}), condition)
        if not part:
            continue
        at, parts = 0.0, []
        for verdict in VERDICTS:
            n = part["verdicts"].get(verdict, 0)
            if n:
                width = 100.0 * n / part["n_runs"]
                parts.append((verdict, n, at, width))
                at += width
        found.append(Bar(split, part["n_runs"], parts))
    return found


METRICS = {
    "verdict": "verdicts",
    "static": "static force MAE, eV/Å",
    "life": "shortest life, ps",
    "drift": "|energy drift|, meV/atom/ps",
    "path": "force MAE along the run, eV/Å",
    "true": "true-energy change, meV/atom",
}
"""What the table of molecules can show; what is of runs, under one condition at a time."""

_OF_ALL = ("verdict", "static")

_DYNAMIC = {
    "drift": "energy_drift_meV_per_atom_per_ps",
    "path": PATH,
    "true": "true_energy_change_max_meV_per_atom",
}


@dataclass(frozen=True)
class Matrix:
    """Molecules by models: verdicts a cell, and by metric a value and a text a cell for `page.js`."""

    models: list[Model]
    left_out: int
    rows: list[tuple[str, str, str, list[list[tuple[str, int]]]]]
    metrics: dict[str, str]
    values: dict[str, list[list[tuple[float | None, str] | None]]]


def matrix(task: TaskContent) -> Matrix:
    """Return the table of molecules of a task."""
    models = task.models[:MAX_COLUMNS]
    sorted_records = [by_molecule(m.records) for m in models]
    choices = _choices(task)
    rows, values = [], {key: [] for key in choices if key != "verdict"}  # type: ignore[var-annotated]
    for split in task.splits:
        for molecule in task.molecules(split):
            records = [found.get(molecule, []) for found in sorted_records]
            verdicts = [_counts(mine) for mine in records]
            rows.append((split, molecule, task.anchor(molecule), verdicts))
            for key, lines in values.items():
                metric, condition, _ = choices[key]
                lines.append([_value(metric, _under(condition, mine)) for mine in records])
    kept = {key: v for key, v in values.items() if any(c is not None for line in v for c in line)}
    shown = {key: words for key, (_, _, words) in choices.items() if key in kept or key == "verdict"}
    return Matrix(models, len(task.models) - len(models), rows, shown, kept)


def _key(metric: str, task: TaskContent, condition: str) -> str:
    """Return by what a number is found: the metric, with the place of the condition where there are several."""
    several = len(task.conditions) > 1 and condition and metric not in _OF_ALL
    return f"{metric}-{task.conditions.index(condition)}" if several else metric


def _choices(task: TaskContent) -> dict[str, tuple[str, str, str]]:
    """Return by key what the table of molecules can show: metric, condition (empty: of all), words."""
    several = len(task.conditions) > 1
    found = {}
    for metric, words in METRICS.items():
        for condition in task.conditions if several and metric not in _OF_ALL else ("",):
            found[_key(metric, task, condition)] = metric, condition, f"{words}, {condition}" if condition else words
    return found


def _under(condition: str, records: Sequence[Record]) -> list[Record]:
    """Return the records of a condition; all if it is empty."""
    return [r for r in records if not condition or condition_of(r.settings) == condition]


def _counts(records: Sequence[Record]) -> list[tuple[str, int]]:
    counts = Counter(r.verdict for r in records if r.protocol == "stability")
    return [(verdict, counts[verdict]) for verdict in VERDICTS if counts[verdict]]


def _value(metric: str, records: Sequence[Record]) -> tuple[float | None, str] | None:
    """Return a molecule's number and its text with the spread over seeds."""
    if metric == "static":
        numbers = [r.metrics.get(STATIC) for r in records if r.protocol == "static-errors"]
    elif metric == "life":
        lives = [life_of(r) for r in records if r.protocol == "stability"]
        ends = [life.time_ps for life in lives]
        if not ends:
            return None
        return min(ends), f"{min(ends):.2f}" + (" †" if any(life.failed for life in lives) else "")
    else:
        numbers = [r.metrics.get(_DYNAMIC[metric]) for r in records if r.protocol == "stability"]
    known = [abs(v) for v in numbers if v is not None]
    if not known:
        return None
    mean = math.fsum(known) / len(known)
    if not math.isfinite(mean):
        return None, "not finite"
    if len(known) == 1:
        return mean, f"{mean:.3g}"
    spread = math.sqrt(math.fsum((v - mean) ** 2 for v in known) / (len(known) - 1))
    return mean, f"{mean:.3g} ± {spread:.1g}"


@dataclass(frozen=True)
class ProtocolTable:
    """One protocol's part: its heading, what is good, counts a model and split, and a row a number."""

    heading: str
    good: str
    columns: list[tuple[Model, str]]
    counts: list[str]
    rows: list[tuple[str, list[Cell]]]


def protocol_tables(task: TaskContent) -> list[ProtocolTable]:
    """Return a table for each heading of the other protocols that any model has."""
    models = task.models[:MAX_COLUMNS]
    headings: dict[str, dict[str, Any]] = {}
    for model in models:
        for split in model.summary["splits"].values():
            for heading, judged in split["judged"].items():
                headings.setdefault(heading, judged)
    return [_protocol_table(heading, judged, models, task.splits) for heading, judged in sorted(headings.items())]


def _protocol_table(
    heading: str, judged: dict[str, Any], models: Sequence[Model], splits: Sequence[str]
) -> ProtocolTable:
    def part(model: Model, split: str) -> dict[str, Any]:
        found: dict[str, Any] = model.summary["splits"].get(split, {}).get("judged", {}).get(heading, {})
        return found

    columns = [(m, s) for m in models for s in splits if part(m, s)]
    counts = [f"{part(m, s)['judgements'].get(judged['good'], 0)} of {part(m, s)['n_runs']}" for m, s in columns]
    rows = []
    for row in SECTIONS[judged["protocol"]].rows:
        column = Column(row.words, "", row.metric, row.digits, lambda s, c: None)
        spreads = [part(m, s)["metrics"].get(row.metric) for m, s in columns]
        if any(spreads):
            cells = [
                Cell("–") if x is None else Cell(*spread_words(x, row.digits), interval_words(x, column), s)
                for x, (_, s) in zip(spreads, columns, strict=True)
            ]
            rows.append((row.words, cells))
    return ProtocolTable(heading, judged["good"], columns, counts, rows)
