"""The leaderboard in every form, with the rule and what is to be minded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from gmd26_md.report import forms
from gmd26_md.report.leaderboard import PATH

RULE = (
    "Ranked by the share of the runs on unseen molecules that are faithful; then by the lower bound of its interval; "
    "then by the force error along the model's own runs. A rank is a range: the best and the worst place that the "
    "95 % intervals allow, since models whose intervals overlap are not told apart."
)
DIRECT = "*: forces are predicted directly and are no gradient of the energy, so that nothing holds it constant."
SEVERAL = "With several tasks the order is that of the mean over them, a task that was not run counting as 0."

_NUMBERS = ("value", "low", "high")
_QUANTITIES = ("faithful_fraction", "alive_fraction", "faithful_id_fraction", PATH, "static_force_mae_eV_per_A")


def leaderboard_written(board: dict[str, Any], form: str, *, width: int | None = None) -> str:
    """Return `leaderboard` in one of `forms.FORMATS`; CSV has a line a model and task, numbers with their limits."""
    if form == "csv":
        return forms.written(_csv_rows(board), form)
    parts = [forms.written(_rows(board), form, width=width)]
    return forms.put_together([*parts, forms.said(board_notes(board), form, width=width or 110)])


def board_notes(board: dict[str, Any]) -> list[str]:
    """Return the rule, and what is to be minded of these models."""
    said = [RULE]
    if any(row["direct_forces"] for row in board["rows"]):
        said.append(DIRECT)
    if len(board["tasks"]) > 1:
        said.append(SEVERAL)
    for task in board["tasks"]:
        results = [row["results"][task["task"]] for row in board["rows"] if task["task"] in row["results"]]
        molecules = _range([r["n_molecules"] for r in results])
        runs = _range([r["n_runs"] for r in results])
        said.append(f"{task['task']}: {task['condition']}; {runs} runs of {molecules} molecules a model.")
        if task["not_alike"]:
            differ = ", ".join(task["not_alike"])
            said.append(f"{task['task']}: these models were not tried alike, so compare with care: {differ} differ.")
        said += task["namesakes"]
        if task["other_conditions"]:
            others = "; ".join(f"{c} ({n} model{'s' if n > 1 else ''})" for c, n in task["other_conditions"].items())
            said.append(f"{task['task']} was also run at {others}: see --condition.")
    return said


def _range(numbers: Sequence[int]) -> str:
    return f"{min(numbers)}" if min(numbers) == max(numbers) else f"{min(numbers)} to {max(numbers)}"


def _rows(board: dict[str, Any]) -> list[list[str]]:
    tasks = [task["task"] for task in board["tasks"]]
    names = ("rank", "faithful, %", "faithful ID, %", "alive, %", "F MAE on the run, eV/Å", "static F MAE, eV/Å")
    rows = [["model", *[f"{name}, {task}" if len(tasks) > 1 else name for task in tasks for name in names]]]
    for row in board["rows"]:
        label = f"{row['model']} ({row['family']})" + (" *" if row["direct_forces"] else "")
        cells = [cell for task in tasks for cell in _cells(row["results"].get(task), len(names))]
        rows.append([label, *cells])
    return rows


def _cells(result: dict[str, Any] | None, n_cells: int) -> list[str]:
    if result is None:
        return ["-"] * n_cells
    best, worst = result["rank_best"], result["rank_worst"]
    shares = [_share(result[q]) for q in ("faithful_fraction", "faithful_id_fraction", "alive_fraction")]
    errors = [_error(result[q]) for q in (PATH, "static_force_mae_eV_per_A")]
    return [str(best) if best == worst else f"{best} to {worst}", *shares, *errors]


def _share(spread: dict[str, Any] | None) -> str:
    if spread is None:
        return "-"
    value, low, high = (f"{100 * spread[key]:.0f}" for key in _NUMBERS)
    return f"{value} ({low} to {high})"


def _error(spread: dict[str, Any] | None) -> str:
    if spread is None:
        return "-"
    if not math.isfinite(spread["value"]):
        return "not finite"
    error = spread["standard_error"]
    return f"{spread['value']:.4f}" + (f" ± {error:.4f}" if math.isfinite(error) else "")


def _csv_rows(board: dict[str, Any]) -> list[list[str]]:
    keys = ("model", "model_sha256", "place", "rank_best", "rank_worst", "n_molecules", "n_runs")
    numbers = [f"{q}_{key}".removesuffix("_value") for q in _QUANTITIES for key in _NUMBERS]
    rows = [["task", "condition", "row", "family", "direct_forces", *keys, *numbers]]
    for task in board["tasks"]:
        for row in board["rows"]:
            found = row["results"].get(task["task"])
            if found is not None:
                spreads = [found[q] for q in _QUANTITIES]
                cells = [repr(float(s[key])) if s else "" for s in spreads for key in _NUMBERS]
                whose = [task["task"], task["condition"], row["model"], row["family"], str(int(row["direct_forces"]))]
                rows.append([*whose, *[str(found[key]) for key in keys], *cells])
    return rows
