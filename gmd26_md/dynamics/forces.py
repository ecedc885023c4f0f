"""Where the engine gets energies and forces: a batched potential, or any ASE calculator.

A provider is bound to a list of systems and then asked for every step. Both roads answer the same question, so a
protocol does not know which one it is on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from gmd26_md.dynamics.ase_forces import AseForces
from gmd26_md.dynamics.potential_forces import PotentialForces

__all__ = ["AseForces", "BoundForces", "ForceProvider", "PotentialForces"]


class BoundForces(Protocol):
    """Energies and forces of a fixed list of systems, as a function of their positions.

    `errors` holds, by position in that list, what a calculator said when it failed.
    """

    errors: dict[int, str]

    def __call__(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Return total energies (n_systems,), eV, and forces (n_atoms, 3), eV/Å; float64, on positions' device."""

    def only(self, chosen: Sequence[int]) -> BoundForces:
        """Return the forces of some of the systems, by position in the list; what they remember goes with them."""

    def joined(self, other: Any) -> BoundForces:
        """Return the forces of these systems and then of those of another list, bound by the same provider."""


class ForceProvider(Protocol):
    """Something that can be asked for the forces of any list of molecules.

    `device` is where the engine keeps positions and velocities, in float64.
    """

    device: torch.device

    def bind(self, numbers: Sequence[np.ndarray]) -> BoundForces:
        """Return the forces of systems with these atomic numbers, each (n_atoms_of_system,)."""

    def cost(self, numbers: np.ndarray, positions: np.ndarray) -> float:
        """Return what a system, (n_atoms,) and (n_atoms, 3) in Å, takes of a batch's capacity."""

    def capacity(self) -> float:
        """Return the summed cost that goes into one batch; infinity where there is no limit."""
