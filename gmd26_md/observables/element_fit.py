"""What of an energy offset between two levels of theory is a matter of counting atoms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gmd26_md.observables.composition import composition_matrix, elements_of, rank

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ElementFit:
    """A molecule's offset as a sum over its atoms, fitted by least squares.

    Attributes
    ----------
    elements
        Atomic numbers, ascending.
    energies_eV
        One an element, (n_elements,); the smallest ones that fit where the compositions do not settle them.
    residuals_eV
        What each molecule's offset is beside the sum, (n_molecules,): of conformations, bonds, everything that is
        more than counting.
    rank
        How many combinations of element energies the molecules settle.
    """

    elements: tuple[int, ...]
    energies_eV: Floats
    residuals_eV: Floats
    rank: int

    @property
    def n_free(self) -> int:
        """Molecules beyond the rank; with none, residuals vanish whatever the offsets are, and say nothing."""
        return len(self.residuals_eV) - self.rank


def element_fit(molecules: Sequence[Sequence[int] | NDArray[np.integer]], offsets_eV: Sequence[float]) -> ElementFit:
    """Return the fit of the molecules' offsets by energies of their elements.

    Parameters
    ----------
    molecules
        Atomic numbers of each.
    offsets_eV
        (n_molecules,).

    Raises
    ------
    ValueError
        If there is no molecule, or not one offset a molecule.
    """
    offsets = np.asarray(offsets_eV, dtype=np.float64)
    if not len(molecules) or offsets.shape != (len(molecules),):
        raise ValueError(f"want one offset a molecule, got {offsets.shape} for {len(molecules)} molecules")
    numbers = [np.asarray(m, dtype=np.int64) for m in molecules]
    elements = elements_of(numbers)
    counts = composition_matrix(numbers, elements).astype(np.float64)
    energies = np.asarray(np.linalg.lstsq(counts, offsets, rcond=None)[0], dtype=np.float64)
    return ElementFit(elements, energies, offsets - counts @ energies, rank(counts))
