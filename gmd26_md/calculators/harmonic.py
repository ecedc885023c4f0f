"""Springs between bonded atoms: a toy whose answers are known by hand.

E = sum over bonds of k/2 (r - r0)^2. A dimer vibrates with period 2 pi sqrt(mu / k). Bonds never break, so nothing
that a test sees break can come from here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase.calculators.calculator import CalculationFailed
from ase.data import covalent_radii
from ase.units import fs

from gmd26_md.errors import UserError

OPTIONS: dict[str, Any] = {
    "bonds": None,  # pairs of atom indices; None: those bonded in the first geometry of each composition
    "k_eV_per_A2": 30.0,  # one number, or one a bond
    "r0_A": None,  # one number, or one a bond; None: as long as in the first geometry, which is then a minimum
}
BOND_FACTOR = 1.25
"""Two atoms are bonded if closer than this many times the sum of their covalent radii."""


@dataclass(frozen=True)
class Springs:
    """Springs of one molecule.

    Attributes
    ----------
    bonds
        Atom indices, (n_bonds, 2).
    k
        Force constants, (n_bonds,), eV/Å².
    r0
        Rest lengths, (n_bonds,), Å.
    """

    bonds: np.ndarray
    k: np.ndarray
    r0: np.ndarray


class HarmonicEngine:
    """Springs of one molecule at a time; the first geometry of each composition is remembered, in pickles too.

    Where neither bonds nor lengths are given, the answer depends on that first geometry: the same atoms in another
    order, or another isomer, need a calculator of their own.

    Parameters
    ----------
    options
        As `OPTIONS`, complete.
    """

    label = "harmonic"
    elements = range(1, 119)
    takes_charge = False
    device = "cpu"
    dtype = "float64"

    def __init__(self, options: dict[str, Any]) -> None:
        _check(options)
        self._options = dict(options)
        self._springs: dict[bytes, Springs] = {}

    def __call__(
        self, numbers: np.ndarray, positions: np.ndarray, charge: int, multiplicity: int | None
    ) -> tuple[float, np.ndarray]:
        """See `ase_face.Engine`.

        Raises
        ------
        CalculationFailed
            If two bonded atoms coincide: the force has no direction.
        """
        key = numbers.tobytes()
        if key not in self._springs:
            self._springs[key] = springs_of(numbers, positions, self._options)
        springs = self._springs[key]
        first, second = springs.bonds.T
        vector = positions[second] - positions[first]  # (n_bonds, 3)
        length = np.linalg.norm(vector, axis=1)  # (n_bonds,)
        if not (length > 0).all():
            raise CalculationFailed("harmonic failed: two bonded atoms coincide")
        stretch = length - springs.r0
        pull = (springs.k * stretch / length)[:, None] * vector  # (n_bonds, 3)
        forces = np.zeros_like(positions)
        np.add.at(forces, first, pull)
        np.add.at(forces, second, -pull)
        return float(0.5 * np.sum(springs.k * stretch**2)), forces


def engine(options: dict[str, Any]) -> HarmonicEngine:
    """Return the engine for these options (complete, as `OPTIONS`)."""
    return HarmonicEngine(options)


def dimer_period_fs(mass_a_amu: float, mass_b_amu: float, k_eV_per_A2: float) -> float:
    """Return the period of a dimer on one spring, fs: 2 pi sqrt(mu / k)."""
    reduced = mass_a_amu * mass_b_amu / (mass_a_amu + mass_b_amu)
    return 2 * math.pi * math.sqrt(reduced / k_eV_per_A2) / fs


def springs_of(numbers: np.ndarray, positions: np.ndarray, options: dict[str, Any]) -> Springs:
    """Return the springs of a molecule, from the options where they say, from its geometry where they do not.

    Raises
    ------
    UserError
        If a bond names an atom that is not there, or there are as many values as neither one nor bonds.
    """
    given = options["bonds"]
    bonds = _bonded(numbers, positions) if given is None else np.array(given, dtype=np.int64).reshape(-1, 2)
    if bonds.size and bonds.max() >= len(numbers):
        raise UserError(f"harmonic bonds name atom {bonds.max()}; the molecule has atoms 0 to {len(numbers) - 1}.")
    r0 = options["r0_A"]
    if r0 is None:
        r0 = np.linalg.norm(positions[bonds[:, 1]] - positions[bonds[:, 0]], axis=1)
    return Springs(bonds, _one_a_bond("k_eV_per_A2", options["k_eV_per_A2"], bonds), _one_a_bond("r0_A", r0, bonds))


def _bonded(numbers: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Return the bonded pairs i < j, (n_bonds, 2)."""
    radii = covalent_radii[numbers]
    distance = np.linalg.norm(positions[:, None] - positions[None], axis=-1)  # (n_atoms, n_atoms)
    close = distance < BOND_FACTOR * (radii[:, None] + radii[None])
    return np.argwhere(np.triu(close, k=1))


def _one_a_bond(name: str, value: float | Sequence[float] | np.ndarray, bonds: np.ndarray) -> np.ndarray:
    values = np.asarray(value, dtype=np.float64)
    if values.ndim and len(values) != len(bonds):
        raise UserError(f"harmonic {name} has {len(values)} values for {len(bonds)} bonds; give one, or one a bond.")
    return np.broadcast_to(values, (len(bonds),))


def _check(options: dict[str, Any]) -> None:
    for name in ("k_eV_per_A2", "r0_A"):
        if options[name] is not None and not _all_positive(options[name]):
            raise UserError(f"harmonic {name} is {options[name]!r}; it must be a positive number, or one a bond.")
    if options["k_eV_per_A2"] is None:
        raise UserError("harmonic k_eV_per_A2 is None; it must be a positive number, or one a bond.")
    if options["bonds"] is not None and not _are_pairs(options["bonds"]):
        raise UserError(f"harmonic bonds are {options['bonds']!r}; write pairs of different atoms: [[0, 1], [1, 2]].")


def _all_positive(value: Any) -> bool:
    try:
        values = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        return False
    return bool(values.ndim <= 1 and np.isfinite(values).all() and (values > 0).all())


def _are_pairs(bonds: Any) -> bool:
    try:
        pairs = [(int(i), int(j)) for i, j in bonds]
    except (TypeError, ValueError):
        return False
    return all(i != j and i >= 0 and j >= 0 for i, j in pairs)
