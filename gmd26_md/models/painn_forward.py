"""PaiNN evaluated from schnetpack's modules and weights, in an order of work that suits many small molecules.

The features are the vendor's to rounding. What differs is the way: every filter is computed once for the two
directions of a pair, and left out where it would meet the vectors of the first layer, which are zero; the components
of vectors stand one after the other, so that no work is done on short rows; messages are made for some hundred
pairs at a time and not kept. The features can be differentiated once by the positions, as forces need, and not by the
weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from gmd26_md.calculators.batch import Batch
from gmd26_md.models.undirected import both_directions, undirected_pairs

# On a CPU, arrays of more pairs leave the caches (in float64, 10,000 at once took 3 times as long); fewer cost calls.
_PAIRS_AT_ONCE = 512


@dataclass(frozen=True)
class _Chunk:
    """Some of a batch's undirected pairs, c of them, in both directions.

    Attributes
    ----------
    rows
        Which of the undirected pairs.
    centre
        Rows of a table (4 n_atoms, F) that the centres have in each of its blocks, (8 c,).
    neighbour
        Rows of a table (5 n_atoms, F) that the neighbours have in each of its blocks, (10 c,).
    directions
        Unit vectors from centre to neighbour, components first, (3, 2 c, 1).
    """

    rows: slice
    centre: Tensor
    neighbour: Tensor
    directions: Tensor


def painn_features(representation: Any, batch: Batch) -> Tensor:
    """Return the scalar features of each atom, (n_atoms, n_atom_basis).

    Parameters
    ----------
    representation
        schnetpack's `PaiNN` with filters of its own for each layer, none of whose weights learns.
    batch
        The systems.
    """
    pairs = undirected_pairs(batch)
    distances = pairs.distances()
    directions = (pairs.vectors / distances[:, None]).t()  # (3, n_undirected)
    envelope = representation.cutoff_fn(distances)[:, None]
    basis = torch.cat([representation.radial_basis(distances) * envelope, envelope], dim=1)
    chunks = _chunks(pairs.first, pairs.second, directions.detach(), len(batch.numbers))
    scalars: Tensor = representation.embedding(batch.numbers)
    vectors: Tensor | None = None  # (3, n_atoms, F); zero before the first layer
    layers = zip(_filter_weights(representation), representation.interactions, representation.mixing, strict=True)
    for weights, interaction, mixing in layers:
        senders = _senders(interaction.interatomic_context_net(scalars), vectors)
        messages = _Messages.apply(senders, basis, directions, weights, chunks)
        scalars = scalars + messages[0]
        vectors = messages[1:] if vectors is None else vectors + messages[1:]
        scalars, vectors = _mixed(mixing, scalars, vectors)
    return scalars


def _filter_weights(representation: Any) -> Tensor:
    """Return the filters' weights, (n_layers, 3, n_rbf + 1, F).

    The filter that makes vectors of scalars comes first, then that of scalars, then that of vectors. The last row is
    the bias: as the basis is multiplied by the cutoff function, its last column has to be that function.
    """
    net, width = representation.filter_net, representation.n_atom_basis
    joint = torch.cat([net.weight.t(), net.bias[None]])
    return joint.view(joint.shape[0], -1, 3, width)[:, :, [1, 0, 2]].permute(1, 2, 0, 3).contiguous()


def _senders(context: Tensor, vectors: Tensor | None) -> Tensor:
    """Return what neighbours send, to be multiplied by filters: two scalars, and three components unless zero.

    Of context (n_atoms, 3 F) and vectors (3, n_atoms, F) it is (2 or 5, n_atoms, F).
    """
    scalars, along, scale = context.chunk(3, dim=1)
    both = torch.stack([along, scalars])
    return both if vectors is None else torch.cat([both, vectors * scale])


def _mixed(mixing: Any, scalars: Tensor, vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Return scalars (n_atoms, F) and vectors (3, n_atoms, F) after mixing on each atom."""
    rows = vectors.flatten(0, 1)
    left, right = ((rows @ half.t()).view_as(vectors) for half in mixing.mu_channel_mix.weight.chunk(2))
    length = torch.sqrt((left * left).sum(0) + mixing.epsilon)
    context = mixing.intraatomic_context_net(torch.cat([scalars, length], dim=1))
    shift, scale, product = context.chunk(3, dim=1)
    return scalars + shift + product * (left * right).sum(0), torch.addcmul(vectors, right, scale)


def _chunks(first: Tensor, second: Tensor, directions: Tensor, n_atoms: int) -> list[_Chunk]:
    """Cut undirected pairs into chunks that are worked on at a time; on an accelerator all are one."""
    blocks = torch.arange(5, device=first.device)[:, None] * n_atoms
    size = _PAIRS_AT_ONCE if first.device.type == "cpu" else max(len(first), 1)
    chunks = []
    for start in range(0, len(first), size):
        rows = slice(start, start + size)
        centre, neighbour = both_directions(first[rows], second[rows])
        there = directions[:, rows]
        signed = torch.cat([there, -there], dim=1)[..., None]
        chunks.append(_Chunk(rows, (blocks[:4] + centre).flatten(), (blocks + neighbour).flatten(), signed))
    return chunks


