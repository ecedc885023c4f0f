"""Static errors as summaries hold them, by task and family: what tables and findings compare."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from gmd26_md.errors import UserError
from gmd26_md.report.published import COLUMNS


@dataclass(frozen=True)
class Value:
    """A number and its standard error, in the metric's unit; the error is NaN where none is known."""

    value: float
    standard_error: float = math.nan

    def over(self, other: Value) -> Value:
        """Return the ratio of two independent numbers, errors propagated to first order."""
        if not (math.isfinite(self.value) and math.isfinite(other.value)) or other.value == 0:
            return Value(math.nan)
        ratio = self.value / other.value
        relative = math.hypot(self.standard_error / self.value if self.value else 0.0, other.relative)
        return Value(ratio, abs(ratio) * relative)

    @property
    def relative(self) -> float:
        """The standard error over the size of the number."""
        return self.standard_error / abs(self.value) if self.value else math.nan


@dataclass(frozen=True)
class Measured:
    """One model's static errors on one task.

    Attributes
    ----------
    task, family, model
        As its summary says.
    errors
        By metric, (ID, OOD); a metric of which either is missing is left out.
    is_committee
        Whether it is the mean of several models.
    n_molecules
        With frames, of each split.
    level_of_theory
        Of the reference frames; empty where the summary does not say.
    training
        What its checkpoint says of its training; empty for a model that says nothing.
    breakdown
        Errors by element, bonds and so on, as the summary has them, by split.
    """

    task: str
    family: str
    model: str
    errors: dict[str, tuple[Value, Value]]
    level_of_theory: str = ""
    is_committee: bool = False
    n_molecules: tuple[int, int] = (0, 0)
    training: dict[str, Any] = field(default_factory=dict)
    breakdown: dict[str, Any] = field(default_factory=dict)

    def ratio(self, metric: str) -> Value:
        """Return OOD over ID of a metric; NaN where it was not measured."""
        pair = self.errors.get(metric)
        return pair[1].over(pair[0]) if pair else Value(math.nan)


def measured(summaries: Sequence[dict[str, Any]], columns: Sequence[str] = COLUMNS) -> list[Measured]:
    """Return the static errors of every model of every task, each model of a task once.

    Of several summaries that have them the one with the most frames counts (dynamics measures a few beside), of equal
    ones the first with a breakdown.

    Raises
    ------
    UserError
        For a summary that is none of ours.
    """
    found: dict[tuple[str, str], tuple[tuple[int, bool], Measured]] = {}
    for summary in summaries:
        try:
            one = _measured(summary, columns)
        except (KeyError, TypeError, ValueError) as problem:
            raise UserError(
                f"a summary of {summary.get('model', 'a model')} does not hold static errors as this version writes "
                f"them ({problem!r}); give the command that made it again."
            ) from problem
        if one is None:
            continue
        key, weight = (one.task, str(summary["model_sha256"])), (_n_frames(summary), any(one.breakdown.values()))
        if key not in found or weight > found[key][0]:
            found[key] = weight, one
    return [one for _, one in found.values()]


def _n_frames(summary: dict[str, Any]) -> int:
    tables = [split.get("static_errors", {}) for split in summary["splits"].values()]
    return sum(max((int(spread.get("n_values", 0)) for spread in table.values()), default=0) for table in tables)


def _measured(summary: dict[str, Any], columns: Sequence[str]) -> Measured | None:
    splits = summary.get("splits") or {}
    tables = [splits.get(name, {}).get("static_errors") for name in ("id", "ood")]
    if any(table is None for table in tables):
        return None
    errors = {
        name: (_value(tables[0][name]), _value(tables[1][name]))
        for name in columns
        if name in tables[0] and name in tables[1]
    }
    return Measured(
        task=str(summary["task"]),
        family=str(summary["family"]),
        model=str(summary["model"]),
        errors=errors,
        level_of_theory=str(summary.get("level_of_theory", "")),
        is_committee="+" in str(summary["model"]) or "+" in str(summary["family"]),
        n_molecules=(_n_molecules(tables[0]), _n_molecules(tables[1])),
        training=dict(summary.get("training") or {}),
        breakdown={name: splits[name].get("breakdown") or {} for name in ("id", "ood")},
    )


def _n_molecules(table: dict[str, Any]) -> int:
    return max((int(spread.get("n_molecules", 0)) for spread in table.values()), default=0)


def _value(spread: dict[str, Any]) -> Value:
    return Value(float(spread["value"]), float(spread["standard_error"]))
