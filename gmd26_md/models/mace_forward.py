"""MACE evaluated from mace-torch's modules and weights, in an order of work that suits many small molecules.

The energies are the vendor's to rounding. What differs is the way: atoms stand sorted by element, so that weights of an
element meet a block of rows; radial networks and harmonics see each pair once, not each of its two directions; a
message is a matrix product of an atom's harmonics and its neighbours' weighted features, so that no array of
(pairs, components, channels) exists.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from gmd26_md.models.directions import MAX_DEGREE, Harmonics
from gmd26_md.models.grouped import grouped_matmul
from gmd26_md.models.mace_parts import (
    Convolution,
    couplings,
    element_matrices,
    joint_matrices,
    linear,
    product_weights,
    radial_network,
    readout,
)
from gmd26_md.models.neighbours import Neighbours, neighbours_of, spread_directions
from gmd26_md.models.radial import bessel_basis
from gmd26_md.models.symmetric_products import SymmetricProducts


@dataclass(frozen=True)
class Molecules:
    """The atoms of a batch in order of their elements, and what their pairs are.

    Attributes
    ----------
    species
        Element index of each atom, ascending, (n_atoms,).
    sizes
        Number of atoms of each element.
    table
        Their neighbours.
    basis
        Radial functions of each undirected pair, (n_undirected + 1, n_bessel), the last row zero.
    harmonics
        For each degree the harmonics of the direction in each place of the table, (n_atoms * width, 2 degree + 1).
    """

    species: Tensor
    sizes: list[int]
    table: Neighbours
    basis: Tensor
    harmonics: Sequence[Tensor]


def is_plain(vendor: Any) -> bool:
    """Return whether this file can evaluate a vendor's module: one number of channels, low degrees, scalar readouts."""
    irreps = [entry for block in vendor.interactions for entry in (*block.linear_up.irreps_in, *block.irreps_out)]
    inner = [ir for part in vendor.readouts if hasattr(part, "linear_1") for _, ir in part.linear_1.irreps_out]
    low = max(ir.l for _, ir in vendor.spherical_harmonics.irreps_out) <= MAX_DEGREE
    return len({mul for mul, _ in irreps}) == 1 and low and all((ir.l, ir.p) == (0, 1) for ir in inner)


