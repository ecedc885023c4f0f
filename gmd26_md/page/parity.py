"""Parity of the forces: a point a component, the model's against the reference's, a panel a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gmd26_md.page.common import figure_name, shown_models
from gmd26_md.page.content import TaskContent
from gmd26_md.page.figure import Axis, Figure, Panel, Series, numbers
from gmd26_md.page.limits import MAX_POINTS
from gmd26_md.page.style import split_look

Forces = dict[tuple[str, str], list[Any]]
"""By model hash and split, arrays (n, 2) of the model's and the reference's components, eV/Å."""


def figure(task: TaskContent, forces: Forces, where: str, name: str = "force-parity", more: str = "") -> Figure:
    """Return the parity of forces; `where` says on which frames, as "on reference frames", `more` a sentence beside."""
    models, left_out = shown_models(task)
    panels = []
    for model in models:
        series = []
        for split in task.splits:
            both = _sample(forces.get((model.sha, split), []))
            if len(both):
                look = split_look(model.index, split)
                series.append(
                    Series(model.label, numbers(both[:, 1]), numbers(both[:, 0]), look, "points",
                           faint=True)
                )  # fmt: skip
        if series:
            x, y = Axis("reference, eV/Å"), Axis("model, eV/Å")
            panels.append(Panel(model.label, x, y, tuple(series), diagonal=True))
    return Figure(
        figure_name(task, name),
        f"Parity of the forces {where}",
        f"A point a force component, drawn at random and up to {MAX_POINTS} a model and split; filled ID, "
        f"open OOD.{more}{left_out}",
        tuple(panels),
    )


def _sample(arrays: Sequence[Any]) -> np.ndarray:
    both = np.concatenate([np.zeros((0, 2)), *arrays])
    if len(both) <= MAX_POINTS:
        return both
    return np.asarray(both[np.random.default_rng(0).choice(len(both), MAX_POINTS, replace=False)])