class _Messages(torch.autograd.Function):
    """What the neighbours of each atom send it: a scalar and three components, (4, n_atoms, F).

    With W the filters of a pair and d its direction, the sums are of W_1 s_1 (scalar) and of d W_0 s_0 + W_2 s_2,3,4
    (vector), where s are the senders (2 or 5, n_atoms, F) of `_senders`. The filters are the basis (n_undirected, n_rbf
    + 1) times weights (3, n_rbf + 1, F). Directions (3, n_undirected) are given for their gradient; their values
    are taken from the chunks.
    """

    @staticmethod
    def forward(
        ctx: Any, senders: Tensor, basis: Tensor, directions: Tensor, weights: Tensor, chunks: Sequence[_Chunk]
    ) -> Tensor:
        n_blocks, n_atoms, width = senders.shape
        sums = senders.new_zeros(4 * n_atoms, width)
        filters = [_filters(basis[chunk.rows], weights[: 2 if n_blocks == 2 else 3]) for chunk in chunks]
        for chunk, filter_rows in zip(chunks, filters, strict=True):
            sent = _filtered(_from_neighbours(senders, chunk), filter_rows).flatten(1, 2)
            if n_blocks == 2:
                sent = torch.cat([sent, sent[0] * chunk.directions])
            else:
                sent[2:].addcmul_(sent[0], chunk.directions)
            sums.index_add_(0, chunk.centre, sent[1:].flatten(0, 1))
        ctx.save_for_backward(senders, weights, *filters)
        ctx.chunks, ctx.basis_shape = chunks, basis.shape
        return sums.view(4, n_atoms, width)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, Tensor, Tensor, None, None]:
        senders, weights, *filters = ctx.saved_tensors
        slope = slope.reshape(-1, slope.shape[2])
        n_pairs, n_basis = ctx.basis_shape
        by_senders = torch.zeros_like(senders).flatten(0, 1) if ctx.needs_input_grad[0] else None
        by_basis, by_directions = slope.new_empty(n_basis, n_pairs), slope.new_empty(3, n_pairs)
        for chunk, filter_rows in zip(ctx.chunks, filters, strict=True):
            pulled, sent = _pulled(slope, chunk), _from_neighbours(senders, chunk)
            by_directions[:, chunk.rows] = _by_directions(pulled, sent[0] * filter_rows[0])
            pulled = pulled[: len(senders)].view_as(sent)
            by_basis[:, chunk.rows] = _by_basis(sent.mul_(pulled), weights)
            if by_senders is not None:
                rows = chunk.neighbour[: sent.shape[0] * 2 * sent.shape[2]]
                by_senders.index_add_(0, rows, _filtered(pulled, filter_rows).flatten(0, 2))
        by_senders = None if by_senders is None else by_senders.view_as(senders)
        return by_senders, by_basis.t(), by_directions, None, None


def _filters(basis: Tensor, weights: Tensor) -> Tensor:
    """Return the filters of c pairs, (2 or 3, c, F)."""
    filters = basis.new_empty(len(weights), len(basis), weights.shape[2])
    for block, weight in zip(filters, weights, strict=True):
        torch.mm(basis, weight, out=block)
    return filters


def _from_neighbours(senders: Tensor, chunk: _Chunk) -> Tensor:
    """Return the senders (n_blocks, n_atoms, F) at the neighbours of directed pairs, (n_blocks, 2, c, F)."""
    n_blocks, _, width = senders.shape
    n_directed = chunk.directions.shape[1]
    rows = chunk.neighbour[: n_blocks * n_directed]
    return senders.flatten(0, 1).index_select(0, rows).view(n_blocks, 2, n_directed // 2, width)


def _filtered(values: Tensor, filters: Tensor) -> Tensor:
    """Multiply values (2 or 5, 2, c, F) by their filters (2 or 3, c, F), in place."""
    values[:2].mul_(filters[:2, None])
    if len(values) > 2:
        values[2:].mul_(filters[2])
    return values


def _pulled(slope: Tensor, chunk: _Chunk) -> Tensor:
    """Return the slope (4 n_atoms, F) as it reaches each filtered sender of a pair's neighbour, (5, 2 c, F)."""
    directions, width = chunk.directions, slope.shape[1]
    pulled = slope.new_empty(5, directions.shape[1], width)
    torch.index_select(slope, 0, chunk.centre, out=pulled[1:].view(-1, width))
    along = torch.mul(pulled[2], directions[0], out=pulled[0])
    along.addcmul_(pulled[3], directions[1]).addcmul_(pulled[4], directions[2])
    return pulled


def _by_directions(pulled: Tensor, along: Tensor) -> Tensor:
    """Return the gradient for the directions, (3, c), of filtered senders along them, (2, c, F)."""
    there, back = (pulled[2:] * along.flatten(0, 1)).sum(-1).chunk(2, dim=1)
    return there - back


def _by_basis(products: Tensor, weights: Tensor) -> Tensor:
    """Return the gradient for the basis, (n_rbf + 1, c), of products sender times slope (2 or 5, 2, c, F).

    The products are used up. Matrix products are taken in this order as the other one takes twice as long.
    """
    both = products[:, 0].add_(products[:, 1])
    gradient = torch.mm(weights[0], both[0].t()).addmm_(weights[1], both[1].t())
    if len(both) > 2:
        gradient.addmm_(weights[2], both[2].add_(both[3]).add_(both[4]).t())
    return gradient
