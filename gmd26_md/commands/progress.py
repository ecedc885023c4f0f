"""Progress on the terminal: a bar that moves, the pace and the time left. Silent when piped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

    from gmd26_md.datasets.generate import GenerationProgress


@contextmanager
def bar(label: str, *, silent: bool = False) -> Iterator[Callable[[float, str], None]]:
    """Yield `show(fraction, words)`; on a terminal it moves a bar, elsewhere (or if asked) it is silent."""
    from rich.console import Console

    console = Console(stderr=True)
    if silent or not console.is_terminal:
        yield lambda fraction, words: None
        return
    progress = _columns(console)
    with progress:
        task = progress.add_task(label, total=1.0, words="")

        def show(fraction: float, words: str) -> None:
            progress.update(task, completed=fraction, words=words)

        yield show


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
    with bar("reference data") as show:

        def on_progress(p: GenerationProgress) -> None:
            left = "" if p.seconds_left is None else f", {duration(p.seconds_left)} left"
            running = ", ".join(p.running[:2])
            show(p.fraction, f"{p.n_done}/{p.n_molecules} molecules{left}; {running}")

        yield on_progress


def duration(seconds: float) -> str:
    """Return a length of time for people, "2 min 5 s"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
