"""How far is a molecule from what a model was trained on? Asked before anything is run, answered atom by atom."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gmd26_md.datasets.frame_checks import moved_twins_before, twins_before
from gmd26_md.descriptors.reference import Frames, Reference, fit_reference, load_reference, measure, save_reference
from gmd26_md.descriptors.soap import Soap
from gmd26_md.descriptors.space import MODEL, SOAP, Space, model_space, soap_space
from gmd26_md.errors import UserError

if TYPE_CHECKING:
    from ase import Atoms

    from gmd26_md.calculators.checkpoint import Checkpoint
    from gmd26_md.calculators.vendors.model import VendorModel
    from gmd26_md.observables.environments import Distances
    from gmd26_md.tasks import Task

KINDS = (SOAP, MODEL)
FAR_PERCENTILE = 99.0
"""An atom is called far beyond this percentile of held-out environments of its element in the training molecules."""


@dataclass(frozen=True)
class Ruler:
    """A space and the training environments in it: all that measuring needs."""

    space: Space
    reference: Reference

    def measure(self, numbers: np.ndarray, positions: np.ndarray) -> Distances:
        """Return the distances of every atom of frames (n_frames, n_atoms, 3), Å, as (n_frames, n_atoms)."""
        return measure(self.reference, self.space, numbers, positions)


def reference_path(kind: str, folder: Path, *, stem: str = "", task: str = "", level: str = "") -> Path:
    """Return where a reference lies: beside a model under its name, or for SOAP under that of the training data."""
    if kind == SOAP and task:
        return folder / f"{task}-{level.replace('/', '-')}.soap.npz"
    return folder / f"{stem}.{'soap' if kind == SOAP else 'distance'}.npz"


def task_frames(task: Task, data: Path, level: str, n_frames: int) -> tuple[list[Frames], list[Frames], dict[str, Any]]:
    """Return the frames of a task that train and those that are held out (validation), and what they are.

    Raises
    ------
    UserError
        If a trajectory is missing.
    """
    from gmd26_md.training.training_data import evenly_spaced, training_data

    found = training_data(task, data, level, n_frames)
    sets = [
        [(m.numbers, m.positions) for m in several]
        for several in (found.train, evenly_spaced(found.validation, n_frames))
    ]
    made_of = {
        "task": task.name,
        "level_of_theory": level,
        "molecules": [m.name for m in task.train],
        "n_frames_per_molecule": n_frames,
    } | ({"task_sha256": task.sha256} if task.sha256 else {})  # a task of one's own is not told by its name
    return sets[0], sets[1], made_of


def file_frames(train: Path, heldout: Path) -> tuple[list[Frames], list[Frames], dict[str, Any]]:
    """Return the frames of two structure files, those that train and those held out, and what they are.

    Raises
    ------
    UserError
        For a file that is not there or is no molecules, and a held-out structure that trains: it would be no scale.
    """
    from gmd26_md.structure_files import read_structures

    sets = [_together(read_structures(path)) for path in (train, heldout)]
    n_shared = _n_shared(*sets)
    if n_shared:
        raise UserError(
            f"{n_shared} structures of {heldout} are in {train} too, where they stand or moved and turned; hold out "
            "others than those that train: their distance is nought, and no scale."
        )
    return sets[0], sets[1], {"train": train.name, "heldout": heldout.name}


def _together(structures: Sequence[Atoms]) -> list[Frames]:
    """Return structures with the same atoms in the same order as frames of one molecule."""
    alike: dict[tuple[int, ...], list[np.ndarray]] = {}
    for atoms in structures:
        alike.setdefault(tuple(atoms.numbers.tolist()), []).append(atoms.positions)
    return [(np.array(numbers), np.stack(positions)) for numbers, positions in alike.items()]


def _n_shared(train: Sequence[Frames], heldout: Sequence[Frames]) -> int:
    """Return how many held-out frames are frames that train."""
    known = {tuple(numbers.tolist()): positions for numbers, positions in train}
    n = 0
    for numbers, positions in heldout:
        trains = known.get(tuple(numbers.tolist()), positions[:0])
        both = np.concatenate([trains, positions])
        same = [twins[len(trains) :] for twins in (twins_before(both), moved_twins_before(numbers, both))]
        n += int(np.any([(of >= 0) & (of < len(trains)) for of in same], axis=0).sum())
    return n


def space_to_fit(kind: str, train: Sequence[Frames], model: Checkpoint | VendorModel | None, name: str) -> Space:
    """Return the space that training frames are to be summed up in; `name` is the model's in a message."""
    if kind == SOAP:
        return soap_space(Soap(tuple(sorted({int(z) for numbers, _ in train for z in numbers}))))
    if model is None:
        raise UserError("a model's own space needs the model; give --model, or --space soap.")
    return model_space(model, name)


