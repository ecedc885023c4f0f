"""Cells and rows that the tables for people share: a spread beside every number, "-" for what was not measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text


def console_to(out: TextIO, width: int, colour: bool) -> Console:
    """Return what prints tables into `out`; names that hold brackets or colons are printed as they are."""
    return Console(
        file=out,
        width=width,
        force_terminal=colour,
        color_system="standard" if colour else None,
        highlight=False,
        markup=False,
        emoji=False,
    )


def section(
    table: Table,
    splits: dict[str, Any],
    heading: str,
    part: Callable[[dict[str, Any]], dict[str, Any] | None],
    rows: tuple[tuple[str, str, int], ...],
) -> None:
    """Add rows of one part of every split's summary, where any split has it: key, words, digits after the point."""
    found = [part(s) for s in splits.values()]
    if not any(found):
        return
    if heading:
        title(table, heading)
    for key, words, digits in rows:
        cells = [cell(f.get(key) if f else None, digits) for f in found]
        if any(c != "-" for c in cells):
            table.add_row("  " + words, *cells)


def title(table: Table, words: str) -> None:
    """Add a heading."""
    table.add_row(Text(words, style="bold"))


def counts(table: Table, words: str, pairs: Iterable[tuple[int, int] | None]) -> None:
    """Add a row "3 of 12" a split, where there is any."""
    found = list(pairs)
    if any(c and c[0] for c in found):
        table.add_row(words, *["-" if c is None else f"{c[0]} of {c[1]}" for c in found])


def cell(spread: dict[str, Any] | None, digits: int) -> str:
    """Return a mean with its spread, and how many runs are without it."""
    if spread is None:
        return "-"
    text = number(spread, digits)
    missing = spread.get("n_missing", 0)
    return f"{text} ({missing} without)" if missing else text


def number(spread: dict[str, Any], digits: int, factor: float = 1.0) -> str:
    """Return "0.0292 ± 0.0012"."""
    value, error = factor * spread["value"], factor * spread["standard_error"]
    if not math.isfinite(value):
        return "not finite"
    spread_text = f"± {error:.{digits}f}" if math.isfinite(error) else "± ?"
    return f"{value:.{digits}f} {spread_text}"


def share(spread: dict[str, Any]) -> str:
    """Return a share in %: its spread, or the limit that counting alone allows where all or none have it."""
    if spread["value"] == 1.0:
        return f"100 (from {100 * spread['low']:.0f})"
    if spread["value"] == 0.0:
        return f"0 (to {100 * spread['high']:.0f})"
    return number(spread, 0, 100.0)


def sections_of(table: Table) -> list[tuple[str, list[list[str]]]]:
    """Return the parts of a table for people as rows of text, each part under its title ("" without one).

    A title is bold and stands alone in its row. Every part begins with the heading.
    """
    heading = [str(column.header) for column in table.columns]
    found: list[tuple[str, list[list[str]]]] = []
    for cells in zip(*[list(column.cells) for column in table.columns], strict=True):
        first = cells[0]
        if isinstance(first, Text) and first.style == "bold":
            found.append((first.plain, [heading]))
            continue
        if not found:
            found.append(("", [heading]))
        found[-1][1].append([_plain(cell).strip() for cell in cells])
    return found


def _plain(cell: object) -> str:
    return cell.plain if isinstance(cell, Text) else str(cell)
