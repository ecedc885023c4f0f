"""The summary as tables for people: ID beside OOD, a spread beside every mean."""

from __future__ import annotations

import math
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

_COLUMNS = {"id": "ID", "ood": "OOD", "user": "your molecules"}

# section, key, what it is called, digits after the point
_STATIC = (
    ("force_mae_eV_per_A", "force MAE, eV/Å", 4),
    ("force_cosine", "force cosine", 4),
    ("force_magnitude_mae_eV_per_A", "force magnitude MAE, eV/Å", 4),
    ("energy_mae_eV", "energy MAE, eV", 3),
    ("energy_offset_removed_mae_eV", "energy MAE less each molecule's offset, eV", 3),
    ("energy_offset_eV", "energy offset, eV", 3),
)
_DYNAMIC = (
    ("absolute_energy_drift_meV_per_atom_per_ps", "energy drift (size), meV/atom/ps", 3),
    ("energy_rms_meV_per_atom", "energy RMS about its line, meV/atom", 3),
    ("temperature_mean_K", "mean temperature, K", 0),
    ("path_force_mae_eV_per_A", "force MAE along its own run, eV/Å", 4),
    ("path_force_mae_relative_ratio", "the same, relative", 3),
    ("true_energy_change_max_meV_per_atom", "largest true-energy change, meV/atom", 2),
)
_RELAXATION = (
    ("heavy_rmsd_A", "heavy-atom RMSD to the reference minimum, Å", 3),
    ("rmsd_A", "all-atom RMSD, Å", 3),
    ("reference_fmax_eV_per_A", "reference force at the model's minimum, eV/Å", 3),
    ("reference_energy_above_minimum_eV", "reference energy above its minimum, eV", 3),
    ("n_steps", "steps", 0),
)


def render(summary: dict[str, Any], *, width: int = 110, colour: bool = False) -> str:
    """Return the summary as text: one table, the verdicts, and what failed."""
    console = Console(
        width=width, force_terminal=colour, no_color=not colour, record=True, quiet=False, file=_Nowhere()
    )
    splits = summary["splits"]
    if not splits:
        return "no records yet\n"
    title = f"{summary['model']} ({summary['family']}) on {summary['task']}, {summary['device']}"
    console.print(_main_table(splits, title))
    for line in _verdict_lines(splits):
        console.print(line)
    failures = summary.get("failures", [])
    if failures:
        console.print(_failure_table(failures))
    console.print(Text("± is the standard error of the mean: bootstrap over molecules first, frames or seeds second."))
    return console.export_text(styles=colour)


class _Nowhere:
    """A file for a console that only records."""

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        return None


def _main_table(splits: dict[str, Any], title: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    table.add_column("")
    for split, found in splits.items():
        table.add_column(f"{_COLUMNS[split]} ({found['n_molecules']} molecules)", justify="right")
    _section(table, splits, "static errors, on reference frames", lambda s: s.get("static_errors"), _STATIC)
    if any("stability" in s for s in splits.values()):
        _fractions(table, splits)
        _section(table, splits, "", lambda s: s.get("stability", {}).get("metrics"), _DYNAMIC)
    starts = sorted({start for s in splits.values() for start in s.get("relaxation", {})})
    for start in starts:
        _section(
            table,
            splits,
            f"relaxed from the {start}",
            lambda s, start=start: s.get("relaxation", {}).get(start, {}).get("metrics"),
            _RELAXATION,
        )
    return table


def _section(
    table: Table, splits: dict[str, Any], title: str, part: Any, rows: tuple[tuple[str, str, int], ...]
) -> None:
    found = [part(s) for s in splits.values()]
    if not any(found):
        return
    if title:
        table.add_row(f"[bold]{title}[/bold]")
    for key, words, digits in rows:
        cells = [_cell(f.get(key) if f else None, digits) for f in found]
        if any(c != "-" for c in cells):
            table.add_row("  " + words, *cells)


def _fractions(table: Table, splits: dict[str, Any]) -> None:
    table.add_row("[bold]stability, in the model's own dynamics[/bold]")
    for key, words in (("alive_fraction", "alive to the end, %"), ("faithful_fraction", "faithful, %")):
        cells = []
        for found in splits.values():
            fraction = found.get("stability", {}).get(key)
            cells.append("-" if fraction is None else _number(fraction, 0, 100.0))
        table.add_row("  " + words, *cells)


def _cell(spread: dict[str, Any] | None, digits: int) -> str:
    if spread is None:
        return "-"
    text = _number(spread, digits)
    missing = spread.get("n_missing", 0)
    return f"{text} ({missing} without)" if missing else text


def _number(spread: dict[str, Any], digits: int, factor: float = 1.0) -> str:
    value, error = factor * spread["value"], factor * spread["standard_error"]
    if not math.isfinite(value):
        return "not finite"
    spread_text = f"± {error:.{digits}f}" if math.isfinite(error) else "± ?"
    return f"{value:.{digits}f} {spread_text}"


def _verdict_lines(splits: dict[str, Any]) -> list[str]:
    lines = []
    for split, found in splits.items():
        stability = found.get("stability")
        if stability:
            counts = ", ".join(f"{n} {verdict}" for verdict, n in stability["verdicts"].items())
            lines.append(f"verdicts {_COLUMNS[split]}: {counts} (of {stability['n_runs']} runs)")
        for start, relaxed in found.get("relaxation", {}).items():
            counts = ", ".join(f"{n} {judgement}" for judgement, n in relaxed["judgements"].items())
            lines.append(f"relaxed from the {start}, {_COLUMNS[split]}: {counts} (of {relaxed['n_runs']})")
    return lines


def _failure_table(failures: list[dict[str, Any]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title="runs that are not faithful", title_justify="left", pad_edge=False)
    for name in ("verdict", "molecule", "", "seed", "failed at, ps", "why"):
        table.add_column(name)
    for f in failures:
        at = f.get("failed_at_ps")
        when = "-" if at is None else f"{at:.3f}"
        # Text: names and reasons may hold brackets
        table.add_row(
            str(f["verdict"]),
            Text(str(f["molecule"])),
            _COLUMNS[f["split"]],
            str(f["seed"]),
            when,
            Text(str(f["reason"])),
        )
    return table
