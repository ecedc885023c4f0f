"""How much a page shows before it summarises; what is left out is said where it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

MAX_MODELS_IN_FIGURE = 8
"""Lines of more models cannot be told apart."""
MAX_POINTS = 400
"""Points of one model and split in a cloud."""
MAX_RUNS = 600
"""Runs with a section of their own, frames and words."""
MAX_COLUMNS = 40
"""Models beside each other in the table of molecules."""
N_TIMES = 100
"""Frames of a run that energy and temperature are read at."""

T = TypeVar("T")


def thinned(items: Sequence[T], at_most: int) -> list[T]:
    """Return at most so many items, evenly spread, the first and the last among them."""
    n = len(items)
    if n <= at_most:
        return list(items)
    return [items[round(i * (n - 1) / (at_most - 1))] for i in range(at_most)]
