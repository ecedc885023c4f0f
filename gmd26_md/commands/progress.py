"""Progress on the standard error: a bar that moves on a terminal; in a log file a line now and then."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gmd26_md.pace import duration

if TYPE_CHECKING:
    from rich.progress import Progress

    from gmd26_md.datasets.generate import GenerationProgress

__all__ = ["LINE_EVERY_S", "bar", "duration", "generation_bar", "verification_bar"]

LINE_EVERY_S = 120.0
"""In a log file: often enough to see that it lives, seldom enough to read."""


@contextmanager
def bar(
    label: str, *, silent: bool = False, line_every_s: float | None = LINE_EVERY_S
) -> Iterator[Callable[[float, str], None]]:
    """Yield `show(fraction, words)`: a bar with the words below it, of which nothing is left at the end.

    Where the standard error is no terminal that can move its cursor, a line is printed every so often; None prints
    none. Nothing is ever written to the standard output.
    """
    if silent or (not _can_move() and line_every_s is None):
        yield lambda fraction, words: None
        return
    if line_every_s is not None and not _can_move():
        yield _lines(label, line_every_s)
        return
    from rich.console import Console, Group
    from rich.live import Live
    from rich.text import Text

    progress, below = _columns(), Text()
    task = progress.add_task(label, total=1.0)

    def show(fraction: float, words: str) -> None:
        progress.update(task, completed=fraction)
        below.plain = words.replace("; ", "\n")

    with Live(Group(progress, below), console=Console(stderr=True), transient=True):
        yield show


def _can_move() -> bool:
    """Tell whether a bar can be drawn over itself; FORCE_COLOR does not make a terminal of a file."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def _lines(label: str, every_s: float) -> Callable[[float, str], None]:
    """Return `show(fraction, words)` that prints a line when the last one, or the start, is so long ago."""
    said = time.monotonic()

    def show(fraction: float, words: str) -> None:
        nonlocal said
        if time.monotonic() - said >= every_s:
            said = time.monotonic()
            print(f"{label}: {fraction:.0%}, {words}", file=sys.stderr, flush=True)

    return show


def _columns() -> Progress:
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    label = TextColumn("{task.description}", markup=False)  # a model's name may hold brackets
    return Progress(label, BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), expand=False)


@contextmanager
def generation_bar() -> Iterator[Callable[[GenerationProgress], None]]:
    """Yield a callback for `datasets.generate`."""
    with bar("reference data") as show:

        def on_progress(p: GenerationProgress) -> None:
            left = "" if p.seconds_left is None else f", {duration(p.seconds_left)} left"
            running = ", ".join(p.running[:2])
            show(p.fraction, f"{p.n_done}/{p.n_molecules} molecules{left}; {running}")

        yield on_progress


@contextmanager
def verification_bar() -> Iterator[Callable[[int, int, float], None]]:
    """Yield a callback for `datasets.verify`."""
    with bar("verified") as show:

        def on_progress(n_done: int, n_molecules: int, seconds_left: float) -> None:
            show(n_done / n_molecules, f"{n_done}/{n_molecules} molecules, {duration(seconds_left)} left")

        yield on_progress
