"""SchNet and PaiNN of schnetpack in our families' words: hyperparameters read from its modules, weights renamed."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from gmd26_md.calculators._schnetpack import import_schnetpack
from gmd26_md.calculators.checkpoint import Checkpoint
from gmd26_md.calculators.vendors.model import Whole

_BASES = {"GaussianRBF": "gaussian", "BesselRBF": "bessel"}


def as_checkpoint(model: Any, key: str, elements: tuple[int, ...], whole: Whole) -> tuple[Checkpoint | None, str]:
    """Return a model as a checkpoint, not yet compared; or None and why it cannot be one.

    Parameters
    ----------
    key
        What the model calls its energy.
    whole
        Its cutoff, energies of elements and scale.
    """
    spk = import_schnetpack()
    representation = model.representation
    families = {spk.representation.SchNet: "schnet", spk.representation.PaiNN: "painn"}
    family = families.get(type(representation))
    if family is None:
        return None, f"{type(representation).__name__} is none of our families"
    heads = [m for m in model.output_modules if getattr(m, "output_key", None) == key]
    others = [type(m).__name__ for m in model.output_modules if type(m) is not spk.atomistic.Forces and m not in heads]
    if others or [type(m) for m in heads] != [spk.atomistic.Atomwise] or heads[0].aggregation_mode != "sum":
        return None, "its energy is no sum of one atomwise network"
    if [type(m) for m in model.input_modules] != [spk.atomistic.PairwiseDistances]:
        return None, "it has input modules beside the distances"
    if type(representation.cutoff_fn) is not spk.nn.CosineCutoff:
        return None, f"its cutoff function is {type(representation.cutoff_fn).__name__}, ours CosineCutoff"
    basis = _BASES.get(type(representation.radial_basis).__name__)
    activation = _activation(representation, family)
    if basis is None or activation is None:
        return None, "its radial basis or its activation is none of the family's"
    hyperparameters = {
        "cutoff": whole.cutoff,
        "n_atom_basis": representation.n_atom_basis,
        "n_interactions": len(representation.interactions),
        "n_rbf": representation.radial_basis.n_rbf,
        "radial_basis": basis,
        "activation": activation,
        "shared_interactions": len(set(representation.interactions)) < len(representation.interactions),
    }
    hyperparameters |= (
        {"n_filters": representation.n_filters}
        if family == "schnet"
        else {"shared_filters": bool(representation.share_filters)}
    )
    weights = {f"representation.{n}": t for n, t in representation.state_dict().items()}
    weights["representation.embedding.weight"] = weights["representation.embedding.weight"][: elements[-1] + 1]
    weights |= {f"atomwise.{n}": t for n, t in heads[0].state_dict().items()}
    return Checkpoint(
        family=family, hyperparameters=hyperparameters, elements=elements, cutoff=whole.cutoff,
        element_energies=dict(whole.element_energies), element_energies_from="given",
        energy_scale=whole.energy_scale, level_of_theory="", task="", recipe={}, forces_are_gradient=True, training={},
        state_dict=weights,
    ), ""  # fmt: skip


def _activation(representation: Any, family: str) -> str | None:
    """Return the name of the activation of the interactions."""
    spk = import_schnetpack()
    block = representation.interactions[0]
    function = (block.f2out if family == "schnet" else block.interatomic_context_net)[0].activation
    if function is torch.nn.functional.silu or isinstance(function, nn.SiLU):
        return "silu"
    return "shifted_softplus" if function is spk.nn.shifted_softplus else None
