"""The blocks of EquiformerV2: neighbours counted in, attention over neighbours, and the feed-forward network.

Liao, Wood, Das, Smidt, "EquiformerV2: Improved equivariant transformer for scaling to higher-degree representations",
ICLR 2024 (arXiv 2306.12059), sections 3 and 4. What this file adds is an envelope on every message, so that nothing
jumps when an atom crosses the cutoff; without it the blocks are the published ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from gmd26_md.models.equiformer_activation import SphereGrid, separable
from gmd26_md.models.equiformer_layers import (
    DegreeLinear,
    EdgeInvariants,
    OrderLinear,
    RadialFunction,
    SeparableLayerNorm,
    feature_norm,
    normal_linear,
)


@dataclass(frozen=True)
class Edges:
    """The directed pairs of a batch as the blocks see them.

    Attributes
    ----------
    centre, neighbour
        Atoms of each edge, (n_edges,), ascending in the centre.
    centre_element, neighbour_element
        Their element indices, (n_edges,).
    basis
        Radial basis of the distance, (n_edges, num_distance_basis).
    envelope
        From 1 at distance zero to 0 at the cutoff, (n_edges,); None for messages that end there abruptly.
    into, back
        Matrices into each edge's frame and back (`equiformer_frames.EdgeFrames`).
    """

    centre: Tensor
    neighbour: Tensor
    centre_element: Tensor
    neighbour_element: Tensor
    basis: Tensor
    envelope: Tensor | None
    into: Tensor
    back: Tensor

    def summed(self, messages: Tensor, n_atoms: int) -> Tensor:
        """Return messages in the edges' frames turned back and summed at the centres.

        (n_edges, n_kept or 1, n_channels) to (n_atoms, (lmax + 1)**2 or 1, n_channels).
        """
        turned = messages if messages.shape[1] == 1 else self.back @ messages  # scalars need no turning
        return turned.new_zeros(n_atoms, *turned.shape[1:]).index_add(0, self.centre, turned)


class EdgeDegreeEmbedding(nn.Module):
    """The first features: a radial function of each neighbour, times the harmonics of its direction."""

    def __init__(self, values: Mapping[str, Any], n_elements: int) -> None:
        super().__init__()
        n_edge, lmax = int(values["edge_channels"]), int(values["lmax"])
        self.shape, self.scale = (lmax + 1, int(values["sphere_channels"])), 1.0 / float(values["avg_degree"])
        self.invariants = EdgeInvariants(n_elements, n_edge)
        self.radial = RadialFunction(
            [int(values["num_distance_basis"]) + 2 * n_edge, n_edge, n_edge, math.prod(self.shape)]
        )

    def forward(self, edges: Edges, n_atoms: int) -> Tensor:
        """Return features, (n_atoms, (lmax + 1)**2, sphere_channels)."""
        radial = self.radial(self.invariants(edges.basis, edges.neighbour_element, edges.centre_element))
        zeroth = radial.unflatten(1, self.shape)  # order 0 only, the first of those kept
        if edges.envelope is not None:
            zeroth = zeroth * edges.envelope[:, None, None]
        turned = edges.back[:, :, : self.shape[0]] @ zeroth
        summed = turned.new_zeros(n_atoms, *turned.shape[1:]).index_add(0, edges.centre, turned)
        return summed * self.scale


class GraphAttention(nn.Module):
    """Messages by two SO(2) linear layers with an S2 activation between, weighted by attention and summed.

    Attention re-normalisation: a layer norm on the scalars before the logits (section 4 of the paper).

    Parameters
    ----------
    values
        The family's hyperparameters.
    n_elements, n_out
        Number of known elements; channels of the result.
    scalars_only
        Give the scalars of the result and nothing else.
    """

    def __init__(self, values: Mapping[str, Any], n_elements: int, n_out: int, *, scalars_only: bool = False) -> None:
        super().__init__()
        lmax, mmax, n_in = int(values["lmax"]), int(values["mmax"]), int(values["sphere_channels"])
        hidden, n_edge = int(values["attn_hidden_channels"]), int(values["edge_channels"])
        self.heads, self.n_alpha = int(values["num_heads"]), int(values["attn_alpha_channels"])
        n_values = self.heads * int(values["attn_value_channels"])
        self.invariants = EdgeInvariants(n_elements, n_edge)
        self.first = OrderLinear(2 * n_in, hidden, lmax, mmax, n_extra=self.heads * self.n_alpha + hidden)
        self.radial = RadialFunction(
            [int(values["num_distance_basis"]) + 2 * n_edge, n_edge, n_edge, self.first.n_weights]
        )
        self.grid = SphereGrid(lmax, mmax, *values["edge_grid"])
        self.second = OrderLinear(hidden, n_values, lmax, mmax, scalars_only=scalars_only)
        self.norm = nn.LayerNorm(self.n_alpha)
        bound = 1.0 / math.sqrt(self.n_alpha)
        self.dot = nn.Parameter(torch.empty(self.heads, self.n_alpha).uniform_(-bound, bound))
        self.project = DegreeLinear(n_values, n_out, 0 if scalars_only else lmax)

    def forward(self, features: Tensor, edges: Edges) -> Tensor:
        """Return (n_atoms, (lmax + 1)**2 or 1, n_out)."""
        both = [features.index_select(0, atom) for atom in (edges.neighbour, edges.centre)]
        radial = self.radial(self.invariants(edges.basis, edges.neighbour_element, edges.centre_element))
        hidden, scalars = self.first(edges.into @ torch.cat(both, dim=2), radial)
        logits, gates = scalars.split([self.heads * self.n_alpha, hidden.shape[2]], dim=1)
        messages, _ = self.second(separable(gates, self.grid(hidden)))
        normed = smooth_leaky_relu(self.norm(logits.unflatten(1, (self.heads, self.n_alpha))))
        weights = attention_weights((normed * self.dot).sum(2), edges, len(features))
        weighted = messages.unflatten(2, (self.heads, -1)) * weights[:, None, :, None]
        return self.project(edges.summed(weighted.flatten(2), len(features)))


class FeedForward(nn.Module):
    """Two linear layers a degree with a separable S2 activation between.

    With `use_grid_mlp`, as the authors trained, three linear layers act on the channels at each point of the grid.
    """

    def __init__(self, values: Mapping[str, Any], n_out: int) -> None:
        super().__init__()
        n_in, hidden = int(values["sphere_channels"]), int(values["ffn_hidden_channels"])
        lmax = int(values["lmax"])
        self.gate = normal_linear(n_in, hidden)
        self.first = DegreeLinear(n_in, hidden, lmax)
        self.grid = SphereGrid(lmax, None, *values["node_grid"])
        self.points = _point_layers(hidden) if values["use_grid_mlp"] else None
        self.second = DegreeLinear(hidden, n_out, lmax)

    def forward(self, features: Tensor) -> Tensor:
        """Return (n_atoms, (lmax + 1)**2, n_out)."""
        mixed = self.first(features)
        active = self.grid(mixed) if self.points is None else self.grid.pointwise(self.points, mixed)
        return self.second(separable(self.gate(features[:, 0]), active))


def _point_layers(width: int) -> nn.Module:
    linear = (normal_linear(width, width, bias=False) for _ in range(3))
    return nn.Sequential(next(linear), nn.SiLU(), next(linear), nn.SiLU(), next(linear))


class ScalarFeedForward(nn.Module):
    """The scalars of `FeedForward`: no other degree has a part in them, as the activation is separable."""

    def __init__(self, values: Mapping[str, Any], n_out: int) -> None:
        super().__init__()
        n_in, hidden = int(values["sphere_channels"]), int(values["ffn_hidden_channels"])
        self.gate, self.second = normal_linear(n_in, hidden), normal_linear(hidden, n_out)

    def forward(self, features: Tensor) -> Tensor:
        """Return (n_atoms, 1, n_out) from features of any degrees."""
        out: Tensor = self.second(silu(self.gate(features[:, :1])))
        return out


class Block(nn.Module):
    """Attention and feed-forward network, each behind a norm and added to what came in.

    Parameters
    ----------
    values
        The family's hyperparameters.
    n_elements
        Number of known elements.
    scalars_only
        Go on with scalars and nothing else: for the last block, if energies only are read from it.
    """

    def __init__(self, values: Mapping[str, Any], n_elements: int, *, scalars_only: bool = False) -> None:
        super().__init__()
        n_channels, lmax = int(values["sphere_channels"]), int(values["lmax"])
        self.n_out = 1 if scalars_only else (lmax + 1) ** 2
        self.attention_norm = SeparableLayerNorm(n_channels, lmax)
        self.attention = GraphAttention(values, n_elements, n_channels, scalars_only=scalars_only)
        self.feed_forward_norm = feature_norm(n_channels, 0 if scalars_only else lmax)
        self.feed_forward = (ScalarFeedForward if scalars_only else FeedForward)(values, n_channels)

    def forward(self, features: Tensor, edges: Edges) -> Tensor:
        """Return features, (n_atoms, (lmax + 1)**2 or 1, sphere_channels)."""
        features = features[:, : self.n_out] + self.attention(self.attention_norm(features), edges)
        return features + self.feed_forward(self.feed_forward_norm(features))


def smooth_leaky_relu(x: Tensor, slope: float = 0.2) -> Tensor:
    """Return (1 + a) x / 2 + (1 - a) x (2 sigmoid(x) - 1) / 2, a smooth LeakyReLU of slope a."""
    return 0.5 * x * ((1.0 + slope) + (1.0 - slope) * torch.tanh(0.5 * x))


def attention_weights(logits: Tensor, edges: Edges, n_atoms: int) -> Tensor:
    """Return the softmax of the logits over the edges of each centre, (n_edges, heads), fading at the cutoff.

    With an envelope u: w = u * (u e^a / sum of u e^a). The inner one takes a neighbour out of the others' sum before it
    is gone, the outer one lets the last neighbour go. The logarithm of u joins the logit before the largest is
    subtracted, so that the sum is at least one however near to the cutoff all neighbours are.
    """
    if edges.envelope is not None:
        logits = logits + edges.envelope.log()[:, None]
    where = edges.centre[:, None].expand_as(logits)
    largest = logits.new_full((n_atoms, logits.shape[1]), float("-inf"))
    largest = largest.scatter_reduce(0, where, logits.detach(), "amax")  # a shift: nothing depends on it
    raised = (logits - largest.index_select(0, edges.centre)).exp()
    total = raised.new_zeros(largest.shape).index_add(0, edges.centre, raised)
    weights = raised / total.index_select(0, edges.centre)
    return weights if edges.envelope is None else weights * edges.envelope[:, None]
