"""Many models ranked by how much of their dynamics on unseen molecules is faithful; ties are shown as ties.

What the rank does not tell is in `docs/leaderboard.md`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gmd26_md.errors import UserError, unknown_name
from gmd26_md.metrics import DIRECT_FORCES
from gmd26_md.records import Record
from gmd26_md.report.candidates import namesakes
from gmd26_md.report.lives import by_condition
from gmd26_md.report.summary import summarise

Spread = dict[str, Any]

PATH = "path_force_mae_eV_per_A"
_RANKED = ("ood", "user")
"""Splits by which models are ranked: the unseen molecules of a task, or a user's own."""

_ALIKE = ("thermalise_ps", "timestep_fs", "n_label_frames", "reference", "thresholds")
"""Settings of stability that should be the same for all; temperature, ensemble and length are the condition."""


@dataclass(frozen=True)
class Entry:
    """One model on one task under the task's condition.

    Attributes
    ----------
    name
        The model's, without the task in it, so that the trainings of one recipe on several tasks share a row.
    faithful, alive, faithful_id
        Shares of the runs with their 95 % interval: on the ranked split, and of the ID runs where there are some.
    path, static
        Force MAE along the model's own runs and on reference frames, of the ranked split; None where not measured.
    alike
        What must be the same for two entries to be compared: molecules, seeds, settings.
    """

    task: str
    name: str
    model: str
    model_sha256: str
    family: str
    n_molecules: int
    n_runs: int
    faithful: Spread
    alive: Spread
    faithful_id: Spread | None
    path: Spread | None
    static: Spread | None
    alike: dict[str, str]

    @property
    def order(self) -> tuple[float, ...]:
        """The smaller, the better: faithful, its lower bound, force error along the run."""
        error = math.inf if self.path is None or math.isnan(self.path["value"]) else float(self.path["value"])
        return (-self.faithful["value"], -self.faithful["low"], error)


def leaderboard(
    records: Sequence[Record], static: Mapping[str, Mapping[str, Any]], condition: str | None = None
) -> dict[str, Any]:
    """Return the board, JSON-safe: `tasks` with the condition of each, and `rows`, a row a model, best first.

    Parameters
    ----------
    records
        Of any number of models and tasks; those of stability are ranked.
    static
        Static errors by frame, (n_frames, 8) by molecule slug, by the model's hash.
    condition
        "300 K, NVE, 10 ps"; by default, task by task, the one under which most models were run.

    Raises
    ------
    UserError
        Where there is nothing to rank, or no run under the condition.
    """
    runs = [r for r in records if r.protocol == "stability" and r.split in _RANKED]
    if not runs:
        raise UserError("none of these folders has stability runs on unseen molecules; make them with stability.")
    tasks: list[dict[str, Any]] = []
    entries: list[tuple[Entry, int, int, int]] = []
    for task in sorted({r.task for r in runs}):
        mine = [r for r in records if r.task == task]
        conditions = _models_by_condition([r for r in runs if r.task == task])
        chosen = condition or max(conditions, key=conditions.__getitem__)  # the first of equals: the coldest
        if chosen in conditions:
            found = _ranked([_entry(task, group, chosen, static) for group in _by_model(mine, chosen)])
            others = {c: n for c, n in conditions.items() if c != chosen}
            told = {"task": task, "condition": chosen, "n_models": len(found), "other_conditions": others}
            tasks.append(told | {"not_alike": _not_alike([e for e, *_ in found]), "namesakes": namesakes(mine)})
            entries += found
    if not tasks:
        raise unknown_name("condition", str(condition), by_condition(runs))
    return {"tasks": tasks, "rows": _rows(entries, [t["task"] for t in tasks])}


def _models_by_condition(runs: Sequence[Record]) -> dict[str, int]:
    """Return how many models were run under each condition, the coldest first."""
    return {c: len({r.model_sha256 for r in group}) for c, group in by_condition(runs).items()}


def _by_model(records: Sequence[Record], condition: str) -> list[list[Record]]:
    """Return each model's stability runs under a condition, with its static errors; every record once."""
    wanted = [*by_condition(records).get(condition, []), *[r for r in records if r.protocol == "static-errors"]]
    once: dict[str, Record] = {}
    for record in wanted:
        once.setdefault(record.key, record)  # the first given counts
    ranked = dict.fromkeys(r.model_sha256 for r in wanted if r.protocol == "stability" and r.split in _RANKED)
    return [[r for r in once.values() if r.model_sha256 == sha] for sha in ranked]


