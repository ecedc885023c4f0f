"""The blocks of GemNet-T: messages between edges of one atom, updates of edges and atoms, and what is read out.

Gasteiger, Becker, Günnemann, "GemNet: Universal Directional Graph Neural Networks for Molecules", NeurIPS 2021 (arXiv
2106.08903), figure 4, its part T-MP; names of sizes are the paper's. An edge c -> a belongs to its target a.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gmd26_md.models.gemnet_layers import INV_SQRT_2, Dense, Residual, Scale, activate, even_orthogonal


@dataclass(frozen=True)
class Geometry:
    """Who is connected, and the basis functions of distances and angles, shared by all blocks.

    Attributes
    ----------
    target, source
        Atoms a and c of each edge c -> a, (n_edges,).
    swapped
        Number of the edge a -> c, (n_edges,).
    place
        Where an edge stands in its target's row of `width` places, (n_edges,); see `models.neighbours`.
    n_atoms, width
        Number of rows, and of places in each.
    rbf_message, rbf_atom, rbf_out
        Radial basis, projected, for messages, atom updates and output, each (n_edges, emb_size_rbf).
    circular
        Radial part of the circular basis, projected, (n_edges, num_spherical, emb_size_cbf).
    angular
        Harmonics Y_l0 of the angle c, a, b: (n_atoms, width, width, num_spherical), places of b and of c; zero where
        both are one edge.
    """

    target: Tensor
    source: Tensor
    swapped: Tensor
    place: Tensor
    n_atoms: int
    width: int
    rbf_message: Tensor
    rbf_atom: Tensor
    rbf_out: Tensor
    circular: Tensor
    angular: Tensor


class EdgeEmbedding(nn.Module):
    """An activated dense layer of both atoms of an edge and its own features, side by side."""

    def __init__(self, n_atom: int, n_edge: int, n_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(even_orthogonal(torch.empty(n_out, 2 * n_atom + n_edge)))
        self.sizes = [n_atom, n_atom, n_edge]

    def forward(self, atoms: Tensor, edges: Tensor, source: Tensor, target: Tensor) -> Tensor:
        """Return (n_edges, n_out) of atoms' features (n_atoms, n_atom) and edges' (n_edges, n_edge)."""
        by_source, by_target, by_edge = self.weight.split(self.sizes, dim=1)
        x = torch.addmm((atoms @ by_source.T).index_select(0, source), edges, by_edge.T)
        return activate(x + (atoms @ by_target.T).index_select(0, target))


class TripletInteraction(nn.Module):
    """Messages to each edge c -> a from the other edges b -> a of its target, by the angle between them."""

    def __init__(self, sizes: Mapping[str, Any]) -> None:
        super().__init__()
        edge, trip, bilinear = sizes["emb_size_edge"], sizes["emb_size_trip"], sizes["emb_size_bil_trip"]
        self.dense_ba = Dense(edge, edge, activated=True)
        self.rbf = Dense(sizes["emb_size_rbf"], edge)
        self.scale_rbf = Scale()
        self.down = Dense(edge, trip, activated=True)
        self.bilinear = nn.Parameter(even_orthogonal(torch.empty(trip, sizes["emb_size_cbf"], bilinear)))
        self.scale_sum = Scale()
        self.up_ca = Dense(bilinear, edge, activated=True)
        self.up_ac = Dense(bilinear, edge, activated=True)

    def forward(self, m: Tensor, geometry: Geometry) -> Tensor:
        """Return messages (n_edges, emb_size_edge) from the edges' features m, of the same shape."""
        x = self.dense_ba(m)
        x = self.down(self.scale_rbf(x * self.rbf(geometry.rbf_message), x))  # (n_edges, emb_size_trip)
        message = self.scale_sum(self._summed(x, geometry), x)
        # Symmetric message passing: what is learned about c -> a is told to a -> c too.
        back = self.up_ac(message).index_select(0, geometry.swapped)
        return (self.up_ca(message) + back) * INV_SQRT_2

    def _summed(self, x: Tensor, geometry: Geometry) -> Tensor:
        """Return sum_b W x_ba (radial basis of c -> a)(harmonics of angle c, a, b), (n_edges, emb_size_bil_trip).

        The "efficient bilinear layer": the sum over b first, as nothing but the harmonics knows c and b at once.
        """
        rows = x.new_zeros(geometry.n_atoms * geometry.width, x.shape[1]).index_copy(0, geometry.place, x)
        rows = rows.view(geometry.n_atoms, geometry.width, -1)
        sums = torch.bmm(geometry.angular.flatten(2).mT, rows)  # (n_atoms, width * num_spherical, emb_size_trip)
        sums = sums.view(rows.shape[0] * rows.shape[1], -1, x.shape[1]).index_select(0, geometry.place)
        mixed = torch.bmm(geometry.circular.transpose(1, 2), sums)  # (n_edges, emb_size_cbf, emb_size_trip)
        return mixed.flatten(1) @ self.bilinear.transpose(0, 1).flatten(0, 1)


