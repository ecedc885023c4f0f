"""Bond lengths, angles and torsions of a molecule, read from its covalent graph."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from gmd26_md.observables.bonds import BondGraph, Floats, Ints
from gmd26_md.observables.fragments import neighbours_of


def angles_of(graph: BondGraph) -> Ints:
    """Return every angle i-j-k between two bonds of atom j, i < k, (n_angles, 3)."""
    found = [
        (i, centre, k) for centre, partners in enumerate(neighbours_of(graph)) for i, k in combinations(partners, 2)
    ]
    return np.array(found, dtype=np.int64).reshape(-1, 3)


def torsions_of(graph: BondGraph) -> Ints:
    """Return every torsion i-j-k-l about a bond j-k, j < k, (n_torsions, 4). Three-membered rings give none."""
    neighbours = neighbours_of(graph)
    found = [
        (i, j, k, last)
        for j, k in graph.bonds.tolist()
        for i in neighbours[j]
        for last in neighbours[k]
        if i != k and last != j and i != last
    ]
    return np.array(found, dtype=np.int64).reshape(-1, 4)


def backbone_torsions_of(graph: BondGraph) -> Ints:
    """Return the torsions whose four atoms are heavier than hydrogen, (n_torsions, 4): the molecule's conformation."""
    torsions = torsions_of(graph)
    return torsions[(graph.numbers[torsions] > 1).all(axis=1)]


def angle_values_deg(positions: Floats, angles: Ints) -> Floats:
    """Return angles, (n_frames, n_angles), degrees from 0 to 180, of positions (n_frames, n_atoms, 3).

    By atan2, which is accurate near 0 and 180 degrees too. NaN for positions that are not finite.
    """
    a = positions[:, angles[:, 0]] - positions[:, angles[:, 1]]
    b = positions[:, angles[:, 2]] - positions[:, angles[:, 1]]
    with np.errstate(invalid="ignore"):
        return np.degrees(np.arctan2(np.linalg.norm(np.cross(a, b), axis=-1), (a * b).sum(axis=-1)))


def torsion_values_deg(positions: Floats, torsions: Ints) -> Floats:
    """Return torsions, (n_frames, n_torsions), degrees in (-180, 180], of positions (n_frames, n_atoms, 3).

    IUPAC sign: positive when, seen along j-k, the far bond is turned clockwise. NaN for positions that are not finite.
    """
    i, j, k, last = torsions.T
    first, axis, second = positions[:, j] - positions[:, i], positions[:, k] - positions[:, j], positions[:, last]
    second = second - positions[:, k]
    with np.errstate(invalid="ignore"):
        normal, other = np.cross(first, axis), np.cross(axis, second)
        length = np.linalg.norm(axis, axis=-1)
        return np.degrees(np.arctan2(length * (first * other).sum(-1), (normal * other).sum(-1)))


def turned_deg(difference: Floats) -> Floats:
    """Return differences of angles in degrees as the shorter way round, in [-180, 180)."""
    return np.asarray((difference + 180.0) % 360.0 - 180.0)
