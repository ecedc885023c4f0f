"""Figures of the runs: how long they live, what they drift, and how wrong their forces are along the way."""

from __future__ import annotations

import numpy as np

from gmd26_md.observables.survival import kaplan_meier
from gmd26_md.page.cloud import Point, cloud
from gmd26_md.page.common import figure_name, runs_of, shown_models
from gmd26_md.page.content import TITLES, Model, TaskContent
from gmd26_md.page.figure import Axis, Figure, Panel, Series, numbers
from gmd26_md.page.limits import MAX_POINTS, thinned
from gmd26_md.page.style import look_of
from gmd26_md.records import Record
from gmd26_md.report.checks import thresholds_of
from gmd26_md.report.lives import length_ps, life_of

_DRIFT = "energy_drift_meV_per_atom_per_ps"


def survival(task: TaskContent, condition: str) -> Figure:
    """Return Kaplan-Meier curves, a panel a split, with the interval of the summary at the end."""
    models, left_out = shown_models(task)
    panels = []
    for split in task.splits:
        series = [s for m in models for s in _curve(m, condition, split)]
        if series:
            x, y = Axis("time, ps", low=0.0), Axis("share of runs alive, %", low=0.0, high=104.0)
            panels.append(Panel(TITLES[split], x, y, tuple(series)))
    return Figure(
        figure_name(task, "survival", condition, task.conditions),
        "How long runs live",
        f"{condition}. Kaplan–Meier estimate over molecules and seeds; the bars beyond the end are 95 % intervals from "
        f"drawing molecules first and seeds second. Runs that a time limit cut short count up to there.{left_out}",
        tuple(panels),
    )


def _curve(model: Model, condition: str, split: str) -> list[Series]:
    """Return the steps, and beyond their end the interval, models side by side."""
    runs = runs_of(model, condition, split)
    if not runs:
        return []
    lives = [life_of(r) for r in runs]
    curve = kaplan_meier([life.time_ps for life in lives], [life.failed for life in lives])
    end = length_ps(runs)
    found = model.summary["splits"][split]["stability"][condition]["survival"]["survival"]
    times = [0.0, *curve.time_ps.tolist(), end]
    alive = [1.0, *curve.probability.tolist(), curve.at(end)[0]]
    look, last = look_of(model.index), 100.0 * alive[-1]
    low, high = (100.0 * found[key] for key in ("low", "high"))
    words = f"{model.label}, {TITLES[split]}: {last:.0f} % alive at the end, 95 %: {low:.0f} to {high:.0f}"
    steps = Series(
        model.label,
        numbers(times),
        numbers(100.0 * a for a in alive),
        look,
        "steps",
        texts=tuple(f"{model.label}, {TITLES[split]}: {100 * a:.0f} % alive at {t:.3g} ps" for t, a in
                    zip(times, alive, strict=True)),
    )  # fmt: skip
    beyond = numbers([end * (1.025 + 0.025 * model.index)])
    bar = Series(model.label, beyond, numbers([last]), look, "points", numbers([low]), numbers([high]), texts=(words,))
    return [steps, bar]


def drift(task: TaskContent, condition: str) -> Figure:
    """Return the size of each run's energy drift, a column a model, ID beside OOD."""
    models, left_out = shown_models(task)
    models = [m for m in models if any(runs_of(m, condition, s) for s in task.splits)]
    series, limit = [], None
    for place, model in enumerate(models):
        for split in task.splits:
            runs = [r for r in runs_of(model, condition, split) if r.metrics.get(_DRIFT) is not None]
            if not runs:
                continue
            limit = thresholds_of(runs[0]).drift_max_meV_per_atom_per_ps
            offset = {"id": -0.18, "ood": 0.18}.get(split, 0.0)
            series += cloud(task, model, split, _column(runs, place + offset))
    ticks = tuple((float(i), m.label) for i, m in enumerate(models))
    x = Axis("", low=-0.6, high=len(models) - 0.4, ticks=ticks)
    y = Axis("|energy drift|, meV/atom/ps", log=True)
    panel = Panel("", x, y, tuple(series), limits=() if limit is None else ((limit, "limit of the verdict"),))
    return Figure(
        figure_name(task, "drift", condition, task.conditions),
        "Conservation of the energy",
        f"{condition}. A point a run: the size of the slope of the model's own total energy at constant energy, "
        f"filled ID, open OOD.{left_out}",
        (panel,) if series else (),
    )


def _column(runs: list[Record], at: float) -> list[Point]:
    """Return the runs as points side by side, the same each time."""
    sizes = [(abs(r.metrics[_DRIFT] or 0.0), r) for r in runs]
    ordered = thinned(sorted(sizes, key=lambda pair: pair[0]), MAX_POINTS)
    return [
        (at + 0.11 * float(np.sin(2.4 * i)), size, r.molecule, f", seed {r.seed}: {size:.3g} meV/atom/ps")
        for i, (size, r) in enumerate(ordered)
    ]


def along(task: TaskContent, condition: str) -> Figure:
    """Return the median force error along the runs with the band of the middle half, a panel a split."""
    models, left_out = shown_models(task)
    panels = []
    for split in task.splits:
        series = [s for m in models for s in _band(m, condition, split)]
        if series:
            panels.append(Panel(TITLES[split], Axis("time, ps"), Axis("force MAE, eV/Å", log=True), tuple(series)))
    return Figure(
        figure_name(task, "force-error-along", condition, task.conditions),
        "Force error along the run",
        f"{condition}. Force MAE of the model against the reference on its own run: the median over runs, and the band "
        f"of the middle half of them. A run that failed counts up to its failure.{left_out}",
        tuple(panels),
    )


def _band(model: Model, condition: str, split: str) -> list[Series]:
    tracks = [
        (np.array(a["time_ps"], dtype=float), np.array(a["force_mae_eV_per_A"], dtype=float))
        for r in runs_of(model, condition, split)
        if (a := r.evidence.get("along")) and a.get("time_ps")
    ]
    if not tracks:
        return []
    longest = max(tracks, key=lambda t: float(t[0][-1]))[0]
    columns = []
    for time in longest:
        values = [np.interp(time, t, e) for t, e in tracks if t[0] <= time <= t[-1] + 1e-9]
        finite = [v for v in values if np.isfinite(v)]
        columns.append(np.percentile(finite, [25, 50, 75]) if finite else [np.nan] * 3)
    low, middle, high = np.array(columns).T
    return [
        Series(
            model.label, numbers(longest), numbers(middle), look_of(model.index), "lines",
            low=numbers(low), high=numbers(high), band=True,
            texts=tuple(f"{model.label}, {TITLES[split]}: {m:.4f} eV/Å at {t:.2f} ps" for t, m in
                        zip(longest, middle, strict=True)),
        )
    ]  # fmt: skip


def figures(task: TaskContent) -> list[Figure]:
    """Return the figures of all conditions of a task; those without a point are left out."""
    made = [draw(task, c) for c in task.conditions for draw in (survival, along, drift)]
    return [figure for figure in made if not figure.empty]
