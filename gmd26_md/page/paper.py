"""Figures for a paper, drawn with matplotlib from the same data as the page's: SVG, PDF or PNG."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gmd26_md.errors import UserError, unknown_name
from gmd26_md.files import written_whole
from gmd26_md.page.figure import Axis, Figure, Panel, Series

FORMS = ("pdf", "svg", "png")
_MARKERS = {
    "circle": "o", "square": "s", "diamond": "D", "triangle-up": "^", "triangle-down": "v", "star": "*", "hexagon": "h",
    "x": "x",
}  # fmt: skip
_DASHES: dict[str, Any] = {
    "solid": "-", "dash": (0, (4, 2)), "dot": (0, (1, 1.6)), "dashdot": (0, (4, 1.6, 1, 1.6)), "longdash": (0, (7, 2)),
    "longdashdot": (0, (7, 1.6, 1, 1.6)),
}  # fmt: skip
_RC: Any = {
    "font.size": 8, "font.family": "sans-serif", "axes.linewidth": 0.7, "axes.spines.top": False,
    "axes.spines.right": False, "legend.frameon": False, "pdf.fonttype": 42, "svg.fonttype": "none",
    "svg.hashsalt": "gmd26-md", "axes.grid": True, "grid.color": "#ecebe6", "axes.axisbelow": True,
}  # fmt: skip
_PANEL_INCH = 2.6
_MAX_COLUMNS = 4

Show = Callable[[float, str], None]


def check_form(form: str) -> None:
    """Check a format and that matplotlib is there.

    Raises
    ------
    UserError
        For another format, or without matplotlib.
    """
    if form not in FORMS:
        raise unknown_name("format of figures", form, FORMS)
    try:
        import matplotlib  # noqa: F401
    except ImportError as problem:
        raise UserError("figures for a paper need matplotlib; pip install 'gmd26-md[picture]'.") from problem


def draw_all(
    figures: Sequence[Figure], folder: Path, form: str, show: Show = lambda fraction, words: None
) -> list[Path]:
    """Draw every figure into a folder; return the files. Of figures of one name all but the first are numbered."""
    paths = []
    for done, (figure, name) in enumerate(zip(figures, _distinct([_safe(f.name) for f in figures]), strict=True)):
        show(done / len(figures), f"figure {figure.name}")
        paths.append(draw(figure, folder / f"{name}.{form}"))
    return paths


def _distinct(names: Sequence[str]) -> list[str]:
    """Return file names, no two of which differ only in case; repeats end with a number."""
    found: list[str] = []
    taken: set[str] = set()
    for name in names:
        tries = (name if n == 1 else f"{name}-{n}" for n in itertools.count(1))
        found.append(next(one for one in tries if one.casefold() not in taken))
        taken.add(found[-1].casefold())
    return found


def _safe(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in name).strip(".")[:120] or "figure"


def draw(figure: Figure, path: Path) -> Path:
    """Draw one figure into a file, whose ending names the format; return the path."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure as Sheet

    n = len(figure.panels)
    columns = 1 if figure.stacked else min(n, _MAX_COLUMNS)
    rows = math.ceil(n / columns)
    with rc_context(_RC):
        width = max(_PANEL_INCH * columns, 3.4) + 0.4
        sheet = Sheet(figsize=(width, (1.2 if figure.stacked else 2.4) * rows + 0.9), layout="constrained")
        axes = sheet.subplots(rows, columns, squeeze=False, sharex=figure.stacked).ravel()
        for panel, ax in zip(figure.panels, axes, strict=False):
            _panel(ax, panel)
        for ax in axes[n:]:
            ax.set_axis_off()
        if figure.stacked:
            for ax in axes[: n - 1]:
                ax.set_xlabel("")
        _legend(sheet, figure)
        kind = path.suffix[1:]
        dateless: dict[str, Any] = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}.get(kind, {})
        with written_whole(path) as aside:
            sheet.savefig(aside, format=kind, dpi=200, metadata=dateless)
    return path


def _panel(ax: Any, panel: Panel) -> None:
    ax.set_title(_plain(panel.title), loc="left", fontsize=8, fontweight="bold")
    for series in panel.series:
        _series(ax, series)
    for value, words in panel.limits:
        ax.axhline(value, color="#444444", linewidth=0.7, linestyle=_DASHES["dot"], zorder=1)
        ax.annotate(
            _plain(words), (1.0, value), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=6.5
        )
    if panel.diagonal:
        _diagonal(ax, panel)
    for axis, way in ((panel.x, "x"), (panel.y, "y")):  # last: limits that are set before the data stop its scaling
        _axis(ax, axis, way)


