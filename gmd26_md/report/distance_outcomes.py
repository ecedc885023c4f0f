"""Does distance from the training set predict how dynamics ends? Molecules of all models, distances beside outcomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from gmd26_md.observables.correlation import Paired, correlate
from gmd26_md.records import Record
from gmd26_md.report.candidates import Cell, Column, first_given, outcomes, predictors

OUTCOMES = ("path_force_mae_eV_per_A", "not_faithful", "failed")
"""The outcomes of stability runs that are asked about, by their metric."""

_COMPARED = {"force_mae_eV_per_A": "static force MAE", "unseen": "being OOD", "n_atoms": "number of atoms"}
_OVERFLOW = np.finfo(np.float64).max  # stands for an infinite distance, which is farther than any


def outcome_correlations(
    distances: Mapping[Cell, Mapping[str, float]], records: Sequence[Record]
) -> list[dict[str, Any]]:
    """Return the rank correlation of each distance with each outcome, over molecules within each model; JSON-safe.

    Beside them stand the static force error and two numbers that need no model: what a distance has to beat. Ranked are
    molecules within each model, and the correlations averaged over models (`observables.correlation`).

    Parameters
    ----------
    distances
        By model hash and molecule: numbers by name, as far as that model has them.
    records
        Of stability runs and static errors; those of models or molecules without a distance are left out.
    """
    mine = [r for r in first_given(records)[0] if (r.model_sha256, r.molecule) in distances]
    asked = [c for c in outcomes(mine) if c.metric in OUTCOMES]
    if not asked:
        return []
    if len({c.source for c in asked}) == 1:  # under one condition there is no need to name it each time
        asked = [replace(c, words=c.words.removesuffix(f" ({c.source})")) for c in asked]
    names = dict.fromkeys(name for numbers in distances.values() for name in numbers)  # not every model has a space
    columns = [
        *(
            Column("distance", name, name, {cell: [_finite(d[name])] for cell, d in distances.items() if name in d})
            for name in names
        ),
        *(c for c in predictors(mine) if c.metric in _COMPARED),
    ]
    models = sorted({r.model_sha256 for r in mine})
    molecules = tuple(sorted({r.molecule for r in mine}))
    x, y = (_table(several, models, molecules) for several in (columns, asked))
    (found,) = correlate([Paired(molecules, x, y)])
    return [
        {
            "outcome": outcome.words,
            "outcome_metric": outcome.metric,
            "predictor": _COMPARED.get(column.metric, column.words),
            **asdict(found[i][j]),
        }
        for j, outcome in enumerate(asked)
        for i, column in enumerate(columns)
    ]


def _finite(value: float) -> float:
    return min(value, float(_OVERFLOW))


def _table(columns: Sequence[Column], models: Sequence[str], molecules: Sequence[str]) -> np.ndarray:
    """Return the columns by model and molecule, (n_models, n_molecules, n_columns)."""
    cells = [[(sha, molecule)] for sha in models for molecule in molecules]
    shape = (len(models), len(molecules))
    return np.stack([c.merits(cells).reshape(shape) for c in columns], axis=2)
