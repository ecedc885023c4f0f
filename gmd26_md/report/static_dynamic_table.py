"""The table and the correlations of static beside dynamic, as rows of text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from gmd26_md.records import VERDICTS
from gmd26_md.report.stability_table import p_words

_MISSING = "-"


def model_rows(found: dict[str, Any]) -> list[list[str]]:
    """Return the heading and a row a model and condition: static errors, life, drift, truth and verdicts by split."""
    splits = [s for s in ("id", "ood", "user") if any(s in m["splits"] for m in found["models"])]
    rows = [["model", "run", *[f"{name}, {_title(s)}" for name, *_ in _COLUMNS for s in splits], "log-rank p"]]
    for model in found["models"]:
        conditions = list(dict.fromkeys(c for part in model["splits"].values() for c in part["stability"]))
        for condition in conditions or [""]:
            cells = [
                cell(model["splits"].get(split, {}), condition, digits)
                for _, cell, digits in _COLUMNS
                for split in splits
            ]
            test = model["log_rank"].get(condition)
            p = _MISSING if test is None or test["p_permuted"] is None else p_words(test["p_permuted"])
            rows.append([model["label"], condition or _MISSING, *cells, p])
    return rows


def correlation_rows(correlations: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Return the heading and a row a correlation that is defined, in the order given."""
    rows = [["level", "predictor", "outcome", "rho", "95 %", "n", "models", "p", "adjusted p"]]
    for c in correlations:
        if c["rho"] is not None:
            interval = _MISSING if c["low"] is None else f"{c['low']:+.2f} to {c['high']:+.2f}"
            ends = [str(c["n"]), str(c["n_models"]), f"{c['p']:.4f}", f"{c['p_adjusted']:.4f}"]
            rows.append([c["level"], c["predictor"], c["outcome"], f"{c['rho']:+.2f}", interval, *ends])
    return rows


def _static(split: dict[str, Any], condition: str, digits: int) -> str:
    return _mean(split.get("static_errors", {}).get("force_mae_eV_per_A"), digits)


def _survival(split: dict[str, Any], condition: str, digits: int) -> str:
    life = _run(split, condition).get("survival")
    if life is None:
        return _MISSING
    value, low, high = (f"{100 * life['survival'][key]:.{digits}f}" for key in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def _drift(split: dict[str, Any], condition: str, digits: int) -> str:
    return _mean(_metric(split, condition, "absolute_energy_drift_meV_per_atom_per_ps"), digits)


def _path(split: dict[str, Any], condition: str, digits: int) -> str:
    return _mean(_metric(split, condition, "path_force_mae_eV_per_A"), digits)


def _ratio(split: dict[str, Any], condition: str, digits: int) -> str:
    return _mean(_run(split, condition).get("path_errors", {}).get("path_over_static_ratio"), digits)


def _true_energy(split: dict[str, Any], condition: str, digits: int) -> str:
    return _mean(_metric(split, condition, "true_energy_change_max_meV_per_atom"), digits)


def _verdicts(split: dict[str, Any], condition: str, digits: int) -> str:
    counts = _run(split, condition).get("verdicts", {})
    return ", ".join(f"{v} {counts[v]}" for v in VERDICTS if counts.get(v)) or _MISSING


_COLUMNS = (
    ("static F MAE, eV/Å", _static, 4),
    ("survival, %", _survival, 0),
    ("drift, meV/atom/ps", _drift, 3),
    ("F MAE on the run, eV/Å", _path, 4),
    ("over static", _ratio, 2),
    ("true-energy change, meV/atom", _true_energy, 1),
    ("verdicts", _verdicts, 0),
)


def _run(split: dict[str, Any], condition: str) -> dict[str, Any]:
    part: dict[str, Any] = split.get("stability", {}).get(condition, {})
    return part


def _metric(split: dict[str, Any], condition: str, name: str) -> dict[str, Any] | None:
    found: dict[str, Any] | None = _run(split, condition).get("metrics", {}).get(name)
    return found


def _mean(spread: dict[str, Any] | None, digits: int) -> str:
    if spread is None:
        return _MISSING
    value, error = float(spread["value"]), float(spread["standard_error"])
    if not math.isfinite(value):
        return "not finite"
    return f"{value:.{digits}f} ± {error:.{digits}f}" if math.isfinite(error) else f"{value:.{digits}f}"


def _title(split: str) -> str:
    return {"id": "ID", "ood": "OOD", "user": "yours"}[split]
