"""The parts of DeepSet-MoE: pairs routed to experts, the encoder phi, sums over neighbours, the decoder rho."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from gmd26_md.models.directions import Invariants
from gmd26_md.models.grouped import grouped_matmul
from gmd26_md.models.neighbours import places_of
from gmd26_md.models.radial import bessel_basis, cutoff_envelope, gaussian_basis, shell_gates

_BASES = {"bessel": bessel_basis, "gaussian": gaussian_basis}


@dataclass(frozen=True)
class Routed:
    """Pairs as the experts see them: one row for each expert that a pair is given to, rows of an expert in one block.

    Attributes
    ----------
    pair, shell
        Pair (in the batch's order) and distance shell of each row, (n_rows,). A pair has a row for every shell whose
        gate is open: one, or two where shells cross over.
    gate
        Weight of each row, (n_rows,), differentiable; the weights of a pair sum to one.
    sizes
        Number of rows for each (centre element, shell, neighbour element), in this order of sorting.
    """

    pair: Tensor
    shell: Tensor
    gate: Tensor
    sizes: list[int]


def route(gates: Tensor, centre_species: Tensor, neighbour_species: Tensor, n_elements: int) -> Routed:
    """Return the rows for the open gates, (n_pairs, n_shells), of pairs between elements given by their index."""
    n_shells = gates.shape[1]
    pair, shell = (gates > 0).nonzero(as_tuple=True)
    centre, neighbour = centre_species.index_select(0, pair), neighbour_species.index_select(0, pair)
    group = (centre * n_shells + shell) * n_elements + neighbour
    order = torch.argsort(group, stable=True)
    pair, shell = pair.index_select(0, order), shell.index_select(0, order)
    sizes = torch.bincount(group, minlength=n_elements * n_shells * n_elements).tolist()
    return Routed(pair, shell, gates.flatten().index_select(0, pair * n_shells + shell), sizes)


class PairEncoder(nn.Module):
    """Phi: features of a directed pair from its distance and its two elements, by a mixture of experts.

    Each expert is radial basis x element embeddings -> hidden layer (SiLU) -> features. Spatial experts share out the
    distances by gates that sum to one; identity experts are one set of weights a central element.

    Notes
    -----
    A pair is shown only to the experts whose gates are open. The first layer is bilinear in the radial basis and the
    embeddings of the two elements, so it is contracted to one small matrix for each pair of elements beforehand.
    """

    def __init__(self, values: Mapping[str, Any], *, n_elements: int, n_out: int) -> None:
        super().__init__()
        self.n_elements, self.cutoff = n_elements, float(values["cutoff"])
        self.n_radial, self.radial_basis = int(values["n_radial"]), str(values["radial_basis"])
        spatial, self.by_element = values["routing"] in ("spatial", "both"), values["routing"] in ("identity", "both")
        self.boundaries = tuple(float(b) for b in values["shell_boundaries"]) if spatial else ()
        self.shell_overlap = float(values["shell_overlap"])
        n_shells, n_experts = len(self.boundaries) + 1, n_elements if self.by_element else 1
        n_embedding, width = int(values["n_embedding"]), int(values["expert_width"])
        self.centre_embedding = nn.Parameter(torch.randn(n_elements, n_embedding))
        self.neighbour_embedding = nn.Parameter(torch.randn(n_elements, n_embedding))
        first = torch.randn(n_experts, 2 * n_embedding, n_shells, self.n_radial + 1, width)
        self.radial_weight = nn.Parameter(first / math.sqrt(2 * n_embedding))  # the last radial function is constant
        self.output_weight = nn.Parameter(torch.randn(n_experts, n_shells, width, n_out) / math.sqrt(width))

    def route(self, distance: Tensor, centre_species: Tensor, neighbour_species: Tensor) -> Routed:
        """Return the pairs sorted to the experts whose gates are open."""
        return route(self.gates(distance), centre_species, neighbour_species, self.n_elements)

    def forward(self, distance: Tensor, routed: Routed, *, enveloped: bool = True) -> Tensor:
        """Return the gated features of each row of `routed`, (n_rows, n_out).

        Summed over the rows of a pair they are phi. Smoothly zero at the cutoff if `enveloped`.
        """
        weight = routed.gate
        if enveloped:
            weight = weight * cutoff_envelope(distance, self.cutoff).index_select(0, routed.pair)
        radial = _BASES[self.radial_basis](distance, self.cutoff, self.n_radial)
        radial = torch.cat([radial, torch.ones_like(distance)[:, None]], dim=1).index_select(0, routed.pair)
        hidden = silu(grouped_matmul(radial, self._first_layer(), routed.sizes)) * weight[:, None]
        n = self.n_elements
        sizes = [sum(routed.sizes[start : start + n]) for start in range(0, len(routed.sizes), n)]
        return grouped_matmul(hidden, self.output_weight.expand(n, -1, -1, -1).flatten(0, 1), sizes)

    def gates(self, distance: Tensor) -> Tensor:
        """Return the spatial experts' weights, (n_pairs, n_shells)."""
        return shell_gates(distance, self.boundaries, self.shell_overlap)

    def identity_expert(self, species: Tensor) -> Tensor:
        """Return the identity expert that serves each central atom."""
        return species if self.by_element else torch.zeros_like(species)

    def _first_layer(self) -> Tensor:
        """Return the first layer of each group of `Routed.sizes`, (n_groups, n_radial + 1, width)."""
        n = self.n_elements
        centre = self.centre_embedding[:, None].expand(n, n, -1)
        neighbour = self.neighbour_embedding[None].expand(n, n, -1)
        both = torch.cat([centre, neighbour], dim=-1)  # (centre, neighbour, 2 n_embedding)
        weight = self.radial_weight.expand(n, *self.radial_weight.shape[1:])
        return torch.einsum("cne,cekrh->cknrh", both, weight).flatten(0, 2)


def directional_sums(features: Tensor, harmonics: Tensor, routed: Routed, centre: Tensor, n_atoms: int) -> Tensor:
    """Return the sums over each atom's neighbours of phi times the harmonics of the direction.

    Parameters
    ----------
    features
        Gated features of each row, (n_rows, n_features).
    harmonics
        Of each pair's direction, (n_pairs, n_harmonics).
    routed
        Tells which pair a row belongs to.
    centre
        Central atom of each pair, ascending, (n_pairs,).
    n_atoms
        Number of atoms; those without neighbours get zeros.

    Returns
    -------
    sums
        (n_harmonics, n_atoms, n_features).
    """
    place, width = places_of(centre, n_atoms)
    phi = features.new_zeros(n_atoms * width, features.shape[1])
    phi = phi.index_add(0, place.index_select(0, routed.pair), features)  # a pair's rows meet in its place
    directions = harmonics.new_zeros(n_atoms * width, harmonics.shape[1]).index_add(0, place, harmonics)
    size = (n_atoms, width)
    sums = torch.bmm(directions.unflatten(0, size).mT, phi.unflatten(0, size))  # (n_atoms, n_harmonics, n_features)
    return sums.transpose(0, 1).contiguous()


class Decoder(nn.Module):
    """Rho: an energy from the summed features of an atom (or the features of a pair), knowing its element."""

    def __init__(self, values: Mapping[str, Any], n_elements: int, max_degree: int) -> None:
        super().__init__()
        self.invariants = Invariants(
            int(values["n_features"]), max_degree, int(values["n_products"]), int(values["n_triples"])
        )
        width, n_layers = int(values["decoder_width"]), int(values["n_decoder_layers"])
        self.first = nn.Linear(self.invariants.n_out, width, bias=False)
        self.element_bias = nn.Parameter(torch.zeros(n_elements, width))
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(n_layers - 1))
        self.last = nn.Linear(width, 1)
        nn.init.zeros_(self.last.bias)

    def forward(self, sums: Tensor, species: Tensor) -> Tensor:
        """Return one energy for each row of the sums, (n_harmonics, n_rows, n_features), as (n_rows,).

        `species` is the element index of each row.
        """
        x = silu(self.first(self.invariants(sums)) + self.element_bias.index_select(0, species))
        for layer in self.hidden:
            x = silu(layer(x))
        energy: Tensor = self.last(x)[:, 0]
        return energy
