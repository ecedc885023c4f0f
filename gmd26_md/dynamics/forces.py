"""Where the engine gets energies and forces: a batched potential, or any ASE calculator.

A provider is bound once to a list of systems and then asked for every step. Both roads answer the same question, so a
protocol does not know which one it is on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import BaseCalculator
from torch import Tensor

from gmd26_md.calculators.batch import Layout
from gmd26_md.calculators.potential import Potential, energy_and_forces

log = logging.getLogger(__name__)


class BoundForces(Protocol):
    """Energies and forces of a fixed list of systems, as a function of their positions.

    `errors` holds, by position in that list, what a calculator said when it failed.
    """

    errors: dict[int, str]

    def __call__(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Return total energies (n_systems,), eV, and forces (n_atoms, 3), eV/Å; float64, on positions' device."""

    def only(self, chosen: Sequence[int]) -> BoundForces:
        """Return the forces of some of the systems, by position in the list; what they remember goes with them."""


class ForceProvider(Protocol):
    """Something that can be asked for the forces of any list of molecules.

    `device` is where the engine keeps positions and velocities, in float64.
    """

    device: torch.device

    def bind(self, numbers: Sequence[np.ndarray]) -> BoundForces:
        """Return the forces of systems with these atomic numbers, each (n_atoms_of_system,)."""


class PotentialForces:
    """The batched road: one call of the potential moves every molecule."""

    def __init__(self, potential: Potential) -> None:
        parameter = next(potential.parameters())
        self.potential = potential
        self.dtype = parameter.dtype
        self.model_device = parameter.device
        # mps has no float64, and positions are float64 whatever the model's precision
        self.device = torch.device("cpu") if parameter.device.type == "mps" else parameter.device

    def bind(self, numbers: Sequence[np.ndarray]) -> BoundForces:
        """See `ForceProvider.bind`."""
        return _BoundPotential(self, numbers)


class _BoundPotential:
    def __init__(self, provider: PotentialForces, numbers: Sequence[np.ndarray]) -> None:
        self.errors: dict[int, str] = {}
        self._provider = provider
        self._numbers = list(numbers)
        self._layout = Layout.of(numbers, provider.model_device)
        self._system_idx = self._layout.system_idx.to(provider.device)
        empty = torch.zeros((len(self._layout.numbers), 3), dtype=provider.dtype, device=provider.model_device)
        self._constant = provider.potential.reference_energy(self._layout.batch(empty, 0.0)).to(provider.device)

    def __call__(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        potential = self._provider.potential
        at = positions.to(device=self._provider.model_device, dtype=self._provider.dtype)
        energy, forces = energy_and_forces(potential, self._layout.batch(at, potential.cutoff))
        home = positions.device
        total, forces = energy.to(home).to(torch.float64) + self._constant, forces.to(home).to(torch.float64)
        # an atom that is nowhere has no pairs, so that a potential may answer with finite numbers
        lost = torch.zeros_like(total).index_add(0, self._system_idx, 0.0 * positions.sum(-1))  # 0 or NaN
        return total + lost, forces + lost[self._system_idx, None]

    def only(self, chosen: Sequence[int]) -> BoundForces:
        """See `BoundForces.only`."""
        return _BoundPotential(self._provider, [self._numbers[i] for i in chosen])


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

    def bind(self, numbers: Sequence[np.ndarray]) -> BoundForces:
        """See `ForceProvider.bind`."""
        systems = [Atoms(numbers=z, positions=np.zeros((len(z), 3))) for z in numbers]
        for atoms in systems:
            atoms.calc = self.make_calculator()
        return _BoundAse(systems)


class _BoundAse:
    def __init__(self, systems: list[Atoms]) -> None:
        self.errors: dict[int, str] = {}
        self._systems = systems
        self._ends = np.cumsum([len(atoms) for atoms in systems])[:-1]

    def __call__(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        parts = np.split(positions.detach().numpy(), self._ends)
        answers = [self._ask(i, part) for i, part in enumerate(parts)]
        energies = torch.tensor([energy for energy, _ in answers], dtype=torch.float64)
        return energies, torch.as_tensor(np.concatenate([forces for _, forces in answers]), dtype=torch.float64)

    def only(self, chosen: Sequence[int]) -> BoundForces:
        """See `BoundForces.only`."""
        smaller = _BoundAse([self._systems[i] for i in chosen])
        smaller.errors = {new: self.errors[old] for new, old in enumerate(chosen) if old in self.errors}
        return smaller

    def _ask(self, index: int, positions: np.ndarray) -> tuple[float, np.ndarray]:
        nothing = float("nan"), np.full(positions.shape, np.nan)
        if not np.isfinite(positions).all():
            return nothing  # some codes hang on NaN
        atoms = self._systems[index]
        atoms.positions = positions
        try:
            return float(atoms.get_potential_energy()), np.array(atoms.get_forces(), dtype=np.float64)
        except Exception as problem:  # a vendor may raise anything; it is recorded, and NaN fails the run
            self.errors.setdefault(index, f"{type(problem).__name__}: {problem}")
            log.debug("calculator failed on system %d", index, exc_info=True)
            return nothing
