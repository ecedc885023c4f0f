"""Figures of scans, of distributions against reference dynamics, and of the distance from training."""

from __future__ import annotations

import math
from typing import Any

from gmd26_md.page.common import of_protocol, shown_models
from gmd26_md.page.content import Model, TaskContent
from gmd26_md.page.figure import Axis, Figure, Panel, Series, numbers
from gmd26_md.page.limits import MAX_POINTS, thinned
from gmd26_md.page.style import split_look
from gmd26_md.records import Record
from gmd26_md.report.sections import heading_of

_OVER_NOISE = {
    "hr_over_noise_ratio": "h(r)",
    "bond_over_noise_ratio": "bonds",
    "angle_over_noise_ratio": "angles",
    "torsion_over_noise_ratio": "torsions",
    "stretch_over_noise_ratio": "bond spectra",
    "spectrum_over_noise_ratio": "vibrations",
}


def barriers(task: TaskContent) -> Figure:
    """Return, a point a bond, the barrier of a turn about it against the reference's."""
    models, left_out = shown_models(task)
    series = []
    for model in models:
        for split in task.splits:
            points = [
                (scan["reference_barrier_meV"], scan["barrier_meV"], r, scan["bond"])
                for r in of_protocol(model, "scan", split)
                for scan in r.evidence.get("scans") or []
                if scan.get("barrier_meV") is not None and scan.get("reference_barrier_meV") is not None
            ]
            series += _barrier_series(task, model, split, points)
    x, y = Axis("barrier of the reference, meV"), Axis("barrier of the model, meV")
    return Figure(
        f"{task.name}-torsion-barriers",
        "Torsion scans: the barriers",
        "A point a bond: highest less lowest energy along a rigid turn about it; on the line as the reference has it; "
        f"filled ID, open OOD. The scans themselves are in the molecules' sections.{left_out}",
        (Panel("", x, y, tuple(series), diagonal=True),) if series else (),
    )


def _barrier_series(task: TaskContent, model: Model, split: str, points: list[Any]) -> list[Series]:
    points = thinned(sorted(points, key=lambda p: p[0]), MAX_POINTS)
    if not points:
        return []
    return [
        Series(
            model.label,
            numbers(p[0] for p in points),
            numbers(p[1] for p in points),
            split_look(model.index, split),
            "points",
            texts=tuple(
                f"{model.label}, {r.molecule}, {bond}: {y:.0f} meV, reference {x:.0f}" for x, y, r, bond in points
            ),
            links=tuple(task.anchor(p[2].molecule) for p in points),
        )
    ]


def over_noise(task: TaskContent, heading: str) -> Figure:
    """Return how far each observable is off the reference's own dynamics, in units of its noise."""
    models, left_out = shown_models(task)
    series, limit = [], None
    width = 0.7 / max(len(models), 1)
    for place, model in enumerate(models):
        for split in task.splits:
            points: list[tuple[float, float, Record, str]] = []
            for record in of_protocol(model, "distributions", split):
                if heading_of(record) != heading:
                    continue
                limit = record.settings.get("max_ratio", limit)
                for at, (metric, words) in enumerate(_OVER_NOISE.items()):
                    value = record.metrics.get(metric)
                    if value is not None and math.isfinite(value):
                        points.append((at + (place - (len(models) - 1) / 2) * width, value, record, words))
            if points:
                series.append(_noise_series(task, model, split, points))
    x = Axis("", low=-0.6, high=len(_OVER_NOISE) - 0.4, ticks=tuple(enumerate(_OVER_NOISE.values())))
    panel = Panel("", x, Axis("distance, times the noise", log=True), tuple(series),
                  limits=((1.0, "two runs of the reference"), *([(limit, "limit")] if limit else [])))  # fmt: skip
    return Figure(
        f"{task.name}-distributions",
        "Against the reference's own dynamics",
        f"{heading[0].upper()}{heading[1:]}. A point a molecule: how far distributions and spectra of the model's "
        "dynamics are off, over how far two runs of the reference are off each other; filled ID, open OOD. "
        f"Spectra are in the molecules' sections.{left_out}",
        (panel,) if series else (),
    )


def _noise_series(
    task: TaskContent, model: Model, split: str, points: list[tuple[float, float, Record, str]]
) -> Series:
    points = thinned(points, MAX_POINTS)
    return Series(
        model.label,
        numbers(p[0] for p in points),
        numbers(p[1] for p in points),
        split_look(model.index, split),
        "points",
        texts=tuple(f"{model.label}, {r.molecule}, {words}: {v:.2f} times the noise" for _, v, r, words in points),
        links=tuple(task.anchor(p[2].molecule) for p in points),
    )


def figures(task: TaskContent) -> list[Figure]:
    """Return the figures of a task; those without a point are left out."""
    headings = dict.fromkeys(heading_of(r) for r in task.records if r.protocol == "distributions")
    made = [barriers(task), *[over_noise(task, heading) for heading in headings]]
    return [figure for figure in made if not figure.empty]
