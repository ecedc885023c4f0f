"""Whether a task is fair: no molecule on both sides of it, by covalent graph and not by name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from ase.data import chemical_symbols

from gmd26_md import molecules
from gmd26_md.constitution import again, constitution, drawing, elements, n_open_stereocentres, skeleton, stereo
from gmd26_md.errors import UserError
from gmd26_md.molecules import Molecule
from gmd26_md.tasks import Task

SPLITS = {"train": "train", "id": "ID", "ood": "OOD"}
"""A task's lists of molecules, and what they are called."""


def refuse_leakage(task: Task) -> None:
    """Raise if a molecule stands in two of train, ID and OOD, or twice in one of them.

    Two molecules are the same if their covalent graphs are: stereoisomers are, across splits, since a potential reads
    both from the same graph, and mirror images have the same energy. Within a split, stereoisomers that are written
    with their stereocentres are two molecules, where that is all that tells their drawings apart.

    Raises
    ------
    UserError
        With both names, and how many more pairs there are.
    """
    pairs = list(_same_across(task))
    if pairs:
        (first, here), (second, there) = pairs[0]
        what = f"{_called(first, here)} and {_called(second, there)} are the same molecule, {_how_alike(first, second)}"
        cure = "what is tested must not train or be tested twice, under any name; take one out"
        raise UserError(f"task {task.name}: {what}{_and_more(len(pairs))}; {cure}.")
    twice = [(split, *pair) for split in SPLITS for pair in _same_within(getattr(task, split))]
    if twice:
        split, first, second = twice[0]
        what = f"{first.name!r} and {second.name!r} are the same molecule, {_how_alike(first, second)}"
        raise UserError(
            f"task {task.name}: of {SPLITS[split]}, {what}{_and_more(len(twice))}; keep one (dynamics makes the "
            "conformers; stereoisomers are told apart where both are SMILES, drawn alike, with their stereocentres)."
        )


def refuse_trained_on(task: Task, trained_on: Sequence[tuple[str, str]], model: str) -> None:
    """Raise if what a task calls unseen has trained the model: its file may have changed since.

    Parameters
    ----------
    trained_on
        Names of the molecules that trained it, with their constitution, empty for one of the benchmark.
    model
        What to call it.

    Raises
    ------
    UserError
        With both names.
    """
    graphs = {again(graph) if graph else _benchmarks_own(name): name for name, graph in trained_on}
    for molecule in task.id + task.ood:
        name = graphs.get(constitution(molecule))
        if name is not None:
            raise UserError(
                f"{_called(molecule, task.split_of(molecule))} of task {task.name} has trained {model}, as {name!r}; "
                "take it out of the task, or train a model without it."
            )


def _benchmarks_own(name: str) -> str:
    """Return the constitution of a molecule of the benchmark; empty for a name that is none."""
    try:
        return constitution(molecules.get(name))
    except UserError:
        return ""


def warnings_of(task: Task) -> tuple[str, ...]:
    """Return what is allowed in a task and may still surprise, a sentence each."""
    known = frozenset[int]().union(*map(elements, task.train))
    found = []
    for molecule in task.id + task.ood:
        foreign = " ".join(chemical_symbols[z] for z in sorted(elements(molecule) - known))
        if foreign:
            found.append(f"{molecule.name} has {foreign}, which no training molecule has.")
    for molecule in task.molecules:
        n_open = n_open_stereocentres(molecule)
        if n_open:
            found.append(f"{molecule.name} leaves {n_open} stereocentres or stereobonds open; one isomer is built.")
    tested = task.id + task.ood
    found += [
        f"{m.name} and {other.name} differ only in where hydrogens sit: tautomers may turn into each other."
        for m in task.train
        for other in tested
        if skeleton(m) == skeleton(other)
    ]
    return tuple(found)


def _same_across(task: Task) -> Iterator[tuple[tuple[Molecule, str], tuple[Molecule, str]]]:
    """Yield pairs of the same molecule in two splits, each with its split."""
    for here, there in combinations(SPLITS, 2):
        seen = {constitution(m): m for m in reversed(getattr(task, here))}
        for molecule in getattr(task, there):
            twin = seen.get(constitution(molecule))
            if twin is not None:
                yield (twin, here), (molecule, there)


def _same_within(found: Sequence[Molecule]) -> Iterator[tuple[Molecule, Molecule]]:
    """Yield pairs of the same molecule."""
    for first, second in combinations(found, 2):
        if constitution(first) == constitution(second) and not _stereoisomers(first, second):
            yield first, second


def _stereoisomers(first: Molecule, second: Molecule) -> bool:
    """Tell whether two SMILES of one graph say that they are different isomers."""
    if drawing(first) is None or drawing(first) != drawing(second):  # two ways to draw it say nothing of isomers
        return False
    return stereo(first) != stereo(second) and not any(map(n_open_stereocentres, (first, second)))


def _how_alike(first: Molecule, second: Molecule) -> str:
    isomers = ", as far as their graph tells: stereoisomers" if _stereoisomers(first, second) else ""
    return f"{first.formula}{isomers}"


def _called(molecule: Molecule, split: str) -> str:
    return f"{molecule.name!r} ({SPLITS[split]})"


def _and_more(n_pairs: int) -> str:
    return f", and {n_pairs - 1} more such pairs" if n_pairs > 1 else ""
