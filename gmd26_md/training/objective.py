"""What training makes small: the errors of forces and of energies per atom."""

from __future__ import annotations

import torch
from torch import Tensor

from gmd26_md.calculators.potential import Potential, energy_and_forces
from gmd26_md.training.frames_in_memory import LabelledBatch
from gmd26_md.training.recipe import Recipe


def training_loss(potential: Potential, labelled: LabelledBatch, recipe: Recipe) -> Tensor:
    """Return energy_weight * (loss of the energy per atom, eV) + force_weight * (loss of the forces, eV/Å), scalar.

    Forces are averaged over all atoms of the batch, energies over its systems.
    """
    energies, forces = energy_and_forces(potential, labelled.batch, training=True)
    energy_error = (energies - labelled.energies) / labelled.n_atoms  # (n_systems,)
    force_error = forces - labelled.forces  # (n_atoms, 3)
    if recipe.loss == "norm":
        force_loss = torch.linalg.vector_norm(force_error + _TINY, dim=1).mean()
        energy_loss = energy_error.abs().mean()
    else:
        force_loss = _mean_loss(force_error, recipe.loss, recipe.huber_delta)
        energy_loss = _mean_loss(energy_error, recipe.loss, recipe.huber_delta)
    return recipe.energy_weight * energy_loss + recipe.force_weight * force_loss


_TINY = 1e-12  # eV/Å: the norm has no derivative at exactly zero error


def _mean_loss(error: Tensor, loss: str, delta: float) -> Tensor:
    if loss == "l1":
        return error.abs().mean()
    if loss == "l2":
        return error.square().mean()
    return torch.nn.functional.huber_loss(error, torch.zeros_like(error), delta=delta) / delta