class AtomUpdate(nn.Module):
    """Sum over the edges of each atom, weighted by distance, then dense layers."""

    def __init__(self, sizes: Mapping[str, Any]) -> None:
        super().__init__()
        self.rbf = Dense(sizes["emb_size_rbf"], sizes["emb_size_edge"])
        self.scale_sum = Scale()
        self.layers = dense_and_residuals(sizes["emb_size_edge"], sizes["emb_size_atom"], sizes["num_atom"])

    def forward(self, m: Tensor, rbf: Tensor, geometry: Geometry) -> Tensor:
        """Return features of atoms, (n_atoms, emb_size_atom)."""
        total = m.new_zeros(geometry.n_atoms, m.shape[1]).index_add(0, geometry.target, m * self.rbf(rbf))
        atoms: Tensor = self.layers(self.scale_sum(total, m))
        return atoms


class Output(nn.Module):
    """An energy of each atom and, in the direct variant, a force along each edge, as one block adds them."""

    def __init__(self, sizes: Mapping[str, Any], *, direct_forces: bool) -> None:
        super().__init__()
        edge = sizes["emb_size_edge"]
        self.update = AtomUpdate(sizes)
        self.energy = Dense(sizes["emb_size_atom"], 1)
        self.direct_forces = direct_forces
        if direct_forces:
            self.edge_layers = dense_and_residuals(edge, edge, sizes["num_atom"])
            self.rbf = Dense(sizes["emb_size_rbf"], edge)
            self.scale_rbf = Scale()
            self.force = Dense(edge, 1)

    def forward(self, m: Tensor, geometry: Geometry) -> tuple[Tensor, Tensor]:
        """Return energies (n_atoms,) and forces along edges (n_edges,), which are none, (0,), unless direct."""
        energy = self.energy(self.update(m, geometry.rbf_out, geometry))[:, 0]
        if not self.direct_forces:
            return energy, energy.new_zeros(0)
        x = self.edge_layers(m)
        return energy, self.force(self.scale_rbf(x * self.rbf(geometry.rbf_out), x))[:, 0]


class Interaction(nn.Module):
    """One interaction block: triplet messages, then edges, atoms, and edges again from the atoms."""

    def __init__(self, sizes: Mapping[str, Any]) -> None:
        super().__init__()
        atom, edge = sizes["emb_size_atom"], sizes["emb_size_edge"]
        self.dense_ca = Dense(edge, edge, activated=True)
        self.triplets = TripletInteraction(sizes)
        self.before_skip = nn.Sequential(*(Residual(edge) for _ in range(sizes["num_before_skip"])))
        self.after_skip = nn.Sequential(*(Residual(edge) for _ in range(sizes["num_after_skip"])))
        self.atom_update = AtomUpdate(sizes)
        self.concat = EdgeEmbedding(atom, edge, edge)
        self.after_concat = nn.Sequential(*(Residual(edge) for _ in range(sizes["num_concat"])))

    def forward(self, h: Tensor, m: Tensor, geometry: Geometry) -> tuple[Tensor, Tensor]:
        """Return the new features of atoms (n_atoms, emb_size_atom) and edges (n_edges, emb_size_edge)."""
        x = (self.dense_ca(m) + self.triplets(m, geometry)) * INV_SQRT_2
        m = self.after_skip((m + self.before_skip(x)) * INV_SQRT_2)
        h = (h + self.atom_update(m, geometry.rbf_atom, geometry)) * INV_SQRT_2
        x = self.after_concat(self.concat(h, m, geometry.source, geometry.target))
        return h, (m + x) * INV_SQRT_2


def dense_and_residuals(n_in: int, n_out: int, n_residuals: int) -> nn.Sequential:
    """Return an activated dense layer followed by residual ones."""
    return nn.Sequential(Dense(n_in, n_out, activated=True), *(Residual(n_out) for _ in range(n_residuals)))
