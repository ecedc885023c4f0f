"""One model's energy errors under several ways of pinning what the training data left open.

The model is evaluated once, as for static errors, whose run folder this shares; the rest is arithmetic.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.data import atomic_numbers
from numpy.typing import NDArray

from gmd26_md import molecules, tasks
from gmd26_md.constitution import numbers_in
from gmd26_md.errors import UserError
from gmd26_md.evaluate.common import Show, quiet
from gmd26_md.evaluate.static_errors import measure_static_errors
from gmd26_md.molecules import Molecule
from gmd26_md.observables.composition import composition_matrix, composition_of, rank
from gmd26_md.observables.errors import FrameSums, pooled_with_spread
from gmd26_md.observables.gauge import Gauge
from gmd26_md.protocols.cases import Case
from gmd26_md.question import Question
from gmd26_md.run_folder import RunFolder

if TYPE_CHECKING:
    from gmd26_md.calculators.checkpoint import Checkpoint

Ints = NDArray[np.int64]

_ENERGY = 7  # column of `FrameSums.table`: predicted less reference energy, eV
_METRICS = ("energy_mae_eV", "energy_offset_eV", "energy_offset_removed_mae_eV")


def measure_gauge(question: Question, folder: RunFolder, n_frames: int, show: Show = quiet) -> dict[str, Any]:
    """Return the energy errors of a model as trained, and with its element energies moved along what is left open.

    Returns
    -------
    JSON-safe: what the model is, its element energies, the rank of its training compositions, `identifiable` by
    molecule, and `ways`: for each way of pinning its element energies, `errors` by split (`energy_mae_eV`,
    `energy_offset_eV`, `energy_offset_removed_mae_eV`, each a spread) and `training_shift_max_eV`: by how much the
    energy of any training molecule moved. A way that cannot be computed has `errors` None and a `reason`.

    Raises
    ------
    UserError
        For a model without per-element energies of its own, or that does not say what trained it.
    """
    checkpoint = _checkpoint(question)
    energies = dict(checkpoint.element_energies)
    elements = sorted(energies)
    training = _training_compositions(question, checkpoint.task, elements)
    measure_static_errors(question, folder, n_frames, show)
    tables = folder.static_tables()
    cases = [c for c in question.cases if c.slug in tables]
    gauge = Gauge(np.array([energies[z] for z in elements]), training)
    rows = {c.slug: composition_of(c.numbers, elements) for c in cases}
    return {
        "model": question.subject.name,
        "model_sha256": question.subject.sha256,
        "family": question.subject.family,
        "task": question.task,
        "level_of_theory": question.subject.level_of_theory,
        "element_energies_from": checkpoint.element_energies_from,
        "elements": elements,
        "rank": rank(gauge.training),
        "null_directions": gauge.directions.tolist(),
        "identifiable": dict(zip([c.name for c in cases], gauge.identifiable(list(rows.values())), strict=True)),
        "ways": [
            _way(name, change, gauge, cases, tables, rows)
            for name, change in _changes(question, gauge, cases, tables, rows, elements).items()
        ],
    }


def _changes(
    question: Question,
    gauge: Gauge,
    cases: list[Case],
    tables: dict[str, np.ndarray],
    rows: dict[str, np.ndarray],
    elements: list[int],
) -> dict[str, np.ndarray | str]:
    """Return the change of the element energies that each way makes, eV; a reason where it cannot."""
    known = [c for c in cases if c.split == "id" and c.frames is not None]
    per_atom = [c.frames.energies.mean() / len(c.numbers) for c in known if c.frames is not None]
    unseen = [c for c in cases if c.split == "ood"]
    isolated = _isolated_atoms(elements, question.subject.level_of_theory)
    return {
        "as trained": np.zeros(len(elements)),
        "smallest norm": gauge.change_towards(np.zeros(len(elements))),
        "mean of atoms": (
            gauge.change_towards(np.full(len(elements), np.mean(per_atom))) if per_atom else "no ID frames"
        ),
        "isolated atoms": isolated if isinstance(isolated, str) else gauge.change_towards(isolated),
        "best possible": (
            gauge.change_fitted(
                np.stack([rows[c.slug] for c in unseen]), np.array([tables[c.slug][:, _ENERGY].mean() for c in unseen])
            )
            if unseen
            else "no OOD frames"
        ),
    }


def _way(
    name: str,
    change: np.ndarray | str,
    gauge: Gauge,
    cases: list[Case],
    tables: dict[str, np.ndarray],
    rows: dict[str, np.ndarray],
) -> dict[str, Any]:
    """Return the errors of one way."""
    if isinstance(change, str):
        return {"pinned_to": name, "errors": None, "reason": change}
    errors = {}
    for split in dict.fromkeys(c.split for c in cases):
        moved = [_moved(tables[c.slug], float(rows[c.slug] @ change)) for c in cases if c.split == split]
        found = pooled_with_spread(moved, n_resamples=200)
        errors[split] = {m: {k: asdict(found[m])[k] for k in ("value", "standard_error")} for m in _METRICS}
    return {
        "pinned_to": name,
        "element_energies_eV": (gauge.energies + change).tolist(),
        "training_shift_max_eV": float(np.abs(gauge.training @ change).max(initial=0.0)),
        "errors": errors,
    }


def _moved(table: np.ndarray, shift: float) -> FrameSums:
    """Return errors by frame with the energy moved by a constant, eV."""
    moved = table.copy()
    moved[:, _ENERGY] += shift
    return FrameSums(moved)


def _checkpoint(question: Question) -> Checkpoint:
    """Return the checkpoint of the model under test, or what its file is as one."""
    from gmd26_md.calculators.checkpoint import Checkpoint
    from gmd26_md.calculators.model_file import open_model_file

    subject = question.subject
    if subject.path is None:
        raise UserError(f"{subject.name} has no file with per-element energies; give one checkpoint with each --model.")
    opened = open_model_file(subject.path, trust_pickle=subject.trust_pickle, arguments=subject.arguments)
    found = opened if isinstance(opened, Checkpoint) else opened.checkpoint
    if found is None:
        raise UserError(f"{subject.path} runs as a whole by its own package, which does not show per-element energies.")
    return found


def _training_compositions(question: Question, task: str, elements: list[int]) -> Ints:
    """Return the compositions of what the model was trained on, as its file says; `task` is what it names as such.

    Raises
    ------
    UserError
        If it does not say, or says what has elements without an energy of its own.
    """
    found = _trained_on(question, task)
    try:
        return composition_matrix(found, elements)
    except ValueError as problem:
        raise UserError(
            f"{question.subject.name} cannot have been trained on {task or 'what it says'}: {problem}; "
            "convert it again with the --task that trained it."
        ) from problem


def _trained_on(question: Question, task: str) -> list[list[int]]:
    """Return the atomic numbers of each molecule that trained a model: its file's own list, else of the task it names.

    A task of one's own is told by its name only where that is the task that is asked: no file is looked for.
    """
    subject, asked = question.subject, question.definition
    if subject.trained_on:
        found = [numbers_in(graph) if graph else _benchmarks(name) for name, graph in subject.trained_on]
    elif task in tasks.TASKS:
        found = [_numbers(m) for m in tasks.named(task).train]
    else:
        found = [_numbers(m) for m in asked.train] if asked is not None and task == asked.name else []
    if not found or not all(found):
        raise UserError(
            f"{subject.name} does not say what trained it, and so not what that left open; give a checkpoint of "
            "'gmd26-md train', or 'gmd26-md convert' it with the --task that trained it."
        )
    return found


def _numbers(molecule: Molecule) -> list[int]:
    return [atomic_numbers[symbol] for symbol in molecule.symbols]


def _benchmarks(name: str) -> list[int]:
    """Return the atomic numbers of a molecule of the benchmark; none for a name that is none of its names."""
    try:
        return _numbers(molecules.get(name))
    except UserError:
        return []


def _isolated_atoms(elements: list[int], level: str) -> np.ndarray | str:
    """Return the energies of isolated atoms at a level of theory, eV; a reason where they are not known."""
    if level != "gfn2-xtb":
        return f"isolated atoms are computed for gfn2-xtb only, not for {level or 'an unknown level of theory'}"
    from gmd26_md.calculators.gfn2_xtb import isolated_atom_energy

    return np.array([isolated_atom_energy(z) for z in elements])
