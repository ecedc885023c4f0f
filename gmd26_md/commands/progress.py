"""Progress on the terminal: a bar that moves, pace and time left. Piped: silent, or a line now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

    from gmd26_md.datasets.generate import GenerationProgress


LINE_EVERY_S = 120.0
"""In a log file: often enough to see that it lives, seldom enough to read."""


@contextmanager
def bar(
    label: str, *, silent: bool = False, line_every_s: float | None = None
) -> Iterator[Callable[[float, str], None]]:
    """Yield `show(fraction, words)`; on a terminal it moves a bar, elsewhere (or if asked) it is silent.

    With `line_every_s` it says so in a line on the standard error where there is no terminal.
    """
    from rich.console import Console

    console = Console(stderr=True)
    if silent or not console.is_terminal:
        yield (lambda fraction, words: None) if silent or line_every_s is None else _lines(label, line_every_s)
        return
    progress = _columns(console)
    with progress:
        task = progress.add_task(label, total=1.0, words="")

        def show(fraction: float, words: str) -> None:
            progress.update(task, completed=fraction, words=words)

        yield show


def _lines(label: str, every_s: float) -> Callable[[float, str], None]:
    """Return `show(fraction, words)` that prints a line when the last one, or the start, is so long ago."""
    said = time.monotonic()

    def show(fraction: float, words: str) -> None:
        nonlocal said
        if time.monotonic() - said >= every_s:
            said = time.monotonic()
            print(f"{label}: {fraction:.0%}, {words}", file=sys.stderr, flush=True)

    return show


def _columns(console: object) -> Progress:
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[words]}", markup=False),
        console=console,  # type: ignore[arg-type]
        transient=True,
    )


@contextmanager
def generation_bar() -> Iterator[Callable[[GenerationProgress], None]]:
    """Yield a callback for `datasets.generate`."""
    with bar("reference data", line_every_s=LINE_EVERY_S) as show:

        def on_progress(p: GenerationProgress) -> None:
            left = "" if p.seconds_left is None else f", {duration(p.seconds_left)} left"
            running = ", ".join(p.running[:2])
            show(p.fraction, f"{p.n_done}/{p.n_molecules} molecules{left}; {running}")

        yield on_progress


@contextmanager
def verification_bar() -> Iterator[Callable[[int, int, float], None]]:
    """Yield a callback for `datasets.verify`."""
    with bar("verified", line_every_s=LINE_EVERY_S) as show:

        def on_progress(n_done: int, n_molecules: int, seconds_left: float) -> None:
            show(n_done / n_molecules, f"{n_done}/{n_molecules} molecules, {duration(seconds_left)} left")

        yield on_progress


def duration(seconds: float) -> str:
    """Return a length of time for people, "2 min 5 s"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
