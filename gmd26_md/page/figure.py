"""A figure as plain data: series in panels. `page.js` draws it in a browser, `paper.draw` for print."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from gmd26_md.page.style import Look

Form = Literal["lines", "points", "both", "steps"]
Numbers = tuple[float | None, ...]


@dataclass(frozen=True)
class Axis:
    """An axis: its title with the unit, whether it is logarithmic, its range, and named places on it."""

    title: str
    log: bool = False
    low: float | None = None
    high: float | None = None
    ticks: tuple[tuple[float, str], ...] = ()


@dataclass(frozen=True)
class Series:
    """One line or cloud of points.

    Attributes
    ----------
    name
        In the legend; series of one name share an entry.
    x, y
        (n_points,); None is a gap.
    low, high
        Limits of y, (n_points,), drawn as bars, or as a band where `band` is set; empty where there are none.
    texts, links
        What a point says, and the part of the page it leads to, (n_points,) or empty.
    """

    name: str
    x: Numbers
    y: Numbers
    look: Look
    form: Form = "both"
    low: Numbers = ()
    high: Numbers = ()
    band: bool = False
    texts: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    faint: bool = False


@dataclass(frozen=True)
class Panel:
    """A pair of axes. `limits` are horizontal lines with their words; `diagonal` draws y = x."""

    title: str
    x: Axis
    y: Axis
    series: tuple[Series, ...]
    limits: tuple[tuple[float, str], ...] = ()
    diagonal: bool = False


@dataclass(frozen=True)
class Figure:
    """Panels under one caption. `name` is its file name for a paper; panels of `stacked` share the x axis."""

    name: str
    title: str
    caption: str
    panels: tuple[Panel, ...]
    stacked: bool = False

    @property
    def empty(self) -> bool:
        """Whether there is no point to draw."""
        return not any(_drawable(s, p) for p in self.panels for s in p.series)


def _drawable(series: Series, panel: Panel) -> bool:
    return any(
        x is not None and y is not None and not (panel.y.log and y <= 0.0) and not (panel.x.log and x <= 0.0)
        for x, y in zip(series.x, series.y, strict=True)
    )


def numbers(values: Iterable[float | None]) -> Numbers:
    """Return values to five digits; what is no number is a gap."""
    return tuple(None if v is None or not math.isfinite(v) else float(f"{v:.5g}") for v in values)


def plain(figure: Figure) -> dict[str, Any]:
    """Return a figure as JSON-safe dictionaries without what is empty, for `page.js`."""
    return {
        "name": figure.name,
        "stacked": figure.stacked,
        "panels": [
            {
                "title": p.title,
                "x": _full(vars(p.x)),
                "y": _full(vars(p.y)),
                "limits": p.limits,
                "diagonal": p.diagonal,
                "series": [_full({**vars(s), "look": vars(s.look)}) for s in p.series],
            }
            for p in figure.panels
        ],
    }


def _full(content: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value
        for key, value in content.items()
        if value is not None and value is not False and value not in ((), "")
    }
