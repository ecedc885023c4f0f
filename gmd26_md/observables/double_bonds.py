"""Which side of a double bond its neighbours stand on: cis or trans, which no bond length and no handedness tells."""

from __future__ import annotations

import numpy as np

from gmd26_md.observables.bonds import BondGraph, Floats, Ints, radii_sums

SHORT = 0.90
"""A bond between C and N up to this times the sum of covalent radii is a double one: C=C to 1.37, C=N to 1.32, N=N to
1.28 Å. The half-double bonds of amides (1.35 Å, 0.92 sums) and of rings that are aromatic are longer, and may turn."""
PLANAR = 0.5
"""A double bond whose neighbours stand farther from one plane, by this cosine, has no sides to change."""


def double_bonds(graph: BondGraph) -> Ints:
    """Return the double bonds that have two sides, each as neighbour, atom, atom, neighbour; (n, 4).

    Both its atoms are carbon with three bonds, or nitrogen with two or three; of the other neighbours of each the first
    is taken, as the rest stand opposite.
    """
    around: dict[int, list[int]] = {}
    for i, j in graph.bonds.tolist():
        around.setdefault(i, []).append(j)
        around.setdefault(j, []).append(i)
    flat = {
        atom
        for atom, others in around.items()
        if (graph.numbers[atom] == 6 and len(others) == 3) or (graph.numbers[atom] == 7 and len(others) in (2, 3))
    }
    short = graph.lengths <= SHORT * radii_sums(graph.numbers, graph.bonds)
    rows = [
        (min(a for a in around[i] if a != j), i, j, min(b for b in around[j] if b != i))
        for i, j in graph.bonds[short].tolist()
        if i in flat and j in flat
    ]
    return np.array(rows, dtype=np.int64).reshape(-1, 4)


def sides(positions: Floats, bond: Ints) -> Floats:
    """Return the cosine of the torsion about a double bond (4,) in each frame, (n_frames,): 1 cis, -1 trans.

    NaN where a position is no number, or three of the atoms stand in a line.
    """
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        axis = positions[:, bond[2]] - positions[:, bond[1]]
        first, second = positions[:, bond[0]] - positions[:, bond[1]], positions[:, bond[3]] - positions[:, bond[2]]
        one, other = np.cross(axis, first), np.cross(axis, second)
        size = np.sqrt((one * one).sum(axis=1) * (other * other).sum(axis=1))
        return np.asarray((one * other).sum(axis=1) / size, dtype=np.float64)
