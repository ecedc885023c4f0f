"""What the records of a run folder come to: ID beside OOD, a spread beside every mean, every run in the denominator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from gmd26_md.observables.errors import FrameSums, pooled_with_spread
from gmd26_md.observables.statistics import Spread, mean_of_all, spreads
from gmd26_md.records import VERDICTS, Record

SPLITS = ("id", "ood", "user")
# Numbers of a stability run that are averaged; those that are None (it did not happen) are left out and counted.
_DYNAMIC = (
    "alive_ps",
    "temperature_mean_K",
    "energy_drift_meV_per_atom_per_ps",
    "energy_rms_meV_per_atom",
    "path_force_mae_eV_per_A",
    "path_force_mae_relative_ratio",
    "true_energy_change_max_meV_per_atom",
)
_RELAXATION = (
    "converged_fraction",
    "n_steps",
    "rmsd_A",
    "heavy_rmsd_A",
    "reference_fmax_eV_per_A",
    "reference_energy_above_minimum_eV",
)


def summarise(records: Sequence[Record], static: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return the summary of a folder's records; JSON-safe but for NaN, which stays.

    Parameters
    ----------
    records
        Any protocols, one model.
    static
        Static errors by frame, (n_frames, 8) by molecule slug, for pooling with a spread over molecules and frames.
    """
    if not records:
        return {"n_records": 0, "splits": {}}
    first = records[0]
    return {
        "model": first.model,
        "model_sha256": first.model_sha256,
        "family": first.family,
        "task": first.task,
        "device": first.device,
        "n_records": len(records),
        "splits": {s: _split([r for r in records if r.split == s], static) for s in SPLITS if _any(records, s)},
        "failures": [_failure(r) for r in records if r.protocol == "stability" and r.verdict != "faithful"],
    }


def _any(records: Sequence[Record], split: str) -> bool:
    return any(r.split == split for r in records)


def _split(records: list[Record], static: dict[str, np.ndarray]) -> dict[str, Any]:
    runs = [r for r in records if r.protocol == "stability"]
    errors = [r for r in records if r.protocol == "static-errors"]
    relaxed = [r for r in records if r.protocol == "relaxation"]
    found: dict[str, Any] = {"n_molecules": len({r.molecule for r in records})}
    tables = [FrameSums(static[_slug(r)]) for r in errors if _slug(r) in static]
    if tables:
        found["static_errors"] = {k: _spread(v) for k, v in pooled_with_spread(tables).items()}
    if runs:
        found["stability"] = _stability(runs)
    for start in sorted({str(r.settings["start"]) for r in relaxed}):
        chosen = [r for r in relaxed if r.settings["start"] == start]
        found.setdefault("relaxation", {})[start] = {
            "n_runs": len(chosen),
            "judgements": dict(Counter(r.reason.split(":")[0] for r in chosen)),
            "metrics": _means(chosen, _RELAXATION),
        }
    return found


def _slug(record: Record) -> str:
    return record.molecule.replace(" ", "-").replace(",", "_")


def _stability(runs: list[Record]) -> dict[str, Any]:
    counts = Counter(r.verdict for r in runs)
    means = _means(runs, _DYNAMIC)
    drift = _means(runs, ("energy_drift_meV_per_atom_per_ps",), size=True)
    means |= {f"absolute_{k}": v for k, v in drift.items()}
    return {
        "n_runs": len(runs),
        "n_seeds": len({r.seed for r in runs}),
        "verdicts": {v: counts[v] for v in VERDICTS if counts[v]},
        "faithful_fraction": _spread(_fraction(runs, "faithful")),
        "alive_fraction": _spread(_fraction(runs, "faithful", "silent", "drifting", "censored")),
        "metrics": means,
    }


def _fraction(runs: list[Record], *verdicts: str) -> Spread:
    """Return the share of runs with one of these verdicts, molecules resampled first, seeds second."""
    groups = [np.array([[float(r.verdict in verdicts)] for r in group]) for group in _by_molecule(runs)]
    return spreads(groups, mean_of_all)[0]


def _means(runs: list[Record], names: Sequence[str], *, size: bool = False) -> dict[str, Any]:
    """Return mean and spread of metrics over runs; a NaN stays NaN, a None is left out and counted."""
    found: dict[str, Any] = {}
    for name in names:
        groups = []
        for group in _by_molecule(runs):
            values = [r.metrics.get(name) for r in group]
            numbers = [abs(v) if size else v for v in values if v is not None]
            if numbers:
                groups.append(np.array(numbers, dtype=float)[:, None])
        if groups:
            n_missing = len(runs) - sum(len(g) for g in groups)
            found[name] = _spread(spreads(groups, mean_of_all)[0]) | {"n_missing": n_missing}
    return found


def _by_molecule(runs: list[Record]) -> list[list[Record]]:
    return [[r for r in runs if r.molecule == name] for name in sorted({r.molecule for r in runs})]


def _spread(spread: Spread) -> dict[str, Any]:
    return {
        "value": spread.value,
        "standard_error": spread.standard_error,
        "low": spread.low,
        "high": spread.high,
        "n_molecules": spread.n_molecules,
        "n_values": spread.n_frames,
    }


def _failure(record: Record) -> dict[str, Any]:
    keys = ("failed_at_ps", "path_force_mae_eV_per_A", "energy_drift_meV_per_atom_per_ps")
    return {
        "molecule": record.molecule,
        "split": record.split,
        "seed": record.seed,
        "verdict": record.verdict,
        "reason": record.reason,
        "trajectory": record.trajectory,
        **{key: record.metrics.get(key) for key in keys},
    }
