"""Inputs of the comparison with the published EquiformerV2: hyperparameters, weights from a seed, molecules."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from ase.build import molecule

from gmd26_md.calculators import equiformer_v2
from gmd26_md.calculators.batch import Batch, Layout

ELEMENTS = (1, 6, 8)
_SMALL: dict[str, Any] = {
    "cutoff": 4.0,
    "smooth_cutoff": False,  # as published
    "num_layers": 2,
    "sphere_channels": 12,
    "attn_hidden_channels": 10,
    "num_heads": 2,
    "attn_alpha_channels": 6,
    "attn_value_channels": 5,
    "ffn_hidden_channels": 9,
    "edge_channels": 7,
    "num_distance_basis": 600,  # in the published code a number, whatever the configuration says
    "avg_degree": 11.0,
    "use_grid_mlp": False,
}
CASES = {
    "energies, lmax 2, mmax 2": {**_SMALL, "direct_forces": False, "lmax": 2, "mmax": 2},
    "direct forces, lmax 3, mmax 2": {**_SMALL, "direct_forces": True, "lmax": 3, "mmax": 2},
    "direct forces, grid MLP": {**_SMALL, "direct_forces": True, "lmax": 2, "mmax": 1, "use_grid_mlp": True},
    "direct forces, lmax 4, mmax 1": {**_SMALL, "direct_forces": True, "lmax": 4, "mmax": 1},
}


FINE = {"edge_grid": [30, 60], "node_grid": [30, 60]}  # as many points as the vendor's modules are given


def drawn_network(hyperparameters: dict[str, Any], seed: int = 11, **more: Any) -> torch.nn.Module:
    """Return a network in float64 whose weights are drawn by name from numpy's frozen stream."""
    with torch.random.fork_rng(devices=[]):
        network = equiformer_v2.network({**hyperparameters, **more}, ELEMENTS).double()
    stream = np.random.RandomState(seed)
    for name, weight in sorted(network.named_parameters()):
        drawn = stream.standard_normal(tuple(weight.shape))
        scale = name.endswith("weight") and ("norm" in name or weight.ndim == 1)  # of a norm
        drawn = 1.0 + 0.2 * drawn if scale else drawn * (0.2 if weight.ndim == 1 else weight.shape[-1] ** -0.5)
        weight.data.copy_(torch.as_tensor(drawn))
    return network.requires_grad_(False)


def batch_of(cutoff: float) -> Batch:
    """Return acetic acid and water, shaken, and a carbon dioxide that lies along an axis, as one batch."""
    systems = [molecule("CH3COOH"), molecule("H2O"), molecule("CO2")]
    for seed, atoms in enumerate(systems[:2]):
        atoms.rattle(0.05, seed=seed)
    positions = torch.as_tensor(np.concatenate([atoms.positions for atoms in systems]))
    return Layout.of([atoms.numbers for atoms in systems]).batch(positions, cutoff)
