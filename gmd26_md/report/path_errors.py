"""Force errors along the runs: by bonds from a functional group, and beside the static error of the same molecule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gmd26_md.records import Record

PATH, STATIC = "path_force_mae_eV_per_A", "force_mae_eV_per_A"
BY_BONDS = "force_mae_by_bonds_from_group_eV_per_A"
_N_RESAMPLES = 500


def path_over_static(records: Sequence[Record]) -> dict[str, list[float]]:
    """Return, by molecule, force MAE along each run over the static force MAE of the molecule.

    Molecules without a static error, and runs without labels, are not among them. Limit: the static error is a mean
    over reference frames, often of another temperature.
    """
    static = static_force_mae(records)
    found: dict[str, list[float]] = {}
    for record in records:
        path = record.metrics.get(PATH) if record.protocol == "stability" else None
        if path is not None and record.molecule in static:
            below = static[record.molecule]
            found.setdefault(record.molecule, []).append(path / below if below > 0.0 else float("nan"))
    return found


def static_force_mae(records: Sequence[Record]) -> dict[str, float]:
    """Return the static force MAE of each molecule that has one, eV/Å; the first record counts."""
    found: dict[str, float] = {}
    for record in records:
        value = record.metrics.get(STATIC) if record.protocol == "static-errors" else None
        if value is not None:
            found.setdefault(record.molecule, value)
    return found


def path_errors(records: Sequence[Record]) -> dict[str, Any]:
    """Return means over molecules, each with its spread: the ratio, and the force error by bonds from a group.

    Parameters
    ----------
    records
        Of one split: stability under one condition, and the static errors where there are some.
    """
    found: dict[str, Any] = {}
    ratios = list(path_over_static(records).values())
    if ratios:
        found["path_over_static_ratio"] = _mean(ratios)
    away: dict[int, dict[str, list[float]]] = {}
    for record in records:
        for bonds, error in (record.evidence.get(BY_BONDS) or {}).items():
            away.setdefault(int(bonds), {}).setdefault(record.molecule, []).append(float(error))
    if away:
        found[BY_BONDS] = {str(bonds): _mean(list(by_molecule.values())) for bonds, by_molecule in sorted(away.items())}
    return found


def _mean(molecules: list[list[float]]) -> dict[str, Any]:
    """Return the mean over molecules of their own means, with the spread from drawing molecules."""
    means = np.array([[np.mean(values)] for values in molecules])
    drawn = np.random.default_rng(0).integers(len(means), size=(_N_RESAMPLES, len(means)))
    samples = means[drawn, 0].mean(axis=1)
    unknown = len(means) == 1  # one molecule says nothing of others
    low, high = (np.nan, np.nan) if unknown else np.percentile(samples, [2.5, 97.5])
    return {
        "value": float(means.mean()),
        "standard_error": float("nan") if unknown else float(samples.std(ddof=1)),
        "low": float(low),
        "high": float(high),
        "n_molecules": len(means),
        "n_values": sum(len(values) for values in molecules),
    }
