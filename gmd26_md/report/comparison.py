"""Many models in one table: static errors in the published columns beside what dynamics says of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from gmd26_md.errors import UserError
from gmd26_md.metrics import DIRECT_FORCES
from gmd26_md.report.cells import share
from gmd26_md.report.published import COLUMNS, SOURCE, STATIC_ERRORS

PAIR = ("id", "ood")

_PERCENT = 100.0
# heading, section of a split's summary, key, digits, factor
_OURS: tuple[tuple[str, str, str, int, float], ...] = (
    ("F MAE, eV/Å", "static_errors", "force_mae_eV_per_A", 4, 1.0),
    ("cos", "static_errors", "force_cosine", 4, 1.0),
    ("F mag MAE, eV/Å", "static_errors", "force_magnitude_mae_eV_per_A", 4, 1.0),
    ("E MAE, eV", "static_errors", "energy_mae_eV", 3, 1.0),
    ("E MAE offset removed, eV", "static_errors", "energy_offset_removed_mae_eV", 3, 1.0),
    ("alive, %", "stability", "alive_fraction", 0, _PERCENT),
    ("faithful, %", "stability", "faithful_fraction", 0, _PERCENT),
    ("drift, meV/atom/ps", "dynamics", "absolute_energy_drift_meV_per_atom_per_ps", 3, 1.0),
)


def compare(summaries: Sequence[dict[str, Any]], *, published: bool = True) -> list[list[str]]:
    """Return the table: the heading, a row a model, then the published rows of the task.

    Summaries of one model (its static errors in one folder, its dynamics in another) share a row; where two have the
    same part, the first given counts. A model that was run under several conditions has a row for each.

    Raises
    ------
    UserError
        If there is nothing to compare, or the summaries are of different tasks.
    """
    tested = [s for s in summaries if s.get("splits")]
    if not tested:
        raise UserError("none of these run folders has a record; run a protocol first.")
    tasks = sorted({str(s["task"]) for s in tested})
    if len(tasks) > 1:
        raise UserError(f"these runs are of different tasks ({', '.join(tasks)}); make one table a task.")
    splits = PAIR if tasks != ["user"] else ("user",)
    rows = [_heading(splits)]
    groups = sorted(_by_model(tested), key=lambda group: DIRECT_FORCES in group[0]["family"])  # those come last
    for group in groups:
        runs = _conditions(group)
        for condition in runs or [""]:
            label = _label(group) + (f", {condition}" if len(runs) > 1 else "")
            rows.append([label, *_cells(_merged(group, splits, condition), splits)])
    if published and splits == PAIR:
        rows += [_published_row(name, values) for name, values in STATIC_ERRORS.get(tasks[0], {}).items()]
    return rows


def without_empty_columns(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """Return the table without the columns in which no row has a number."""
    kept = [i for i in range(len(rows[0])) if i == 0 or any(row[i] != "-" for row in rows[1:])]
    return [[row[i] for i in kept] for row in rows]


def _heading(splits: tuple[str, ...]) -> list[str]:
    if len(splits) == 1:
        return ["model", *[name for name, *_ in _OURS]]
    return ["model", *[f"{name}, {split.upper()}" for name, *_ in _OURS for split in splits]]


def _by_model(summaries: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for s in summaries:
        groups.setdefault(str(s["model_sha256"]), []).append(s)
    return list(groups.values())


def _label(group: Sequence[dict[str, Any]]) -> str:
    return f"{group[0]['model']} ({group[0]['family']})"


def _conditions(group: Sequence[dict[str, Any]]) -> list[str]:
    """Return the conditions under which a model was run, in their order."""
    parts = [found for summary in group for found in summary["splits"].values()]
    return list(dict.fromkeys(condition for found in parts for condition in stability_of(found)))


def stability_of(split: dict[str, Any]) -> dict[str, Any]:
    """Return the stability part of a split's summary by condition; a summary made before there were several has one."""
    part = split.get("stability") or {}
    return {"": part} if "verdicts" in part else part


def _merged(group: Sequence[dict[str, Any]], splits: tuple[str, ...], condition: str) -> dict[str, dict[str, Any]]:
    """Return the parts of each split under a condition, each from the first summary that has it."""
    found: dict[str, dict[str, Any]] = {split: {} for split in splits}
    for summary in group:
        for split in splits:
            parts = summary["splits"].get(split, {})
            if "static_errors" in parts:
                found[split].setdefault("static_errors", parts["static_errors"])
            if condition in stability_of(parts):
                found[split].setdefault("stability", stability_of(parts)[condition])
    for parts in found.values():
        parts["dynamics"] = parts.get("stability", {}).get("metrics", {})
    return found


def _cells(parts: dict[str, dict[str, Any]], splits: tuple[str, ...]) -> list[str]:
    return [
        _cell(parts[split].get(section, {}).get(key), digits, factor)
        for _, section, key, digits, factor in _OURS
        for split in splits
    ]


def _cell(spread: dict[str, Any] | None, digits: int, factor: float) -> str:
    """Return "0.0292 ± 0.0012"; - for what was not measured."""
    if spread is None:
        return "-"
    if factor == _PERCENT and "low" in spread:  # summaries of old have no limits
        return share(spread)
    value, error = factor * float(spread["value"]), factor * float(spread["standard_error"])
    if not math.isfinite(value):
        return "not finite"
    return f"{value:.{digits}f} ± {error:.{digits}f}" if math.isfinite(error) else f"{value:.{digits}f}"


def _published_row(name: str, values: tuple[tuple[float, float], ...]) -> list[str]:
    known = dict(zip(COLUMNS, values, strict=True))
    cells = []
    for _, _, key, *_ in _OURS:
        # in the digits of the source: four below 1, two above
        cells += [f"{v:.{4 if v < 1.0 else 2}f}" for v in known[key]] if key in known else ["-", "-"]
    return [f"{name} ({SOURCE})", *cells]
