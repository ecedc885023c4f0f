"""Does distance from the training set tell where models fail? One answer from models, frames and run folders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gmd26_md import tasks
from gmd26_md.datasets.heldout import heldout_frames
from gmd26_md.datasets.store import path_of, read_frames
from gmd26_md.dynamics.forces import PotentialForces
from gmd26_md.errors import UserError
from gmd26_md.evaluate.distance_errors import Labelled, atom_errors, correlations, own_frames, summed_by_molecule
from gmd26_md.leakage import refuse_trained_on
from gmd26_md.observables.distance_correlation import AtomErrors
from gmd26_md.protocols.subject import trained_on
from gmd26_md.report.candidates import Cell
from gmd26_md.report.distance_outcomes import outcome_correlations
from gmd26_md.run_folder import RunFolder

if TYPE_CHECKING:
    from gmd26_md.calculators.checkpoint import Checkpoint
    from gmd26_md.calculators.vendors.model import VendorModel
    from gmd26_md.distance import Ruler
    from gmd26_md.tasks import Task

Asked = tuple[str, "Checkpoint | VendorModel", "Sequence[Ruler]"]
"""A model's path, the model, and the spaces to measure in."""


def study_task(named: str | None, trained: Sequence[str]) -> Task:
    """Return the task that was named, else the one that all models were trained on.

    Raises
    ------
    UserError
        If there is no such task, or the models do not agree on one.
    """
    if named is not None:
        return tasks.get(named)
    if len(set(trained)) != 1 or not trained[0]:
        raise UserError(
            f"the models were trained on {', '.join(sorted(set(trained))) or 'nothing they name'}; give --task."
        )
    return tasks.named(trained[0])


def study(
    models: Sequence[Asked],
    task: Task,
    frames: Path | None,
    runs: Sequence[Path],
    n_frames: int | None,
    show: Callable[[float, str], None] = lambda fraction, words: None,
) -> tuple[dict[str, Any], list[tuple[str, list[AtomErrors]]]]:
    """Return the answer, JSON-safe but for NaN and infinities, and the errors on reference frames that it rests on.

    Parameters
    ----------
    frames
        Folder with reference frames; None looks beside the first model and in ./data.
    runs
        Run folders of any of the models.
    n_frames
        At most so many of each molecule and of each run; all if None.

    Raises
    ------
    UserError
        For a model that was trained on what the task calls unseen, models of several levels of theory, a run folder
        without records, or a task without frames.
    """
    for path, _, _ in models:
        refuse_trained_on(task, trained_on(path), Path(path).name)
    levels = {model.level_of_theory for _, model, _ in models}
    if len(levels) > 1:
        raise UserError(
            f"the models were trained on labels of different levels ({', '.join(sorted(map(str, levels)))}), and "
            "frames have those of one; ask level by level."
        )
    for run in runs:
        if not run.is_dir() or not RunFolder(run).records():
            raise UserError(f"{run} has no records; give a run folder, as a command printed it last.")
    level = models[0][1].level_of_theory
    folder = _folder(frames, Path(models[0][0]), level)
    molecules = _labelled(task, folder, level, n_frames)
    answers, atoms = [], []
    distances: dict[Cell, dict[str, float]] = {}
    for done, (path, model, rulers) in enumerate(models):
        name = Path(path).stem

        def on_progress(part: float, done: int = done, name: str = name) -> None:
            show((done + part) / len(models), name)

        provider = PotentialForces(model.potential("cpu", "float64"))
        mine = atom_errors(provider, rulers, molecules, on_progress)
        own = atom_errors(provider, rulers, own_frames(runs, model.sha256, n_frames))
        atoms.append((name, mine))
        distances |= _by_molecule(mine, model.sha256, rulers, _minima(task, folder, level))
        answers.append(
            {
                "model": name,
                "model_sha256": model.sha256,
                "references": {r.space.kind: r.reference.made_of for r in rulers},
                "by_molecule": [summed_by_molecule(m) for m in mine],
                "frames": correlations(mine),
                "own_runs": correlations(own),
            }
        )
    records = [record for run in runs for record in RunFolder(run).records()]
    measured = {name for name, _, _ in molecules}
    without = [m.name for m in task.tested if m.name not in measured]
    found = {
        "task": task.name,
        "without_frames": without,
        "models": answers,
        "outcomes": outcome_correlations(distances, records),
    }
    return found, atoms


def _by_molecule(
    molecules: Sequence[AtomErrors],
    sha256: str,
    rulers: Sequence[Ruler],
    minima: dict[str, tuple[np.ndarray, np.ndarray]],
) -> dict[Cell, dict[str, float]]:
    """Return each molecule's mean distances, over its frames and at its reference minimum, by model and molecule."""
    names = [f"{r.space.kind} {kind}" for r in rulers for kind in ("nearest", "mahalanobis")]
    found = {(sha256, m.molecule): {name: float(m.columns[name].mean()) for name in names} for m in molecules}
    for m in molecules:
        if m.molecule not in minima:
            continue
        for r in rulers:
            at_rest = r.measure(*minima[m.molecule])
            found[sha256, m.molecule][f"{r.space.kind} mahalanobis, at the minimum"] = float(at_rest.mahalanobis.mean())
    return found


def _folder(asked: Path | None, model: Path, level: str) -> Path:
    """Return the folder with reference frames: as asked, beside the model, or ./data."""
    places = [asked] if asked is not None else [model.resolve().parent / "frames", Path("data")]
    for place in places:
        if (place / level).is_dir():
            return place
    raise UserError(
        f"{' and '.join(map(str, places))} have no folder {level} with reference frames; give --frames, or make them "
        "with 'gmd26-md data generate'."
    )


def _labelled(task: Task, folder: Path, level: str, n_frames: int | None) -> list[Labelled]:
    """Return the test frames of every molecule of a task that has some."""
    frames = {m: heldout_frames(folder, level, m, task.frames_of(m), n_frames) for m in task.tested}
    found = [(m.name, task.split_of(m), f) for m, f in frames.items() if f is not None]
    if not found:
        raise UserError(f"{folder / level} has no test frames of {task.name}; make them with 'gmd26-md data generate'.")
    return found


def _minima(task: Task, folder: Path, level: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the reference minima that are there, by molecule; none where one is missing, so that all are ranked."""
    paths = {m: path_of(folder, level, m, "minimum") for m in task.tested}
    if not all(path.is_file() for path in paths.values()):
        return {}
    read = {m.name: read_frames(path, m, level) for m, path in paths.items()}
    return {name: (frames.numbers, frames.positions) for name, frames in read.items()}
