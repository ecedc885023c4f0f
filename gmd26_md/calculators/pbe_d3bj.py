"""PBE-D3(BJ) in a def2 basis through PySCF: a second reference, for small molecules, and a calculator like any other.

Sources: J. P. Perdew, K. Burke, M. Ernzerhof, Phys. Rev. Lett. 77, 3865 (1996); S. Grimme, S. Ehrlich, L. Goerigk,
J. Comput. Chem. 32, 1456 (2011), without the three-body term; F. Weigend, R. Ahlrichs, Phys. Chem. Chem. Phys. 7, 3297
(2005). Coulomb integrals are fitted in def2-universal-jfit. Forces are the gradient of the very energy that is
returned: fitting basis, integration grid and dispersion have their part in it.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
from ase.calculators.calculator import CalculationFailed
from ase.data import chemical_symbols
from ase.units import Bohr, Hartree

from gmd26_md.errors import UserError, unknown_name

PACKAGES = ("pyscf", "pyscf-dispersion")
INSTALL = "pip install 'gmd26-md[dft]'"
OPTIONS: dict[str, Any] = {
    "basis": "def2-svp",  # or "def2-tzvp"
    "charge": None,  # e; of molecules that do not state one
    "multiplicity": None,  # 2 S + 1; of molecules that do not state one. None: the lowest that the electrons allow
    "scf_tolerance_Hartree": 1e-10,  # between two cycles. Water's forces: off by 1e-5 eV/Å; 6e-5 with 1e-9
    "grid_level": 3,  # of the integration grid, 0 to 9. Forces follow the grid's own energy at every level
    "max_cycles": 100,
    "warm_start": True,  # start from the density of this molecule's previous geometry, if no atom is far from there
    "n_threads": None,  # None: as OMP_NUM_THREADS says, which is one in worker processes, else all cores
}
VARIANT_OPTION, VARIANTS = "basis", ("def2-svp", "def2-tzvp")
"""What may follow the name after a slash, "pbe-d3bj/def2-tzvp", and the option that it settles."""
ELEMENTS = (*range(1, 58), *range(72, 87))  # those with a def2 basis in PySCF: no lanthanides after La
_FIRST_WITH_CORE_POTENTIAL = 37
_TOO_CLOSE_A = 0.1
# Cycles for acetic acid: 11 from scratch, 9 from the density of a geometry 0.03 Å away, 11 from 0.1 Å, 12.4 from 200 fs
_NEAR_A = 0.1
# Basis functions an atom by period, main groups (def2-SVP, def2-TZVP); for the cost only, so d elements count the same.
_N_BASIS = {"def2-svp": (5, 14, 18, 32, 27, 27), "def2-tzvp": (6, 31, 37, 48, 40, 40)}
_COST_POWER = 1.1
_LAST_OF_PERIOD = (2, 10, 18, 36, 54, 86)


class PBEEngine:
    """PBE-D3(BJ) of one molecule at a time, spin-polarised where electrons are unpaired.

    With `warm_start` an answer depends in its last digits on what was asked before, where no atom has moved by more
    than 0.1 Å since, and with more threads than one on chance: energies by 1e-9 eV, forces by up to 2e-4 eV/Å (measured
    on acetic acid). From farther away nothing is gained by an old density, and every answer is one from scratch.

    Limits. The grid turns with the axes and not with the molecule: acetic acid turned has another energy by 3e-5 eV
    and other forces by 1e-3 eV/Å, at grid level 3. A stretched bond is computed closed-shell.

    Parameters
    ----------
    options
        As `OPTIONS`, complete.

    Raises
    ------
    UserError
        An option that cannot be, or PySCF or its dispersion is not installed.
    """

    elements = ELEMENTS
    takes_charge = True
    device = "cpu"
    dtype = "float64"

    def __init__(self, options: dict[str, Any]) -> None:
        _check(options)
        _vendor()  # complain now, and not in the middle of a run
        self._options = dict(options)
        self.label = f"pbe-d3bj/{options['basis']}"
        self._key: tuple[Any, ...] | None = None
        self._density: np.ndarray | None = None
        self._positions = np.zeros((0, 3))  # of the density

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
        key = (numbers.tobytes(), charge, multiplicity)
        start = self._density if key == self._key and self._is_near(positions) else None
        self._key = self._density = None
        _refuse_coinciding(positions, self.label)
        try:
            with _threads(self._options["n_threads"]), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what they are about ends in an answer that is checked here
                molecule = _molecule(numbers, positions, charge, multiplicity, self._options["basis"])
                field = self._converged(molecule, start)
                gradient = field.nuc_grad_method()
                gradient.grid_response = True  # without it: off by 2e-3 eV/Å at grid level 3 (acetic acid)
                slope = gradient.kernel()
                dispersion = _vendor().DFTD3Dispersion(molecule, xc="pbe", version="d3bj").get_dispersion(grad=True)
        except (RuntimeError, ValueError, ArithmeticError, np.linalg.LinAlgError) as error:
            raise CalculationFailed(f"{self.label} failed: {' '.join(str(error).split())}") from error
        energy = float(field.e_tot) + float(dispersion["energy"])
        forces = -(np.asarray(slope) + dispersion["gradient"])
        if not (math.isfinite(energy) and np.isfinite(forces).all()):
            raise CalculationFailed(f"{self.label} failed: the energy or a force is not finite")
        self._key, self._density, self._positions = key, np.asarray(field.make_rdm1()), positions.copy()
        return energy * Hartree, np.asarray(forces * (Hartree / Bohr), dtype=np.float64)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the density: a copy starts afresh."""
        return {**self.__dict__, "_key": None, "_density": None}

    def _is_near(self, positions: np.ndarray) -> bool:
        """Tell whether the density of the last geometry is a good start for this one of the same molecule."""
        moved = np.linalg.norm(positions - self._positions, axis=-1)
        return bool(self._options["warm_start"]) and float(moved.max()) <= _NEAR_A

    def _converged(self, molecule: Any, start: np.ndarray | None) -> Any:
        """Return the self-consistent field; from scratch, if it does not converge from the start that is given."""
        made = _vendor().RKS if molecule.spin == 0 else _vendor().UKS
        field = made(molecule, xc="pbe").density_fit()
        field.chkfile = None  # no file on the disk
        field.grids.level = self._options["grid_level"]
        field.conv_tol = float(self._options["scf_tolerance_Hartree"])
        field.max_cycle = self._options["max_cycles"]
        field.kernel(dm0=start)
        if not field.converged and start is not None:
            field.kernel(dm0=None)
        if not field.converged:
            raise RuntimeError(
                f"the self-consistent field did not converge in {self._options['max_cycles']} cycles "
                f"(to {self._options['scf_tolerance_Hartree']:g} Hartree)"
            )
        return field


