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
from gmd26_md.models.deepset_parts import Decoder, PairEncoder, Routed, directional_sums
from gmd26_md.models.directions import Harmonics
from gmd26_md.models.radial import cutoff_envelope


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
        self.cutoff, self.scale = float(values["cutoff"]), 1.0 / float(values["aggregation_scale"])
        self.per_pair, learned = values["aggregation"] == "none", values["decoder"] == "mlp"
        self.max_degree = int(values["max_degree"]) if learned and not self.per_pair else 0
        self.harmonics = Harmonics(self.max_degree)
        n_out = int(values["n_features"]) if learned else 1
        self.encoder = PairEncoder(values, n_elements=len(elements), n_out=n_out)
        self.decoder = Decoder(values, len(elements), self.max_degree) if learned else None
        self.self_energy = nn.Parameter(torch.zeros(len(elements)))
        index = torch.full((120,), len(elements), dtype=torch.int64)
        index[list(elements)] = torch.arange(len(elements))
        self.register_buffer("element_index", index, persistent=False)

    def forward(self, batch: Batch) -> Tensor:
        """Return atomic energies, (n_atoms,), in units of the potential's `energy_scale`."""
        species = self.element_index.index_select(0, batch.numbers)
        own = self.self_energy.index_select(0, species)  # raises for an element that is not known
        vector, distance, routed = self._routed(batch, species)
        if self.decoder is None or self.per_pair:
            return own.index_add(0, batch.pairs[0], self._pair_energy(batch, species, distance, routed))
        features = self.encoder(distance, routed)
        harmonics = self.harmonics(vector / distance[:, None]) * self.scale
        sums = directional_sums(features, harmonics, routed, batch.pairs[0], len(species))
        return own + self.decoder(sums, species)

    def _routed(self, batch: Batch, species: Tensor) -> tuple[Tensor, Tensor, Routed]:
        """Return each pair's vector (n_pairs, 3), its length (n_pairs,) and the rows for the experts."""
        vector = batch.pair_vectors()
        distance = vector.square().sum(1).sqrt()
        centre, neighbour = (species.index_select(0, atoms) for atoms in batch.pairs)
        return vector, distance, self.encoder.route(distance, centre, neighbour)

    def _pair_energy(self, batch: Batch, species: Tensor, distance: Tensor, routed: Routed) -> Tensor:
        """Return each pair's energy where pairs add up, (n_pairs,)."""
        features = self.encoder(distance, routed, enveloped=self.decoder is None)
        phi = features.new_zeros(len(distance), features.shape[1]).index_add(0, routed.pair, features) * self.scale
        if self.decoder is None:
            return phi[:, 0]
        energy = self.decoder(phi[None], species.index_select(0, batch.pairs[0]))
        return energy * cutoff_envelope(distance, self.cutoff)

    @torch.no_grad()
    def contributions(self, batch: Batch) -> Contributions:
        """Return what each pair and atom adds to the energy, and which experts said so; pairs in the batch's order."""
        species = self.element_index.index_select(0, batch.numbers)
        _, distance, routed = self._routed(batch, species)
        gates = self.encoder.gates(distance)
        pair_energy = expert_energy = None
        if self.decoder is None or self.per_pair:
            pair_energy = self._pair_energy(batch, species, distance, routed)
        if self.decoder is None:
            expert_energy = torch.zeros_like(gates)
            expert_energy[routed.pair, routed.shell] = self.encoder(distance, routed)[:, 0] * self.scale
        identity = self.encoder.identity_expert(species).index_select(0, batch.pairs[0])
        alone = Batch(batch.numbers, batch.positions, batch.system_idx, batch.n_systems, batch.pairs[:, :0])
        return Contributions(
            pairs=batch.pairs,
            distance=distance,
            gates=gates,
            expert=identity * gates.shape[1] + gates.argmax(1),
            pair_energy=pair_energy,
            expert_energy=expert_energy,
            atom_self_energy=self(alone),
            atom_energy=self(batch),
        )
