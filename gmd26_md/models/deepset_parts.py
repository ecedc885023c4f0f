"""The parts of DeepSet-MoE: pairs in an order that suits the experts, encoder, directional sums, decoder."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from gmd26_md.calculators.batch import Batch
from gmd26_md.models.radial import bessel_basis, cutoff_envelope, gaussian_basis, shell_gates

_BASES = {"bessel": bessel_basis, "gaussian": gaussian_basis}


@dataclass(frozen=True)
class SortedPairs:
    """Directed pairs sorted by the elements of (centre, neighbour), so that each expert finds its pairs in one block.

    Attributes
    ----------
    order
        Place of each sorted pair in the batch's order, (n_pairs,).
    centre, vector, distance
        Central atom (n_pairs,); vector to the neighbour (n_pairs, 3), Å; its length (n_pairs,), Å.
    counts
        Number of pairs of each kind (centre element times n_elements plus neighbour element).
    """

    order: Tensor
    centre: Tensor
    vector: Tensor
    distance: Tensor
    counts: list[int]

    def envelope(self, cutoff: float) -> Tensor:
        """Return the smooth cutoff of each pair, (n_pairs,)."""
        return cutoff_envelope(self.distance, cutoff)


def sort_pairs(batch: Batch, species: Tensor, n_elements: int) -> SortedPairs:
    """Return the batch's pairs, differentiable, sorted by the elements of both atoms (indices in `species`)."""
    centre, neighbour = batch.pairs
    kind = species.index_select(0, centre) * n_elements + species.index_select(0, neighbour)
    order = torch.argsort(kind, stable=True)
    centre, neighbour = centre.index_select(0, order), neighbour.index_select(0, order)
    vector = batch.positions.index_select(0, neighbour) - batch.positions.index_select(0, centre)
    distance = vector.square().sum(1).sqrt()
    counts = torch.bincount(kind, minlength=n_elements * n_elements).tolist()
    return SortedPairs(order, centre, vector, distance, counts)


class PairEncoder(nn.Module):
    """Phi: features of a directed pair from its distance and its two elements, by a mixture of experts.

    Each expert is radial basis x element embeddings -> hidden layer (SiLU) -> features. Spatial experts share out the
    distances by gates that sum to one; identity experts are one set of weights a central element.

    Notes
    -----
    The gates multiply the hidden layers, and one matrix then maps all experts' hidden layers to the features: the
    same as adding up gated outputs, for the price of one network. The first layer is bilinear in the radial basis and
    the embeddings of the two elements, so it is contracted to one small matrix for each pair of elements beforehand.
    """

    def __init__(self, values: Mapping[str, Any], *, n_elements: int, n_out: int) -> None:
        super().__init__()
        self.n_elements, self.cutoff = n_elements, float(values["cutoff"])
        self.n_radial, self.radial_basis = int(values["n_radial"]), str(values["radial_basis"])
        spatial, identity = values["routing"] in ("spatial", "both"), values["routing"] in ("identity", "both")
        self.boundaries = tuple(float(b) for b in values["shell_boundaries"]) if spatial else ()
        self.shell_width = float(values["shell_width"])
        self.by_element, self.n_shells = identity, len(self.boundaries) + 1
        n_experts, n_embedding = (n_elements if identity else 1), int(values["n_embedding"])
        hidden = self.n_shells * int(values["expert_width"])
        self.centre_embedding = nn.Parameter(torch.randn(n_elements, n_embedding))
        self.neighbour_embedding = nn.Parameter(torch.randn(n_elements, n_embedding))
        scale = 1.0 / math.sqrt(2 * n_embedding)
        self.radial_weight = nn.Parameter(scale * torch.randn(n_experts, 2 * n_embedding, self.n_radial, hidden))
        self.radial_bias = nn.Parameter(scale * torch.randn(n_experts, 2 * n_embedding, hidden))
        fan_in = math.sqrt(float(values["expert_width"]))
        self.output_weight = nn.Parameter(torch.randn(n_experts, hidden, n_out) / fan_in)
        self.output_bias = nn.Parameter(torch.zeros(n_experts, self.n_shells, n_out))

    def forward(self, pairs: SortedPairs, *, enveloped: bool = True) -> Tensor:
        """Return the features of each pair, (n_pairs, n_out), smoothly zero at the cutoff if `enveloped`."""
        gates = self.gates(pairs.distance)  # (n_pairs, n_shells)
        if enveloped:
            gates = gates * pairs.envelope(self.cutoff)[:, None]
        hidden = self._hidden(pairs).unflatten(1, (self.n_shells, -1))
        hidden = (hidden * gates[:, :, None]).flatten(1)
        sizes = self._expert_sizes(pairs)
        blocks = zip(hidden.split(sizes), gates.split(sizes), self.output_weight, self.output_bias, strict=True)
        return torch.cat([torch.addmm(g @ bias, h, weight) for h, g, weight, bias in blocks])

    def by_expert(self, pairs: SortedPairs) -> Tensor:
        """Return each spatial expert's gated share of the features, (n_pairs, n_shells, n_out); their sum is phi."""
        gates = self.gates(pairs.distance) * pairs.envelope(self.cutoff)[:, None]
        hidden = self._hidden(pairs).unflatten(1, (self.n_shells, -1)) * gates[:, :, None]
        sizes = self._expert_sizes(pairs)
        blocks = zip(hidden.split(sizes), gates.split(sizes), self.output_weight, self.output_bias, strict=True)
        shares = [
            torch.einsum("psw,swf->psf", h, weight.unflatten(0, (self.n_shells, -1))) + g[:, :, None] * bias
            for h, g, weight, bias in blocks
        ]
        return torch.cat(shares)

    def gates(self, distance: Tensor) -> Tensor:
        """Return the spatial experts' weights, (n_pairs, n_shells)."""
        return shell_gates(distance, self.boundaries, self.shell_width)

    def identity_expert(self, species: Tensor) -> Tensor:
        """Return the identity expert that serves each central atom."""
        return species if self.by_element else torch.zeros_like(species)

    def _expert_sizes(self, pairs: SortedPairs) -> list[int]:
        """Return how many consecutive pairs each identity expert serves."""
        if not self.by_element:
            return [sum(pairs.counts)]
        n = self.n_elements
        return [sum(pairs.counts[start : start + n]) for start in range(0, n * n, n)]

    def _hidden(self, pairs: SortedPairs) -> Tensor:
        """Return the hidden layers of all spatial experts, (n_pairs, n_shells * expert_width), ungated."""
        weight, bias = self._first_layer()
        radial = _BASES[self.radial_basis](pairs.distance, self.cutoff, self.n_radial)
        blocks = zip(radial.split(pairs.counts), weight, bias, strict=True)
        return silu(torch.cat([torch.addmm(b, r, w) for r, w, b in blocks if len(r)] or [radial @ weight[0]]))

    def _first_layer(self) -> tuple[Tensor, Tensor]:
        """Return the first layer for each pair of elements: (n_kinds, n_radial, hidden) and (n_kinds, hidden)."""
        n = self.n_elements
        centre = self.centre_embedding[:, None].expand(n, n, -1)
        neighbour = self.neighbour_embedding[None].expand(n, n, -1)
        both = torch.cat([centre, neighbour], dim=-1)  # (centre, neighbour, 2 n_embedding)
        of_centre = (n, *self.radial_weight.shape[1:])
        weight = torch.einsum("cne,cerh->cnrh", both, self.radial_weight.expand(of_centre))
        bias = torch.einsum("cne,ceh->cnh", both, self.radial_bias.expand(n, -1, -1))
        return weight.flatten(0, 1), bias.flatten(0, 1)


