"""A task of one's own, read from a YAML file or made by a Python file, and held to what a task must be.

    name: my-task                # by default the file's name
    note: what is asked
    train:                       # what trains
      - family: alcohols         # of the benchmark, with the lengths wanted
        lengths: 2-6
      - molecule: ethanal        # of the benchmark, by name
      - smiles: COC              # a molecule of your own; also a list of SMILES
        name: dimethyl ether
      - file: mine.xyz           # what ASE reads, beside this file
    id: []                       # in distribution but not trained on; by default the training molecules
    ood:                         # what is unseen
      - smiles: COCCO

A Python file has a function `task`, which takes nothing and returns a dict of this shape or a `Task`.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from gmd26_md import leakage, strict_json, task_entries
from gmd26_md.constitution import constitution
from gmd26_md.errors import UserError, unknown_name
from gmd26_md.molecules import FAMILIES, Molecule, family_members
from gmd26_md.task_source import from_python, from_yaml
from gmd26_md.tasks import FILE_TYPES, TASKS, Task

KEYS = ("name", "note", "train", "id", "ood")
_TAKEN = (*TASKS, "user")  # "user" is what records call structures without a task


def read_task(path: Path) -> Task:
    """Return the task in a file. A Python file is run: it is code that the user named.

    Raises
    ------
    UserError
        If it is not there, does not parse, has what a task has not, or is not fair (`leakage`).
    """
    if not path.is_file():
        raise UserError(f"no task file at {path}; give a file of your own, or a name of 'gmd26-md tasks'.")
    if path.suffix.lower() not in FILE_TYPES:
        raise UserError(f"{path} is no task file by its name; allowed are {', '.join(FILE_TYPES)}.")
    found = from_python(path) if path.suffix.lower() == ".py" else from_yaml(path)
    if isinstance(found, Task):
        return checked(found, str(path))
    return checked(task_of(found, path), str(path))


def task_of(content: Any, path: Path) -> Task:
    """Return the task that a file's content describes, not yet checked; `path` is for what lies beside it."""
    if not isinstance(content, dict):
        raise UserError(f"{path} holds {_kind(content)}; a task has the keys {', '.join(KEYS)}.")
    for key in content:
        if key not in KEYS:
            raise unknown_name(f"key in {path}", str(key), KEYS)
    for key in ("train", "ood"):
        if not content.get(key):
            raise UserError(f"{path} has no {key}; list at least one molecule under it.")
    name, note = content.get("name", re.sub(r"[^A-Za-z0-9_-]", "-", path.stem)), content.get("note", "")
    for key, value in (("name", name), ("note", note)):
        if not isinstance(value, str):
            raise UserError(f"{path}: {key} is {_kind(value)} ({value!r}); it must be text. Put it in quotes.")
    entries = {key: [] if content.get(key) is None else content[key] for key in ("train", "id", "ood")}
    lists = {key: task_entries.molecules_of(some, f"{path}, {key}", path.parent) for key, some in entries.items()}
    return Task(name, " ".join(note.split()), lists["train"], lists["ood"], id=lists["id"])


def checked(task: Task, where: str) -> Task:
    """Return a task of one's own with its hash and its warnings.

    Raises
    ------
    UserError
        For what is no name or no molecule, a name that is taken or unfit for a file name, molecules that no model here
        can represent, two with one name, a molecule on both sides of the task, or nothing to train on or to test.
    """
    task = _of_right_types(task, where)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,59}", task.name):
        raise UserError(
            f"{where}: the task's name {task.name!r} is no plain word; allowed are up to 60 letters, digits, - and _, "
            "a letter or digit first."
        )
    if task.name.lower() in _TAKEN:
        raise UserError(f"{where}: the name {task.name!r} is taken; give the task another one with the key 'name'.")
    if not task.train or not task.ood:
        raise UserError(f"{where} has no {'ood' if task.train else 'train'}; list at least one molecule under it.")
    for molecule in task.molecules:
        _check_molecule(molecule, where)
    _refuse_equal_names(task, where)
    leakage.refuse_leakage(task)
    return replace(task, sha256=content_sha256(task), warnings=leakage.warnings_of(task))


def content_sha256(task: Task) -> str:
    """Return a SHA-256 of a task's molecules and splits: not of its name, its note, or the order of things."""
    lists = {name: sorted(m.slug for m in getattr(task, name)) for name in leakage.SPLITS}
    return hashlib.sha256(strict_json.canonical(lists | {"models_of": task.models_of}).encode()).hexdigest()


def _of_right_types(task: Task, where: str) -> Task:
    """Return the task with its molecules in tuples; a Python file may have made it of anything."""
    for key in ("name", "note"):
        if not isinstance(getattr(task, key), str):
            raise UserError(f"{where}: the task's {key} is {_kind(getattr(task, key))}; it must be text.")
    for split in leakage.SPLITS:
        found = getattr(task, split)
        if not isinstance(found, (tuple, list)) or not all(isinstance(one, Molecule) for one in found):
            raise UserError(
                f"{where}: the task's {split} is no tuple of molecules; make each with "
                "gmd26_md.own_molecules.from_smiles('CCO'), or return a dict."
            )
    return replace(task, train=tuple(task.train), id=tuple(task.id), ood=tuple(task.ood))


def _check_molecule(molecule: Molecule, where: str) -> None:
    if molecule.family in FAMILIES and molecule not in family_members(molecule.family):
        raise UserError(f"{where}: {molecule.name} is not of the benchmark's {molecule.family}; name another family.")
    if molecule.charge:
        raise UserError(
            f"{where}: {molecule.name} has charge {molecule.charge:+d}; the models know neutral molecules only. "
            "Take it out, or write it neutral."
        )
    if molecule.multiplicity != 1:
        raise UserError(
            f"{where}: {molecule.name} has multiplicity {molecule.multiplicity}; the models know closed shells only. "
            "Take it out, or complete it with hydrogen."
        )
    n_pieces = constitution(molecule).count(".") + 1
    if n_pieces > 1:  # of a structure file; a SMILES of several is refused where it is read
        raise UserError(
            f"{where}: {molecule.name} falls into {n_pieces} pieces by its bonds, pairs within 1.25 times the sum of "
            "their covalent radii; give one whole molecule, with positions in Å."
        )


def _refuse_equal_names(task: Task, where: str) -> None:
    """Refuse two molecules with one name or one file name, on any file system."""
    for kind in ("name", "slug"):
        seen: dict[str, Molecule] = {}
        for molecule in task.molecules:
            text = str(getattr(molecule, kind)).casefold()
            other = seen.setdefault(text, molecule)
            if other is not molecule and other != molecule:
                raise UserError(f"{where}: two molecules have the {kind} {text!r}; give one of them another name.")


def _kind(value: Any) -> str:
    names = {
        **{type(None): "nothing", dict: "a mapping", list: "a list", str: "text", bool: "a truth value"},
        **{int: "a number", float: "a number"},
    }
    return names.get(type(value), f"a value of type {type(value).__name__}")
