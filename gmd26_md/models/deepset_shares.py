"""What each pair adds to a DeepSet-MoE energy, and each expert to a pair, also where pairs do not simply add up.

Where a learned decoder acts on the sum over an atom's pairs, pairs have no energies of their own. What is exact
there is a way of sharing out: let all pairs come in together, from none at s = 0 to the whole molecule at s = 1, and
give each pair what the energy changed by because of it, the integral over s of the slope by that pair's own weight
(Aumann and Shapley, *Values of Non-Atomic Games*, 1974). The shares add up to the energy, a pair that changes nothing
gets nothing, and where the energy is a sum over pairs each gets its own.
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from gmd26_md.calculators.batch import Batch
from gmd26_md.models.deepset_moe import Contributions, DeepSetMoE
from gmd26_md.models.deepset_parts import directional_sums

ACCURACY = 1e-11  # of an atom's energy, in units of the potential's energy_scale; float64 leaves some 1e-14
MAX_NODES = 1024


def expert_shares(model: DeepSetMoE, batch: Batch, parts: Contributions) -> Tensor:
    """Return the energy of each pair, split among the distance shells' experts, (n_pairs, n_shells).

    Summed over all pairs of an atom they are `parts.atom_energy - parts.atom_self_energy`.

    Parameters
    ----------
    model
        In float64.
    batch
        The systems.
    parts
        What `model.contributions(batch)` returned. Where pairs add up but experts have no energies (aggregation
        "none", decoder "mlp"), a pair's energy is split by its gates.
    """
    if parts.expert_energy is not None:
        return parts.expert_energy
    if parts.pair_energy is not None:
        return parts.pair_energy[:, None] * parts.gates
    return _along_the_way(model, batch, parts)


def _along_the_way(model: DeepSetMoE, batch: Batch, parts: Contributions) -> Tensor:
    """Return the integral, by sums of Gauss and Legendre that double until each atom's shares add up."""
    wanted = parts.atom_energy - parts.atom_self_energy
    n_nodes, shares = 16, torch.zeros_like(parts.gates)
    while n_nodes <= MAX_NODES:
        shares = _quadrature(model, batch, parts.gates, n_nodes)
        found = torch.zeros_like(wanted).index_add(0, batch.pairs[0], shares.sum(1))
        if not bool(((found - wanted).abs() > ACCURACY * wanted.abs().clamp(min=1.0)).any()):
            break
        n_nodes *= 2
    return shares


def _quadrature(model: DeepSetMoE, batch: Batch, gates: Tensor, n_nodes: int) -> Tensor:
    """Return the integral of the slopes from this many nodes, (n_pairs, n_shells)."""
    decoder, species = cast(nn.Module, model.decoder), model.element_index.index_select(0, batch.numbers)
    with torch.no_grad():
        vectors = batch.pair_vectors()
        distances = vectors.square().sum(1).sqrt()
        routed = model.encoder.route(distances, *(species.index_select(0, atoms) for atoms in batch.pairs))
        harmonics = model.harmonics(vectors / distances[:, None]) * model.scale
        features = model.encoder(distances, routed)  # of a pair and an expert in each row
    nodes, weights = np.polynomial.legendre.leggauss(n_nodes)
    shares = torch.zeros_like(gates)
    for node, weight in zip(0.5 * (nodes + 1.0), 0.5 * weights, strict=True):
        with torch.enable_grad():
            present = features.new_full((len(features), 1), float(node)).requires_grad_(True)
            sums = directional_sums(features * present, harmonics, routed, batch.pairs[0], len(species))
            (slope,) = torch.autograd.grad(decoder(sums, species).sum(), present)
        shares[routed.pair, routed.shell] += float(weight) * slope[:, 0]
    return shares


def with_shares(model: DeepSetMoE, batch: Batch) -> tuple[Contributions, bool]:
    """Return the contributions with `pair_energy` and `expert_energy` filled in, and whether pairs are additive."""
    parts = model.contributions(batch)
    additive, shares = parts.pair_energy is not None, expert_shares(model, batch, parts)
    return replace(parts, pair_energy=shares.sum(1), expert_energy=shares), additive
