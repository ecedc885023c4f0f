"""Internal coordinates of a molecule by kind: those that its covalent graph cannot tell apart are one distribution.

The three hydrogens of a methyl group are one kind, so which of them is where after a rotation says nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from ase.data import chemical_symbols

from gmd26_md.observables.bonds import BondGraph, Ints
from gmd26_md.observables.fragments import bonds_to_groups, neighbours_of
from gmd26_md.observables.internal import angles_of, torsions_of


@dataclass(frozen=True, eq=False)
class Kind:
    """Coordinates that are one distribution.

    Attributes
    ----------
    family
        "bond", "angle", "torsion", or "spectrum" for atoms.
    members
        Atoms of each coordinate, (n_members, 2, 3, 4 or 1).
    elements
        Their symbols: "C-C-O".
    bonds_from_group
        How many bonds the nearest of the first member's atoms is from a functional group; None where there is none.
    """

    family: str
    members: Ints
    elements: str
    bonds_from_group: int | None

    @property
    def words(self) -> str:
        """What it is and where."""
        what = "vibrations of" if self.family == "spectrum" else self.family
        name = f"{what} {self.elements}" if self.family == "spectrum" else f"{self.elements} {what}"
        more = f" and {len(self.members) - 1} like it" if len(self.members) > 1 else ""
        atoms = "-".join(str(i) for i in self.members[0].tolist())
        far = self.bonds_from_group
        where = "no functional group" if far is None else f"{far} bond{'' if far == 1 else 's'} from a functional group"
        return f"{name} (atom{'s' if self.members.shape[1] > 1 else ''} {atoms}{more}, {where})"


def atom_classes(graph: BondGraph) -> Ints:
    """Return a class for each atom, (n_atoms,): equivalent atoms share one.

    By refinement of elements and neighbours (Weisfeiler and Leman 1968). Limit: atoms of some regular cages get one
    class without being equivalent; for chains, branches and common rings it is exact.
    """
    neighbours = neighbours_of(graph)
    classes = _numbered([(int(z), len(n)) for z, n in zip(graph.numbers, neighbours, strict=True)])
    while True:
        finer = _numbered([(classes[i], *sorted(classes[j] for j in near)) for i, near in enumerate(neighbours)])
        if len(set(finer)) == len(set(classes)):
            return np.array(classes, dtype=np.int64)
        classes = finer


def _numbered(keys: list[tuple[int, ...]]) -> list[int]:
    order = {key: i for i, key in enumerate(sorted(set(keys)))}
    return [order[key] for key in keys]


def kinds_of(graph: BondGraph) -> tuple[Kind, ...]:
    """Return the kinds of bonds, angles, torsions and vibrating atoms of a molecule."""
    atoms = np.arange(len(graph.numbers), dtype=np.int64)[:, None]
    families = {"bond": graph.bonds, "angle": angles_of(graph), "torsion": torsions_of(graph), "spectrum": atoms}
    classes, away = atom_classes(graph), bonds_to_groups(graph)
    found = []
    for family, members in families.items():
        for chosen in _pooled(classes[members]):
            first = members[chosen[0]]
            elements = "-".join(chemical_symbols[z] for z in graph.numbers[first])
            near = float(away[first].min())
            found.append(Kind(family, members[chosen], elements, int(near) if np.isfinite(near) else None))
    return tuple(found)


def _pooled(classes: Ints) -> Iterable[list[int]]:
    """Return which rows of classes, (n_members, n_atoms), are the same forwards or backwards."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for row, along in enumerate(classes.tolist()):
        groups.setdefault(min(tuple(along), tuple(along[::-1])), []).append(row)
    return groups.values()
