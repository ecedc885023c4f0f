"""Points of one model and split, each of which leads to its molecule."""

from __future__ import annotations

from collections.abc import Sequence

from gmd26_md.page.content import Model, TaskContent
from gmd26_md.page.figure import Series, numbers
from gmd26_md.page.limits import MAX_POINTS, thinned
from gmd26_md.page.style import split_look

Point = tuple[float, float, str, str]
"""x, y, the molecule, and what stands behind its name: ", seed 0: 0.01 meV/atom/ps"."""


def cloud(task: TaskContent, model: Model, split: str, points: Sequence[Point]) -> list[Series]:
    """Return the points as a series, as many as a figure can show, evenly chosen in their order; none of none."""
    shown = thinned(points, MAX_POINTS)
    if not shown:
        return []
    return [
        Series(
            model.label,
            numbers(x for x, *_ in shown),
            numbers(y for _, y, *_ in shown),
            split_look(model.index, split),
            "points",
            texts=tuple(f"{model.label}, {molecule}{words}" for *_, molecule, words in shown),
            links=tuple(task.anchor(molecule) for *_, molecule, _ in shown),
        )
    ]
