"""What commands that print tables share: `--format`, and what the terminal allows."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import click

_LEAST_WIDTH = 80


def format_option(note: str = "") -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return `--format`, which the command gets as `form`: one of `report.forms.FORMATS`, or a line that says so."""
    words = f"text, markdown, latex or csv{f' ({note})' if note else ''}."
    return click.option("--format", "form", default="text", show_default=True, callback=_known, help=words)


def _known(context: click.Context, option: click.Parameter, form: str) -> str:
    from gmd26_md.errors import unknown_name
    from gmd26_md.report.forms import FORMATS

    if form not in FORMATS:
        raise unknown_name("format", form, FORMATS)
    return form


def colour() -> bool:
    """Tell whether the standard output may have colours: a terminal, and nobody said NO_COLOR (no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def width() -> int:
    """Return how wide tables may be, in characters: the terminal, 80 where there is none or it is narrower."""
    from rich.console import Console

    return max(Console().width, _LEAST_WIDTH)


def line_width() -> int | None:
    """Return the width of a terminal; None where text goes to a pipe or a file, which keep a row on a line."""
    return width() if sys.stdout.isatty() else None
