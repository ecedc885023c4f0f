"""Which way round four neighbours stand about an atom: R or S of a stereocentre, and the same of any other four bonds.

No distance from an atom to a neighbour tells: an inverted centre has the bonds and the angles of the old one.
"""

from __future__ import annotations

import numpy as np

from gmd26_md.observables.bonds import BondGraph, Floats, Ints

_TETRAHEDRON = 16.0 / (3.0 * np.sqrt(3.0))  # the determinant of three edges of a regular one with unit bonds
FLAT = 0.25
"""Four bonds of less handedness than this have none to lose: a square-planar metal has 0, a bridgehead of bicyclobutane
0.53, a carbon of cyclopropane 0.77. Heat moves it little: no carbon of 566 frames at 500 K has less than 0.93."""


def centres(graph: BondGraph) -> Ints:
    """Return the atoms with four bonds, each with its neighbours in ascending order, (n_centres, 5)."""
    neighbours: dict[int, list[int]] = {}
    for i, j in graph.bonds.tolist():
        neighbours.setdefault(i, []).append(j)
        neighbours.setdefault(j, []).append(i)
    rows = [(atom, *sorted(around)) for atom, around in sorted(neighbours.items()) if len(around) == 4]
    return np.array(rows, dtype=np.int64).reshape(-1, 5)


def handedness(positions: Floats, centre: Ints) -> Floats:
    """Return the signed volume between the four bond directions of a centre (5,) in each frame, (n_frames,).

    1 and -1 are the two regular tetrahedra, 0 is flat; bond lengths do not enter. NaN where a position is no number.
    """
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        bonds = positions[:, centre[1:]] - positions[:, centre[:1]]  # (n_frames, 4, 3)
        bonds = bonds / np.sqrt(np.einsum("fnx,fnx->fn", bonds, bonds))[:, :, None]
        first, second, third = (bonds[:, k] - bonds[:, 0] for k in (1, 2, 3))
        return np.asarray(np.einsum("fx,fx->f", first, np.cross(second, third)) / _TETRAHEDRON, dtype=np.float64)
