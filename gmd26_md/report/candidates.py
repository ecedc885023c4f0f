"""What may predict trouble, and what trouble there was: records as columns of numbers, one a model and molecule.

Larger is worse in every column: an error counts by its size, and a number of which more is better by its negative. A
number that was measured and is no number (NaN, infinite) is worse than any other, and so is a number that a run lacks
because it failed. A number that was not measured is missing, and its molecule left out of that pair only.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from ase.formula import Formula
from numpy.typing import NDArray

from gmd26_md.metrics import METRICS
from gmd26_md.records import Record
from gmd26_md.report.lives import condition_of, length_ps, life_of
from gmd26_md.report.sections import SECTIONS, UNKNOWN, heading_of, judgement_of

DYNAMIC = ("stability", "distributions", "committee")
"""Protocols whose numbers are outcomes: what the model's own dynamics does. Those of all others may predict it."""

_STABILITY_OUTCOMES = {
    "energy_drift_meV_per_atom_per_ps": "energy drift",
    "path_force_mae_eV_per_A": "force error along the run",
    "path_force_mae_relative_ratio": "relative force error along the run",
    "true_energy_change_max_meV_per_atom": "true-energy change",
}

_OF_CONSTANT_ENERGY = ("energy_drift_meV_per_atom_per_ps", "true_energy_change_max_meV_per_atom")
"""Outcomes that no run under a thermostat has."""

_FAILED = ("exploded", "broken", "reacted", "failed")
"""Judgements of records that lack numbers because the model failed."""

Cell = tuple[str, str]
"""A model's hash and a molecule's name."""


@dataclass
class Column:
    """One number of every model and molecule.

    Attributes
    ----------
    source, metric
        The protocol's heading or the condition of the run; the metric's name, or a word of its own.
    words
        What it is called.
    values
        By model and molecule, a value a seed; infinite where it is worse than any number.
    """

    source: str
    metric: str
    words: str
    values: dict[Cell, list[float]] = field(default_factory=dict)

    @property
    def n_worst(self) -> int:
        """How many values are worse than any number."""
        return sum(math.isinf(v) for values in self.values.values() for v in values)

    def merits(self, groups: Sequence[Sequence[Cell]]) -> NDArray[np.float64]:
        """Return a number for each group of cells by which they are ranked, NaN where nothing was measured.

        First comes the share of values that are worse than any number, then the mean of the others: one failed seed of
        three is better than two. Every molecule counts the same.
        """
        found = [_merit([self.values[c] for c in cells if c in self.values]) for cells in groups]
        order = {merit: float(i) for i, merit in enumerate(sorted({m for m in found if m is not None}))}
        return np.array([math.nan if merit is None else order[merit] for merit in found])


def _merit(molecules: list[list[float]]) -> tuple[float, float] | None:
    if not molecules:
        return None
    share = float(np.mean([np.mean([math.isinf(v) for v in values]) for values in molecules]))
    means = [np.mean(finite) for values in molecules if (finite := [v for v in values if math.isfinite(v)])]
    return share, float(np.mean(means)) if means else 0.0


def predictors(records: Sequence[Record]) -> list[Column]:
    """Return every number that is had without the model's dynamics, and two that need no model: size, and unseen."""
    columns: dict[tuple[str, str], Column] = {}
    for record in records:
        _add(columns, "molecule", "n_atoms", "number of atoms", record, _n_atoms(record.formula), once=True)
        unseen = {"id": 0.0, "ood": 1.0}.get(record.split)
        _add(columns, "molecule", "unseen", "being OOD", record, unseen, once=True)
        if record.protocol in DYNAMIC:
            continue
        heading = heading_of(record)
        untold = judgement_of(record) == UNKNOWN  # what is no number there is the reference's failure
        for metric, value in record.metrics.items():
            if untold and value is not None and not math.isfinite(value):
                continue
            _add(columns, heading, metric, f"{metric} ({heading})", record, oriented(metric, value))
        _add_judgement(columns, heading, record)
    _add_worst(columns, [r for r in records if r.protocol not in DYNAMIC])
    return list(columns.values())


def outcomes(records: Sequence[Record]) -> list[Column]:
    """Return what the model's own dynamics came to, under each condition."""
    columns: dict[tuple[str, str], Column] = {}
    for record in records:
        if record.protocol == "stability":
            condition = condition_of(record.settings)
            for metric, (words, value) in _run_outcomes(record).items():
                _add(columns, condition, metric, f"{words} ({condition})", record, value)
        elif record.protocol in DYNAMIC:
            heading = heading_of(record)
            for metric, value in record.metrics.items():
                if metric in METRICS and METRICS[metric].better != "neither":
                    _add(columns, heading, metric, f"{metric} ({heading})", record, oriented(metric, value))
            _add_judgement(columns, heading, record)
    _add_worst(columns, [r for r in records if r.protocol in DYNAMIC])
    return list(columns.values())


