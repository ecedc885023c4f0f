"""SOAP: each atom's surroundings as a smooth density, in numbers that do not change when the molecule is turned.

Bartók, Kondor, Csányi, "On representing chemical environments", Phys. Rev. B 87, 184115 (2013). The power spectrum is
computed by featomic; neighbours count less the farther they are (Willatt, Musil, Ceriotti, Phys. Chem. Chem. Phys. 20,
29661, 2018), so that a bond says more than a torsion six atoms away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms

from gmd26_md.errors import UserError


@dataclass(frozen=True)
class Soap:
    """A SOAP power spectrum.

    Attributes
    ----------
    elements
        Atomic numbers of the neighbours that it tells apart, ascending.
    cutoff_A
        Neighbours farther away are not seen; the last Å fades.
    width_A
        Of the Gaussian that stands for a neighbour.
    n_radial
        Number of radial functions (Gaussian-type orbitals).
    max_degree
        Of the harmonics.
    """

    elements: tuple[int, ...]
    cutoff_A: float = 5.0
    width_A: float = 0.4
    n_radial: int = 5
    max_degree: int = 4

    @property
    def n_features(self) -> int:
        """Length of an atom's row of features."""
        return sum(len(self._columns(a, b)) for a, b in self._pairs())

    def features(self, numbers: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """Return the features of every atom of some frames of one molecule, (n_frames, n_atoms, n_features).

        Parameters
        ----------
        numbers
            Atomic numbers, (n_atoms,), all among `elements`.
        positions
            (n_frames, n_atoms, 3), Å.

        Raises
        ------
        UserError
            Where featomic is not installed.
        """
        calculator = _featomic().SoapPowerSpectrum(**self._settings())
        frames = [Atoms(numbers=numbers, positions=one) for one in positions]
        blocks = {tuple(map(int, key)): block for key, block in calculator.compute(frames).items()}
        found = np.zeros((*positions.shape[:2], self.n_features))
        start = 0
        for a, b in self._pairs():
            columns = self._columns(a, b)
            for centre in self.elements:
                block = blocks.get((centre, a, b))
                if block is not None:  # else no such atom has such neighbours in any frame
                    frame, atom = np.asarray(block.samples.values).T
                    found[frame, atom, start : start + len(columns)] = np.asarray(block.values)[:, columns]
            start += len(columns)
        return found

    def _pairs(self) -> list[tuple[int, int]]:
        """Return pairs of neighbours' elements, each pair once, as featomic orders them."""
        ordered = sorted(self.elements)
        return [(a, b) for i, a in enumerate(ordered) for b in ordered[i:]]

    def _columns(self, a: int, b: int) -> np.ndarray:
        """Return featomic's columns (degree, n_1, n_2) that say something of their own: for one element n_1 <= n_2."""
        _, first, second = np.indices((self.max_degree + 1, self.n_radial, self.n_radial)).reshape(3, -1)
        return np.flatnonzero((first <= second) | (a != b))

    def _settings(self) -> dict[str, Any]:
        """Return featomic's own settings."""
        return {
            "cutoff": {"radius": self.cutoff_A, "smoothing": {"type": "ShiftedCosine", "width": 1.0}},
            "density": {
                "type": "Gaussian",
                "width": self.width_A,
                "scaling": {"type": "Willatt2018", "rate": 1.0, "scale": 2.0, "exponent": 4.0},
            },
            "basis": {
                "type": "TensorProduct",
                "max_angular": self.max_degree,
                "radial": {"type": "Gto", "max_radial": self.n_radial - 1},
            },
        }


def _featomic() -> Any:
    try:
        import featomic
    except ImportError as error:
        raise UserError(
            "SOAP needs the package featomic, which is not installed; pip install 'featomic>=0.6.7,<0.7', or measure "
            "in the model's own space alone, with --space model."
        ) from error
    return featomic
