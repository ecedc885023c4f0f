"""Error against distance from the training set, atom by atom, as a picture: a row a model, a column a space."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gmd26_md.report.distance_tables import SPACES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gmd26_md.observables.distance_correlation import AtomErrors

_MOST_POINTS = 2500  # of each split, drawn at random; all of them go into the medians
_N_BINS = 12
# Told apart without colour: light filled dots against dark crosses, a broken line against a full one.
_LOOKS: dict[str, dict[str, Any]] = {
    "id": {"label": "ID", "dot": "o", "colour": "0.72", "dark": "#2166ac", "line": "--", "mean": "o"},
    "ood": {"label": "OOD", "dot": "x", "colour": "0.35", "dark": "#b2182b", "line": "-", "mean": "s"},
    "user": {"label": "", "dot": "+", "colour": "0.5", "dark": "0.0", "line": ":", "mean": "^"},
}


def draw(models: Sequence[tuple[str, Sequence[AtomErrors]]], task: str, path: Path) -> None:
    """Write the picture; `explained_picture.check_picture` says beforehand whether it can be.

    Parameters
    ----------
    models
        Name and errors of each.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    spaces = [space for space in SPACES if any(f"{space} mahalanobis" in m.columns for _, ms in models for m in ms)]
    size = (4.6 * len(spaces) + 0.4, 3.4 * len(models) + 0.6)
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)  # no window, and the process keeps its own backend
    axes = figure.subplots(
        len(models), len(spaces), squeeze=False, sharey="row"
    )  # a model's own space has a scale of its own
    for row, (name, molecules) in zip(axes, models, strict=True):
        for place, space in zip(row, spaces, strict=True):
            if all(f"{space} mahalanobis" in m.columns for m in molecules):
                _panel(place, molecules, f"{space} mahalanobis")
            else:
                place.set(xscale="log", yscale="log")
                place.text(0.5, 0.5, "not fitted", transform=place.transAxes, ha="center")
        row[0].set_ylabel(f"{name.removesuffix(f'-{task}')}\nforce error of an atom, eV/Å", fontsize=9)
    for place, space in zip(axes[-1], spaces, strict=True):
        words = "SOAP space" if space == "soap" else "the model's own space"
        place.set_xlabel(f"Mahalanobis distance in {words}\n(1: median of held-out training molecules)", fontsize=9)
    axes[0, 0].legend(fontsize=7, loc="lower right")
    figure.suptitle(f"Error against distance from the training set, {task}", fontsize=11)
    figure.savefig(path, dpi=110)


def _panel(place: Axes, molecules: Sequence[AtomErrors], column: str) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter

    random = np.random.default_rng(0)
    place.set(xscale="log", yscale="log")
    place.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    place.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    place.xaxis.set_minor_formatter(NullFormatter())
    place.axvline(1.0, color="0.6", linewidth=0.7)
    for split in [s for s in _LOOKS if any(m.split == s for m in molecules)]:
        mine, look = [m for m in molecules if m.split == split], _LOOKS[split]
        x = np.concatenate([m.columns[column].ravel() for m in mine])
        y = np.concatenate([m.error.ravel() for m in mine])
        fine = np.isfinite(x) & np.isfinite(y) & (y > 0.0) & (x > 0.0)
        x, y = x[fine], y[fine]
        shown = random.permutation(len(x))[:_MOST_POINTS]
        place.plot(
            x[shown], y[shown], look["dot"], color=look["colour"], markersize=2, alpha=0.35, zorder=1, rasterized=True
        )
        means = [(float(m.columns[column].mean()), float(m.error.mean())) for m in mine]
        place.plot(
            *zip(*means, strict=True), look["mean"], color=look["dark"], markerfacecolor="white", markersize=5,
            zorder=4, label=f"{look['label']} molecules: means".strip(),
        )  # fmt: skip
        place.plot(
            *_medians(x, y), look["line"], color=look["dark"], linewidth=1.8, zorder=3,
            label=f"{look['label']} atoms: median".strip(),
        )  # fmt: skip


def _medians(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the medians of both in bins of equal distance on a logarithmic axis that hold ten atoms or more."""
    if len(x) < 10:
        return np.zeros(0), np.zeros(0)
    edges = np.geomspace(x.min(), x.max() * (1.0 + 1e-9), _N_BINS + 1)
    which = np.digitize(x, edges)
    bins = [which == i for i in range(1, _N_BINS + 1) if np.count_nonzero(which == i) >= 10]
    return np.array([np.median(x[b]) for b in bins]), np.array([np.median(y[b]) for b in bins])