def _add_worst(columns: dict[tuple[str, str], Column], records: Iterable[Record]) -> None:
    """Add what judged records lack because the model failed: the errors that others of their heading have."""
    for record in records:
        if record.protocol not in SECTIONS or record.verdict is not None or judgement_of(record) not in _FAILED:
            continue
        for (source, metric), column in list(columns.items()):
            lower = metric in METRICS and METRICS[metric].better == "lower"
            if source == heading_of(record) and lower and record.metrics.get(metric) is None:
                _add(columns, source, metric, column.words, record, math.inf)


def _add_judgement(columns: dict[tuple[str, str], Column], heading: str, record: Record) -> None:
    """Add whether a record was judged other than as it should be, where its protocol judges for or against it."""
    section = SECTIONS.get(record.protocol)
    if section is not None and (judged := judgement_of(record)) not in section.neutral:
        words = f"judged other than {section.good} ({heading})"
        _add(columns, heading, "judged", words, record, float(judged != section.good))


def _run_outcomes(record: Record) -> dict[str, tuple[str, float | None]]:
    """Return the outcomes of one run with their words; larger is worse, None is missing."""
    life = life_of(record)
    cut = not life.failed and life.time_ps < length_ps([record]) * (1.0 - 1e-6)
    untold = record.verdict == "censored"  # nobody knows whether it would have been faithful
    found: dict[str, tuple[str, float | None]] = {
        "failed": ("failed", None if cut else float(life.failed)),
        "alive_ps": ("short life", None if cut else -life.time_ps),
        "not_faithful": ("not faithful", None if untold else float(record.verdict != "faithful")),
    }
    for metric, words in _STABILITY_OUTCOMES.items():
        if metric in _OF_CONSTANT_ENERGY and record.settings.get("ensemble", "nve") == "nvt":
            continue
        value = oriented(metric, record.metrics.get(metric))
        found[metric] = (words, math.inf if value is None and life.failed else value)
    return found


def oriented(metric: str, value: float | None) -> float | None:
    """Return a metric's value so that larger is worse; infinite for what is no number; None stays None."""
    if value is None:
        return None
    if not math.isfinite(value):
        return math.inf
    better = METRICS[metric].better if metric in METRICS else "neither"
    return {"lower": abs(value), "higher": -value, "neither": value}[better]


def first_given(records: Iterable[Record]) -> tuple[list[Record], int]:
    """Return one record of each model, protocol, kind, molecule and seed, the first given, and how many were left out.

    The same run in two folders counts once, and runs of one kind with other settings are not averaged with it. Of
    a user's own molecules, two of one name in two files are two (`namesakes` says which).
    """
    firsts: dict[tuple[object, ...], Record] = {}
    kept: dict[tuple[object, ...], Record] = {}
    n_all = 0
    for record in records:
        n_all += 1
        run = (*_kind(record), record.molecule, record.seed)
        other = _is_namesake(firsts.setdefault(run, record), record)
        kept.setdefault((*run, record.structure_sha256 if other else None), record)
    return list(kept.values()), n_all - len(kept)


def namesakes(records: Iterable[Record]) -> list[str]:
    """Return a sentence on each name that several molecules of a user's own have: tables and means take them as one."""
    firsts: dict[tuple[object, ...], Record] = {}
    found: dict[str, set[str]] = {}
    for record in records:
        first = firsts.setdefault((*_kind(record), record.molecule), record)
        if _is_namesake(first, record):
            found.setdefault(record.molecule, set()).update((first.structure_sha256, record.structure_sha256))
    return [
        f"{name} is the name of {len(structures)} structures, which count as one molecule; rename them in their files "
        "and run them again to tell them apart."
        for name, structures in found.items()
    ]


def _kind(record: Record) -> tuple[str, str, str]:
    """Return whose record of what it is: model, protocol, and its condition or heading."""
    kind = condition_of(record.settings) if record.protocol == "stability" else heading_of(record)
    return record.model_sha256, record.protocol, kind


def _is_namesake(first: Record, record: Record) -> bool:
    """Tell whether a user's molecule is another than the first of its name: brought to rest alike, it differs.

    Another reference's minimum of the same structure differs too, and is no other molecule.
    """
    known = record.split == "user" and bool(first.structure_sha256 and record.structure_sha256)
    alike = first.settings.get("reference") == record.settings.get("reference")
    return known and alike and first.structure_sha256 != record.structure_sha256


def _add(
    columns: dict[tuple[str, str], Column],
    source: str,
    metric: str,
    words: str,
    record: Record,
    value: float | None,
    *,
    once: bool = False,
) -> None:
    """Add a value where it was measured; `once` where every record of a molecule says the same."""
    if value is None:
        return
    column = columns.setdefault((source, metric), Column(source, metric, words))
    values = column.values.setdefault((record.model_sha256, record.molecule), [])
    if not (once and values):
        values.append(value)


def _n_atoms(formula: str) -> float | None:
    try:
        return float(len(Formula(formula)))
    except ValueError:
        return None
