"""Ways of pinning element energies as a table: a row a model and way."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ase.data import chemical_symbols

NOTE = "Only what no training molecule notices is moved: ID energies stay, and forces are never touched."
"""Where the ID molecules trained, or are as well known as if they had."""

_ID_MOVES = (
    "Only what no training molecule notices is moved: forces are never touched. ID molecules of this task did not "
    "train the model, and their energies move; those of what trained stay."
)
_BEST = (
    "best possible: least squares on the OOD energies; it has seen the answer, and another's MAE may be a little less."
)
_SAME_eV = 1e-6
_NOTHING_OPEN = "Training compositions fix every element: there is nothing to choose, and all ways are one."


def gauge_rows(found: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Return the heading and a row a model and way; found are the results of `evaluate.gauge`."""
    moved = "trained moved, eV" if _id_moves(found) else "ID moved, eV"
    rows = [["model", "pinned to", "E MAE ID, eV", "E MAE OOD, eV", "offset removed, eV", moved]]
    for model in found:
        for way in model["ways"]:
            rows.append([model["model"], way["pinned_to"], *_cells(way)])
    return rows


def gauge_notes(found: Sequence[dict[str, Any]]) -> list[str]:
    """Return what the compositions say, a line for each different answer, and how to read the table."""
    lines = dict.fromkeys(_identified(model) for model in found)
    reasons = dict.fromkeys(w["reason"] for model in found for w in model["ways"] if w["errors"] is None)
    return [*lines, *[f"-: {reason}." for reason in reasons], _ID_MOVES if _id_moves(found) else NOTE, _BEST]


def _id_moves(found: Sequence[dict[str, Any]]) -> bool:
    """Tell whether a way of pinning moves the ID energies of a model: of a task that did not train it."""
    for model in found:
        errors = [
            way["errors"]["id"]["energy_offset_eV"]["value"] for way in model["ways"] if "id" in (way["errors"] or {})
        ]
        if errors and max(errors) - min(errors) > _SAME_eV:
            return True
    return False


def _identified(model: dict[str, Any]) -> str:
    names = " ".join(chemical_symbols[z] for z in model["elements"])
    n_open = sum(not known for known in model["identifiable"].values())
    if not model["null_directions"]:
        return _NOTHING_OPEN
    return (
        f"Trained with {model['element_energies_from']} on compositions of rank {model['rank']} for "
        f"{len(model['elements'])} elements ({names}), which leave the energies of {n_open} of "
        f"{len(model['identifiable'])} molecules open."
    )


def _cells(way: dict[str, Any]) -> list[str]:
    errors = way["errors"]
    if errors is None:
        return ["-"] * 4
    return [
        _cell(errors, "id", "energy_mae_eV", 4),
        _cell(errors, "ood", "energy_mae_eV", 3),
        _cell(errors, "ood", "energy_offset_removed_mae_eV", 3),
        f"{way['training_shift_max_eV']:.0e}",
    ]


def _cell(errors: dict[str, Any], split: str, metric: str, digits: int) -> str:
    if split not in errors:
        return "-"
    value, error = errors[split][metric]["value"], errors[split][metric]["standard_error"]
    if not math.isfinite(value):
        return "not finite"
    return f"{value:.{digits}f} ± {error:.{digits}f}" if math.isfinite(error) else f"{value:.{digits}f}"
