"""The ASE road to forces: any calculator, asked for one system after the other."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import BaseCalculator
from torch import Tensor

from gmd26_md.calculators.ase_face import MLIPCalculator

log = logging.getLogger(__name__)


class AseForces:
    """The ASE road: a calculator a system, asked one by one.

    A calculator that raises does not end the run: its system gets NaN energies and forces, which no check of the
    engine lets pass, and its words are kept in `errors`.

    Parameters
    ----------
    make_calculator
        Called once a system, so that calculators which carry a state from call to call (a wavefunction) do not mix
        molecules.
    """

    def __init__(self, make_calculator: Callable[[], BaseCalculator]) -> None:
        self.make_calculator = make_calculator
        self.device = torch.device("cpu")

    def bind(self, numbers: Sequence[np.ndarray]) -> BoundAse:
        """See `ForceProvider.bind`."""
        systems = [Atoms(numbers=z, positions=np.zeros((len(z), 3))) for z in numbers]
        for atoms in systems:
            atoms.calc = self.make_calculator()
        return BoundAse(systems)

    def cost(self, numbers: np.ndarray, positions: np.ndarray) -> float:
        """See `ForceProvider.cost`: atoms; nothing is gained or lost by moving many together."""
        return float(len(numbers))

    def capacity(self) -> float:
        """See `ForceProvider.capacity`."""
        return float("inf")


class BoundAse:
    """Systems with a calculator each."""

    def __init__(self, systems: list[Atoms]) -> None:
        self.errors: dict[int, str] = {}
        self._systems = systems
        self._ends = np.cumsum([len(atoms) for atoms in systems])[:-1]

    def __call__(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """See `BoundForces`."""
        parts = np.split(positions.detach().numpy(), self._ends)
        answers = [self._ask(i, part) for i, part in enumerate(parts)]
        energies = torch.tensor([energy for energy, _ in answers], dtype=torch.float64)
        return energies, torch.as_tensor(np.concatenate([forces for _, forces in answers]), dtype=torch.float64)

    def only(self, chosen: Sequence[int]) -> BoundAse:
        """See `BoundForces.only`."""
        fewer = BoundAse([self._systems[i] for i in chosen])
        fewer.errors = {new: self.errors[old] for new, old in enumerate(chosen) if old in self.errors}
        return fewer

    def joined(self, other: BoundAse) -> BoundAse:
        """See `BoundForces.joined`."""
        more = BoundAse([*self._systems, *other._systems])
        n = len(self._systems)
        more.errors = {**self.errors, **{n + i: words for i, words in other.errors.items()}}
        return more

    def _ask(self, index: int, positions: np.ndarray) -> tuple[float, np.ndarray]:
        nothing = float("nan"), np.full(positions.shape, np.nan)
        if not np.isfinite(positions).all():
            return nothing  # some codes hang on NaN
        atoms = self._systems[index]
        atoms.positions = positions
        try:
            return _computed(atoms)
        except Exception as problem:  # a vendor may raise anything; it is recorded, and NaN fails the run
            self.errors.setdefault(index, f"{type(problem).__name__}: {problem}")
            log.debug("calculator failed on system %d", index, exc_info=True)
            return nothing


def _computed(atoms: Atoms) -> tuple[float, np.ndarray]:
    """Return energy and forces of positions that are new.

    Of our own calculator without ASE's comparison with the last positions, twice a step: for a molecule of eight atoms
    that takes half as long as GFN2-xTB does.
    """
    if isinstance(atoms.calc, MLIPCalculator):
        atoms.calc.calculate(atoms, ("energy", "forces"))
        found: dict[str, Any] = atoms.calc.results
        return float(found["energy"]), np.array(found["forces"], dtype=np.float64)
    return float(atoms.get_potential_energy()), np.array(atoms.get_forces(), dtype=np.float64)
