"""SchNet evaluated from schnetpack's modules and weights, with one filter for the two directions of a pair.

The features are the vendor's to rounding. They can be differentiated once by the positions, as forces need, and not
by the weights.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from gmd26_md.calculators.batch import Batch
from gmd26_md.models.undirected import both_directions, undirected_pairs


def schnet_features(representation: Any, batch: Batch) -> Tensor:
    """Return the features of each atom, (n_atoms, n_atom_basis).

    Parameters
    ----------
    representation
        schnetpack's `SchNet`, none of whose weights learns.
    batch
        The systems.
    """
    pairs = undirected_pairs(batch)
    distances = pairs.distances()
    basis = representation.radial_basis(distances)  # (n_undirected, n_rbf)
    envelope = representation.cutoff_fn(distances)[:, None]
    centre, neighbour = both_directions(pairs.first, pairs.second)
    features: Tensor = representation.embedding(batch.numbers)
    for interaction in representation.interactions:
        filters = interaction.filter_network(basis) * envelope
        message = _Convolution.apply(interaction.in2f(features), filters, centre, neighbour)
        features = features + interaction.f2out(message)
    return features


class _Convolution(torch.autograd.Function):
    """Sum over the neighbours of each atom of (their features times the pair's filter), (n_atoms, n_filters).

    Takes features (n_atoms, n_filters), filters (n_undirected, n_filters), and the directed pairs of
    `both_directions`. Sums are not differentiated by plain autograd, as that would keep and fill arrays of directed
    pairs which are cheaper to make anew.
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor, filters: Tensor, centre: Tensor, neighbour: Tensor) -> Tensor:
        ctx.save_for_backward(features, filters, centre, neighbour)
        sent = _twice(features, neighbour).mul_(filters)
        return torch.zeros_like(features).index_add_(0, centre, sent.flatten(0, 1))

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, Tensor, None, None]:
        features, filters, centre, neighbour = ctx.saved_tensors
        pulled, sent = _twice(slope, centre), _twice(features, neighbour)
        by_filters = sent[0].mul_(pulled[0]).addcmul_(sent[1], pulled[1])
        if not ctx.needs_input_grad[0]:  # the first features are the elements' own
            return None, by_filters, None, None
        by_features = torch.zeros_like(features).index_add_(0, neighbour, pulled.mul_(filters).flatten(0, 1))
        return by_features, by_filters, None, None


def _twice(values: Tensor, atoms: Tensor) -> Tensor:
    """Return the values (n_atoms, n_columns) at the atoms of directed pairs, (2, n_undirected, n_columns)."""
    return values.index_select(0, atoms).view(2, -1, values.shape[1])