def _axis(ax: Any, axis: Axis, way: str) -> None:
    getattr(ax, f"set_{way}label")(_plain(axis.title))
    if axis.log:
        _logarithmic(ax, way)
    if axis.low is not None or axis.high is not None:
        getattr(ax, f"set_{way}lim")(axis.low, axis.high)
    if axis.ticks:
        labels = [_plain(words) for _, words in axis.ticks]
        getattr(ax, f"set_{way}ticks")(
            [at for at, _ in axis.ticks], labels, rotation=20 if len(labels) > 2 else 0, ha="center"
        )


def _logarithmic(ax: Any, way: str) -> None:
    """Scale an axis; within two and a half decades it says 1, 2 and 5 in plain digits."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    getattr(ax, f"set_{way}scale")("log")
    low, high = getattr(ax, f"get_{way}lim")()
    axis = getattr(ax, f"{way}axis")
    axis.set_minor_formatter(NullFormatter())
    if 1e-4 < low < high < 1e5 and high / low < 400.0:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _series(ax: Any, series: Series) -> None:
    look = series.look
    x, y = (np.array([np.nan if v is None else v for v in values], dtype=float) for values in (series.x, series.y))
    drawn: dict[str, Any] = {"color": look.colour, "linewidth": 0.65 * look.width}
    if series.form != "points":
        drawn |= {"linestyle": _DASHES[look.dash], "drawstyle": "steps-post" if series.form == "steps" else "default"}
    else:
        drawn["linestyle"] = "none"
    if series.form != "lines":
        drawn |= {
            "marker": _MARKERS[look.marker],
            "markersize": 2.0 if series.faint else 3.8,
            "markeredgewidth": 0.8,
            "markerfacecolor": "white" if look.open else look.colour,
            "markevery": None if series.form == "points" else max(1, len(x) // 25),
        }
    if series.faint:
        drawn["alpha"] = 0.6
    ax.plot(x, y, label=_plain(series.name) or None, **drawn)
    if series.high:
        low, high = (
            np.array([np.nan if v is None else v for v in values], dtype=float) for values in (series.low, series.high)
        )
        if series.band:
            ax.fill_between(x, low, high, color=look.colour, alpha=0.13, linewidth=0)
        else:
            known = np.isfinite(low) & np.isfinite(high) & np.isfinite(y)
            ax.vlines(x[known], low[known], high[known], color=look.colour, linewidth=0.7)


def _diagonal(ax: Any, panel: Panel) -> None:
    values = [v for s in panel.series for v in (*s.x, *s.y) if v is not None and (v > 0.0 or not panel.x.log)]
    if values:
        ends = [min(values), max(values)]
        ax.plot(ends, ends, color="#888888", linewidth=0.7, linestyle=_DASHES["dot"], zorder=1)


def _legend(sheet: Any, figure: Figure) -> None:
    """Draw a legend of the models, and of ID and OOD where a panel has both."""
    from matplotlib.lines import Line2D

    entries: dict[str, Any] = {}
    every = [s for panel in figure.panels for s in panel.series]
    both = any(s.look.open for s in every)
    for s in every:
        line: Any = "none" if s.form == "points" else "-" if both else _DASHES[s.look.dash]
        marker = "none" if s.form == "lines" else _MARKERS[s.look.marker]
        if _plain(s.name) not in entries:
            entries[_plain(s.name)] = Line2D([], [], color=s.look.colour, linestyle=line, marker=marker, markersize=4)
    if both:
        lines: list[Any] = ["none", "none"] if all(s.form == "points" for s in every) else ["-", _DASHES["dash"]]
        for name, line, fill in zip(("ID", "OOD"), lines, ("#555555", "white"), strict=True):
            entries[name] = Line2D([], [], color="#555555", linestyle=line, marker="o", markersize=4, mfc=fill)
    n_columns = min(len(entries), 4 if len(figure.panels) == 1 or figure.stacked else 8)
    sheet.legend(
        entries.values(), entries.keys(), loc="outside upper left", ncols=n_columns, fontsize=6.5, columnspacing=1.0
    )


def _plain(text: str) -> str:
    """Return a text in which matplotlib finds no formula, and no name that it would hide."""
    text = text.replace("\\", "\\\\").replace("$", r"\$")
    return f"\u200b{text}" if text.startswith("_") else text
