"""Why a run got its verdict: the checks, what decided, where it broke, and what its neighbours did, from records."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from gmd26_md.records import SPLITS, Record
from gmd26_md.report.checks import METRIC_OF, Check, checks_of
from gmd26_md.report.lives import KINDS, condition_of, life_of
from gmd26_md.report.path_errors import BY_BONDS, PATH, static_force_mae
from gmd26_md.report.sections import heading_of


def reasoning(record: Record, records: Sequence[Record]) -> dict[str, Any]:
    """Return the reasoning behind one stability record; JSON-safe but for NaN. None says what is not on record.

    Parameters
    ----------
    records
        All records of its run folder: other seeds and conditions, the ID mean, static errors, other protocols.
    """
    runs = [r for r in records if r.protocol == "stability"]
    checks = checks_of(record)
    same_condition = [r for r in runs if condition_of(r.settings) == condition_of(record.settings)]
    return {
        "model": record.model,
        "molecule": record.molecule,
        "formula": record.formula,
        "split": record.split,
        "condition": condition_of(record.settings),
        "seed": record.seed,
        "verdict": record.verdict,
        "reason": record.reason,
        "checks": [asdict(c) for c in checks],
        "decided": record.evidence.get("decided"),
        "where": _where(record),
        "along": _along(record, static_force_mae(records).get(record.molecule)),
        "force_mae_by_bonds_from_group_eV_per_A": record.evidence.get(BY_BONDS),
        "neighbours": {
            "other_seeds": [_other(r) for r in same_condition if r.molecule == record.molecule and r is not record],
            "other_conditions": [_other(r) for r in runs if r.molecule == record.molecule and r not in same_condition],
            "splits": _splits(same_condition, *_deciding(checks)),
        },
        "other_protocols": _other_protocols(record, records),
        "files": {
            "trajectory": record.trajectory,
            "labels": record.evidence.get("labels"),
            "last_frames": record.evidence.get("last_frames"),
        },
    }


def _where(record: Record) -> dict[str, Any]:
    """Return where it first went wrong: known, nothing, or not on record."""
    if "where" not in record.evidence:
        looked_for = [name for name in KINDS if name != "inversion_at_ps"]  # which older records do not have
        on_record = all(name in record.metrics for name in looked_for)
        nothing = on_record and all(record.metrics.get(name) is None for name in KINDS)
        return {"on_record": nothing, "place": None}
    return {"on_record": True, "place": record.evidence["where"]}


def _along(record: Record, static: float | None) -> dict[str, Any]:
    """Return how the force error went along the run, beside the static error of the molecule, eV/Å."""
    mean = record.metrics.get(PATH)
    found: dict[str, Any] = {
        "mean_eV_per_A": mean,
        "static_eV_per_A": static,
        "mean_over_static_ratio": None if mean is None or not static else mean / static,
        "series": None,
    }
    along = record.evidence.get("along")
    if not along:
        return found
    times = np.array(along["time_ps"], dtype=float)
    errors = np.array(along["force_mae_eV_per_A"], dtype=float)
    known = np.isfinite(errors)
    if not known.any():
        return found | {"series": {"n_frames": len(errors), "n_not_finite": len(errors)}}
    worst = int(np.nanargmax(np.where(known, errors, -np.inf)))
    thirds = [part[np.isfinite(part)] for part in np.array_split(errors, 3)]
    series: dict[str, Any] = {
        "n_frames": len(errors),
        "n_not_finite": int(np.count_nonzero(~known)),
        "from_ps": float(times[0]),
        "to_ps": float(times[-1]),
        "worst_eV_per_A": float(errors[worst]),
        "worst_at_ps": float(times[worst]),
        "thirds_eV_per_A": [float(part.mean()) if part.size else None for part in thirds],
    }
    change = along.get("true_energy_change_meV_per_atom")
    if change:
        energies = np.array(change, dtype=float)
        series["true_energy_change_end_meV_per_atom"] = float(energies[-1])
        if np.isfinite(energies).any():
            farthest = int(np.nanargmax(np.abs(np.where(np.isfinite(energies), energies, 0.0))))
            series["true_energy_change_max_meV_per_atom"] = float(energies[farthest])
            series["true_energy_change_max_at_ps"] = float(times[farthest])
    return found | {"series": series}


def _other(record: Record) -> dict[str, Any]:
    life = life_of(record)
    return {
        "condition": condition_of(record.settings),
        "seed": record.seed,
        "verdict": record.verdict,
        "failed_at_ps": life.time_ps if life.failed and life.made else None,
        "reason": record.reason,
    }


def _deciding(checks: Sequence[Check]) -> tuple[str, str]:
    """Return the metric that decided and its unit; of a run that no number decided, its relative force error."""
    measured = [c for c in checks if c.by in METRIC_OF]
    chosen = next((c for c in measured if c.decided), None)
    chosen = chosen or next((c for c in measured if c.by == "force_ratio"), None)
    return (METRIC_OF[chosen.by], chosen.unit) if chosen else (METRIC_OF["force_ratio"], "")


def _splits(runs: Sequence[Record], metric: str, unit: str) -> dict[str, Any]:
    """Return verdict counts and the mean of the deciding number, of each split under the same condition."""
    found: dict[str, Any] = {}
    for split in SPLITS:
        mine = [r for r in runs if r.split == split]
        if not mine:
            continue
        values = [v for r in mine if (v := r.metrics.get(metric)) is not None]
        finite = [abs(v) for v in values if math.isfinite(v)]
        found[split] = {
            "verdicts": dict(Counter(r.verdict for r in mine)),
            "n_runs": len(mine),
            "metric": metric,
            "unit": unit,
            "mean": sum(finite) / len(finite) if finite else None,
            "n_not_finite": len(values) - len(finite),
        }
    return found


def _other_protocols(record: Record, records: Sequence[Record]) -> list[dict[str, str]]:
    """Return what other protocols of the folder said of the same molecule in words."""
    return [
        {"protocol": heading_of(r), "reason": r.reason}
        for r in records
        if r.molecule == record.molecule and r.protocol not in ("stability", "static-errors") and r.reason
    ]
