"""GFN2-xTB through tblite: the reference of the first edition, and a calculator like any other.

Source: C. Bannwarth, S. Ehlert, S. Grimme, J. Chem. Theory Comput. 15, 1652 (2019). The energy is the electronic free
energy at `electronic_temperature_K` with self-consistent D4 dispersion, of which the forces are the gradient.
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

import numpy as np
from ase.calculators.calculator import CalculationFailed
from ase.data import ground_state_magnetic_moments
from ase.units import Bohr, Hartree, kB

from gmd26_md.errors import UserError

LEVEL = "gfn2-xtb"
ELEMENTS = range(1, 87)
_LARGE = 100  # atoms; beyond, all threads are used

PACKAGES = ("tblite",)
OPTIONS: dict[str, Any] = {
    "charge": None,  # e; of molecules that do not state one
    "multiplicity": None,  # 2 S + 1; of molecules that do not state one. None: the lowest that the electrons allow
    "accuracy": 0.01,  # tblite's own default is 1.0: forces off by up to 5e-4 eV/Å. Here 5e-6, for a fifth more time
    "max_iterations": 250,
    "electronic_temperature_K": 300.0,
    "warm_start": False,  # start from the previous geometry's density: a fifth less time, last digits depend on order
}


class GFN2Engine:
    """GFN2-xTB of one molecule at a time.

    Every evaluation starts its self-consistent field from scratch, so the result depends on the molecule alone and
    not on what was computed before: bit by bit up to 100 atoms, which are computed on one thread, and to 1e-9 eV and
    eV/Å beyond. With `warm_start` it begins at the previous density where only positions moved: energies then differ by
    less than 1e-10 eV and forces by less than 2e-5 eV/Å (measured on glutaric acid along 40 fs at 300 K, at the default
    accuracy).

    Parameters
    ----------
    options
        As `OPTIONS`, complete.
    """

    label = "gfn2-xtb"
    elements = ELEMENTS
    takes_charge = True
    device = "cpu"
    dtype = "float64"

    def __init__(self, options: dict[str, Any]) -> None:
        _check(options)
        self._options = dict(options)
        self._key: tuple[Any, ...] | None = None
        self._tblite: Any = None
        self._density: Any = None

    def __call__(
        self, numbers: np.ndarray, positions: np.ndarray, charge: int, multiplicity: int | None
    ) -> tuple[float, np.ndarray]:
        """See `ase_face.Engine`.

        Raises
        ------
        CalculationFailed
            If the self-consistent field does not converge, two atoms coincide, or the electrons do not allow the
            multiplicity. What was computed before is forgotten then.
        """
        try:
            self._place(numbers, positions, charge, multiplicity)
            with _threads_for(len(numbers)):
                result = self._tblite.singlepoint(self._density if self._options["warm_start"] else None)
        except RuntimeError as error:  # tblite's own errors are RuntimeErrors
            self._key = self._tblite = self._density = None
            raise CalculationFailed(f"gfn2-xtb failed: {error}") from error
        self._density = result
        forces = np.array(result["gradient"], dtype=np.float64).reshape(-1, 3) * (-Hartree / Bohr)
        return float(result["energy"]) * Hartree, forces

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what belongs to the library's memory."""
        return {**self.__dict__, "_key": None, "_tblite": None, "_density": None}

    def _place(self, numbers: np.ndarray, positions: np.ndarray, charge: int, multiplicity: int | None) -> None:
        """Hand the molecule to tblite; the library's object is kept while only positions move."""
        key = (numbers.tobytes(), charge, multiplicity)
        if key == self._key:
            self._tblite.update(positions=positions / Bohr)
            return
        self._key = self._density = None
        unpaired = None if multiplicity is None else multiplicity - 1
        library = _tblite_calculator()
        made = library("GFN2-xTB", numbers, positions / Bohr, float(charge), unpaired)
        made.set("verbosity", 0)
        made.set("accuracy", float(self._options["accuracy"]))
        made.set("max-iter", int(self._options["max_iterations"]))
        made.set("temperature", float(self._options["electronic_temperature_K"]) * kB / Hartree)
        self._tblite, self._key = made, key


def engine(options: dict[str, Any]) -> GFN2Engine:
    """Return the engine for these options (complete, as `OPTIONS`)."""
    return GFN2Engine(options)


def isolated_atom_energy(number: int) -> float:
    """Return the energy of a lone neutral atom in its ground-state multiplicity, eV.

    GFN2-xTB here is not spin-polarised: the multiplicity only says how the orbitals are occupied.

    Raises
    ------
    UserError
        For an element that GFN2-xTB does not know.
    """
    if number not in ELEMENTS:
        raise UserError(f"element {number} has no GFN2-xTB parameters; allowed are atomic numbers 1 to 86.")
    multiplicity = round(float(ground_state_magnetic_moments[number])) + 1
    energy, _ = GFN2Engine(OPTIONS)(np.array([number]), np.zeros((1, 3)), 0, multiplicity)
    return energy


def _check(options: dict[str, Any]) -> None:
    for name in ("accuracy", "electronic_temperature_K", "max_iterations"):
        value = options[name]
        number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        if not number or value <= 0:
            raise UserError(f"gfn2-xtb {name} is {value!r}; it must be a positive number, such as {OPTIONS[name]}.")


def _threads_for(n_atoms: int) -> AbstractContextManager[Any]:
    """Return a context in which a small molecule is computed on one thread.

    It gains nothing from more, and on a busy machine threads that wait for each other cost twenty times as much.
    """
    return nullcontext() if n_atoms > _LARGE else _controller().limit(limits=1)


@cache
def _controller() -> Any:
    """Return what sets the threads of the numerical libraries that are loaded, tblite's among them."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _tblite_calculator() -> Any:
    """Return tblite's calculator class, imported on first use."""
    try:
        from tblite.interface import Calculator
    except ImportError as error:
        raise UserError("gfn2-xtb needs the package tblite, which is not here: `pip install 'tblite>=0.8'`.") from error
    return Calculator
