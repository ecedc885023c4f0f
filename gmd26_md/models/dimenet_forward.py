"""DimeNet++ evaluated from torch_geometric's modules and weights, with sums over triplets as matrix products.

Gasteiger, Giri, Margraf, Günnemann, arXiv 2011.14115. A message j -> i takes up the messages k -> j, each times a
filter of the distance d_kj and of the angle between the two edges. The filter is a sum over l of a function of d_kj
times a Legendre polynomial of the angle, so around each atom j the sum over k and l is one product of two matrices:
nothing as long as the triplets is kept but the polynomials, which all blocks share.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

from gmd26_md.calculators.batch import Batch
from gmd26_md.models.dimenet_basis import legendre
from gmd26_md.models.neighbours import places_of
from gmd26_md.models.triplets import reverse_pairs


@dataclass(frozen=True)
class _Around:
    """The surroundings of each atom j, its neighbours in a row of places (see `neighbours.places_of`).

    Attributes
    ----------
    place
        Place of each pair's neighbour in the row of its centre, (n_pairs,): of edge k -> j in the row of j.
    back
        Place of the same pair turned round, (n_pairs,): of edge j -> i in the row of j.
    shells
        Radial functions of each place, (n_atoms * width, num_spherical, num_radial), zero in empty ones.
    harmonics
        For places i and k of a row the polynomials of the angle between k -> j and j -> i, zero for i = k,
        (n_atoms, width, width * num_spherical).
    """

    place: Tensor
    back: Tensor
    shells: Tensor
    harmonics: Tensor


def atomic_energies(model: Any, batch: Batch) -> Tensor:
    """Return the energy of each atom, (n_atoms,).

    Parameters
    ----------
    model
        Holds the blocks as torch_geometric's `DimeNetPlusPlus` does, and `bessel`, `cutoff` (Å) and `detached_angles`.
    batch
        The systems.
    """
    n_atoms, (centre, neighbour) = len(batch.numbers), batch.pairs
    vectors = batch.pair_vectors()
    distances = torch.linalg.vector_norm(vectors, dim=1)
    radial = model.rbf(distances)  # (n_pairs, num_radial)
    scaled = distances / model.cutoff
    shells = model.bessel(scaled) * model.rbf.envelope(scaled)[:, None, None]
    directions = vectors / distances[:, None]
    around = _around(batch.pairs, shells, directions.detach() if model.detached_angles else directions, n_atoms)
    messages = _embedding(model.emb, batch.numbers, radial, centre, neighbour)
    energy = _output(model.output_blocks[0], messages, radial, centre, n_atoms)
    for interaction, output in zip(model.interaction_blocks, model.output_blocks[1:], strict=True):
        messages = _interaction(interaction, messages, radial, around)
        energy = energy + _output(output, messages, radial, centre, n_atoms)
    return energy[:, 0]


def _around(pairs: Tensor, shells: Tensor, directions: Tensor, n_atoms: int) -> _Around:
    """Arrange functions (n_pairs, ...) and directions (n_pairs, 3) of all pairs around their centres."""
    place, width = places_of(pairs[0], n_atoms)
    rows = directions.new_zeros(n_atoms * width, 3).index_copy(0, place, directions).view(n_atoms, width, 3)
    cosines = -torch.bmm(rows, rows.mT)  # one of the two edges comes in and the other goes out
    others = 1.0 - torch.eye(width, dtype=cosines.dtype, device=cosines.device)
    harmonics = legendre(cosines, shells.shape[1]) * others[:, :, None]
    return _Around(
        place,
        place.index_select(0, reverse_pairs(pairs)),
        shells.new_zeros(n_atoms * width, *shells.shape[1:]).index_copy(0, place, shells),
        harmonics.flatten(2),
    )


def _embedding(block: Any, numbers: Tensor, radial: Tensor, centre: Tensor, neighbour: Tensor) -> Tensor:
    """Return the first messages, (n_pairs, hidden_channels).

    The layer that takes centre, neighbour and distance side by side is applied to each of them alone.
    """
    atoms = block.emb(numbers)
    of_centre, of_neighbour, of_radial = block.lin.weight.chunk(3, dim=1)
    mixed = linear(block.act(block.lin_rbf(radial)), of_radial, block.lin.bias)
    mixed = mixed + linear(atoms, of_centre).index_select(0, centre)
    messages: Tensor = block.act(mixed + linear(atoms, of_neighbour).index_select(0, neighbour))
    return messages


def _interaction(block: Any, messages: Tensor, radial: Tensor, around: _Around) -> Tensor:
    """Return the messages after one interaction block, (n_pairs, hidden_channels)."""
    sent = block.act(block.lin_kj(messages)) * linear(radial, block.lin_rbf2.weight @ block.lin_rbf1.weight)
    received = block.act(block.lin_up(_over_triplets(block, block.act(block.lin_down(sent)), around)))
    hidden = block.act(block.lin_ji(messages)) + received
    for layer in block.layers_before_skip:
        hidden = layer(hidden)
    hidden = block.act(block.lin(hidden)) + messages
    for layer in block.layers_after_skip:
        hidden = layer(hidden)
    return hidden


def _over_triplets(block: Any, sent: Tensor, around: _Around) -> Tensor:
    """Return for each edge j -> i the sum over k of what k -> j sends, filtered, (n_pairs, int_emb_size)."""
    n_atoms, width, _ = around.harmonics.shape
    n_places, n_orders, n_radial = around.shells.shape
    weight = (block.lin_sbf2.weight @ block.lin_sbf1.weight).view(-1, n_orders, n_radial)
    filters = torch.einsum("plr,elr->ple", around.shells, weight)
    placed = sent.new_zeros(n_places, sent.shape[1]).index_copy(0, around.place, sent)
    filtered = (filters * placed[:, None, :]).reshape(n_atoms, width * n_orders, sent.shape[1])
    return torch.bmm(around.harmonics, filtered).flatten(0, 1).index_select(0, around.back)


def _output(block: Any, messages: Tensor, radial: Tensor, centre: Tensor, n_atoms: int) -> Tensor:
    """Return one block's share of the atoms' energies, (n_atoms, 1)."""
    weighted = linear(radial, block.lin_rbf.weight) * messages
    atoms = block.lin_up(weighted.new_zeros(n_atoms, weighted.shape[1]).index_add(0, centre, weighted))
    for layer in block.lins:
        atoms = block.act(layer(atoms))
    energy: Tensor = block.lin(atoms)
    return energy
