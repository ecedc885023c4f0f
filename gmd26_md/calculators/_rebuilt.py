"""Pickles and copies of networks whose vendor's module cannot be pickled: built anew from what decides them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

N = TypeVar("N", bound=nn.Module)


def reduced(network: Any) -> tuple[Any, ...]:
    """Return what `__reduce__` returns for a network of `hyperparameters`, `elements` and weights."""
    weights = {name: (weight.detach(), weight.requires_grad) for name, weight in network.named_parameters()}
    return rebuilt, (type(network), network.hyperparameters, network.elements, weights, network.training)


def rebuilt(
    kind: Callable[[dict[str, Any], tuple[int, ...]], N],
    hyperparameters: dict[str, Any],
    elements: tuple[int, ...],
    weights: dict[str, tuple[Tensor, bool]],
    training: bool,
) -> N:
    """Return a network with these weights, in their precision and on their device; no random number is drawn."""
    with torch.random.fork_rng(devices=[]):
        network = kind(hyperparameters, elements)
    one = next(iter(weights.values()))[0]
    network.to(device=one.device, dtype=one.dtype)
    for name, weight in network.named_parameters():
        values, learns = weights[name]
        weight.data.copy_(values)
        weight.requires_grad_(learns)
    return network.train(training)
