"""Figures of scans, of distributions against reference dynamics, and of the distance from training."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gmd26_md.page.cloud import Point, cloud
from gmd26_md.page.common import figure_name, of_protocol, shown_models
from gmd26_md.page.content import TaskContent
from gmd26_md.page.figure import Axis, Figure, Panel
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
            found = [
                (float(scan["reference_barrier_meV"]), float(scan["barrier_meV"]), r.molecule, str(scan["bond"]))
                for r in of_protocol(model, "scan", split)
                for scan in r.evidence.get("scans") or []
                if scan.get("barrier_meV") is not None and scan.get("reference_barrier_meV") is not None
            ]
            points = [(x, y, name, f", {bond}: {y:.0f} meV, reference {x:.0f}") for x, y, name, bond in sorted(found)]
            series += cloud(task, model, split, points)
    axes = Axis("barrier of the reference, meV"), Axis("barrier of the model, meV")
    return Figure(
        figure_name(task, "torsion-barriers"),
        "Torsion scans: the barriers",
        "A point a bond: highest less lowest energy along a rigid turn about it; on the line as the reference has it; "
        f"filled ID, open OOD. The scans themselves are in the molecules' sections.{left_out}",
        (Panel("", *axes, tuple(series), diagonal=True),) if series else (),
    )


def over_noise(task: TaskContent, heading: str, headings: Sequence[str]) -> Figure:
    """Return how far each observable is off the reference's own dynamics, in units of its noise, under one heading."""
    models, left_out = shown_models(task)
    series, limit = [], None
    width = 0.7 / max(len(models), 1)
    for place, model in enumerate(models):
        for split in task.splits:
            points: list[Point] = []
            for record in of_protocol(model, "distributions", split):
                if heading_of(record) != heading:
                    continue
                limit = record.settings.get("max_ratio", limit)
                for at, (metric, words) in enumerate(_OVER_NOISE.items()):
                    value = record.metrics.get(metric)
                    if value is not None and math.isfinite(value):
                        x = at + (place - (len(models) - 1) / 2) * width
                        points.append((x, value, record.molecule, f", {words}: {value:.2f} times the noise"))
            series += cloud(task, model, split, points)
    across = Axis("", low=-0.6, high=len(_OVER_NOISE) - 0.4, ticks=tuple(enumerate(_OVER_NOISE.values())))
    panel = Panel("", across, Axis("distance, times the noise", log=True), tuple(series),
                  limits=((1.0, "two runs of the reference"), *([(limit, "limit")] if limit else [])))  # fmt: skip
    return Figure(
        figure_name(task, "distributions", heading.rpartition(" at ")[2], headings),
        "Against the reference's own dynamics",
        f"{heading[0].upper()}{heading[1:]}. A point a molecule: how far distributions and spectra of the model's "
        "dynamics are off, over how far two runs of the reference are off each other; filled ID, open OOD. "
        f"Spectra are in the molecules' sections.{left_out}",
        (panel,) if series else (),
    )


def figures(task: TaskContent) -> list[Figure]:
    """Return the figures of a task; those without a point are left out."""
    headings = list(dict.fromkeys(heading_of(r) for r in task.records if r.protocol == "distributions"))
    made = [barriers(task), *[over_noise(task, heading, headings) for heading in headings]]
    return [figure for figure in made if not figure.empty]
