"""The gauge of per-element energies: what may be changed after training without changing a training energy.

A total energy holds `composition @ element_energies`. Changes of the element energies along the null directions of the
training compositions move no training molecule, and shift a molecule outside their row space by a constant. Choosing
that change is choosing a gauge: forces never feel it, absolute energies of such molecules are nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gmd26_md.observables.composition import identifiable, null_directions

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Gauge:
    """The element energies of a model, and what its training compositions leave open.

    Attributes
    ----------
    energies
        As the model has them, (n_elements,), eV.
    training
        Compositions of the training molecules, (n_molecules, n_elements), the same elements.

    Raises
    ------
    ValueError
        When the numbers of elements differ.
    """

    energies: Floats
    training: NDArray[np.integer]

    def __post_init__(self) -> None:
        if self.training.ndim != 2 or self.energies.shape != self.training.shape[1:]:
            raise ValueError(
                f"energies {self.energies.shape} and compositions {self.training.shape} differ in elements"
            )

    @property
    def directions(self) -> Floats:
        """Orthonormal changes that no training molecule notices, (n_directions, n_elements)."""
        return null_directions(self.training)

    def change_towards(self, target: Floats) -> Floats:
        """Return the unseen change that brings the energies as near as it can to a target, (n_elements,), eV."""
        return self._unseen(target - self.energies)

    def change_fitted(self, compositions: NDArray[np.integer], errors: Floats) -> Floats:
        """Return the unseen change that best removes mean errors of some molecules, (n_elements,), eV.

        Least squares, of smallest norm where the molecules leave it open: no gauge leaves a smaller mean square of
        these errors, though one may a smaller mean absolute error. Not one that anyone has before seeing the answer.

        Parameters
        ----------
        compositions
            (n_molecules, n_elements).
        errors
            Predicted less reference energy, (n_molecules,), eV.
        """
        along = np.asarray(compositions, dtype=np.float64) @ self.directions.T  # (n_molecules, n_directions)
        amounts, *_ = np.linalg.lstsq(along, -np.asarray(errors, dtype=np.float64), rcond=None)
        return np.asarray(self.directions.T @ amounts, dtype=np.float64)

    def identifiable(self, compositions: Sequence[NDArray[np.integer]]) -> list[bool]:
        """Tell of each composition whether the training ones fix its energy: the rank test of `composition`."""
        return [identifiable(self.training, row) for row in compositions]

    def _unseen(self, change: Floats) -> Floats:
        """Return the part of a change that no training molecule notices."""
        return np.asarray(self.directions.T @ (self.directions @ change), dtype=np.float64)