def fit(
    kind: str,
    frames: tuple[Sequence[Frames], Sequence[Frames], dict[str, Any]],
    path: Path,
    *,
    model: Checkpoint | VendorModel | None = None,
    name: str = "",
    on_progress: Callable[[float], None] = lambda fraction: None,
) -> Reference:
    """Sum up training frames (`task_frames`, `file_frames`) in a space, keep them at `path`, and return them.

    Raises
    ------
    UserError
        If the model says that other molecules trained it, and for what `fit_reference` refuses.
    """
    train, heldout, made_of = frames
    if _differ(made_of, model):
        raise UserError(
            f"the molecules of {made_of.get('task')} are not those that trained {name}; leave out --task, or name the "
            "task that trained it, a file as it was in training."
        )
    space = space_to_fit(kind, train, model, name)
    reference = fit_reference(space, train, heldout, made_of, on_progress=on_progress)
    save_reference(reference, path)
    return reference


def ruler(path: Path, model: Checkpoint | VendorModel | None, name: str) -> Ruler:
    """Open a reference with the space that it belongs to.

    Raises
    ------
    UserError
        If it is damaged, or belongs to another model or to a task that did not train this one.
    """
    reference = load_reference(path)
    if reference.kind == SOAP:
        _refuse_another_task(reference, path, model, name)
        settings = dict(reference.identity)
        try:
            soap = Soap(**(settings | {"elements": tuple(settings["elements"])}))
        except (TypeError, KeyError) as error:
            raise UserError(f"{path} has unknown SOAP settings ({error}); fit it again.") from error
        return Ruler(soap_space(soap), reference)
    if model is None:
        raise UserError(f"{path} belongs to a model's own space; give that model with --model.")
    if reference.identity.get("sha256") != model.sha256:
        raise UserError(
            f"{path} was fitted for another model than {name} (or before it was trained again); fit it again with "
            "'gmd26-md distance fit'."
        )
    _refuse_another_task(reference, path, model, name)
    return Ruler(model_space(model, name), reference)


def _refuse_another_task(reference: Reference, path: Path, model: Checkpoint | VendorModel | None, name: str) -> None:
    """Raise if a reference and a model both say what they are of, a task of one's own or molecules, and differ."""
    if _differ(reference.made_of, model):
        raise UserError(
            f"{path} was fitted for another task than trained {name}, or for other molecules of it; fit it again with "
            "'gmd26-md distance fit', and of a task of one's own with --task FILE as it was in training."
        )


def _differ(made_of: Mapping[str, Any], model: Checkpoint | VendorModel | None) -> bool:
    """Tell whether a reference and a model both name a task of one's own, or what trained, and not the same."""
    training = getattr(model, "training", {})
    if made_of.get("task_sha256") and training.get("task_sha256"):
        return bool(made_of["task_sha256"] != training["task_sha256"])
    fitted, trained = made_of.get("molecules"), training.get("molecules")
    if not (isinstance(fitted, list) and isinstance(trained, list)):
        return False
    return set(map(str, fitted)) != set(map(str, trained))


def asked(rulers: Sequence[Ruler], structures: Sequence[Atoms]) -> list[dict[str, Any]]:
    """Return the distances of each structure, atom by atom and summed up; JSON-safe but for infinities."""
    return [_structure(rulers, atoms) for atoms in structures]


def _structure(rulers: Sequence[Ruler], atoms: Atoms) -> dict[str, Any]:
    found = {r.space.kind: r.measure(atoms.numbers, atoms.positions[None]) for r in rulers}
    symbols = atoms.get_chemical_symbols()
    seen = set.intersection(*(set(r.reference.elements) for r in rulers))
    per_atom: list[dict[str, Any]] = [{"atom": i + 1, "element": symbol} for i, symbol in enumerate(symbols)]
    for kind, distances in found.items():
        for i, entry in enumerate(per_atom):
            entry[kind] = {name: float(values[0, i]) for name, values in vars(distances).items()}
    return {
        "molecule": str(atoms.info.get("name", atoms.symbols)),
        "formula": atoms.get_chemical_formula(),
        "elements_not_in_training": sorted({s for s, z in zip(symbols, atoms.numbers, strict=True) if z not in seen}),
        "summary": {kind: summed_up(distances) for kind, distances in found.items()},
        "atoms": per_atom,
    }


def summed_up(distances: Distances) -> dict[str, float]:
    """Return mean and largest distance of all atoms of all frames, and the part of them that is far."""
    return {
        "nearest_mean": float(distances.nearest.mean()),
        "nearest_max": float(distances.nearest.max()),
        "mahalanobis_mean": float(distances.mahalanobis.mean()),
        "mahalanobis_max": float(distances.mahalanobis.max()),
        "nearest_far_fraction": float((distances.nearest_percentile >= FAR_PERCENTILE).mean()),
        "mahalanobis_far_fraction": float((distances.mahalanobis_percentile >= FAR_PERCENTILE).mean()),
    }
