"""Distances from the training set as tables for people."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

SPACES = {"soap": "SOAP", "model": "own"}
"""What a space is called in a heading."""

_SETS = {"all": "all", "id": "ID", "ood": "OOD"}


def atom_rows(molecule: dict[str, Any]) -> list[list[str]]:
    """Return a table of one molecule's atoms: of each space the two distances and the percentile of the second."""
    spaces = [space for space in SPACES if space in molecule["summary"]]
    head = ["atom", "element"]
    for space in spaces:
        head += [f"nearest, {SPACES[space]}", f"Mahalanobis, {SPACES[space]}", "beyond, %"]
    rows = [head]
    for entry in molecule["atoms"]:
        row = [str(entry["atom"]), entry["element"]]
        for space in spaces:
            found = entry[space]
            row += [_number(found["nearest"]), _number(found["mahalanobis"]), _percent(found["mahalanobis_percentile"])]
        rows.append(row)
    return rows


def molecule_rows(molecules: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Return a table of molecules: of each space mean and largest Mahalanobis distance, and how many atoms are far."""
    spaces = [space for space in SPACES if space in molecules[0]["summary"]]
    head = ["molecule"]
    for space in spaces:
        head += [f"mean, {SPACES[space]}", f"max, {SPACES[space]}", "far, %"]
    rows = [head]
    for molecule in molecules:
        row = [molecule["molecule"]]
        for space in spaces:
            found = molecule["summary"][space]
            row += [
                _number(found["mahalanobis_mean"]),
                _number(found["mahalanobis_max"]),
                f"{100.0 * found['mahalanobis_far_fraction']:.0f}",
            ]
        rows.append(row)
    return rows


def by_molecule_rows(models: Sequence[dict[str, Any]], task: str) -> list[list[str]]:
    """Return a table of a task's molecules: how far in SOAP space, and each model's own distance and force error."""
    spaces = {
        space for space in SPACES if any(f"{space} mahalanobis" in m for model in models for m in model["by_molecule"])
    }
    first = next(
        (m["by_molecule"] for m in models if "soap mahalanobis" in m["by_molecule"][0]), models[0]["by_molecule"]
    )
    rows = [["molecule", "split"]]
    if "soap" in spaces:
        rows[0] += ["Mahalanobis, SOAP", "far, %"]
    for model in models:
        label = model["model"].removesuffix(f"-{task}")
        rows[0] += [f"{label}: own"] * ("model" in spaces) + [f"{label}: F MAE"]
    for i, molecule in enumerate(first):
        row = [molecule["molecule"], _SETS.get(molecule["split"], molecule["split"])]
        if "soap" in spaces:
            row += [_number(molecule["soap mahalanobis"]), f"{100.0 * molecule['far_fraction']['soap']:.0f}"]
        for model in models:
            mine = model["by_molecule"][i]
            if "model" in spaces:  # a model without is one that nothing was fitted for
                row.append(_number(mine["model mahalanobis"]) if "model mahalanobis" in mine else "not fitted")
            row.append(f"{mine['force_mae_eV_per_A']:.4f}")
        rows.append(row)
    return rows


def split_rows(models: Sequence[dict[str, Any]], where: str) -> list[list[str]]:
    """Return a table of how far the molecules of each split are, and what being far says of an atom.

    Parameters
    ----------
    models
        As the command's JSON has them.
    where
        "frames" or "own_runs".
    """
    head = ["model", "space", "split", "Mahalanobis", "far, %", "error far", "error near", "of the worst 5 %, far"]
    rows = [head]
    for model in models:
        for space, words in SPACES.items():
            for name in ("id", "ood"):
                found = model[where].get(name)
                if found is None or space not in found["far"]:
                    continue
                far = found["far"][space]
                rows.append(
                    [
                        model["model"],
                        words,
                        _SETS[name],
                        _number(found["median_distance"][f"{space} mahalanobis"]),
                        f"{100.0 * far['far_fraction']:.1f}",
                        _error(far["far_error_eV_per_A"]),
                        _error(far["near_error_eV_per_A"]),
                        f"{100.0 * far['worst_far_fraction']:.0f} %",
                    ]
                )
    return rows


def correlation_rows(models: Sequence[dict[str, Any]], where: str, level: str) -> list[list[str]]:
    """Return a table of rank correlations with the force error, a row a model and a column of numbers.

    Parameters
    ----------
    level
        "atoms" or "molecules".
    """
    names = [name for name in _SETS if any(name in model[where] for model in models)]
    rows = [["model", "number", *[f"{_SETS[name]} {level}" for name in names]]]
    for model in models:
        sets = model[where]
        if not sets:
            continue
        for column in next(iter(sets.values()))[level]:
            cells = [_interval(sets[name][level][column]) if name in sets else "" for name in names]
            if any(cells):
                rows.append([model["model"], _words(column), *cells])
    return rows


def element_rows(models: Sequence[dict[str, Any]], where: str, name: str) -> list[list[str]]:
    """Return a table of rank correlations with the force error over atoms of one element, of one set of molecules."""
    symbols = sorted({s for model in models if name in model[where] for s in model[where][name]["by_element"]})
    rows = [["model", "number", *symbols]]
    for model in models:
        found = model[where].get(name)
        if found is None:
            continue
        for column in found["atoms"]:
            cells = [_interval(found["by_element"].get(s, {}).get(column)) for s in symbols]
            if any(cells):
                rows.append([model["model"], _words(column), *cells])
    return rows


def outcome_rows(found: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Return a table of rank correlations with outcomes of dynamics, a row a predictor, a column an outcome."""
    outcomes = list(dict.fromkeys(row["outcome"] for row in found))
    predictors = list(dict.fromkeys(row["predictor"] for row in found))
    cells = {(row["predictor"], row["outcome"]): _interval(row) for row in found}
    return [
        ["number", *outcomes],
        *([_words(p), *[cells.get((p, outcome), "") for outcome in outcomes]] for p in predictors),
    ]


def words(found: dict[str, Any]) -> list[str]:
    """Return what the numbers of molecules are, and what is to be said of elements, a line each."""
    lines = [
        "1 is the median of held-out frames of the training molecules, atom by atom of the same element.",
        "far: an atom beyond 99 % of them.",
        "SOAP: the same for all models. own: the model's own features of its atoms.",
    ]
    for molecule in found["molecules"]:
        unseen = molecule["elements_not_in_training"]
        if unseen:
            verb = "is" if len(unseen) == 1 else "are"
            lines.append(
                f"{molecule['molecule']}: {', '.join(unseen)} {verb} not in the training set; such atoms, and what "
                "sees them, are infinitely far."
            )
    return lines


def study_words(found: dict[str, Any]) -> list[str]:
    """Return what is to be said below the tables of a study, a line each."""
    lines = [
        "error: mean absolute error of an atom's force components, eV/Å.",
        "In brackets: 95 %, molecules drawn first, frames second.",
    ]
    without = found.get("without_frames", [])
    if without:
        more = f" and {len(without) - 3} more" if len(without) > 3 else ""
        lines.append(f"Without reference frames, and so not in the tables: {', '.join(without[:3])}{more}.")
    return lines


def study_tables(found: dict[str, Any]) -> list[tuple[str, list[list[str]]]]:
    """Return the tables of a study with their titles; one without rows is a heading only."""
    models, task = found["models"], found["task"]
    tables = [(f"{task}: mean distance and force error of each molecule, eV/Å", by_molecule_rows(models, task))]
    alone = "ood" if any("ood" in model["frames"] for model in models) else "all"
    for where, words_ in (("frames", "reference frames"), ("own_runs", "the models' own runs")):
        tables += [
            (f"{task}: how far the atoms are, and what being far says ({words_})", split_rows(models, where)),
            (
                f"{task}: rank correlation with an atom's force error ({words_})",
                correlation_rows(models, where, "atoms"),
            ),
            (
                f"{task}: the same over {_SETS[alone]} atoms of one element ({words_})",
                element_rows(models, where, alone),
            ),
            (
                f"{task}: rank correlation of molecules' means ({words_})",
                correlation_rows(models, where, "molecules"),
            ),
        ]
    tables.append(
        (f"{task}: rank correlation with outcomes of dynamics, within each model", outcome_rows(found["outcomes"]))
    )
    return tables


def _words(column: str) -> str:
    """Return a column's name for people: "soap nearest" is "nearest, SOAP"."""
    space, _, rest = column.partition(" ")
    if space not in SPACES:
        return column
    return f"{rest.replace('mahalanobis', 'Mahalanobis')}, {SPACES[space]}"


def _interval(found: dict[str, Any] | None) -> str:
    """Return a correlation with its limits, empty where there is none."""
    value = None if found is None else found.get("rho", found.get("value"))
    if found is None or value is None or math.isnan(value):
        return ""
    low, high = found["low"], found["high"]
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return f"{value:.2f}"
    return f"{value:.2f} [{low:.2f}, {high:.2f}]"


def _number(value: float) -> str:
    if math.isinf(value):
        return "inf"
    return f"{value:.2f}" if value < 100.0 else f"{value:.0f}"


def _percent(value: float) -> str:
    """Return a percentile; 100 says that no held-out environment is as far."""
    if value >= 100.0:
        return "100"
    return ">99.9" if value > 99.9 else f"{value:.1f}"


def _error(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.4f}"
