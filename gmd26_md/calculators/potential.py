"""One potential for every architecture: a network for the atoms' energies, and what stands around it.

The network sees a `Batch` and returns one energy an atom, in units of `energy_scale`. Per-element energies,
the sum over atoms and the forces are derived here, once, for all families.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from gmd26_md.calculators.batch import Batch


class Potential(nn.Module):
    """E = sum over atoms of (element_energy[Z] + energy_scale * network(batch)), forces by autograd.

    Parameters
    ----------
    network
        Maps a `Batch` to atomic energies, (n_atoms,), in units of `energy_scale`. A network that predicts
        forces itself has `forces_are_gradient = False` as an attribute and returns (atomic energies, forces
        (n_atoms, 3) in units of `energy_scale` / Å).
    cutoff
        Pair cutoff, Å.
    element_energies
        Energy of each known element, eV. Elements that are missing here are unknown to the potential.
    energy_scale
        eV for one unit of the network's output.

    Notes
    -----
    The element energies (thousands of eV a molecule) are summed in float64 and added last, so a float32 network
    keeps its precision for the part that moves. They stay float64 whatever `.to(dtype)` says.
    """

    def __init__(
        self, network: nn.Module, *, cutoff: float, element_energies: Mapping[int, float], energy_scale: float = 1.0
    ) -> None:
        super().__init__()
        self.network = network
        self.cutoff = float(cutoff)
        self.energy_scale = float(energy_scale)
        self.element_energies = dict(element_energies)
        self.forces_are_gradient = bool(getattr(network, "forces_are_gradient", True))
        self._tables: dict[torch.device, Tensor] = {}

    def reference_energy(self, batch: Batch) -> Tensor:
        """Return the summed per-element energies of each system, (n_systems,), eV, float64."""
        device = batch.numbers.device
        wide = device if device.type != "mps" else torch.device("cpu")  # mps has no float64
        if wide not in self._tables:
            table = torch.full((120,), float("nan"), dtype=torch.float64)
            for number, energy in self.element_energies.items():
                table[number] = energy
            self._tables[wide] = table.to(wide)
        atoms = self._tables[wide].index_select(0, batch.numbers.to(wide))
        total = torch.zeros(batch.n_systems, dtype=torch.float64, device=wide)
        return total.index_add(0, batch.system_idx.to(wide), atoms)

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """Return interaction energies (n_systems,), eV, in the network's precision, and direct forces if any."""
        output = self.network(batch)
        atoms, forces = output if isinstance(output, tuple) else (output, None)
        energy = torch.zeros(batch.n_systems, dtype=atoms.dtype, device=atoms.device)
        energy = energy.index_add(0, batch.system_idx, atoms) * self.energy_scale
        return energy, None if forces is None else forces * self.energy_scale


def energy_and_forces(potential: Potential, batch: Batch, *, training: bool = False) -> tuple[Tensor, Tensor]:
    """Return the *interaction* energy of each system and the forces on its atoms.

    Parameters
    ----------
    potential
        The potential; its parameters and the batch's positions share precision and device.
    batch
        The systems. Its positions are replaced by a leaf that records gradients; the caller's are untouched.
    training
        Keep the graph, so that a loss on the forces can be differentiated by the parameters.

    Returns
    -------
    energy
        (n_systems,), eV, without the per-element energies (add `potential.reference_energy(batch)`).
    forces
        (n_atoms, 3), eV/Å: the negative gradient of the energy, unless the network predicts forces itself.
    """
    with torch.enable_grad():
        positions = batch.positions.detach().requires_grad_(True)
        live = Batch(batch.numbers, positions, batch.system_idx, batch.n_systems, batch.pairs)
        energy, forces = potential(live)
        if forces is None:
            if energy.requires_grad:
                (gradient,) = torch.autograd.grad(
                    energy.sum(), positions, create_graph=training, retain_graph=training, allow_unused=True
                )
            else:
                gradient = None
            forces = torch.zeros_like(positions) if gradient is None else -gradient
    return (energy, forces) if training else (energy.detach(), forces.detach())
