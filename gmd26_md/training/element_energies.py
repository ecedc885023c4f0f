"""Per-element energies: three choices, and what each of them leaves undetermined.

A total energy is split as (sum over atoms of an energy of the element) + (what the network learns). How the
first part is chosen is arbitrary to the extent that the training molecules' compositions do not fix it.
Carboxylic acids C(n)H(2n)O(2) have three elements and a composition matrix of rank 2: raising the energy of every C
by 2 x and lowering that of every H by x changes the energy of no training molecule, whatever x. That null direction
is fixed by nothing but the choice made here. A molecule outside the row space, such as a dicarboxylic acid
C(n)H(2n-2)O(4), then gets a constant offset that the data never determined:

- "least-squares" takes the solution of smallest norm. Training is well conditioned, the offset is arbitrary (tens
  of eV for dicarboxylic acids at GFN2-xTB).
- "isolated-atoms" pins the null direction by physics. What remains is the binding energy (about -100 eV for a
  dozen heavy atoms), and the same null direction returns inside the network, which must extrapolate it.
- "zero" leaves everything to the network. Offered for comparison.

With the last two, training would begin with errors of many eV an atom. A network that has energies of single atoms
among its weights (DeepSet-MoE's `self_energy`) therefore starts with the least-squares fit of what is left; the
others (SchNet, PaiNN, MACE) learn it, at the price of the first few hundred steps. The checkpoint's per-element
energies are in every case exactly what the choice says.

The offset is one constant for each molecule: forces, dynamics and relaxation never see it. Energies of unseen
compositions must therefore be reported with the molecule's mean offset removed as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gmd26_md.errors import UserError


@dataclass(frozen=True)
class ElementEnergies:
    """Per-element energies, with what the training compositions can say about them.

    Attributes
    ----------
    energies_eV
        Atomic number to energy, eV.
    source
        "least-squares", "isolated-atoms" or "zero".
    rank
        Rank of the matrix of training compositions (molecules by elements).
    null_directions
        Orthonormal changes of the per-element energies that no training molecule notices, each one value an
        element in ascending atomic number; n_elements - rank of them.
    """

    energies_eV: dict[int, float]
    source: str
    rank: int
    null_directions: tuple[tuple[float, ...], ...]

    def card(self) -> dict[str, Any]:
        """Return what a checkpoint should tell about them, JSON-safe."""
        return {
            "composition_rank": self.rank,
            "n_elements": len(self.energies_eV),
            "elements": sorted(self.energies_eV),
            "composition_null_directions": [list(direction) for direction in self.null_directions],
            "energies_identifiable": self.rank == len(self.energies_eV),
        }


def element_energies(
    source: str, molecules: Sequence[np.ndarray], energies: Sequence[np.ndarray], level_of_theory: str
) -> ElementEnergies:
    """Return per-element energies for the training molecules.

    Parameters
    ----------
    source
        "least-squares", "isolated-atoms" or "zero".
    molecules
        Atomic numbers of each training molecule, (n_atoms,).
    energies
        Total energies of each molecule's training frames, (n_frames,), eV.
    level_of_theory
        Level of the energies; isolated atoms must be computed at the same one.
    """
    elements = elements_of(molecules)
    compositions = composition_matrix(molecules, elements)  # (n_molecules, n_elements)
    values = {
        "least-squares": lambda: _least_squares(compositions, energies),
        "isolated-atoms": lambda: _isolated_atoms(elements, level_of_theory),
        "zero": lambda: np.zeros(len(elements)),
    }[source]()
    rank, null = _rank_and_null_space(compositions)
    return ElementEnergies(
        energies_eV={z: float(value) for z, value in zip(elements, values, strict=True)},
        source=source,
        rank=rank,
        null_directions=tuple(tuple(float(x) for x in row) for row in null),
    )


def remaining_element_energies(
    known: ElementEnergies, molecules: Sequence[np.ndarray], energies: Sequence[np.ndarray]
) -> dict[int, float]:
    """Return the least-squares fit, eV, of what training energies hold beyond the known per-element energies."""
    elements = sorted(known.energies_eV)
    compositions = composition_matrix(molecules, elements)
    offsets = compositions @ np.array([known.energies_eV[z] for z in elements])
    left = _least_squares(compositions, [e - offset for e, offset in zip(energies, offsets, strict=True)])
    return {z: float(value) for z, value in zip(elements, left, strict=True)}


def elements_of(molecules: Sequence[np.ndarray]) -> tuple[int, ...]:
    """Return the atomic numbers that occur, ascending."""
    return tuple(int(z) for z in np.unique(np.concatenate([np.asarray(numbers) for numbers in molecules])))


def composition_matrix(molecules: Sequence[np.ndarray], elements: Sequence[int]) -> np.ndarray:
    """Return how many atoms of each element each molecule has, (n_molecules, n_elements)."""
    return np.array(
        [[np.count_nonzero(np.asarray(numbers) == z) for z in elements] for numbers in molecules], dtype=float
    )


def is_identifiable(compositions: np.ndarray, composition: np.ndarray) -> bool:
    """Return whether the energy offset of a composition is fixed by those of the training molecules.

    True if `composition`, (n_elements,), is a linear combination of the rows of `compositions`,
    (n_molecules, n_elements). Says nothing on how accurate the network's own part is.
    """
    stacked = np.vstack([compositions, np.asarray(composition, dtype=float)])
    return bool(np.linalg.matrix_rank(stacked) == np.linalg.matrix_rank(compositions))


def _least_squares(compositions: np.ndarray, energies: Sequence[np.ndarray]) -> np.ndarray:
    """Fit all frames at once: frames of a molecule share a row, so its mean, weighted, says the same."""
    weights = np.sqrt([len(values) for values in energies])
    means = np.array([np.mean(values) for values in energies])
    solution, *_ = np.linalg.lstsq(compositions * weights[:, None], means * weights, rcond=None)
    return np.asarray(solution)


def _isolated_atoms(elements: Sequence[int], level_of_theory: str) -> np.ndarray:
    if level_of_theory != "gfn2-xtb":
        raise UserError(
            f"isolated-atom energies are known for gfn2-xtb, not for {level_of_theory!r}; "
            'set element_energies to "least-squares" or "zero".'
        )
    from gmd26_md.calculators.gfn2_xtb import isolated_atom_energy

    return np.array([isolated_atom_energy(z) for z in elements])


def _rank_and_null_space(compositions: np.ndarray) -> tuple[int, np.ndarray]:
    _, values, directions = np.linalg.svd(compositions, full_matrices=True)
    tolerance = max(compositions.shape) * np.finfo(float).eps * (values.max() if len(values) else 0.0)
    rank = int(np.count_nonzero(values > tolerance))
    return rank, directions[rank:]
