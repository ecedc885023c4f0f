"""The model in training: live weights, their running average, and the optimiser."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gmd26_md.calculators.families import build_network, default_hyperparameters
from gmd26_md.calculators.potential import Potential
from gmd26_md.errors import unknown_name
from gmd26_md.training.recipe import Recipe


@dataclass(frozen=True)
class ModelInTraining:
    """A potential that learns and one with the running average of its weights; neither ever takes the other's place.

    Attributes
    ----------
    live, averaged
        Two potentials of the same architecture.
    optimiser
        Adam over the live weights.
    """

    live: Potential
    averaged: Potential
    optimiser: torch.optim.Optimizer

    def average(self, step: int, decay: float) -> None:
        """Move the running average towards the live weights, after step `step` (from 0).

        The decay starts small, min(decay, (1 + step) / (10 + step)), so the random first weights are forgotten.
        """
        now = min(decay, (1.0 + step) / (10.0 + step))
        with torch.no_grad():
            averaged: list[Tensor] = list(self.averaged.network.parameters())
            torch._foreach_lerp_(averaged, list(self.live.network.parameters()), 1.0 - now)


def all_hyperparameters(recipe: Recipe) -> dict[str, Any]:
    """Return the family's defaults with the recipe's own on top.

    Raises
    ------
    UserError
        If the recipe names a hyperparameter that the family does not have.
    """
    defaults = default_hyperparameters(recipe.family)
    for name in recipe.hyperparameters:
        if name not in defaults:
            raise unknown_name(f"hyperparameter of {recipe.family}", name, defaults)
    return {**defaults, **recipe.hyperparameters}


def new_model(
    recipe: Recipe,
    elements: tuple[int, ...],
    element_energies: Mapping[int, float],
    energy_scale: float,
    device: torch.device,
) -> ModelInTraining:
    """Return the model with its first weights, which follow from the recipe's seed alone."""
    hyperparameters = all_hyperparameters(recipe)

    def potential() -> Potential:
        network = build_network(recipe.family, hyperparameters, elements)
        return Potential(
            network.to(device=device, dtype=getattr(torch, recipe.dtype)),
            cutoff=float(hyperparameters["cutoff"]),
            element_energies=element_energies,
            energy_scale=energy_scale,
        )

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        live, averaged = potential(), potential()
    averaged.network.load_state_dict(live.network.state_dict())
    averaged.network.requires_grad_(False)
    return ModelInTraining(live, averaged, _optimiser(live.network, recipe))


def start_self_energies(model: ModelInTraining, energies: Mapping[int, float]) -> None:
    """Give networks with a weight for the energy of each single atom these ones, eV, as first values.

    Only a network with a parameter `self_energy`, (n_elements,), elements ascending, has such weights.
    """
    for potential in (model.live, model.averaged):
        weights = getattr(potential.network, "self_energy", None)
        if isinstance(weights, nn.Parameter):
            values = torch.tensor([energies[z] for z in sorted(energies)], dtype=torch.float64)
            with torch.no_grad():
                weights.copy_(values / potential.energy_scale)


def _optimiser(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    return torch.optim.AdamW(
        weights, lr=recipe.learning_rate, weight_decay=recipe.weight_decay, amsgrad=recipe.amsgrad, fused=True
    )
