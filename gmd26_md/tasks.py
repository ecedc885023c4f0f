"""The tasks of GMD-26 as data: which molecules train, and which are the out-of-distribution test.

In-distribution molecules are the training molecules themselves: their independent secondary trajectory is the test.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gmd26_md.errors import unknown_name
from gmd26_md.molecules import Molecule, family_members


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
        Training molecules; also the in-distribution (ID) molecules.
    ood
        Out-of-distribution test molecules; every fragment of theirs is known from training.
    models_of
        The task whose trained models are used as they are, where nothing is trained (fission); else None.
    """

    name: str
    note: str
    train: tuple[Molecule, ...]
    ood: tuple[Molecule, ...]
    models_of: str | None = None

    @property
    def molecules(self) -> tuple[Molecule, ...]:
        """All molecules that the task needs, training first."""
        return self.train + self.ood

    def split_of(self, molecule: Molecule) -> str:
        """Return "id" for a training molecule, else "ood"."""
        return "id" if molecule in self.train else "ood"


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


def get(name: str) -> Task:
    """Return the task of this name.

    Raises
    ------
    UserError
        If there is none.
    """
    if name not in _TASKS:
        raise unknown_name("task", name, _TASKS)
    return _TASKS[name]()
