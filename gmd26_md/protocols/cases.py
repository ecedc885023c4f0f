"""What a model is tried on: molecules, each with a reference minimum, and reference frames where there are some."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms

from gmd26_md.datasets import store
from gmd26_md.datasets.heldout import heldout_frames
from gmd26_md.errors import UserError
from gmd26_md.molecules import Molecule
from gmd26_md.reference.minima import minima
from gmd26_md.structure_files import read_structures
from gmd26_md.tasks import Task
from gmd26_md.trajectory import Trajectory

_LONGEST_SLUG = 120  # bytes; file systems take 255, and seed and ending are added


@dataclass(frozen=True)
class Case:
    """One molecule to try a model on.

    Attributes
    ----------
    name, slug, formula
        What reports and file names call it.
    split
        "id", "ood" or "user".
    structure
        As it was given or built, before any relaxation.
    minimum
        The reference minimum, one frame; None if the reference found none.
    frames
        Reference frames for static errors, or None.
    """

    name: str
    slug: str
    formula: str
    split: str
    structure: Atoms
    minimum: Trajectory | None
    frames: Trajectory | None

    @property
    def numbers(self) -> np.ndarray:
        """Atomic numbers, (n_atoms,)."""
        return np.asarray(self.structure.numbers)


def cases_of_task(
    task: Task,
    data: Path | None,
    level: str,
    *,
    reference: str | None = None,
    n_frames: int | None = None,
    only: Sequence[str] = (),
    compute_minima: bool = True,
    on_progress: Callable[[float], None] = lambda fraction: None,
) -> list[Case]:
    """Return a task's ID and OOD molecules.

    Parameters
    ----------
    task
        Which molecules.
    data
        Folder with reference data (`datasets.store`), for minima and frames; None if there is none. A minimum
        that is not there is computed with the reference.
    level
        Level of theory of the frames.
    reference
        What the minima belong to; `level` if None.
    n_frames
        At most so many reference frames a molecule.
    only
        Names or slugs of the molecules wanted; all if empty.
    compute_minima
        Whether a minimum that is not there is computed; static errors do without.
    """
    chosen = _chosen(task, only)
    reference = reference or level
    kept = {m.slug: _stored_minimum(data, reference, m) for m in chosen}
    absent = [m for m in chosen if kept[m.slug] is None and compute_minima]
    relaxed = minima([m.atoms() for m in absent], reference, on_progress=on_progress)
    kept |= {m.slug: found for m, found in zip(absent, relaxed, strict=True)}
    return [
        Case(
            name=m.name,
            slug=m.slug,
            formula=m.formula,
            split=task.split_of(m),
            structure=m.atoms(),
            minimum=kept[m.slug],
            frames=None if data is None else heldout_frames(data, level, m, task.frames_of(m), n_frames),
        )
        for m in chosen
    ]


def cases_of_file(
    path: Path, level: str, *, on_progress: Callable[[float], None] = lambda fraction: None
) -> list[Case]:
    """Return the molecules of a user's structure file, relaxed with the reference.

    Raises
    ------
    UserError
        For a file that is not there or does not parse, no atoms, NaN positions, or a cell.
    """
    structures = read_structures(path)
    found = minima(structures, level, on_progress=on_progress)
    slugs = _slugs([str(atoms.info["name"]) for atoms in structures])
    return [
        Case(
            name=str(atoms.info["name"]),
            slug=slug,
            formula=atoms.get_chemical_formula(mode="hill"),
            split="user",
            structure=atoms,
            minimum=minimum,
            frames=None,
        )
        for atoms, slug, minimum in zip(structures, slugs, found, strict=True)
    ]


def refuse_unknown_elements(cases: Sequence[Case], elements: frozenset[int] | None, model: str) -> None:
    """Raise a UserError if a case has an element that the model does not know."""
    from ase.data import chemical_symbols

    if elements is None:
        return
    for case in cases:
        foreign = sorted(set(case.numbers.tolist()) - elements)
        if foreign:
            have = " ".join(chemical_symbols[z] for z in foreign)
            known = " ".join(chemical_symbols[z] for z in sorted(elements))
            raise UserError(
                f"{case.name} has {have}; {model} knows {known}. Leave such molecules out, or record them as "
                "unsupported with --skip-unsupported."
            )


def _chosen(task: Task, only: Sequence[str]) -> list[Molecule]:
    return [task.find(name) for name in only] or list(task.tested)


def has_minimum(data: Path | None, level: str, molecule: Molecule) -> bool:
    """Tell whether the minimum of a molecule lies in the folder, and need not be computed."""
    return data is not None and store.path_of(data, level, molecule, "minimum").is_file()


def _stored_minimum(data: Path | None, level: str, molecule: Molecule) -> Trajectory | None:
    if data is None or not has_minimum(data, level, molecule):
        return None
    return store.read_frames(store.path_of(data, level, molecule, "minimum"), molecule, level)


def _slugs(names: Sequence[str]) -> list[str]:
    """Return a file name for each name, no two alike on any file system."""
    slugs: list[str] = []
    taken: set[str] = set()
    for name in names:
        slug = first = _slug(name)
        number = 1
        while slug.casefold() in taken:
            number += 1
            slug = f"{first}-{number}"
        taken.add(slug.casefold())
        slugs.append(slug)
    return slugs


def _slug(name: str) -> str:
    safe = "".join(c if c.isalnum() or c in "-_." else "-" for c in name).strip("-.")
    return safe.encode()[:_LONGEST_SLUG].decode(errors="ignore") or "molecule"
