"""The summary of a run folder in every form: text and Markdown and LaTeX as it is read, CSV with all its numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from gmd26_md.report import forms
from gmd26_md.report.cells import sections_of
from gmd26_md.report.tables import failure_table, main_table, notes, render

_NUMBERS = ("value", "standard_error", "low", "high", "n_molecules", "n_missing")
_COLUMNS = ("model", "task", "part", "quantity", "split", *_NUMBERS)


def summaries_written(summaries: Sequence[dict[str, Any]], form: str, *, width: int = 110, colour: bool = False) -> str:
    """Return summaries (`summarise`) one after another in one of `forms.FORMATS`; width and colour are of text.

    CSV is one table: a line a quantity and split, in full digits, with the standard error and the 95 % limits where it
    has them; nothing where there is none.
    """
    if form == "csv":
        return forms.written([_COLUMNS, *[line for summary in summaries for line in _lines(summary)]], form)
    return "\n".join(_written(summary, form, width, colour) for summary in summaries)


def _written(summary: dict[str, Any], form: str, width: int, colour: bool) -> str:
    if form == "text" or not summary["splits"]:
        return render(summary, width=width, colour=colour)
    title = f"{summary['model']} ({summary['family']}) on {summary['task']}, {summary['device']}"
    parts = [forms.heading(title, form), forms.said([summary["answer"]], form)]
    for name, rows in sections_of(main_table(summary["splits"])):
        parts += [_below(name, form), forms.written(rows, form)]
    if summary.get("failures"):
        ((_, rows),) = sections_of(failure_table(summary["failures"]))
        parts += [_below("not as they should be", form), forms.written(rows, form, n_keys=len(rows[0]))]
    return forms.put_together([*parts, forms.said(notes(summary), form)])


def _below(name: str, form: str) -> str:
    return f"### {name[0].upper()}{name[1:]}\n" if form == "markdown" else forms.heading(name, form)


def _lines(summary: dict[str, Any]) -> Iterator[list[str]]:
    """Yield the lines of CSV."""
    whose = [str(summary.get(key, "")) for key in ("model", "task")]
    for split, found in summary["splits"].items():
        parts = {"static_errors": found.get("static_errors") or {}}
        parts |= {f"stability, {condition}": part for condition, part in found["stability"].items()}
        parts |= found["judged"]
        for name, part in parts.items():
            for quantity, spread in _numbers(part):
                yield [*whose, name, quantity, split, *[_digits(spread.get(key)) for key in _NUMBERS]]


def _numbers(part: dict[str, Any], within: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every number of a part by its name, with its spread where it has one; curves are left to the JSON."""
    for key, found in part.items():
        name = f"{within}{key}"
        if isinstance(found, dict):
            if "value" in found:
                yield name, found
            else:
                yield from _numbers(found, f"{name}.")
        elif isinstance(found, int | float) and not isinstance(found, bool):
            yield name, {"value": found}


def _digits(value: float | None) -> str:
    return "" if value is None else repr(value)