def engine(options: dict[str, Any]) -> PBEEngine:
    """Return the engine for these options (complete, as `OPTIONS`)."""
    return PBEEngine(options)


def relative_cost(numbers: np.ndarray, name: str) -> float:
    """Return what an evaluation of a molecule costs, in units in which only ratios mean something.

    `name` is the engine's full one. Atoms (which carry the grid) times basis functions, to a power fitted to timings.
    Limit: within a factor of two for molecules of H, C and O of 3 to 14 atoms.
    """
    periods = np.searchsorted(_LAST_OF_PERIOD, numbers)
    n_basis = int(np.array(_N_BASIS[name.partition("/")[2]])[periods].sum())
    return float(len(numbers) * n_basis) ** _COST_POWER


def _check(options: dict[str, Any]) -> None:
    if options["basis"] not in VARIANTS:
        raise unknown_name("basis of pbe-d3bj", str(options["basis"]), VARIANTS)
    tolerance = options["scf_tolerance_Hartree"]
    number = isinstance(tolerance, (int, float)) and not isinstance(tolerance, bool) and math.isfinite(tolerance)
    if not number or tolerance <= 0:
        raise UserError(
            f"pbe-d3bj scf_tolerance_Hartree is {tolerance!r}; it must be a positive number, such as 1e-10."
        )
    for name, least, most in (("grid_level", 0, 9), ("max_cycles", 1, 10_000), ("n_threads", 1, 1024)):
        value = options[name]
        if name == "n_threads" and value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise UserError(f"pbe-d3bj {name} is {value!r}; it must be a whole number from {least} to {most}.")


def _refuse_coinciding(positions: np.ndarray, label: str) -> None:
    distances = np.linalg.norm(positions[:, None] - positions[None], axis=-1)[np.triu_indices(len(positions), k=1)]
    if distances.size and not distances.min() > _TOO_CLOSE_A:
        raise CalculationFailed(f"{label} failed: two atoms are closer than {_TOO_CLOSE_A} Å")


def _molecule(numbers: np.ndarray, positions: np.ndarray, charge: int, multiplicity: int | None, basis: str) -> Any:
    """Return PySCF's molecule; RuntimeError if the electrons do not allow the multiplicity."""
    symbols = [chemical_symbols[z] for z in numbers]
    heavy = {chemical_symbols[z] for z in set(numbers.tolist()) if z >= _FIRST_WITH_CORE_POTENTIAL}
    return (
        _vendor()
        .Mole(verbose=0)
        .build(
            atom=list(zip(symbols, (positions / Bohr).tolist(), strict=True)),
            unit="Bohr",
            basis=basis,
            ecp=dict.fromkeys(heavy, basis),
            charge=charge,
            spin=int(numbers.sum() - charge) % 2 if multiplicity is None else multiplicity - 1,
        )
    )


@contextmanager
def _waiting_asleep() -> Iterator[None]:
    """Let OpenMP threads that are started inside sleep while they wait, where the user has not said otherwise.

    PySCF brings its own OpenMP library, which reads this once, when it is loaded. Threads that wait awake cost 5 to 17
    times as much on a machine with other work (measured: water and acetic acid, two threads on two busy cores).
    """
    name = "OMP_WAIT_POLICY"
    if name in os.environ:
        yield
        return
    os.environ[name] = "PASSIVE"
    try:
        yield
    finally:
        del os.environ[name]


@cache
def _vendor() -> SimpleNamespace:
    """Return what is used of PySCF, imported on first use."""
    try:
        with _waiting_asleep(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from pyscf import lib
            from pyscf.dft import RKS, UKS
            from pyscf.dispersion.dftd3 import DFTD3Dispersion
            from pyscf.gto import Mole
    except ImportError as error:
        raise UserError(
            "pbe-d3bj needs the packages pyscf and pyscf-dispersion, which are not both here: "
            "`pip install 'gmd26-md[dft]'`."
        ) from error
    return SimpleNamespace(lib=lib, RKS=RKS, UKS=UKS, DFTD3Dispersion=DFTD3Dispersion, Mole=Mole)


def _threads(n_threads: int | None) -> AbstractContextManager[Any]:
    """Return a context with so many threads in the numerical libraries; with None they are as they are."""
    if n_threads is None:
        return nullcontext()
    from threadpoolctl import threadpool_limits

    limited: AbstractContextManager[Any] = threadpool_limits(limits=n_threads)
    return limited
