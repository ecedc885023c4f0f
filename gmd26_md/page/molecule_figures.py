"""Figures of one molecule: its runs in time, its scans, its vibrations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gmd26_md.page.common import figure_name, of_protocol, shown_models, together
from gmd26_md.page.content import Model, TaskContent
from gmd26_md.page.figure import Axis, Figure, Panel, Series, numbers
from gmd26_md.page.frames import Track
from gmd26_md.page.style import REFERENCE, look_of
from gmd26_md.records import Record
from gmd26_md.report.lives import condition_of
from gmd26_md.report.sections import heading_of

Runs = Sequence[tuple[Model, Record]]


def molecule_figures(task: TaskContent, molecule: str, runs: Runs, tracks: Mapping[str, Track]) -> list[Figure]:
    """Return the figures of a molecule; those without a point are left out."""
    made = [_in_time(task, molecule, runs, tracks), _turns(task, molecule), _vibrations(task, molecule)]
    return [figure for figure in made if not figure.empty]


def _in_time(task: TaskContent, molecule: str, runs: Runs, tracks: Mapping[str, Track]) -> Figure:
    temperature, energy, error = [], [], []
    models, left_out = shown_models(task)
    for model, record in runs:
        if model not in models:
            continue
        track = tracks.get(record.key)
        if track is not None:
            temperature.append(_line(task, model, record, track.time_ps, track.temperature_K, "{:.0f} K"))
            energy.append(
                _line(task, model, record, track.time_ps, track.energy_change_meV_per_atom, "{:+.2f} meV/atom")
            )
        along = record.evidence.get("along") or {}
        if along.get("time_ps") and along.get("force_mae_eV_per_A"):
            error.append(_line(task, model, record, along["time_ps"], along["force_mae_eV_per_A"], "{:.4f} eV/Å"))
    time = Axis("time, ps")
    panels = [
        Panel("", time, _ranged("temperature, K", temperature), tuple(temperature)),
        Panel("", time, _ranged("energy change, meV/atom", energy), tuple(energy)),
        Panel("", time, Axis("force MAE, eV/Å", log=True), tuple(error)),
    ]
    return Figure(
        figure_name(task, f"{_slug(molecule)}-in-time"),
        "In time",
        "Temperature, kinetic plus the model's potential energy since the run proper began, and the force error "
        f"against the reference; a line a run, thin where it is faithful.{together(task)}{left_out}",
        tuple(p for p in panels if p.series),
        stacked=True,
    )


def _line(
    task: TaskContent, model: Model, record: Record, times: Iterable[Any], values: Iterable[Any], form: str
) -> Series:
    x, y = numbers(_floats(times)), numbers(_floats(values))
    condition = f", {condition_of(record.settings)}" if len(task.conditions) > 1 else ""
    name = f"{model.label}{condition}, seed {record.seed}, {record.verdict}"
    return Series(
        model.label, x, y, replace(look_of(model.index), width=1.1 if record.verdict == "faithful" else 2.2), "lines",
        texts=tuple("" if v is None else f"{name}: {form.format(v)}" for v in y),
    )  # fmt: skip


def _floats(values: Iterable[Any]) -> list[float | None]:
    return [None if v is None else float(v) for v in values]


def _ranged(title: str, series: Sequence[Series]) -> Axis:
    """Return an axis that an exploding run does not flatten: cut where a few points are far beyond all others."""
    values = np.array([v for s in series for v in s.y if v is not None], dtype=float)
    if values.size < 20:
        return Axis(title)
    low, high = np.percentile(values, [2, 98])
    reach = max(high - low, 1e-6)
    if values.max() <= high + 3 * reach and values.min() >= low - 3 * reach:
        return Axis(title)
    floor = 0.0 if values.min() >= 0.0 else float(low - reach)
    return Axis(f"{title} (cut)", low=floor, high=float(high + reach))


def _turns(task: TaskContent, molecule: str) -> Figure:
    """Return the torsion scans of a molecule, a panel a bond, with the reference."""
    models, left_out = shown_models(task)
    panels: dict[str, list[Series]] = {}
    for model in models:
        for record in of_protocol(model, "scan"):
            scans = record.evidence.get("scans") if record.molecule == molecule else None
            for scan in scans or []:
                if scan.get("moved_deg") and scan.get("energy_eV"):
                    mine = panels.setdefault(str(scan["bond"]), [])
                    mine += _turn(model, scan, with_reference=not mine)
    shown = dict(list(panels.items())[:6])
    more = f" {len(panels) - len(shown)} more bonds are in the run folder." if len(panels) > len(shown) else ""
    return Figure(
        figure_name(task, f"{_slug(molecule)}-torsion-scans"),
        "Torsion scans",
        f"Energy along a rigid turn about each bond, its lowest point at zero; points that the reference forbids "
        f"sterically are left out.{more}{left_out}",
        tuple(Panel(bond, Axis("turned by, °"), Axis("energy, meV"), tuple(series)) for bond, series in shown.items()),
    )


def _turn(model: Model, scan: dict[str, Any], *, with_reference: bool) -> list[Series]:
    out = scan.get("left_out") or [False] * len(scan["moved_deg"])
    found = []
    rows = [(model.label, scan["energy_eV"], look_of(model.index))]
    if with_reference and scan.get("reference_energy_eV"):
        rows.append(("reference", scan["reference_energy_eV"], REFERENCE))
    for name, energies, look in rows:
        values = np.array([np.nan if v is None or o else v for v, o in zip(energies, out, strict=False)], dtype=float)
        if np.isfinite(values).any():
            relative = 1000.0 * (values - np.nanmin(values))
            x = numbers(_floats(scan["moved_deg"][: len(values)]))
            texts = tuple("" if not np.isfinite(v) else f"{name}: {v:.0f} meV" for v in relative)
            found.append(Series(name, x, numbers(relative), look, "both", texts=texts))
    return found


def _vibrations(task: TaskContent, molecule: str) -> Figure:
    """Return the vibrational densities of states of a molecule beside the reference's, a panel a temperature."""
    models, left_out = shown_models(task)
    panels: dict[str, list[Series]] = {}
    for model in models:
        for record in of_protocol(model, "distributions"):
            spectrum = record.evidence.get("spectrum") if record.molecule == molecule else None
            if not spectrum or not spectrum.get("frequency_per_cm"):
                continue
            series = panels.setdefault(heading_of(record), [])
            rows = [("reference", "reference", REFERENCE)] if not series else []
            for name, key, look in [*rows, (model.label, "model", look_of(model.index))]:
                if spectrum.get(key):
                    x, y = numbers(_floats(spectrum["frequency_per_cm"])), numbers(_floats(spectrum[key]))
                    texts = tuple(f"{name}, {v:.0f} 1/cm" if v is not None else "" for v in x)
                    series.append(Series(name, x, y, look, "lines", texts=texts))
    axes = Axis("wavenumber, 1/cm"), Axis("density of states")
    return Figure(
        figure_name(task, f"{_slug(molecule)}-vibrations"),
        "Vibrational density of states",
        f"Of dynamics at the temperature of the comparison, its area one, beside the reference's own.{left_out}",
        tuple(
            Panel(heading if len(panels) > 1 else "", *axes, tuple(series))
            for heading, series in panels.items()
            if series
        ),
    )


def _slug(molecule: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in molecule)
