"""EquiformerV2: a transformer over atoms with SO(2) convolutions in edge frames.

Liao, Wood, Das, Smidt, "EquiformerV2: Improved equivariant transformer for scaling to higher-degree representations",
ICLR 2024 (arXiv 2306.12059), on the convolutions of Passaro, Zitnick, ICML 2023 (arXiv 2302.03655). Written from the
papers; weights that were copied from the published code give its numbers (tests/models/test_equiformer.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from gmd26_md.calculators.batch import Batch
from gmd26_md.models.equiformer_blocks import Block, EdgeDegreeEmbedding, Edges, GraphAttention, ScalarFeedForward
from gmd26_md.models.equiformer_frames import EdgeFrames
from gmd26_md.models.equiformer_layers import feature_norm


class EquiformerV2(nn.Module):
    """The network: a `Batch` in; atomic energies out, and forces too if it has a force head.

    Parameters
    ----------
    hyperparameters
        All of `gmd26_md.calculators.equiformer_v2.DEFAULTS`, checked by that file.
    elements
        Atomic numbers that the network knows, ascending.
    """

    element_index: Tensor

    def __init__(self, hyperparameters: Mapping[str, Any], elements: tuple[int, ...]) -> None:
        super().__init__()
        values = dict(hyperparameters)
        self.cutoff, self.smooth = float(values["cutoff"]), bool(values["smooth_cutoff"])
        self.num_distance_basis, self.lmax = int(values["num_distance_basis"]), int(values["lmax"])
        n_channels, n_elements = int(values["sphere_channels"]), len(elements)
        self.forces_are_gradient = not values["direct_forces"]
        self.frames = EdgeFrames(self.lmax, int(values["mmax"]))
        self.embedding = nn.Parameter(torch.randn(n_elements, n_channels))
        self.edge_degree = EdgeDegreeEmbedding(values, n_elements)
        ends = [False] * (int(values["num_layers"]) - 1) + [self.forces_are_gradient]
        self.blocks = nn.ModuleList(Block(values, n_elements, scalars_only=end) for end in ends)
        self.norm = feature_norm(n_channels, 0 if self.forces_are_gradient else self.lmax)
        self.energy = ScalarFeedForward(values, 1)
        self.force = GraphAttention(values, n_elements, 1) if values["direct_forces"] else None
        index = torch.full((120,), n_elements, dtype=torch.int64)
        index[list(elements)] = torch.arange(n_elements)
        self.register_buffer("element_index", index, persistent=False)

    def forward(self, batch: Batch) -> Tensor | tuple[Tensor, Tensor]:
        """Return atomic energies, (n_atoms,), and with a force head forces, (n_atoms, 3)."""
        element = self.element_index.index_select(0, batch.numbers)
        scalars = self.embedding.index_select(0, element)  # raises for an element that is not known
        edges = self._edges(batch, element)
        features = nn.functional.pad(scalars[:, None], (0, 0, 0, (self.lmax + 1) ** 2 - 1))
        features = features + self.edge_degree(edges, len(element))
        for block in self.blocks:
            features = block(features, edges)
        features = self.norm(features)
        energies: Tensor = self.energy(features)[:, 0, 0]
        if self.force is None:
            return energies
        forces: Tensor = self.force(features, edges)[:, 1:4, 0]  # degree 1 is x, y, z
        return energies, forces

    def _edges(self, batch: Batch, element: Tensor) -> Edges:
        centre, neighbour = batch.pairs
        vectors = batch.pair_vectors()
        distance = torch.linalg.vector_norm(vectors, dim=1)
        into, back = self.frames(vectors / distance[:, None])
        return Edges(
            centre=centre,
            neighbour=neighbour,
            centre_element=element.index_select(0, centre),
            neighbour_element=element.index_select(0, neighbour),
            basis=gaussians(distance, self.cutoff, self.num_distance_basis),
            envelope=envelope(distance, self.cutoff) if self.smooth else None,
            into=into,
            back=back,
        )


def gaussians(distance: Tensor, cutoff: float, n_basis: int) -> Tensor:
    """Return Gaussians evenly spaced from 0 to the cutoff, twice as wide as their spacing, (n_edges, n_basis)."""
    spacing = cutoff / max(n_basis - 1, 1)
    centres = spacing * torch.arange(n_basis, dtype=distance.dtype, device=distance.device)
    return torch.exp(-0.5 * ((distance[:, None] - centres) / (2.0 * spacing)) ** 2)


def envelope(distance: Tensor, cutoff: float) -> Tensor:
    """Return `radial.cutoff_envelope` in a form that is never zero or below, as its logarithm is wanted, (n_edges,).

    1 - 28 x^6 + 48 x^7 - 21 x^8 = (1 - x)^3 (1 + 3 x + 6 x^2 + 10 x^3 + 15 x^4 + 21 x^5).
    """
    x = distance / cutoff
    rest = 1.0 + x * (3.0 + x * (6.0 + x * (10.0 + x * (15.0 + x * 21.0))))
    return (1.0 - x).clamp(min=1e-7) ** 3 * rest
