"""Figures of the forces by atom on reference frames: parity, by element, by bonds from the new fragment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gmd26_md.page import parity
from gmd26_md.page.common import figure_name, of_protocol, shown_models
from gmd26_md.page.content import TITLES, Model, TaskContent
from gmd26_md.page.figure import Axis, Figure, Panel, Series, numbers
from gmd26_md.page.sources import Sources
from gmd26_md.page.style import look_of
from gmd26_md.report.path_errors import STATIC
from gmd26_md.report.static_breakdown import Measured, break_down

_WORDS = {
    "bonds": ("by-bonds-static", "Error by distance from the fragment, on reference frames", ""),
    "element": ("by-element", "Error by element, on reference frames", "element"),
}


def figures(task: TaskContent, sources: Sources) -> list[Figure]:
    """Return the figures of a task for which forces by atom are kept; none where they are not."""
    models, left_out = shown_models(task)
    measured = {m.sha: found for m in models if (found := _measured(m, sources))}
    if not measured:
        return []
    forces: parity.Forces = {}
    for sha, parts in measured.items():
        for part in parts:
            forces.setdefault((sha, part.split), []).append(_components(part))
    made = [parity.figure(task, forces, "on reference frames", "static-parity")]
    tables = {sha: break_down(parts, tuple(_WORDS)) for sha, parts in measured.items()}
    made += [_by(task, models, tables, name, left_out) for name in _WORDS]
    return [figure for figure in made if not figure.empty]


def _measured(model: Model, sources: Sources) -> list[Measured]:
    found = []
    for record in of_protocol(model, "static-errors"):
        table = sources.static.get(model.sha, {}).get(record.slug)
        forces = sources.forces_of(record)
        if table is not None and forces is not None:
            found.append(Measured(record.molecule, record.split, table, forces))
    return found


def _components(measured: Measured, n_most: int = 200) -> np.ndarray:
    """Return components of the model's and the reference's forces, (n, 2), the same ones each time."""
    both = np.stack([measured.forces.predicted.ravel(), measured.forces.reference.ravel()], axis=1)
    both = both[np.isfinite(both).all(axis=1)]
    return np.asarray(both[np.random.default_rng(0).permutation(len(both))[:n_most]])


def _by(
    task: TaskContent, models: Sequence[Model], tables: dict[str, dict[str, Any]], name: str, left_out: str
) -> Figure:
    """Return force errors by classes of atoms, a panel a split."""
    file_name, title, words = _WORDS[name]
    first = next(iter(tables.values()))
    panels = []
    for split in task.splits:
        rows = {m: [r for r in tables[m.sha]["by"][name] if r["split"] == split] for m in models if m.sha in tables}
        keys = list(dict.fromkeys(r["key"] for found in rows.values() for r in found))
        shift = 0.6 / max(len(models), 1) if name == "element" else 0.0  # elements have no order: points, side by side
        series = [_series(model, found, keys, shift * (i - (len(rows) - 1) / 2)) for i, (model, found) in
                  enumerate(rows.items()) if found]  # fmt: skip
        if series:
            ticks = tuple((float(i), _short(key)) for i, key in enumerate(keys))
            x = Axis(words or f"bonds from {first['bonds_from']}", low=-0.5, high=len(keys) - 0.5, ticks=ticks)
            panels.append(Panel(TITLES[split], x, Axis("force MAE, eV/Å", log=True), tuple(series)))
    caption = f"Mean over atoms, frames and molecules with its standard error, molecules drawn first.{left_out}"
    return Figure(figure_name(task, file_name), title, caption, tuple(panels))


def _short(key: str) -> str:
    """Return a class of atoms as short as it stays clear: "3 bonds" is 3."""
    number, _, rest = key.partition(" ")
    return number if rest in ("bond", "bonds") else key


def _series(model: Model, rows: Sequence[dict[str, Any]], keys: Sequence[str], shift: float) -> Series:
    spreads = [r[STATIC] for r in rows]
    errors = [0.0 if np.isnan(s["standard_error"]) else s["standard_error"] for s in spreads]
    return Series(
        model.label,
        numbers(keys.index(r["key"]) + shift for r in rows),
        numbers(s["value"] for s in spreads),
        look_of(model.index),
        "points" if shift else "both",
        low=numbers(s["value"] - e for s, e in zip(spreads, errors, strict=True)),
        high=numbers(s["value"] + e for s, e in zip(spreads, errors, strict=True)),
        texts=tuple(f"{model.label}, {r['key']}: {s['value']:.4f} eV/Å" for r, s in zip(rows, spreads, strict=True)),
    )
