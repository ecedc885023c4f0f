"""GemNet-T: an energy from features of directed edges, which speak with the other edges of their atom.

Gasteiger, Becker, Günnemann, "GemNet: Universal Directional Graph Neural Networks for Molecules", NeurIPS 2021 (arXiv
2106.08903): the variant with triplets only, and GemNet-dT, which predicts a force along each edge instead of
differentiating the energy.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from gmd26_md.calculators.batch import Batch
from gmd26_md.models.dimenet_basis import SphericalBessel, legendre
from gmd26_md.models.gemnet_basis import RadialBasis, envelope
from gmd26_md.models.gemnet_blocks import EdgeEmbedding, Geometry, Interaction, Output
from gmd26_md.models.gemnet_layers import Dense, even_orthogonal
from gmd26_md.models.neighbours import places_of
from gmd26_md.models.triplets import reverse_pairs


class GemNetT(nn.Module):
    """GemNet-T, from a `Batch` to atomic energies, or to energies and forces.

    Parameters
    ----------
    sizes
        Complete hyperparameters, as `calculators.gemnet.DEFAULTS`.
    elements
        Atomic numbers that it knows, ascending.
    """

    element_index: Tensor

    def __init__(self, sizes: Mapping[str, Any], elements: tuple[int, ...]) -> None:
        super().__init__()
        self.num_spherical = sizes["num_spherical"]
        self.forces_are_gradient = not sizes["direct_forces"]
        self.forces_coupled = bool(sizes["forces_coupled"])
        num_radial, emb_size_rbf = sizes["num_radial"], sizes["emb_size_rbf"]
        self.cutoff, self.envelope_exponent = float(sizes["cutoff"]), sizes["envelope_exponent"]
        self.rbf = RadialBasis(num_radial, self.cutoff, self.envelope_exponent)
        self.rbf_message = Dense(num_radial, emb_size_rbf)
        self.rbf_atom = Dense(num_radial, emb_size_rbf)
        self.rbf_out = Dense(num_radial, emb_size_rbf)
        by_degree = sizes["circular_basis"] == "by-degree"
        self.bessel = SphericalBessel(self.num_spherical, num_radial)
        self.shared = None if by_degree else RadialBasis(num_radial, self.cutoff, self.envelope_exponent)
        size = self.num_spherical, num_radial, sizes["emb_size_cbf"]
        self.cbf_weight = nn.Parameter(even_orthogonal(torch.empty(size)))
        index = torch.full((120,), len(elements), dtype=torch.int64)
        index[list(elements)] = torch.arange(len(elements))
        self.register_buffer("element_index", index, persistent=False)
        width = math.sqrt(3.0)  # uniform numbers of variance 1
        self.atoms = nn.Parameter(torch.empty(len(elements), sizes["emb_size_atom"]).uniform_(-width, width))
        self.edges = EdgeEmbedding(sizes["emb_size_atom"], num_radial, sizes["emb_size_edge"])
        direct, n_blocks = not self.forces_are_gradient, sizes["num_blocks"]
        self.outputs = nn.ModuleList(Output(sizes, direct_forces=direct) for _ in range(n_blocks + 1))
        self.interactions = nn.ModuleList(Interaction(sizes) for _ in range(n_blocks))

    def forward(self, batch: Batch) -> Tensor | tuple[Tensor, Tensor]:
        """Return atomic energies, (n_atoms,), or with `direct_forces` these and forces, (n_atoms, 3), per Å."""
        vectors = batch.pair_vectors()
        if not self.forces_are_gradient:  # nobody differentiates by positions then
            vectors = vectors.detach()
        distance = torch.linalg.vector_norm(vectors, dim=1)
        direction = vectors / distance[:, None]  # of edge c -> a from a to c
        rbf = self.rbf(distance)
        geometry = self._geometry(batch, distance, direction, rbf)
        h = self.atoms.index_select(0, self.element_index.index_select(0, batch.numbers))
        m = self.edges(h, rbf, geometry.source, geometry.target)
        energy, along = self.outputs[0](m, geometry)
        for interaction, output in zip(self.interactions, self.outputs[1:], strict=True):
            h, m = interaction(h, m, geometry)
            more_energy, more_along = output(m, geometry)
            energy, along = energy + more_energy, along + more_along
        if self.forces_are_gradient:
            return energy
        if self.forces_coupled:  # action and reaction
            along = 0.5 * (along + along.index_select(0, geometry.swapped))
        pushes = along[:, None] * -direction  # from c to a
        return energy, torch.zeros_like(batch.positions).index_add(0, geometry.target, pushes)

    def _geometry(self, batch: Batch, distance: Tensor, direction: Tensor, rbf: Tensor) -> Geometry:
        """Return what all blocks share."""
        target, source = batch.pairs
        n_atoms = len(batch.numbers)
        place, width = places_of(target, n_atoms)
        rows = direction.new_zeros(n_atoms * width, 3).index_copy(0, place, direction).view(n_atoms, width, 3)
        cosine = torch.bmm(rows, rows.transpose(1, 2))  # (n_atoms, width, width)
        harmonics = legendre(cosine, self.num_spherical)
        others = 1.0 - torch.eye(width, dtype=rows.dtype, device=rows.device)  # no edge is its own neighbour
        return Geometry(
            target=target,
            source=source,
            swapped=reverse_pairs(batch.pairs),
            place=place,
            n_atoms=n_atoms,
            width=width,
            rbf_message=self.rbf_message(rbf),
            rbf_atom=self.rbf_atom(rbf),
            rbf_out=self.rbf_out(rbf),
            circular=self._circular(distance),
            angular=harmonics * others[:, :, None],
        )

    def _circular(self, distance: Tensor) -> Tensor:
        """Return the radial part of the circular basis, projected, (n_edges, num_spherical, emb_size_cbf)."""
        if self.shared is not None:
            return torch.einsum("en,lno->elo", self.shared(distance), self.cbf_weight)
        x = distance / self.cutoff
        height = envelope(x, self.envelope_exponent) * self.cutoff**-1.5
        return torch.einsum("eln,lno->elo", self.bessel(x) * height[:, None, None], self.cbf_weight)
