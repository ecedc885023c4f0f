"""Normal modes of a molecule: from the forces of displaced geometries to frequencies, and one set beside another.

Imaginary frequencies are negative numbers, as is usual. Translations and rotations are projected out before the
Hessian is diagonalised (Wilson, Decius and Cross, Molecular Vibrations, 1955, ch. 11), so a molecule of n atoms has
3n - 6 modes, a linear one 3n - 5.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import units
from ase.data import atomic_masses
from numpy.typing import NDArray
from scipy.linalg import null_space, orth
from scipy.optimize import linear_sum_assignment

from gmd26_md.observables.bonds import Floats, Ints

# A rotation that moves this little beside the largest one is none: below it a molecule is linear. A bent one of the
# benchmark's size has a tenth; one that should be linear, at rest to 0.001 Å, a thousandth.
_LINEAR = 0.01


@dataclass(frozen=True, eq=False)
class Modes:
    """The normal modes of a molecule, lowest first.

    Attributes
    ----------
    frequencies_per_cm
        Wavenumbers, (n_modes,), 1/cm; imaginary ones negative.
    vectors
        Mass-weighted, orthonormal, (n_modes, 3 n_atoms).
    """

    frequencies_per_cm: Floats
    vectors: Floats


def displaced(positions: Floats, step_A: float) -> Floats:
    """Return a geometry with every coordinate moved up, then every one moved down, (6 n_atoms, n_atoms, 3), Å."""
    n = positions.size
    moves = step_A * np.eye(n).reshape(n, *positions.shape)
    return np.concatenate([positions + moves, positions - moves])


def hessian(forces: Floats, step_A: float) -> Floats:
    """Return the Hessian, (3 n_atoms, 3 n_atoms), eV/Å², by central differences.

    Its symmetric half: of forces that are no gradient, the rest is left out (and belongs to the curl).

    Parameters
    ----------
    forces
        At the geometries that `displaced` made, (6 n_atoms, n_atoms, 3), eV/Å.
    """
    up, down = np.split(forces.reshape(len(forces), -1), 2)
    slope = (down - up) / (2.0 * step_A)
    return np.asarray(0.5 * (slope + slope.T))


def normal_modes(numbers: NDArray[np.integer], positions: Floats, second: Floats) -> Modes:
    """Return the normal modes of a molecule at rest.

    Parameters
    ----------
    numbers
        Atomic numbers, (n_atoms,); the masses are the elements' standard ones.
    positions
        (n_atoms, 3), Å.
    second
        Hessian, (3 n_atoms, 3 n_atoms), eV/Å².

    Raises
    ------
    ValueError
        If a number of the Hessian is not finite.

    Notes
    -----
    Limit: harmonic, and only where the gradient vanishes. A gradient that is left mixes into rotations (taken out here)
    and shifts the softest modes.
    """
    if not np.isfinite(second).all():
        raise ValueError("the Hessian has numbers that are not finite")
    root = np.sqrt(np.repeat(atomic_masses[np.asarray(numbers)], 3))
    inner = null_space(rigid_motions(numbers, positions).T)  # (3 n_atoms, n_modes)
    values, vectors = np.linalg.eigh(inner.T @ (second / np.outer(root, root)) @ inner)
    omega = np.sign(values) * np.sqrt(np.abs(values))  # radians a unit of ASE's time
    per_cm = omega * units.s / (2.0 * np.pi * 100.0 * units._c)
    return Modes(per_cm, (inner @ vectors).T)


def rigid_motions(numbers: NDArray[np.integer], positions: Floats) -> Floats:
    """Return the mass-weighted translations and rotations, orthonormal, (3 n_atoms, 6); 5 if linear, 3 for one atom."""
    masses = atomic_masses[np.asarray(numbers)]
    root = np.sqrt(masses)[:, None]
    centred = positions - masses @ positions / masses.sum()
    shifts = [(root * axis).ravel() for axis in np.eye(3)]
    turns = np.array([(root * np.cross(axis, centred)).ravel() for axis in np.eye(3)])
    # about the principal axes, where a rotation that moves nothing shows as one
    _, sizes, principal = np.linalg.svd(turns, full_matrices=False)
    kept = principal[sizes > _LINEAR * sizes[0]] if sizes[0] > 0.0 else principal[:0]
    return np.asarray(orth(np.concatenate([shifts, kept]).T))


def n_imaginary(modes: Modes, limit_per_cm: float) -> int:
    """Return how many frequencies lie below minus a limit, or are not a number."""
    return int((~(modes.frequencies_per_cm >= -limit_per_cm)).sum())


def matched(first: Modes, second: Modes) -> tuple[Ints, Floats]:
    """Pair the modes of two Hessians of one molecule by what moves, not by their order.

    Parameters
    ----------
    first, second
        As many modes each, of geometries laid over each other, atom by atom.

    Returns
    -------
    Which mode of `second` belongs to each of `first`, and the size of the cosine between the two, (n_modes,) each:
    the assignment with the largest sum of squared cosines. Modes of equal frequency may mix, which lowers it.
    """
    cosine = np.abs(first.vectors @ second.vectors.T)
    rows, columns = linear_sum_assignment(-(cosine**2))
    return columns[np.argsort(rows)], cosine[rows, columns]
