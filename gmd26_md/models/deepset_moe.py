"""DeepSet-MoE: an atom's energy as a learned function of the sum over its pairs, each pair seen by experts.

E = sum over atoms of rho(sum over neighbours of phi). The encoder phi is a mixture of experts over directed pairs
(Nourollah, Khalid, Leoni, Schockaert, "Benchmarking Compositional Generalisation for Machine Learning Interatomic
Potentials", arXiv 2605.08988, describe the idea; no code of theirs exists). What they leave open and this file
decides: the experts are one-hidden-layer networks whose output layer is shared out by the gates, and the sum may
keep the directions of the neighbours (`max_degree`), of which the decoder sees rotational invariants only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gmd26_md.calculators.batch import Batch
from gmd26_md.models.deepset_parts import Decoder, PairEncoder, SortedPairs, moments, sort_pairs


@dataclass(frozen=True)
class Contributions:
    """Where a predicted energy comes from, in units of the potential's `energy_scale`.

    Attributes
    ----------
    pairs
        Directed pairs (centre, neighbour), (2, n_pairs).
    distance
        Distance of each pair, (n_pairs,), Å.
    gates
        Weight of each spatial expert for each pair, (n_pairs, n_shells); the weights of a pair sum to one.
    expert
        Flat number of the expert with the largest weight, (n_pairs,): identity expert times n_shells plus shell.
    pair_energy
        Energy of each pair, (n_pairs,), where the architecture is additive over pairs; None where a learned decoder
        acts on the sum, which has no pair shares.
    expert_energy
        `pair_energy` split among the spatial experts, (n_pairs, n_shells), where each expert outputs an energy
        (decoder "identity"); else None.
    atom_self_energy
        The part of each atom that no pair changes, (n_atoms,).
    atom_energy
        Energy of each atom, (n_atoms,): its self energy and, where additive, its pairs' energies. Their sum is the
        predicted interaction energy.
    """

    pairs: Tensor
    distance: Tensor
    gates: Tensor
    expert: Tensor
    pair_energy: Tensor | None
    expert_energy: Tensor | None
    atom_self_energy: Tensor
    atom_energy: Tensor


class DeepSetMoE(nn.Module):
    """The network: a `Batch` in, one energy an atom out.

    Parameters
    ----------
    hyperparameters
        All of `gmd26_md.calculators.deepset_moe.DEFAULTS`, checked by that file.
    elements
        Atomic numbers the network knows, ascending.
    """

    element_index: Tensor

    def __init__(self, hyperparameters: Mapping[str, Any], elements: tuple[int, ...]) -> None:
        super().__init__()
        values = dict(hyperparameters)
        self.cutoff = float(values["cutoff"])
        self.additive = values["decoder"] == "identity" or values["aggregation"] == "none"
        self.per_pair = values["aggregation"] == "none"
        self.aggregation_scale = float(values["aggregation_scale"])
        self.max_degree = 0 if self.additive else int(values["max_degree"])
        learned = values["decoder"] == "mlp"
        channels = (int(values["n_features"]),) + (int(values["n_directional_features"]),) * self.max_degree
        self.channels = channels if learned else (1,)
        self.encoder = PairEncoder(values, n_elements=len(elements), n_out=sum(self.channels))
        self.decoder = Decoder(values, len(elements), self.channels) if learned else None
        self.self_energy = nn.Parameter(torch.zeros(len(elements)))
        index = torch.full((120,), len(elements), dtype=torch.int64)
        index[list(elements)] = torch.arange(len(elements))
        self.register_buffer("element_index", index, persistent=False)

    def forward(self, batch: Batch) -> Tensor:
        """Return atomic energies, (n_atoms,), in units of the potential's `energy_scale`."""
        species = self.element_index.index_select(0, batch.numbers)
        own = self.self_energy.index_select(0, species)  # raises for an element that is not known
        pairs = sort_pairs(batch, species, self.encoder.n_elements)
        if self.additive:
            return own.index_add(0, pairs.centre, self._pair_energy(pairs, species))
        assert self.decoder is not None
        features = self.encoder(pairs)  # (n_pairs, sum of channels)
        sums = moments(features, pairs, self.channels, len(species))
        return own + self.decoder([part / self.aggregation_scale for part in sums], species)

    def _pair_energy(self, pairs: SortedPairs, species: Tensor) -> Tensor:
        """Return each pair's energy in the sorted order, (n_pairs,)."""
        if self.decoder is None:
            return self.encoder(pairs)[:, 0] / self.aggregation_scale
        features = self.encoder(pairs, enveloped=False)
        energy = self.decoder([features], species.index_select(0, pairs.centre))
        return energy * pairs.envelope(self.cutoff) / self.aggregation_scale

    @torch.no_grad()
    def contributions(self, batch: Batch) -> Contributions:
        """Return what each pair and atom adds to the energy, and which experts said so; pairs in the batch's order."""
        species = self.element_index.index_select(0, batch.numbers)
        pairs = sort_pairs(batch, species, self.encoder.n_elements)
        order = torch.argsort(pairs.order)
        gates = self.encoder.gates(pairs.distance)
        expert = self.encoder.identity_expert(species.index_select(0, pairs.centre)) * gates.shape[1] + gates.argmax(1)
        pair_energy = self._pair_energy(pairs, species)[order] if self.additive else None
        expert_energy = None
        if self.decoder is None:
            expert_energy = self.encoder.by_expert(pairs)[order, :, 0] / self.aggregation_scale
        bare = torch.zeros((2, 0), dtype=torch.int64, device=batch.pairs.device)
        alone = Batch(batch.numbers, batch.positions, batch.system_idx, batch.n_systems, bare)
        return Contributions(
            pairs=batch.pairs,
            distance=pairs.distance[order],
            gates=gates[order],
            expert=expert[order],
            pair_energy=pair_energy,
            expert_energy=expert_energy,
            atom_self_energy=self(alone),
            atom_energy=self(batch),
        )