def _entry(task: str, records: list[Record], condition: str, static: Mapping[str, Mapping[str, Any]]) -> Entry:
    first = records[0]
    splits = summarise(records, dict(static.get(first.model_sha256, {})))["splits"]
    split = next(s for s in _RANKED if splits.get(s, {}).get("stability"))
    part = splits[split]["stability"][condition]
    beside = splits.get("id", {}).get("stability", {}).get(condition)
    runs = [r for r in records if r.protocol == "stability" and r.split == split]
    return Entry(
        task=task,
        name=_without(first.model, task),
        model=first.model,
        model_sha256=first.model_sha256,
        family=first.family,
        n_molecules=len({r.molecule for r in runs}),
        n_runs=len(runs),
        faithful=part["faithful_fraction"],
        alive=part["alive_fraction"],
        faithful_id=beside["faithful_fraction"] if beside else None,
        path=part["metrics"].get(PATH),
        static=splits[split].get("static_errors", {}).get("force_mae_eV_per_A"),
        alike=_alike(runs),
    )


def _without(model: str, task: str) -> str:
    """Return a model's name without the task in it."""
    return model.removesuffix(f"-{task}").removeprefix(f"{task}-") or model


def _alike(runs: Sequence[Record]) -> dict[str, str]:
    settings = runs[0].settings
    asked = {name: str(settings.get(name)) for name in _ALIKE}
    molecules, seeds = sorted({r.molecule for r in runs}), sorted({r.seed for r in runs})
    return {"molecules": ", ".join(molecules), "seeds": ", ".join(map(str, seeds)), **asked}


def _not_alike(entries: Sequence[Entry]) -> list[str]:
    """Return in what the models of a task were not tried alike."""
    return [name for name in entries[0].alike if len({e.alike[name] for e in entries}) > 1]


def _ranked(entries: Sequence[Entry]) -> list[tuple[Entry, int, int, int]]:
    """Return entries, best first, each with its place by the rule and the best and worst that intervals allow.

    A model is surely behind another only where its whole interval is below the other's.
    """
    found = []
    for e in sorted(entries, key=lambda e: (e.order, e.name, e.model_sha256)):
        place = 1 + sum(other.order < e.order for other in entries)
        best = 1 + sum(other.faithful["low"] > e.faithful["high"] for other in entries)
        worst = len(entries) - sum(other.faithful["high"] < e.faithful["low"] for other in entries)
        found.append((e, place, best, worst))
    return found


def _rows(ranked: Sequence[tuple[Entry, int, int, int]], tasks: Sequence[str]) -> list[dict[str, Any]]:
    """Return a row a model with its results by task, in the order of the mean over tasks; one not run counts as 0."""
    keys = Counter((e.name, e.family, e.task) for e, *_ in ranked)
    taken = {(name, family) for (name, family, _), n in keys.items() if n > 1}  # two models of one name on a task
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    orders: dict[tuple[str, str], dict[str, tuple[float, ...]]] = {}
    for e, place, best, worst in ranked:
        name = f"{e.model} {e.model_sha256[:8]}" if (e.name, e.family) in taken else e.name
        key = (name, e.family)
        direct = DIRECT_FORCES in e.family
        row = rows.setdefault(key, {"model": name, "family": e.family, "direct_forces": direct, "results": {}})
        row["results"][e.task] = _result(e, place, best, worst)
        orders.setdefault(key, {})[e.task] = e.order

    def order(key: tuple[str, str]) -> tuple[Any, ...]:
        found = [orders[key].get(task, (0.0, 0.0, math.inf)) for task in tasks]
        return (*[sum(column) / len(tasks) for column in zip(*found, strict=True)], key)

    return [rows[key] for key in sorted(rows, key=order)]


def _result(e: Entry, place: int, best: int, worst: int) -> dict[str, Any]:
    return {
        "model": e.model,
        "model_sha256": e.model_sha256,
        "place": place,
        "rank_best": best,
        "rank_worst": worst,
        "n_molecules": e.n_molecules,
        "n_runs": e.n_runs,
        "faithful_fraction": e.faithful,
        "alive_fraction": e.alive,
        "faithful_id_fraction": e.faithful_id,
        PATH: e.path,
        "static_force_mae_eV_per_A": e.static,
    }
