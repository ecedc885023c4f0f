"""The tasks as data: which molecules train, and which are the out-of-distribution test.

In-distribution molecules are the training molecules themselves: their independent secondary trajectory is the test.
The seven of GMD-26 are here; one of one's own is read from a file by `task_file`, through the same `get`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gmd26_md import molecules
from gmd26_md.errors import UserError, unknown_name
from gmd26_md.molecules import Molecule, family_members

FILE_TYPES = (".yaml", ".yml", ".py")
"""How the name of a file ends that holds a task of one's own."""


@dataclass(frozen=True)
class Task:
    """One question of compositional generalisation.

    Attributes
    ----------
    name
        "duplication".
    note
        What is asked, in a sentence.
    train
        Training molecules; also the in-distribution (ID) molecules, unless `id` names others.
    ood
        Out-of-distribution test molecules; every fragment of theirs is known from training.
    models_of
        The task whose trained models are used as they are, where nothing is trained (fission); else None.
    id
        In-distribution molecules that do not train; empty where the training molecules are the ID test.
    sha256
        Of its molecules and splits, for a task of one's own; empty for the benchmark's, whose names say it all.
    warnings
        What was found and is allowed, for a task of one's own.
    """

    name: str
    note: str
    train: tuple[Molecule, ...]
    ood: tuple[Molecule, ...]
    models_of: str | None = None
    id: tuple[Molecule, ...] = ()
    sha256: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def molecules(self) -> tuple[Molecule, ...]:
        """All molecules that the task needs, training first."""
        return self.train + self.id + self.ood

    @property
    def tested(self) -> tuple[Molecule, ...]:
        """The molecules that a model is tried on, ID first."""
        return (self.id or self.train) + self.ood

    def split_of(self, molecule: Molecule) -> str:
        """Return "id" for a training molecule and what else is in distribution, else "ood"."""
        return "id" if molecule in self.train + self.id else "ood"

    def frames_of(self, molecule: Molecule) -> str:
        """Return whose frames test it, as `datasets.heldout` calls them: "id", the secondary ones, if it trains.

        Of a molecule that does not train, ID or not, all primary frames are a test: "ood".
        """
        return "id" if molecule in self.train else "ood"

    def find(self, name: str) -> Molecule:
        """Return the task's molecule of this name, slug or SMILES; an everyday name of the benchmark's does too.

        Raises
        ------
        UserError
            If it has none.
        """
        wanted = name.lower()
        for molecule in self.molecules:
            if wanted in (molecule.name.lower(), molecule.slug.lower()) or name == molecule.smiles:
                return molecule
        try:
            found = molecules.get(name)
        except UserError:
            if not self.sha256:
                raise
            found = None
        if found is not None and found in self.molecules:
            return found
        if found is None or self.sha256:
            raise unknown_name(f"molecule of {self.name}", name, [m.name for m in self.molecules])
        raise UserError(f"{found.name} is not in the task {self.name}; see 'gmd26-md tasks {self.name}'.")


def _members(family: str, shortest: int = 2, longest: int = 13) -> tuple[Molecule, ...]:
    return tuple(m for m in family_members(family) if shortest <= m.n_carbon <= longest)


_TASKS: dict[str, Callable[[], Task]] = {
    "chain-extension": lambda: Task(
        "chain-extension", "longer chains of known links", _members("alkanes", 2, 6), _members("alkanes", 7, 13)
    ),
    "fusion": lambda: Task(
        "fusion",
        "-OH and -C=O fuse into -COOH",
        _members("alcohols") + _members("aldehydes") + _members("hydroxyaldehydes"),
        _members("carboxylic-acids"),
    ),
    "duplication": lambda: Task(
        "duplication", "two of a known fragment", _members("carboxylic-acids"), _members("dicarboxylic-acids")
    ),
    "combination": lambda: Task(
        "combination",
        "two known fragments that never met",
        _members("diamines") + _members("dicarboxylic-acids"),
        _members("amino-acids"),
    ),
    "fission": lambda: Task(
        "fission",
        "fusion backwards: the models of duplication on -OH and -C=O alone, not retrained",
        _members("carboxylic-acids"),
        _members("alcohols") + _members("aldehydes"),
        models_of="duplication",
    ),
    "chain-extension-hinted": lambda: Task(
        "chain-extension-hinted",
        "chain extension with the lengths covered by another family",
        _members("alkanes", 2, 6) + _members("alcohols"),
        _members("alkanes", 7, 13),
    ),
    "fusion-hinted": lambda: Task(
        "fusion-hinted",
        "fusion with a worked example, amines and amides",
        _members("alcohols")
        + _members("aldehydes")
        + _members("hydroxyaldehydes")
        + _members("amines")
        + _members("amides"),
        _members("carboxylic-acids"),
    ),
}

TASKS: tuple[str, ...] = tuple(_TASKS)


def get(name: str | Path) -> Task:
    """Return the task of this name, or of this file: YAML, or Python that has a function `task`, which is run.

    For what the user said. A name that was read from a file, a checkpoint's or a record's, goes to `named`.

    Raises
    ------
    UserError
        If there is none, or the file is no task: see `task_file.read_task`.
    """
    if str(name) not in _TASKS and is_file_name(name):
        from gmd26_md.task_file import read_task

        return read_task(Path(name))
    if name not in _TASKS:
        raise UserError(f"{unknown_name('task', str(name), _TASKS)} Or name a file of your own, .yaml or .py.")
    return named(str(name))


def named(name: str) -> Task:
    """Return the benchmark's task of this name; no file is opened.

    Raises
    ------
    UserError
        If there is none.
    """
    if name not in _TASKS:
        raise unknown_name("task", name, _TASKS)
    return _TASKS[name]()


def is_file_name(name: str | Path) -> bool:
    """Tell whether a task is named by its file."""
    return isinstance(name, Path) or name.lower().endswith(FILE_TYPES) or "/" in name
