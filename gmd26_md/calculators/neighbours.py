"""Pairs of a large molecule by a cell list, whose cost grows with the number of atoms and not with its square."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np


def near_pairs(positions: np.ndarray, cutoff: float) -> np.ndarray:
    """Return all ordered pairs (centre, neighbour) of one system that may be closer than `cutoff`, Å.

    Parameters
    ----------
    positions
        (n_atoms, 3), Å. An atom with a coordinate that is not finite has no pairs.

    Returns
    -------
    pairs
        (2, n_pairs), int64, sorted by centre and then neighbour. Pairs a rounding beyond the cutoff may be among
        them, as these are float64 distances and a model's may not be.
    """
    wide = np.asarray(positions, dtype=np.float64)
    whole = np.flatnonzero(np.isfinite(wide).all(axis=1))
    if len(whole) < 2 or cutoff <= 0.0:
        return np.zeros((2, 0), dtype=np.int64)
    no_cell = np.zeros((3, 3))
    first, second = _cells(cutoff * (1.0 + 1e-5)).compute(
        points=wide[whole], box=no_cell, periodic=False, quantities="ij"
    )
    order = np.lexsort((second, first))
    return np.stack([whole[first[order]], whole[second[order]]]).astype(np.int64)


@cache
def _cells(cutoff: float) -> Any:
    from vesin import NeighborList

    return NeighborList(cutoff=cutoff, full_list=True)
