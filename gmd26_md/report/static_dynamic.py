"""Static beside dynamic: a row a model, and which number, had without dynamics, goes with the trouble in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from gmd26_md.errors import UserError
from gmd26_md.observables.correlation import Correlation, Paired, correlate
from gmd26_md.records import Record
from gmd26_md.report.candidates import Column, first_given, namesakes, outcomes, predictors
from gmd26_md.report.summary import summarise

WITHIN_EACH, OVER = "within each model", "over models"
Static = dict[str, dict[str, np.ndarray]]
"""Static errors by frame, (n_frames, 8), by model hash and molecule slug."""


def static_beside_dynamic(
    records: Sequence[Record], static: Static, *, split: str = "all", n_permutations: int = 1999
) -> list[dict[str, Any]]:
    """Return, of each task: the summary of each model, and every correlation, the surest first. JSON-safe but for NaN.

    Parameters
    ----------
    records
        Of any protocols, models and tasks; of the same run given twice the first counts.
    split
        "all", or "id" or "ood", for the correlations: within one of them being unseen explains nothing.

    Raises
    ------
    UserError
        Without a single stability record.
    """
    chosen, n_twice = first_given(records)
    if not any(r.protocol == "stability" for r in chosen):
        raise UserError("none of these run folders has a stability record; run 'gmd26-md stability' first.")
    found = []
    for task in sorted({r.task for r in chosen}):
        mine = [r for r in chosen if r.task == task]
        models = _models(mine)
        summaries = [
            summarise([r for r in mine if r.model_sha256 == sha], static.get(sha, {})) | {"label": label}
            for sha, label in models.items()
        ]
        within = mine if split == "all" else [r for r in mine if r.split == split]
        correlations = correlations_of(within, models, n_permutations)
        found.append(
            {
                "task": task,
                "split": split,
                "n_given_twice": n_twice,
                "namesakes": namesakes(mine),
                "models": summaries,
                "n_tried": sum(c["rho"] is not None for c in correlations),
                "correlations": correlations,
            }
        )
    return found


def _models(records: Sequence[Record]) -> dict[str, str]:
    """Return each model's label by its hash; models that share a name are told apart by the hash."""
    names = {r.model_sha256: r.model for r in records}
    return {
        sha: name if list(names.values()).count(name) == 1 else f"{name} ({sha[:8]})" for sha, name in names.items()
    }


def correlations_of(
    records: Sequence[Record], models: dict[str, str], n_permutations: int = 1999
) -> list[dict[str, Any]]:
    """Return every correlation of every level, the surest first; those that are not defined come last.

    Parameters
    ----------
    models
        Labels by model hash.
    """
    xs, ys = predictors(records), outcomes(records)
    if len({y.source for y in ys}) == 1:  # under one condition there is no need to name it each time
        ys = [replace(y, words=y.words.removesuffix(f" ({y.source})")) for y in ys]
    molecules = tuple(sorted({r.molecule for r in records}))
    if not xs or not ys:
        return []
    tables = {f"within {label}": _table(xs, ys, [sha], molecules) for sha, label in models.items()}
    if len(models) > 1:
        tables[WITHIN_EACH] = _table(xs, ys, list(models), molecules)
        tables[OVER] = _over(xs, ys, list(models), molecules)
    found = correlate(list(tables.values()), n_permutations=n_permutations)
    rows = [
        _row(level, x, y, found[k][i][j])
        for k, level in enumerate(tables)
        for i, x in enumerate(xs)
        for j, y in enumerate(ys)
    ]
    return sorted(rows, key=_surest)


def _table(xs: list[Column], ys: list[Column], models: list[str], molecules: tuple[str, ...]) -> Paired:
    """Return the columns of some models by molecule."""
    cells = [[(sha, molecule)] for sha in models for molecule in molecules]
    shape = (len(models), len(molecules))
    x, y = (np.stack([c.merits(cells).reshape(shape) for c in columns], axis=2) for columns in (xs, ys))
    return Paired(molecules, x, y)


def _over(xs: list[Column], ys: list[Column], models: list[str], molecules: tuple[str, ...]) -> Paired:
    """Return the columns by model, each a mean over its molecules."""
    cells = [[(sha, molecule) for molecule in molecules] for sha in models]
    x, y = (np.stack([c.merits(cells) for c in columns], axis=1)[None] for columns in (xs, ys))
    return Paired(tuple(models), x, y)


def _row(level: str, x: Column, y: Column, found: Correlation) -> dict[str, Any]:
    return {
        "level": level,
        "predictor": x.words,
        "outcome": y.words,
        "predictor_source": x.source,
        "predictor_metric": x.metric,
        "outcome_source": y.source,
        "outcome_metric": y.metric,
        "n_worst_predictor": x.n_worst,
        "n_worst_outcome": y.n_worst,
        **asdict(found),
    }


def _surest(row: dict[str, Any]) -> tuple[bool, float, float, float]:
    if row["rho"] is None:
        return True, 0.0, 0.0, 0.0
    return False, row["p_adjusted"], row["p"], -abs(row["rho"])
