"""DeepSet-MoE as a family: its hyperparameters, checked, and its network (architecture in `models.deepset_moe`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from gmd26_md.calculators._hyperparameters import checked_elements, merged, one_of
from gmd26_md.calculators.batch import Batch
from gmd26_md.calculators.latent import inputs_of
from gmd26_md.errors import UserError
from gmd26_md.models.deepset_moe import DeepSetMoE
from gmd26_md.models.directions import MAX_DEGREE
from gmd26_md.models.radial import cutoff_envelope

# Directions (max_degree, n_products, n_triples) need aggregation "sum" and decoder "mlp"; elsewhere they are not used.
DEFAULTS: dict[str, Any] = {
    "cutoff": 5.0,  # Å
    "routing": "both",  # which experts see a pair: by distance (spatial), by central element (identity), or both
    "aggregation": "sum",  # "none" decodes every pair by itself
    "decoder": "mlp",  # "identity" takes the encoder's single output as the energy
    "radial_basis": "bessel",  # or "gaussian"
    "n_radial": 12,
    "n_embedding": 4,
    "shell_boundaries": [1.75, 2.85, 4.0],  # Å: bonds; 1,3 neighbours; torsions; the rest
    "shell_overlap": 0.5,  # Å in which two neighbouring experts cross over
    "expert_width": 32,  # hidden units of one expert
    "n_features": 64,
    "max_degree": 3,  # of the directions that the sums keep; 0 sums distances only
    "n_products": 64,  # invariants from two sums, of each degree from 1
    "n_triples": 64,  # invariants from three sums, if max_degree is 2 or more; 0 leaves them out
    "aggregation_scale": 1.0,  # sums are divided by this
    "decoder_width": 128,
    "n_decoder_layers": 2,
}
CHOICES = {
    "routing": ("spatial", "identity", "both"),
    "aggregation": ("sum", "none"),
    "decoder": ("identity", "mlp"),
    "radial_basis": ("bessel", "gaussian"),
}


def network(hyperparameters: Mapping[str, Any], elements: tuple[int, ...]) -> nn.Module:
    """Return an untrained network that maps a `Batch` to atomic energies, (n_atoms,).

    Raises
    ------
    UserError
        An unknown hyperparameter or choice, or a value out of range.
    """
    values = merged("deepset-moe", DEFAULTS, hyperparameters, may_be_zero=("n_triples",))
    for name, allowed in CHOICES.items():
        one_of(name, values[name], allowed)
    if values["max_degree"] > MAX_DEGREE:
        raise UserError(f"deepset-moe max_degree is {values['max_degree']}; it may be 0 to {MAX_DEGREE}.")
    shells = list(values["shell_boundaries"])
    if shells != sorted(set(shells)):
        raise UserError(f"deepset-moe shell_boundaries are {shells}; they must be ascending, in Å.")
    return DeepSetMoE(values, checked_elements(elements))


def features(network: nn.Module, batch: Batch) -> Tensor:
    """Return what the decoder's last layer is given of each atom, (n_atoms, n): see `calculators.latent`.

    Where the decoder acts on pairs, the sum over an atom's pairs; where there is none, the energies that each shell's
    experts sum up over the neighbours of each element.
    """
    model, (centre, neighbour) = cast(DeepSetMoE, network), batch.pairs
    if model.decoder is None:
        shares = cast(Tensor, model.contributions(batch).expert_energy)  # (n_pairs, n_shells)
        n_elements = len(model.self_energy)
        which = centre * n_elements + model.element_index[batch.numbers[neighbour]]
        sums = shares.new_zeros(len(batch.numbers) * n_elements, shares.shape[1]).index_add(0, which, shares)
        return sums.view(len(batch.numbers), -1)
    with inputs_of([model.decoder.last]) as seen:
        model(batch)
    if not model.per_pair:
        atoms: Tensor = seen[0]
        return atoms
    distance = torch.linalg.vector_norm(batch.pair_vectors(), dim=1)
    weighted = seen[0] * cutoff_envelope(distance, model.cutoff)[:, None]  # as the pairs' energies are
    return weighted.new_zeros(len(batch.numbers), weighted.shape[1]).index_add(0, centre, weighted)
