"""How much of a difference between two force fields is a constant pull along each bond: other rest lengths, no more."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def without_tension(bonds: NDArray[np.integer], positions: Floats, difference: Floats) -> Floats:
    """Return what is left of a difference of forces, without the best constant tension of each bond.

    A bond that is harmonic in both force fields, as stiff in one as in the other but of another length at rest, differs
    by a force along it that is the same in all frames. That is fitted by least squares, one number a bond.

    Parameters
    ----------
    bonds
        Pairs of atoms, (n_bonds, 2).
    positions
        (n_frames, n_atoms, 3), Å.
    difference
        Of the forces, (n_frames, n_atoms, 3), eV/Å.

    Notes
    -----
    Limit: with few frames some of any difference is fitted, n_bonds of 3 n_atoms n_frames numbers.
    """
    n_frames, n_atoms, _ = positions.shape
    pulls = np.zeros((n_frames, n_atoms, 3, len(bonds)))
    for k, (i, j) in enumerate(np.asarray(bonds).tolist()):
        along = positions[:, j] - positions[:, i]
        along = along / np.linalg.norm(along, axis=-1, keepdims=True)
        pulls[:, i, :, k] = along
        pulls[:, j, :, k] = -along
    matrix, wanted = pulls.reshape(3 * n_frames * n_atoms, len(bonds)), difference.reshape(-1)
    tensions = np.linalg.lstsq(matrix, wanted, rcond=None)[0]
    return np.asarray((wanted - matrix @ tensions).reshape(difference.shape), dtype=np.float64)