class MACEForward(nn.Module):
    """What the evaluation knows beforehand of a vendor's module; the weights stay there.

    Parameters
    ----------
    vendor
        A `ScaleShiftMACE` of mace-torch, plain (see `is_plain`), with one head, scale one, shift zero, and no energies
        of isolated atoms.
    """

    parity: Tensor

    def __init__(self, vendor: Any) -> None:
        super().__init__()
        self.cutoff, self.power = float(vendor.r_max), int(vendor.radial_embedding.cutoff_fn.p)
        self.n_bessel = int(vendor.radial_embedding.out_dim)
        self.max_degree = max(ir.l for _, ir in vendor.spherical_harmonics.irreps_out)
        self.convolutions = nn.ModuleList(Convolution(block.conv_tp) for block in vendor.interactions)
        self.products = nn.ModuleList(SymmetricProducts(couplings(block)) for block in vendor.products)
        self.harmonics = Harmonics(self.max_degree, like_e3nn=True)
        degree = torch.arange(self.max_degree + 1)
        parity = (1.0 - 2.0 * (degree % 2)).repeat_interleave(2 * degree + 1)
        self.register_buffer("parity", parity.to(torch.float64), persistent=False)

    def forward(self, vendor: Any, positions: Tensor, species: Tensor, pairs: Tensor) -> Tensor:
        """Return atomic energies, (n_atoms,), in units of the potential's `energy_scale`.

        Parameters
        ----------
        vendor
            The module that this was made for.
        positions
            (n_atoms, 3), Å.
        species
            Element index of each atom, (n_atoms,).
        pairs
            Directed pairs as in `Batch`, (2, n_pairs).
        """
        ((_, embedding),) = joint_matrices(vendor.node_embedding.linear, [1.0])  # (n_elements, n_channels)
        order = species.argsort(stable=True)
        row = torch.empty_like(order)
        row[order] = torch.arange(len(order), device=order.device)
        in_order = species.index_select(0, order)
        blocks = [embedding.index_select(0, in_order)[None]]  # raises for an element that is not known
        sizes = torch.bincount(species, minlength=len(embedding)).tolist()
        table = neighbours_of(pairs, len(order), row)
        molecules = Molecules(in_order, sizes, table, *self._edges(positions, table))
        energy = positions.new_zeros(len(order))
        for i, part in enumerate(vendor.readouts):
            blocks = self._layer(i, vendor, blocks, molecules)
            energy = energy + readout(part, blocks)
        return energy.index_select(0, row)

    def _edges(self, positions: Tensor, table: Neighbours) -> tuple[Tensor, Sequence[Tensor]]:
        """Return radial functions and harmonics as in `Molecules`."""
        first, second = table.pairs
        vector = positions.index_select(0, second) - positions.index_select(0, first)
        distance = vector.square().sum(1).sqrt()
        envelope = _envelope(distance / self.cutoff, self.power)
        basis = bessel_basis(distance, self.cutoff, self.n_bessel) * envelope[:, None]
        harmonics = self.harmonics(vector / distance[:, None])
        sizes = [2 * degree + 1 for degree in range(self.max_degree + 1)]
        places = spread_directions(harmonics, self.parity, table)
        return pad(basis, (0, 0, 0, 1)), places.split(sizes, dim=1)

    def _layer(self, i: int, vendor: Any, blocks: list[Tensor], molecules: Molecules) -> list[Tensor]:
        """Return the features after layer i of those before it."""
        interaction, product = vendor.interactions[i], vendor.products[i]
        radial = radial_network(interaction.conv_tp_weights, molecules.basis)
        up = linear(interaction.linear_up, blocks)
        convolution: Any = self.convolutions[i]
        paths = convolution(up, radial, molecules.harmonics, molecules.table)
        messages = _mixed(interaction, paths, convolution.factors, molecules.sizes, by_element=i == 0)
        features = self.products[i](torch.cat(messages), product_weights(product), molecules.species)
        out = linear(product.linear, features)
        if i == 0:
            return out
        kept = _times_element(interaction.skip_tp, blocks, molecules.sizes)
        return [new + old for new, old in zip(out, kept, strict=True)]


def _mixed(
    interaction: Any, paths: Sequence[Tensor], factors: Sequence[float], sizes: list[int], *, by_element: bool
) -> list[Tensor]:
    """Return the messages as blocks: paths to the same irrep mixed, in the first layer by the element of their atom.

    Two vendors' steps, the second of which is linear too, are one product with one matrix an element.
    """
    skip = element_matrices(interaction.skip_tp) if by_element else None
    blocks = []
    scale = [factor / interaction.avg_num_neighbors for factor in factors]
    for i, (found, matrix) in enumerate(joint_matrices(interaction.linear, scale)):
        message = paths[found[0]] if len(found) == 1 else torch.cat([paths[p] for p in found], dim=2)
        n_out, rows = message.shape[1], message.flatten(0, 1)  # (n_atoms * n_out, n_channels * n_paths)
        if skip is None:
            rows = rows @ matrix
        else:
            rows = grouped_matmul(rows, matrix @ skip[i][1], [n_out * size for size in sizes])
        blocks.append(rows.unflatten(0, (-1, n_out)).transpose(0, 1))
    return blocks


def _times_element(skip_tp: Any, blocks: Sequence[Tensor], sizes: list[int]) -> list[Tensor]:
    """Return blocks made of these with one matrix an element."""
    out = []
    for i, matrices in element_matrices(skip_tp):
        n = len(blocks[i])
        rows = grouped_matmul(blocks[i].transpose(0, 1).flatten(0, 1), matrices, [n * size for size in sizes])
        out.append(rows.unflatten(0, (-1, n)).transpose(0, 1))
    return out


def _envelope(x: Tensor, power: int) -> Tensor:
    """Return mace's polynomial cutoff of distance over cutoff, below one: Gasteiger et al. 2020, equation 8."""
    p = float(power)
    bracket = 0.5 * (p + 1.0) * (p + 2.0) + x * (0.5 * p * (p + 1.0) * x - p * (p + 2.0))
    return (1.0 - x**power * bracket) * (x < 1.0)
