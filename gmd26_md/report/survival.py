"""How long runs lived: survival with its interval, the mean life, first failures by kind, ID against OOD."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

import numpy as np

from gmd26_md.observables.logrank import clustered_log_rank
from gmd26_md.observables.statistics import Spread
from gmd26_md.observables.survival import clustered_survival, kaplan_meier
from gmd26_md.records import Record
from gmd26_md.report.lives import KINDS, by_condition, length_ps, life_of, lives_by_molecule


def survival_of(records: Sequence[Record]) -> dict[str, Any]:
    """Return the survival of the runs of one split under one condition; times in ps."""
    end_ps = length_ps(records)
    molecules = lives_by_molecule(records)
    (end,), mean = clustered_survival(molecules, [end_ps], end_ps)
    runs = np.concatenate(molecules)
    curve = kaplan_meier(runs[:, 0], [bool(f) for f in runs[:, 1]])
    lives = [life_of(r) for r in records]
    return {
        "at_ps": end_ps,
        "survival": _number(end),
        "restricted_mean_ps": _number(mean),
        "n_runs": len(records),
        "n_failed": sum(life.failed for life in lives),
        "n_not_made": sum(not life.made for life in lives),
        "curve": {"time_ps": curve.time_ps.tolist(), "probability": curve.probability.tolist()},
        "first_failures": first_failures(records),
    }


def first_failures(records: Sequence[Record]) -> dict[str, Any]:
    """Return, of each kind of failure that happened: in how many runs, the earliest, and the median time, ps.

    Several kinds may happen in one run, and what ends it hides what would have followed.
    """
    found = {}
    for metric in KINDS:
        times = [t for r in records if (t := r.metrics.get(metric)) is not None]
        if times:
            found[metric] = {"n_runs": len(times), "earliest_ps": min(times), "median_ps": median(times)}
    return found


def compared(records: Sequence[Record]) -> dict[str, Any]:
    """Return the log-rank test of OOD against ID runs under each condition that has both."""
    found = {}
    for condition, runs in by_condition(records).items():
        known, unseen = ([r for r in runs if r.split == split] for split in ("id", "ood"))
        if known and unseen:
            found[condition] = asdict(clustered_log_rank(lives_by_molecule(known), lives_by_molecule(unseen)))
    return found


def _number(spread: Spread) -> dict[str, Any]:
    return {key: getattr(spread, key) for key in ("value", "standard_error", "low", "high", "n_molecules")}
