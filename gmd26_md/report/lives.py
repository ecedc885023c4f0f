"""What a stability record says of a run's life: under which condition it ran, how long it lived, what ended it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmd26_md.records import Record

ALIVE = ("faithful", "silent", "drifting", "censored")
"""Verdicts of runs that had not failed when they ended."""

KINDS = {
    "nonfinite_at_ps": "a number not finite",
    "too_hot_at_ps": "too hot",
    "bond_broken_at_ps": "bond off its length",
    "bond_broken_by_radii_at_ps": "bond beyond the radii",
    "clash_at_ps": "clash",
    "new_bond_at_ps": "new bond",
    "transfer_at_ps": "proton transfer",
    "inversion_at_ps": "inverted centre",
}
"""When each kind of failure first happened: the metric, and what it is called. Older records have no inversion."""


@dataclass(frozen=True)
class Life:
    """How long a run lived.

    Attributes
    ----------
    time_ps
        When it failed or was last seen alive; 0 for a run that could not be made.
    failed
        Whether it failed then.
    made
        Whether there was a run at all.
    """

    time_ps: float
    failed: bool
    made: bool


def condition_of(settings: dict[str, Any]) -> str:
    """Return temperature, ensemble and length of a stability run, as "300 K, NVE, 1 ps".

    What is not on record is left out, but for the ensemble, which was always NVE before it was a setting.
    """
    parts = [f"{settings['temperature_K']:g} K"] if "temperature_K" in settings else []
    parts.append(str(settings.get("ensemble", "nve")).upper())
    run_ps = settings.get("run_ps", settings.get("nve_ps"))
    return ", ".join([*parts, *([] if run_ps is None else [f"{run_ps:g} ps"])])


def by_condition(records: Iterable[Record]) -> dict[str, list[Record]]:
    """Return stability records by condition, the coldest first."""
    found: dict[str, list[Record]] = {}
    for record in records:
        if record.protocol == "stability":
            found.setdefault(condition_of(record.settings), []).append(record)
    return dict(sorted(found.items(), key=lambda item: (item[1][0].settings.get("temperature_K", 0.0), item[0])))


def length_ps(records: Sequence[Record]) -> float:
    """Return how long runs of one condition were asked to live, or the longest life where that is not on record."""
    settings = records[0].settings
    run_ps = settings.get("run_ps", settings.get("nve_ps"))
    if run_ps is None:
        return max(life_of(r).time_ps for r in records)
    parts = (settings.get("thermalise_ps", 0.0), run_ps)
    step = settings.get("timestep_fs")
    if step is None:
        return float(sum(parts))
    return sum(round(1000.0 * part / step) * step for part in parts) / 1000.0  # whole steps, as they are run


def life_of(record: Record) -> Life:
    """Return how long a run lived.

    It failed where something broke, reacted, clashed, ran hot or lost its numbers; a proton transfer counts, as it does
    in its verdict. A run that was cut, or of which only the reference failed, is censored. One that could not be made
    (an unknown element, a calculator that raised) failed at 0 ps: nothing leaves the denominator.
    """
    metrics = record.metrics
    alive = _number(metrics.get("alive_ps"))
    failed_at = _number(metrics.get("failed_at_ps"))
    if record.verdict in ALIVE or (record.verdict == "error" and alive is not None and failed_at is None):
        return Life(alive or 0.0, failed=False, made=alive is not None)
    events = [t for t in (failed_at, _number(metrics.get("transfer_at_ps"))) if t is not None]
    time_ps = min(events, default=alive)  # a graph that differs at the end has no time
    return Life(time_ps or 0.0, failed=True, made=time_ps is not None)


def lives_by_molecule(records: Sequence[Record]) -> list[NDArray[np.float64]]:
    """Return time and whether it failed then (1) or was censored (0), (n_runs, 2) a molecule, by name."""
    found: dict[str, list[list[float]]] = {}
    for record in sorted(records, key=lambda r: r.molecule):
        life = life_of(record)
        found.setdefault(record.molecule, []).append([life.time_ps, float(life.failed)])
    return [np.array(runs) for runs in found.values()]


def _number(value: float | None) -> float | None:
    """Return a time that is one, else None."""
    return value if value is not None and math.isfinite(value) else None
