"""Records sorted into what the page shows: tasks, their models, and what each model comes to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gmd26_md import molecules, tasks
from gmd26_md.errors import UserError
from gmd26_md.page.sources import Sources
from gmd26_md.records import SPLITS, Record
from gmd26_md.report.lives import by_condition
from gmd26_md.report.summary import TITLES, summarise


@dataclass(frozen=True, eq=False)
class Model:
    """A model in a task: its label, its place in the order of looks, its records and their summary."""

    sha: str
    label: str
    index: int
    records: list[Record]
    summary: dict[str, Any]

    @property
    def family(self) -> str:
        """The family of the model."""
        return self.records[0].family


@dataclass(frozen=True, eq=False)
class TaskContent:
    """A task with its models, those with most faithful OOD runs first.

    Attributes
    ----------
    name, note
        Of the task; what it asks, in a few words.
    number
        Its place on the page, for anchors.
    """

    name: str
    note: str
    number: int
    models: list[Model]

    @cached_property
    def records(self) -> list[Record]:
        """All records of the task."""
        return [r for m in self.models for r in m.records]

    @cached_property
    def splits(self) -> list[str]:
        """The splits that any record is of, in their order."""
        found = {r.split for r in self.records}
        return [s for s in SPLITS if s in found]

    @cached_property
    def conditions(self) -> list[str]:
        """The conditions under which any model was run."""
        return list(by_condition(self.records))

    @cached_property
    def _molecules(self) -> dict[str, list[str]]:
        found: dict[str, dict[str, str]] = {split: {} for split in self.splits}
        for record in self.records:
            found[record.split].setdefault(record.molecule, record.formula)
        return {
            split: sorted(names, key=lambda name: (n_carbon(name, names[name]), name)) for split, names in found.items()
        }

    @cached_property
    def _anchors(self) -> dict[str, str]:
        names = dict.fromkeys(name for split in self.splits for name in self._molecules[split])
        return {name: f"molecule-{self.number}-{index}" for index, name in enumerate(names)}

    def molecules(self, split: str) -> list[str]:
        """Return the molecules of a split, the shortest first."""
        return self._molecules[split]

    def anchor(self, molecule: str) -> str:
        """Return the anchor of a molecule's section."""
        return self._anchors[molecule]


def contents(sources: Sources) -> list[TaskContent]:
    """Return the tasks of all records, each with its models."""
    found = []
    for number, name in enumerate(sorted({r.task for r in sources.records})):
        mine = [r for r in sources.records if r.task == name]
        found.append(TaskContent(name, _note(name), number, _models(mine, sources)))
    return found


def _models(records: Sequence[Record], sources: Sources) -> list[Model]:
    by_sha: dict[str, list[Record]] = {}
    for record in records:
        by_sha.setdefault(record.model_sha256, []).append(record)
    labels = _labels({sha: mine[0].model for sha, mine in by_sha.items()}, records[0].task)
    found = []
    for sha, mine in by_sha.items():
        label = labels[sha]
        found.append((label, sha, mine, summarise(mine, sources.static.get(sha, {}))))
    found.sort(key=lambda m: (-_merit(m[3]), m[0]))
    return [Model(sha, label, index, mine, summary) for index, (label, sha, mine, summary) in enumerate(found)]


def _labels(names: dict[str, str], task: str) -> dict[str, str]:
    """Return a label a model hash: its name without the task at its end, and with the hash where names are the same."""
    short = {sha: name.removesuffix(f"-{task}") for sha, name in names.items()}
    if len(set(short.values())) < len(set(names.values())):
        short = names
    same = list(short.values())
    return {sha: name if same.count(name) == 1 else f"{name} ({sha[:8]})" for sha, name in short.items()}


def _merit(summary: dict[str, Any]) -> float:
    """Return the share of faithful runs where it is hardest: OOD, or yours, or ID; -1 where there was no run."""
    for split in ("ood", "user", "id"):
        runs = summary["splits"].get(split, {}).get("stability", {})
        if runs:
            return sum(part["faithful_fraction"]["value"] for part in runs.values()) / len(runs)
    return -1.0


def _note(task: str) -> str:
    if task == "user":
        return "structures of your own"
    try:
        return tasks.named(task).note  # from a record: a name that looks like a file's is not opened
    except UserError:
        return ""


def n_carbon(name: str, formula: str) -> int:
    """Return how many carbon atoms a molecule has, by its formula; 0 where that says nothing."""
    from ase.formula import Formula

    try:
        return int(Formula(formula).count().get("C", 0))
    except ValueError:
        return 0


def kind_of(names: Sequence[str], split: str) -> str:
    """Return what molecules are together: "dicarboxylic acids", or "unseen molecules" where they are of many kinds."""
    families = set()
    for name in names:
        try:
            families.add(molecules.get(name).family)
        except UserError:
            families.add("")
    if len(families) == 1 and "" not in families:
        return next(iter(families)).replace("-", " ")
    return {"id": "training molecules", "ood": "unseen molecules", "user": "molecules"}[split]


__all__ = ["TITLES", "Model", "TaskContent", "contents", "kind_of", "n_carbon"]
