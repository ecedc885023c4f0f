"""Summaries with static errors of known size, as a run folder's summary.json holds them."""

from __future__ import annotations

from typing import Any


def summary(
    task: str,
    family: str,
    force_mae: tuple[float, float],
    *,
    error: float = 0.01,
    cosine: tuple[float, float] = (0.9999, 0.99),
    magnitude: tuple[float, float] | None = None,
    energy: tuple[float, float] = (0.01, 40.0),
    model: str | None = None,
    training: dict[str, Any] | None = None,
    breakdown: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return a summary with (ID, OOD) of each column; `error` is the relative standard error of every number."""
    pairs = {
        "force_mae_eV_per_A": force_mae,
        "force_cosine": cosine,
        "force_magnitude_mae_eV_per_A": magnitude or force_mae,
        "energy_mae_eV": energy,
    }

    def spread(value: float) -> dict[str, float]:
        return {"value": value, "standard_error": error * value, "low": value, "high": value}

    splits = {
        name: {"static_errors": {metric: spread(pair[i]) for metric, pair in pairs.items()}}
        for i, name in enumerate(("id", "ood"))
    }
    if breakdown:
        for name in splits:
            splits[name]["breakdown"] = breakdown[name]
    return {
        "task": task,
        "family": family,
        "model": model or f"{family}-{task}",
        "model_sha256": f"{family} {task} {model}",
        "splits": splits,
        "level_of_theory": "gfn2-xtb",
        "training": {"steps": 1000, "seconds": 120.0} if training is None else training,
    }
