"""Figures of force errors: direction and length, by chain length, by bonds from a group, static against dynamic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gmd26_md.page.cloud import cloud
from gmd26_md.page.common import by_molecule, figure_name, mean, of_protocol, runs_of, shown_models
from gmd26_md.page.content import TITLES, Model, TaskContent, n_carbon
from gmd26_md.page.figure import Axis, Figure, Panel, Series, numbers
from gmd26_md.page.style import look_of, split_look
from gmd26_md.records import Record
from gmd26_md.report.path_errors import BY_BONDS, PATH, STATIC

_MAGNITUDE, _COSINE = "force_magnitude_mae_eV_per_A", "force_cosine"
_SPLIT_WORDS = "filled ID, open OOD"


def direction_and_length(task: TaskContent) -> Figure:
    """Return, a point a molecule, the error of the forces' direction against that of their length."""
    models, left_out = shown_models(task)
    series = []
    for model in models:
        for split in task.splits:
            records = [r for r in of_protocol(model, "static-errors", split) if _has(r, _MAGNITUDE, _COSINE)]
            pairs = [(r.metrics[_MAGNITUDE] or 0.0, 1.0 - (r.metrics[_COSINE] or 0.0), r.molecule) for r in records]
            points = [(x, y, name, f": length error {x:.4f} eV/Å, 1 − cos {y:.2g}") for x, y, name in sorted(pairs)]
            series += cloud(task, model, split, points)
    axes = Axis("MAE of the length, eV/Å", log=True), Axis("1 − mean cosine", log=True)
    return Figure(
        figure_name(task, "direction-and-length"),
        "Direction and length of the forces",
        f"A point a molecule, on reference frames: to the right the forces are too long or too short, upward they "
        f"point elsewhere; {_SPLIT_WORDS}.{left_out}",
        (Panel("", *axes, tuple(series)),) if series else (),
    )


def static_against_dynamic(task: TaskContent, condition: str) -> Figure:
    """Return, a point a molecule, the static force error against that along the model's own runs."""
    models, left_out = shown_models(task)
    series = []
    for model in models:
        static = {r.molecule: r.metrics.get(STATIC) for r in of_protocol(model, "static-errors")}
        for split in task.splits:
            pairs = []
            for molecule, runs in by_molecule(runs_of(model, condition, split)).items():
                x, y = static.get(molecule), mean(r.metrics.get(PATH) for r in runs)
                if x is not None and y is not None:
                    pairs.append((x, y, molecule))
            points = [(x, y, name, f": static {x:.4f}, on the run {y:.4f} eV/Å") for x, y, name in sorted(pairs)]
            series += cloud(task, model, split, points)
    axes = Axis("force MAE on reference frames, eV/Å", log=True), Axis("force MAE along the run, eV/Å", log=True)
    return Figure(
        figure_name(task, "static-against-dynamic", condition, task.conditions),
        "Static against dynamic",
        f"{condition}. A point a molecule, the mean over its seeds: on the line the run is as wrong as the reference "
        f"frames foretold, above it worse; {_SPLIT_WORDS}.{left_out}",
        (Panel("", *axes, tuple(series), diagonal=True),) if series else (),
    )


def by_chain_length(task: TaskContent) -> Figure:
    """Return force errors by number of carbon atoms: on reference frames, and along the runs of each condition."""
    models, left_out = shown_models(task)
    panels = []
    for condition in ("", *task.conditions):
        title = f"along the runs, {condition}" if len(task.conditions) > 1 else "along the runs"
        series = [
            s for model in models for split in task.splits if (s := _by_carbon(model, split, condition)) is not None
        ]
        if series:
            x, y = Axis("carbon atoms"), Axis("force MAE, eV/Å", log=True)
            panels.append(Panel(title if condition else "on reference frames", x, y, tuple(series)))
    return Figure(
        figure_name(task, "by-chain-length"),
        "Error by chain length",
        f"Mean over molecules and seeds of one length; bars are the standard error over runs, "
        f"where there is more than one; "
        f"{_SPLIT_WORDS}.{left_out}",
        tuple(panels),
    )


def _by_carbon(model: Model, split: str, condition: str) -> Series | None:
    """Return force errors along the runs under a condition, on reference frames if it is empty; None of none."""
    records = runs_of(model, condition, split) if condition else of_protocol(model, "static-errors", split)
    metric = PATH if condition else STATIC
    found: dict[int, list[float]] = {}
    for record in records:
        value = record.metrics.get(metric)
        if value is not None and np.isfinite(value):
            found.setdefault(n_carbon(record.molecule, record.formula), []).append(value)
    if not found:
        return None
    ordered = sorted(found.items())
    means = [float(np.mean(v)) for _, v in ordered]
    errors = [float(np.std(v, ddof=1) / np.sqrt(len(v))) if len(v) > 1 else 0.0 for _, v in ordered]
    return Series(
        model.label,
        numbers(n for n, _ in ordered),
        numbers(means),
        split_look(model.index, split),
        low=numbers(m - e for m, e in zip(means, errors, strict=True)),
        high=numbers(m + e for m, e in zip(means, errors, strict=True)),
        texts=tuple(f"{model.label}, {n} C: {m:.4f} eV/Å" for (n, _), m in zip(ordered, means, strict=True)),
    )


def by_bonds(task: TaskContent, condition: str) -> Figure:
    """Return force errors along the runs by bonds from the nearest functional group, a panel a split."""

    def part(model: Model, split: str) -> dict[str, Any]:
        runs = model.summary["splits"].get(split, {}).get("stability", {}).get(condition, {})
        found: dict[str, Any] = runs.get("path_errors", {}).get(BY_BONDS, {})
        return found

    words = (
        f"{condition}. Force MAE along the runs by how many bonds an atom is from the nearest functional group (0: in "
        "it), the mean over molecules with its standard error."
    )
    name = figure_name(task, "by-bonds-from-group", condition, task.conditions)
    return bonds_figure(task, name, words, part)


def bonds_figure(task: TaskContent, name: str, words: str, part: Callable[[Model, str], dict[str, Any]]) -> Figure:
    """Return spreads by bonds from the new fragment, a panel a split."""
    models, left_out = shown_models(task)
    panels = []
    for split in task.splits:
        series = []
        for model in models:
            found = sorted((int(n), spread) for n, spread in part(model, split).items())
            if found:
                means = [s["value"] for _, s in found]
                errors = [0.0 if np.isnan(s["standard_error"]) else s["standard_error"] for _, s in found]
                series.append(
                    Series(
                        model.label, numbers(n for n, _ in found), numbers(means), look_of(model.index),
                        low=numbers(m - e for m, e in zip(means, errors, strict=True)),
                        high=numbers(m + e for m, e in zip(means, errors, strict=True)),
                        texts=tuple(f"{model.label}, {n} bonds: {m:.4f} eV/Å" for (n, _), m in
                                    zip(found, means, strict=True)),
                    )
                )  # fmt: skip
        if series:
            x, y = Axis("bonds from a functional group"), Axis("force MAE, eV/Å", log=True)
            panels.append(Panel(TITLES[split], x, y, tuple(series)))
    return Figure(name, "Error by distance from the fragment", words + left_out, tuple(panels))


def _has(record: Record, *metrics: str) -> bool:
    return all(record.metrics.get(m) is not None for m in metrics)


def figures(task: TaskContent) -> list[Figure]:
    """Return the figures of a task; those without a point are left out."""
    made = [direction_and_length(task), by_chain_length(task)]
    for condition in task.conditions:
        made += [static_against_dynamic(task, condition), by_bonds(task, condition)]
    return [figure for figure in made if not figure.empty]
