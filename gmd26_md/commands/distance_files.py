"""What the commands on distance open: structures, training frames, and what was fitted from these beside a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ase import Atoms

    from gmd26_md.calculators.checkpoint import Checkpoint
    from gmd26_md.calculators.vendors.model import VendorModel
    from gmd26_md.descriptors.reference import Frames
    from gmd26_md.distance import Ruler


def structures_of(path: Path) -> list[Atoms]:
    """Return the frames of a file, or the built structure of a molecule that is named."""
    from gmd26_md import molecules
    from gmd26_md.structure_files import read_structures

    if path.exists() or path.suffix or path.name != str(path):
        return read_structures(path)
    known = molecules.get(path.name)
    atoms = known.atoms()
    atoms.info["name"] = known.name
    return [atoms]


def kinds(space: str) -> list[str]:
    """Return the kinds of spaces that --space stands for."""
    return ["soap", "model"] if space == "both" else [space]


def training_frames(
    task: str | None,
    opened: Checkpoint | VendorModel | None,
    data: Path,
    level: str,
    train: Path | None,
    heldout: Path | None,
    n_frames: int,
) -> tuple[list[Frames], list[Frames], dict[str, Any]]:
    """Return training and held-out frames, of a task or of files."""
    from gmd26_md import tasks
    from gmd26_md.distance import file_frames, task_frames
    from gmd26_md.errors import UserError

    if (train is None) != (heldout is None):
        raise UserError("--train and --heldout come together: without held-out structures no distance has a scale.")
    if train is not None and heldout is not None:
        if task is not None:
            raise UserError("--train stands alone; leave out --task.")
        return file_frames(train, heldout)
    if task is None and not (opened and opened.task):
        raise UserError("which molecules train is not known; name a --task, or give --train and --heldout.")
    chosen = tasks.get(task) if task is not None else tasks.named(opened.task if opened else "")
    return task_frames(chosen, data, level, n_frames)


def fit_and_keep(
    kind: str,
    frames: tuple[list[Frames], list[Frames], dict[str, Any]],
    folder: Path,
    model: str | None,
    opened: Checkpoint | VendorModel | None,
) -> Path:
    """Fit one space and return where it was written."""
    from gmd26_md import distance
    from gmd26_md.commands.progress import bar

    made_of = frames[2]
    stem = Path(model or "training").stem
    task, level = str(made_of.get("task", "")), str(made_of.get("level_of_theory", ""))
    path = distance.reference_path(kind, folder, stem=stem, task=task, level=level)
    with bar(f"training environments, {kind}") as show:
        distance.fit(kind, frames, path, model=opened, name=model or "", on_progress=lambda done: show(done, ""))
    return path


def rulers_of(
    model: str, opened: Checkpoint | VendorModel, space: str, references: Sequence[Path], data: Path | None
) -> list[Ruler]:
    """Return the spaces to measure in, with what was fitted; what is missing is fitted if there is data."""
    from gmd26_md import distance
    from gmd26_md.errors import UserError

    given = {r.reference.kind: r for r in _given(references, model, opened)}
    folder, stem = Path(model).resolve().parent, Path(model).stem
    found, missing, frames = [], [], None
    for kind in kinds(space):
        places = [distance.reference_path(kind, folder, stem=stem)]
        places += [distance.reference_path(kind, folder, task=opened.task, level=opened.level_of_theory)]
        path = next((p for p in places if p.is_file()), None)
        if kind in given:
            found.append(given[kind])
            continue
        if path is None and data is not None:
            frames = frames or training_frames(None, opened, data, opened.level_of_theory, None, None, 100)
            path = fit_and_keep(kind, frames, folder, model, opened)
        if path is None:
            missing.append(kind)
        else:
            found.append(distance.ruler(path, opened, Path(model).name))
    if not found:
        raise UserError(
            f"there is nothing to measure from beside {model}; run 'gmd26-md distance fit --model {model} --data DATA' "
            "once, or give --data."
        )
    for kind in missing:
        click.echo(f"no {kind} reference beside {model}: 'gmd26-md distance fit --space {kind}' makes one.", err=True)
    return found


def _given(references: Sequence[Path], model: str, opened: Checkpoint | VendorModel) -> list[Ruler]:
    """Return what was named; of several models' own spaces that of this one."""
    from gmd26_md import distance
    from gmd26_md.descriptors.reference import load_reference

    mine = [p for p in references if load_reference(p).identity.get("sha256", opened.sha256) == opened.sha256]
    for path in references:
        if path not in mine:
            click.echo(f"{path} belongs to another model than {model}, and is not used for it.", err=True)
    return [distance.ruler(path, opened, Path(model).name) for path in mine]
