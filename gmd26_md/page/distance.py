"""Force error against distance from training, a point a molecule, from what `distance errors --json` printed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gmd26_md import strict_json
from gmd26_md.errors import UserError
from gmd26_md.page.common import figure_name, shown_models
from gmd26_md.page.content import Model, TaskContent
from gmd26_md.page.figure import Axis, Figure, Panel, Series, numbers
from gmd26_md.page.style import split_look

_SPACES = {"soap mahalanobis": "in SOAP", "model mahalanobis": "in the model's own space"}


def read_distances(paths: Sequence[Path]) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Return molecules with their errors and distances, by task and model hash.

    Raises
    ------
    UserError
        For a file that is not there, or is not what `gmd26-md distance errors --json` prints.
    """
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for path in paths:
        try:
            content = strict_json.decoded(json.loads(path.read_text(encoding="utf-8")))
            for model in content["models"]:
                found.setdefault((str(content["task"]), str(model["model_sha256"])), list(model["by_molecule"]))
        except OSError as problem:
            raise UserError(f"cannot read {path}: {problem.strerror}; give a file.") from problem
        except (ValueError, KeyError, TypeError) as problem:
            raise UserError(f"{path} is not what 'gmd26-md distance errors --json' prints; make it anew.") from problem
    return found


def figures(task: TaskContent, distances: dict[tuple[str, str], list[dict[str, Any]]]) -> list[Figure]:
    """Return the figure of a task, a panel a space; none without distances."""
    models, left_out = shown_models(task)
    panels = []
    for key, words in _SPACES.items():
        series = [
            s
            for model in models
            for split in task.splits
            if (s := _series(task, model, split, distances.get((task.name, model.sha), []), key)) is not None
        ]
        if series:
            x = Axis("distance (held-out training frames: 1)", log=True)
            panels.append(Panel(words, x, Axis("static force MAE, eV/Å", log=True), tuple(series)))
    figure = Figure(
        figure_name(task, "error-against-distance"),
        "Error against distance from training",
        "A point a molecule: the mean over its atoms and frames of the Mahalanobis distance from the training "
        "environments of the same element, 1 for the median of held-out training frames, against the force MAE on the "
        f"same frames; filled ID, open OOD.{left_out}",
        tuple(panels),
    )
    return [] if figure.empty else [figure]


def _series(
    task: TaskContent, model: Model, split: str, molecules: Sequence[dict[str, Any]], key: str
) -> Series | None:
    known = set(task.molecules(split))
    rows = [m for m in molecules if m.get("split") == split and key in m and "force_mae_eV_per_A" in m]
    if not rows:
        return None
    return Series(
        model.label,
        numbers(m[key] for m in rows),
        numbers(m["force_mae_eV_per_A"] for m in rows),
        split_look(model.index, split),
        "points",
        texts=tuple(
            f"{model.label}, {m['molecule']}: distance {m[key]:.2f}, {m['force_mae_eV_per_A']:.4f} eV/Å" for m in rows
        ),
        links=tuple(task.anchor(m["molecule"]) if m["molecule"] in known else "" for m in rows),
    )
