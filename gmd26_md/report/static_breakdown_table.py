"""A breakdown of static errors as tables: for people, for a page, for a program."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from typing import Any

from rich import box
from rich.table import Table

from gmd26_md.report import forms
from gmd26_md.report.cells import console_to
from gmd26_md.report.summary import TITLES

# heading, unit, metric, digits, factor, sign shown
_COLUMNS = (
    ("F MAE", "eV/Å", "force_mae_eV_per_A", 4, 1.0, False),
    ("of RMS", "%", "force_mae_normalised_ratio", 1, 100.0, False),
    ("cos", "", "force_cosine", 4, 1.0, False),
    ("length", "%", "force_magnitude_bias_ratio", 1, 100.0, True),
    ("turned", "%", "force_direction_fraction", 0, 100.0, False),
)
_ENERGY = ("E MAE, offset removed", "eV", "energy_offset_removed_mae_eV", 3, 1.0, False)
_WIDE_ENOUGH = 108  # characters; on less, the force MAE over the RMS force and spreads are left out
_ONE_A_ROW = ("molecule", "atom")  # classes that only one split can have
_TITLES = {
    "total": "all atoms",
    "molecule": "by molecule",
    "length": "by chain length",
    "element": "by element",
    "bonds": "by bonds from {bonds_from}",
    "element-bonds": "by element and bonds from {bonds_from}",
    "length-bonds": "by chain length and bonds from {bonds_from}",
    "magnitude": "by length of the reference force, eV/Å",
    "atom": "by atom: element, index, bonds from {bonds_from}",
}
NOTE = (
    "of RMS: force MAE over the RMS reference component of the molecule. length: mean of |F| - |F_ref| over that of "
    "|F_ref|; above 0 forces are too long. turned: how much of the squared error comes from the direction; 67 where "
    "errors have no preferred direction."
)
Columns = Sequence[tuple[str, str, str, int, float, bool]]


def rows_of(
    found: dict[str, Any], dimension: str, *, spreads: bool = True, columns: Columns = _COLUMNS, between: str = ", "
) -> list[list[str]]:
    """Return one dimension as a table: the heading, then a row a class, ID beside OOD.

    Parameters
    ----------
    found
        `static_breakdown.break_down`.
    spreads
        Whether every number has its spread; else only the force MAE has.
    columns, between
        What is shown, and what stands between the parts of a heading.
    """
    classes = found["by"][dimension]
    if dimension in _ONE_A_ROW:
        columns = (*columns, _ENERGY) if dimension == "molecule" else columns
        heading = ["", "split", *[between.join(part for part in (c[0], c[1]) if part) for c in columns]]
        return [heading, *[[r["key"], TITLES[r["split"]], *[_cell(r, c, spreads) for c in columns]] for r in classes]]
    splits = [s for s in TITLES if any(row["split"] == s for row in classes)]
    rows = [["", *[between.join(part for part in (c[0], c[1], TITLES[s]) if part) for c in columns for s in splits]]]
    for key in dict.fromkeys(row["key"] for row in classes):
        mine = {row["split"]: row for row in classes if row["key"] == key}
        rows.append([key, *[_cell(mine.get(s), c, spreads) for c in columns for s in splits]])
    return rows


def title_of(found: dict[str, Any], dimension: str) -> str:
    """Return what a dimension's table is called."""
    return _TITLES[dimension].format(bonds_from=found["bonds_from"])


def render_breakdown(found: dict[str, Any], by: Sequence[str], *, width: int = 110, colour: bool = False) -> str:
    """Return the dimensions as text for people, with how to read them."""
    out = io.StringIO()
    console = console_to(out, width, colour)
    columns = _COLUMNS if width >= _WIDE_ENOUGH else tuple(c for c in _COLUMNS if c[0] != "of RMS")
    for dimension in by:
        heading, *rows = rows_of(found, dimension, spreads=False, columns=columns, between="\n")
        table = Table(
            box=box.SIMPLE_HEAD, title=title_of(found, dimension), title_justify="left", pad_edge=False,
            collapse_padding=True,
        )  # fmt: skip
        for i, name in enumerate(heading):
            table.add_column(name, justify="left" if i == 0 else "right", overflow="fold", no_wrap=i == 0)
        for row in rows:
            table.add_row(*(row if width >= _WIDE_ENOUGH else [cell.partition(" ±")[0] for cell in row]))
        console.print(table)
    console.print(NOTE)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def breakdown_written(found: dict[str, Any], by: Sequence[str], form: str) -> str:
    """Return the dimensions as tables of Markdown or LaTeX, every number with its spread."""
    parts = []
    for dimension in by:
        name = title_of(found, dimension)
        name = f"{name[0].upper()}{name[1:]}"
        title = f"### {name}\n" if form == "markdown" else forms.heading(name, form)
        parts += [title, forms.written(rows_of(found, dimension), form)]
    return forms.put_together([*parts, forms.said([NOTE], form)])


def comma_separated(named: Sequence[tuple[str, dict[str, Any]]], by: Sequence[str]) -> str:
    """Return breakdowns of some models as CSV: a line a class and split, all metrics as plain numbers."""
    classes = [(model, d, c) for model, found in named for d in by for c in found["by"][d]]
    metrics = list(dict.fromkeys(m for *_, c in classes for m, value in c.items() if isinstance(value, dict)))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    counts = ("n_molecules", "n_frames", "n_atoms")
    writer.writerow(
        ["model", "by", "class", "split", *counts, *[x for m in metrics for x in (m, f"{m}_standard_error")]]
    )
    for model, dimension, c in classes:
        spreads = [c.get(m) for m in metrics]
        numbers = [f"{s[part]:.6g}" if s else "" for s in spreads for part in ("value", "standard_error")]
        writer.writerow([model, dimension, c["key"], c["split"], *[f"{c[n]:g}" for n in counts], *numbers])
    return out.getvalue()


def _cell(row: dict[str, Any] | None, column: tuple[str, str, str, int, float, bool], spreads: bool) -> str:
    """Return "0.0383 ± 0.0144"; - where there is no such atom, or no error to share."""
    _, _, metric, digits, factor, signed = column
    if row is None or metric not in row:
        return "-"
    value, error = factor * row[metric]["value"], factor * row[metric]["standard_error"]
    if not math.isfinite(value):
        return "-" if row["force_rmse_eV_per_A"]["value"] == 0.0 else "not finite"
    text = f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"
    if not spreads and metric != "force_mae_eV_per_A":
        return text
    return f"{text} ± {error:.{digits}f}" if math.isfinite(error) else f"{text} ± ?"
