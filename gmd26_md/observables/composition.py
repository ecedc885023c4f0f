"""Which energies the training compositions can pin down: a rank test.

Per-element energies enter a total as `composition @ element_energies`. Training molecules fix them only within the
row space of their compositions; along a null direction any shift fits the training energies equally well, and shows
as a constant offset on a molecule whose composition has a part along it. The offset cannot touch dynamics.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def elements_of(molecules: Iterable[Sequence[int] | Ints]) -> tuple[int, ...]:
    """Return the atomic numbers that occur in any of the molecules (each given by its numbers), ascending."""
    return tuple(sorted({int(number) for numbers in molecules for number in numbers}))


def composition_of(numbers: Sequence[int] | Ints, elements: Sequence[int]) -> Ints:
    """Return how many atoms of each of `elements` a molecule has, (n_elements,).

    Raises
    ------
    ValueError
        When the molecule has an element that is not in the list: it would be lost from the count.
    """
    counts = np.array([np.count_nonzero(np.asarray(numbers) == element) for element in elements], dtype=np.int64)
    if counts.sum() != len(numbers):
        raise ValueError(f"the molecule has elements {elements_of([numbers])}, counted are only {tuple(elements)}")
    return counts


def composition_matrix(molecules: Sequence[Sequence[int] | Ints], elements: Sequence[int]) -> Ints:
    """Return one composition a row, (n_molecules, n_elements)."""
    rows = [composition_of(numbers, elements) for numbers in molecules]
    return np.array(rows, dtype=np.int64).reshape(len(rows), len(elements))


def rank(compositions: NDArray[np.number]) -> int:
    """Return the rank of a composition matrix: how many combinations of element energies it fixes."""
    matrix = np.asarray(compositions, dtype=np.float64)
    return int(np.linalg.matrix_rank(matrix)) if matrix.size else 0


def null_directions(compositions: NDArray[np.number]) -> Floats:
    """Return an orthonormal basis of the shifts of element energies that no training energy sees.

    Returns
    -------
    One direction a row, (n_elements - rank, n_elements); no row at full rank.
    """
    matrix = np.asarray(compositions, dtype=np.float64)  # (n_molecules, n_elements)
    if matrix.shape[0] == 0:
        return np.eye(matrix.shape[1])
    _, _, right = np.linalg.svd(matrix, full_matrices=True)
    return np.asarray(right[rank(matrix) :], dtype=np.float64)


def identifiable(train_compositions: NDArray[np.number], composition: NDArray[np.number]) -> bool:
    """Tell whether the training compositions fix the per-element part of this molecule's energy.

    True when the composition lies in the row space of the training matrix, that is when adding it as a row leaves
    the rank as it was. Both count the same elements in the same order: take the elements of both sets together.

    Raises
    ------
    ValueError
        When the two have different numbers of elements.
    """
    matrix = np.atleast_2d(np.asarray(train_compositions, dtype=np.float64))
    row = np.asarray(composition, dtype=np.float64)
    if row.shape != (matrix.shape[1],):
        raise ValueError(f"composition: want shape {(matrix.shape[1],)}, got {row.shape}")
    return rank(np.vstack([matrix, row])) == rank(matrix)
