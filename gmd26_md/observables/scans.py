"""Geometries of rigid scans: which bonds to turn and to stretch, and the molecule with one side of a bond moved.

One side of a bond moves as a rigid body, the other stays; nothing relaxes. Bonds in rings have no sides.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from ase.data import chemical_symbols

from gmd26_md.observables.bonds import BondGraph, Floats, Ints, radii_sums
from gmd26_md.observables.fragments import bonds_to_groups, functional_groups, neighbours_of

Bond = tuple[int, int]

SINGLE_RATIO = 0.93
"""A bond shorter than this times the sum of covalent radii is no single bond and is not turned: C-C below 1.41 Å, which
is aromatic or shorter; the bond in the middle of butadiene, 1.45 Å, is turned."""
_OFF_AXIS_A = 0.1  # a side whose atoms all lie nearer to the bond's line than this (a nitrile) is not changed by a turn


def side_of(graph: BondGraph, bond: Bond) -> Ints | None:
    """Return the atoms on the smaller side of a bond, ascending; None for a bond in a ring.

    The side of `bond[1]` where both have as many atoms.
    """
    neighbours = neighbours_of(graph)
    keeps, moves = bond
    reached, waiting = {moves}, [moves]
    while waiting:
        atom = waiting.pop()
        for other in neighbours[atom]:
            if {atom, other} == {keeps, moves} or other in reached:
                continue
            reached.add(other)
            waiting.append(other)
    if keeps in reached:
        return None
    if 2 * len(reached) <= len(graph.numbers):
        return np.array(sorted(reached), dtype=np.int64)
    return side_of(graph, (moves, keeps))


def symmetry_classes(graph: BondGraph) -> Ints:
    """Return a class for each atom, (n_atoms,): atoms that the covalent graph cannot tell apart share one.

    By refining colours (Weisfeiler and Leman 1968): exact for molecules without rings. It knows nothing of the
    geometry, in which atoms of one class may have different surroundings.
    """
    neighbours = neighbours_of(graph)
    colours = [int(z) for z in graph.numbers]
    while True:
        signatures = [(colours[i], sorted(colours[j] for j in near)) for i, near in enumerate(neighbours)]
        ranks = {str(s): rank for rank, s in enumerate(sorted({str(s): s for s in signatures}.values()))}
        refined = [ranks[str(s)] for s in signatures]
        if len(ranks) == len(set(colours)):
            return np.array(refined, dtype=np.int64)
        colours = refined


def turned_bonds(graph: BondGraph, positions: Floats) -> tuple[Bond, ...]:
    """Return the bonds whose torsion is scanned: those that join a functional group, one of each symmetry class.

    A bond joins a group if one end lies in it and the other does not: in the rest of the molecule, or in another group
    (the C-C bond of oxalic acid). Without any such bond, the one nearest to the middle of the backbone. Only single
    bonds outside rings that have something to turn on both sides. A group's own bonds (C-OH in -COOH) are not scanned.

    Parameters
    ----------
    positions
        (n_atoms, 3), Å.
    """
    group_of = {atom: index for index, group in enumerate(functional_groups(graph)) for atom in group}
    free = [bond for bond in _bonds(graph) if _turns(graph, bond, positions)]
    joining = [(i, j) for i, j in free if group_of.get(i, -1) != group_of.get(j, -1)]
    if joining:
        return _one_of_each(joining, graph)
    return (min(free, key=lambda bond: (-_n_smaller(graph, bond), bond)),) if free else ()


def stretched_bonds(graph: BondGraph, positions: Floats, chosen: str = "kinds") -> tuple[Bond, ...]:
    """Return the bonds to stretch.

    Parameters
    ----------
    positions
        (n_atoms, 3), Å.
    chosen
        "kinds": those that are turned, and of every kind the one nearest to a functional group, the kind being the
        elements of both ends and their numbers of neighbours (so C=O, C-O, O-H, C-H, C-C of an acid). "all": one of
        each symmetry class.
    """
    open_bonds = [bond for bond in _bonds(graph) if side_of(graph, bond) is not None]
    if chosen == "all":
        return _one_of_each(open_bonds, graph)
    degrees = [len(near) for near in neighbours_of(graph)]
    away = bonds_to_groups(graph)
    found = {_kind(graph, bond, degrees): bond for bond in turned_bonds(graph, positions)}
    taken = set(turned_bonds(graph, positions))
    for bond in sorted(open_bonds, key=lambda b: (away[b[0]] + away[b[1]], b)):
        if found.setdefault(_kind(graph, bond, degrees), bond) == bond:
            taken.add(bond)
    return tuple(sorted(taken))


def turned(positions: Floats, bond: Bond, side: Ints, angles_deg: Floats) -> Floats:
    """Return a geometry with one side of a bond turned about it, (n_angles, n_atoms, 3), Å.

    Parameters
    ----------
    positions
        (n_atoms, 3), Å.
    side
        The atoms that move (`side_of`).
    angles_deg
        By how much, (n_angles,). Positive is counter-clockwise, seen against the direction from bond[0] to bond[1].
    """
    from scipy.spatial.transform import Rotation

    axis = positions[bond[1]] - positions[bond[0]]
    axis = axis / np.linalg.norm(axis)
    frames: Floats = np.repeat(positions[None], len(angles_deg), axis=0)
    arms = positions[side] - positions[bond[0]]
    for frame, angle in zip(frames, np.radians(angles_deg), strict=True):
        frame[side] = positions[bond[0]] + Rotation.from_rotvec(angle * axis).apply(arms)
    return frames


def stretched(positions: Floats, bond: Bond, side: Ints, by_A: Floats) -> Floats:
    """Return a geometry with a bond longer by some lengths, (n_lengths, n_atoms, 3), Å: the side moves along the bond.

    Parameters
    ----------
    positions
        (n_atoms, 3), Å.
    by_A
        By how much, (n_lengths,); negative is shorter.
    """
    frames: Floats = np.repeat(positions[None], len(by_A), axis=0)
    frames[:, side] += by_A[:, None, None] * outward(positions, bond, side)
    return frames


def outward(positions: Floats, bond: Bond, side: Ints) -> Floats:
    """Return the unit vector along which the side moves when the bond is stretched, (3,)."""
    away = positions[bond[1]] - positions[bond[0]]
    return np.asarray((1.0 if bond[1] in side else -1.0) * away / np.linalg.norm(away))


def bond_words(numbers: Iterable[int], bond: Bond) -> str:
    """Return a bond's name, "C1-C3": elements with the atoms' indices, counted from 0 as in the files."""
    symbols = [chemical_symbols[int(z)] for z in numbers]
    return "-".join(f"{symbols[i]}{i}" for i in bond)


def _bonds(graph: BondGraph) -> list[Bond]:
    return [(int(i), int(j)) for i, j in graph.bonds]


def _one_of_each(bonds: list[Bond], graph: BondGraph) -> tuple[Bond, ...]:
    """Return the first bond of each symmetry class."""
    classes = symmetry_classes(graph).tolist()
    first: dict[tuple[int, ...], Bond] = {}
    for i, j in bonds:
        first.setdefault(tuple(sorted((classes[i], classes[j]))), (i, j))
    return tuple(first.values())


def _kind(graph: BondGraph, bond: Bond, degrees: list[int]) -> tuple[tuple[int, int], ...]:
    return tuple(sorted((int(graph.numbers[i]), degrees[i]) for i in bond))


def _n_smaller(graph: BondGraph, bond: Bond) -> int:
    """Return how many heavy atoms are on the side with fewer of them."""
    side = side_of(graph, bond)
    heavy = graph.numbers > 1
    n_moved = 0 if side is None else int(heavy[side].sum())
    return min(n_moved, int(heavy.sum()) - n_moved)


def _turns(graph: BondGraph, bond: Bond, positions: Floats) -> bool:
    """Tell whether a turn about the bond makes another geometry, by a single bond."""
    pair = np.array([bond], dtype=np.int64)
    line = positions[bond[1]] - positions[bond[0]]
    length = float(np.linalg.norm(line))
    side = side_of(graph, bond)
    if side is None or length < SINGLE_RATIO * float(radii_sums(graph.numbers, pair)[0]):
        return False
    off_axis = np.linalg.norm(np.cross(positions - positions[bond[0]], line / length), axis=-1) > _OFF_AXIS_A
    other = np.setdiff1d(np.arange(len(positions)), side)
    return bool(off_axis[side].any() and off_axis[other].any())
