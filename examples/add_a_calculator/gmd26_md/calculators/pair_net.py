"""PairNet, a worked example: a small network of the distance for each pair of elements, and nothing else.

The energy is a sum over pairs, so angles and torsions come from 1,3 and 1,4 distances alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from gmd26_md.calculators._hyperparameters import checked_elements, merged
from gmd26_md.calculators.batch import Batch

DEFAULTS: dict[str, Any] = {
    "cutoff": 5.0,  # Å
    "n_radial": 16,
    "width": 64,
}


class PairNet(nn.Module):
    """Atomic energies, (n_atoms,): half of each pair's energy goes to either atom."""

    element_index: Tensor
    frequencies: Tensor

    def __init__(self, cutoff: float, n_radial: int, width: int, elements: tuple[int, ...]) -> None:
        super().__init__()
        self.cutoff, self.n_elements = cutoff, len(elements)
        index = torch.full((119,), -1, dtype=torch.int64)
        index[list(elements)] = torch.arange(len(elements))
        self.register_buffer("element_index", index, persistent=False)
        frequencies = torch.pi * torch.arange(1, n_radial + 1) / cutoff
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.layers = nn.Sequential(
            nn.Linear(n_radial + 2 * len(elements), width),
            nn.SiLU(),
            nn.Linear(width, width),
            nn.SiLU(),
            nn.Linear(width, 1),
        )

    def forward(self, batch: Batch) -> Tensor:
        """Return the energy of each atom, (n_atoms,)."""
        centre, neighbour = batch.pairs
        distance = torch.linalg.vector_norm(batch.pair_vectors(), dim=1)[:, None]  # (n_pairs, 1)
        waves = torch.sin(distance * self.frequencies) / distance  # (n_pairs, n_radial)
        kinds = nn.functional.one_hot(self.element_index[batch.numbers], self.n_elements).to(waves.dtype)
        # One order for both directions, or i, j and j, i would be two different pairs.
        both = torch.cat([kinds[centre] + kinds[neighbour], (kinds[centre] - kinds[neighbour]).abs()], dim=1)
        smooth = 0.5 * (1 + torch.cos(torch.pi * distance / self.cutoff))  # 0 at the cutoff, with no slope
        energy = 0.5 * (smooth**2 * self.layers(torch.cat([waves, both], dim=1)))[:, 0]
        return energy.new_zeros(len(batch.numbers)).index_add(0, centre, energy)


def network(hyperparameters: Mapping[str, Any], elements: tuple[int, ...]) -> nn.Module:
    """Return an untrained network that maps a `Batch` to atomic energies, (n_atoms,).

    Raises
    ------
    UserError
        An unknown hyperparameter, or a value of another kind.
    """
    values = merged("pair-net", DEFAULTS, hyperparameters)
    return PairNet(values["cutoff"], values["n_radial"], values["width"], checked_elements(elements))
