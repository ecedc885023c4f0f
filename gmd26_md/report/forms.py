"""Tables and the words beside them in every form: text that fits a width, Markdown, LaTeX, CSV."""

from __future__ import annotations

import csv
import io
import textwrap
from collections.abc import Iterable, Sequence

from gmd26_md.report import latex

FORMATS = ("text", "markdown", "latex", "csv")

Rows = Sequence[Sequence[str]]
"""The heading, and then the rows, all of one length."""

_BETWEEN = "  "
_NARROWEST = 24  # characters; a cell is not folded to less, whatever the width


def written(rows: Rows, form: str, *, width: int | None = None, n_keys: int = 1) -> str:
    """Return a table in one of `FORMATS`.

    Parameters
    ----------
    width
        Of text, in characters: a table that is wider is cut into several below each other, the later ones with the
        rows that have something in them. None: one line a row, however long.
    n_keys
        How many columns say what a row is: they stand to the left, and each of several tables begins with them.
    """
    if form == "csv":
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerows(rows)
        return out.getvalue()
    if form == "latex":
        return latex.tabular(rows, n_keys)
    if form == "markdown":
        lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
        rule = "|" + "|".join([" --- "] * n_keys + [" ---: "] * (len(rows[0]) - n_keys)) + "|"
        return "\n".join([lines[0], rule, *lines[1:]]) + "\n"
    return _text(rows, n_keys) if width is None else _within(rows, width, n_keys)


def said(paragraphs: Iterable[str], form: str, *, width: int | None = None) -> str:
    """Return the words beside a table: lines of text, paragraphs of Markdown, comments of LaTeX; none in CSV."""
    if form == "csv":
        return ""
    if form == "latex":
        return "".join(latex.comment(words) for words in paragraphs)
    if form == "markdown":
        return "\n".join(f"{words}\n" for words in paragraphs)
    return "".join(f"{words if width is None else textwrap.fill(words, width)}\n" for words in paragraphs)


def heading(words: str, form: str) -> str:
    """Return what a table is called, above it; nothing in CSV."""
    return f"## {words}\n" if form == "markdown" else said([words], form)


def put_together(parts: Iterable[str]) -> str:
    """Return the parts that are not empty with a blank line between."""
    return "\n".join(part for part in parts if part)


def _text(rows: Rows, n_keys: int) -> str:
    """Return a line a row, the first columns to the left and the others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    padded = [
        [c.ljust(w) if i < n_keys else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))]
        for row in rows
    ]
    return "\n".join(_BETWEEN.join(row).rstrip() for row in padded) + "\n"


def _within(rows: Rows, width: int, n_keys: int) -> str:
    """Return text no wider than asked, where cells allow it: headings in several lines, columns in several tables."""
    plain = _text(rows, n_keys)
    if max(map(len, plain.splitlines())) <= width:
        return plain
    most = [width // (n_keys + 2) if i < n_keys else max(width // 2, _NARROWEST) for i in range(len(rows[0]))]
    columns = [_Column.of([row[i] for row in rows], m, left=i < n_keys) for i, m in enumerate(most)]
    keys = columns[:n_keys]
    tables: list[list[_Column]] = [[]]
    for column in columns[n_keys:]:
        used = sum(c.width + len(_BETWEEN) for c in [*keys, *tables[-1]])
        if tables[-1] and used + column.width > width:
            tables.append([])
        tables[-1].append(column)
    return "\n".join(_lines(keys, table, whole=i == 0) for i, table in enumerate(tables))


class _Column:
    """One column with its cells folded: `cells[row]` are the lines of a cell, all `width` wide."""

    def __init__(self, cells: list[list[str]], *, left: bool) -> None:
        self.width = max(len(line) for lines in cells for line in lines)
        self.cells = [[line.ljust(self.width) if left else line.rjust(self.width) for line in c] for c in cells]
        self.empty = " " * self.width

    def is_empty(self, row: int) -> bool:
        """Tell whether there is nothing in a cell, or that nothing was measured."""
        return "".join(self.cells[row]).strip() in ("", "-")

    @classmethod
    def of(cls, cells: Sequence[str], most: int, *, left: bool) -> _Column:
        """Return a column with cells folded, between words, where they are longer than `most`; the heading to them."""
        below = [_folded(c, most) for c in cells[1:]]
        body = max((len(line) for lines in below for line in lines), default=1)
        return cls([_folded(cells[0], body), *below], left=left)


def _folded(cell: str, width: int) -> list[str]:
    return textwrap.wrap(cell, max(width, 1), break_long_words=False, break_on_hyphens=False) or [""]


def _lines(keys: Sequence[_Column], others: Sequence[_Column], *, whole: bool) -> str:
    """Return a table's text: a rule below the headings, and rows with nothing in them only where it is `whole`."""
    text, table = [], [*keys, *others]
    for row in range(len(table[0].cells)):
        if row and not whole and all(column.is_empty(row) for column in others):
            continue
        height = max(len(column.cells[row]) for column in table)
        filled = []
        for column in table:
            spare = [column.empty] * (height - len(column.cells[row]))
            filled.append([*spare, *column.cells[row]] if row == 0 else [*column.cells[row], *spare])
        text += [_BETWEEN.join(line).rstrip() for line in zip(*filled, strict=True)]
        if row == 0:
            text.append(_BETWEEN.join("-" * column.width for column in table))
    return "\n".join(text) + "\n"