def moments(features: Tensor, pairs: SortedPairs, channels: Sequence[int], n_atoms: int) -> list[Tensor]:
    """Return the sums over each atom's neighbours of phi times the harmonics of the direction, degree by degree.

    The tensors are (n_atoms, channels[0]), (n_atoms, 3, channels[1]), (n_atoms, 5, channels[2]), as many as there are
    channels; under a rotation each turns like the harmonics of its degree.
    """
    parts = list(features.split(list(channels), dim=1))
    if len(channels) > 1:
        harmonics = real_harmonics(pairs.vector / pairs.distance[:, None], len(channels) - 1)
        parts[1:] = [(y[:, :, None] * f[:, None]).flatten(1) for y, f in zip(harmonics, parts[1:], strict=True)]
    each = torch.cat(parts, dim=1)  # one sum for all degrees: index_add costs by the row
    total = each.new_zeros(n_atoms, each.shape[1]).index_add(0, pairs.centre, each)
    widths = [(2 * degree + 1) * n for degree, n in enumerate(channels)]
    sums = list(total.split(widths, dim=1))
    return sums[:1] + [part.unflatten(1, (2 * d + 1, -1)) for d, part in enumerate(sums[1:], start=1)]


def real_harmonics(direction: Tensor, max_degree: int) -> list[Tensor]:
    """Return real spherical harmonics of degree 1 to `max_degree` (at most 2), each (n_pairs, 2 degree + 1).

    Normalised so that the squares of a degree sum to 2 degree + 1 for every unit vector.
    """
    x, y, z = direction.unbind(1)
    harmonics = [math.sqrt(3.0) * direction]
    if max_degree > 1:
        root15 = math.sqrt(15.0)
        axial = 0.5 * math.sqrt(5.0) * (3.0 * z * z - 1.0)
        second = [root15 * x * y, root15 * y * z, axial, root15 * x * z, 0.5 * root15 * (x * x - y * y)]
        harmonics.append(torch.stack(second, dim=1))
    return harmonics


class Decoder(nn.Module):
    """Rho: an energy from the summed features of an atom (or the features of a pair), knowing its element.

    From directional sums it forms invariants: inner products of two learned mixtures of each degree's channels.
    """

    def __init__(self, values: Mapping[str, Any], n_elements: int, channels: Sequence[int]) -> None:
        super().__init__()
        width, n_invariants = int(values["decoder_width"]), int(values["n_invariants"])
        self.mixers = nn.ModuleList(nn.Linear(n, 2 * n_invariants, bias=False) for n in channels[1:])
        n_in = channels[0] + n_invariants * len(self.mixers)
        self.first = nn.Linear(n_in, width, bias=False)
        self.element_bias = nn.Parameter(torch.zeros(n_elements, width))
        layers = int(values["n_decoder_layers"])
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(layers - 1))
        self.last = nn.Linear(width, 1)
        nn.init.zeros_(self.last.bias)

    def forward(self, sums: Sequence[Tensor], species: Tensor) -> Tensor:
        """Return one energy for each row of the sums, (n_rows,); `species` is the element index of each row."""
        inputs = [sums[0]]
        for mixer, part in zip(self.mixers, sums[1:], strict=True):
            left, right = mixer(part).chunk(2, dim=-1)  # (n_atoms, 2 degree + 1, n_invariants)
            inputs.append((left * right).sum(1))
        x = silu(self.first(torch.cat(inputs, dim=1)) + self.element_bias.index_select(0, species))
        for layer in self.hidden:
            x = silu(layer(x))
        return self.last(x)[:, 0]
