"""Files that NequIP's users have, as checkpoints of ours: what `nequip-train` and `nequip-package build` write.

A Lightning checkpoint of `nequip-train` is tensors and plain settings: read without running anything, the running
average of the weights taken where there is one, as nequip does. A package (`.nequip.zip`) carries code and is run to be
read, so that it needs the user's trust; what comes of it is compared with what the package itself computes.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from ase.data import atomic_numbers
from torch import Tensor

from gmd26_md.calculators import checkpoint_file, families
from gmd26_md.calculators.checkpoint import Checkpoint
from gmd26_md.calculators.vendors import recognise
from gmd26_md.calculators.vendors.arguments import checked_arguments
from gmd26_md.calculators.vendors.model import VendorModel, Whole
from gmd26_md.errors import UserError

CURE = "package it where it was made with `nequip-package build FILE NAME.nequip.zip`, and give that"
WEIGHTS = "model.sole_model.model.func."
SCALES, SHIFTS = "per_type_energy_scale_shift.scales", "per_type_energy_scale_shift.shifts"
_BUILDER = "nequip.model.NequIPGNNModel"
_IRRELEVANT = ("seed", "compile_mode", "do_derivatives", "model_dtype", "_target_", "type_names", "r_max")
_TRAINABLE = ("per_type_energy_scales_trainable", "per_type_energy_shifts_trainable")
_PER_TYPE = ("avg_num_neighbors", "per_type_energy_scales")


@dataclass(frozen=True)
class Found:
    """A NequIP model in nequip's own words.

    Attributes
    ----------
    hyperparameters
        As our family takes them, `cutoff` in Å among them, lists of elements in the order of `type_names`.
    type_names
        Of atoms, as the weights count them.
    weights
        Learned weights and buffers, named as in nequip's sequence of modules.
    """

    hyperparameters: dict[str, Any]
    type_names: Sequence[str]
    weights: Mapping[str, Tensor]


def open_nequip(path: Path | str, *, trust_pickle: bool = False) -> Checkpoint:
    """Return a model of nequip as a checkpoint of ours; its element energies are the model's own shifts.

    Parameters
    ----------
    path
        A Lightning checkpoint of `nequip-train`, or a package.
    trust_pickle
        Whether code from the file may run, which a package needs.

    Raises
    ------
    UserError
        If it is neither, is a package and is not trusted (nothing has run), is damaged, has what our family has not (a
        pair potential, cutoffs by pair, types that are no elements), or nequip is not installed.
    """
    path = Path(path)
    content = checkpoint_file.bytes_of(path)
    kind = recognise.kind_of(content)
    if kind == recognise.NEQUIP:
        if not trust_pickle:
            raise UserError(
                f"{path} is a package of nequip: to load it is to run code from it, and nothing in it was run. If you "
                "trust who made it, add --trust-pickle (in Python trust_pickle=True)."
            )
        return _packaged(path, content)
    if kind == recognise.NEQUIP_COMPILED:
        raise UserError(
            f"{path} is a compiled model of nequip, which does not tell its hyperparameters; give the checkpoint or "
            "the package that it was compiled from."
        )
    return _unpackaged(path, content)


def nequip_model(
    content: bytes, path: Path, kind: recognise.Kind, sha256: str, arguments: Mapping[str, Any]
) -> VendorModel:
    """Return a model of nequip as `model_file` gives it, read from `content` alone.

    Parameters
    ----------
    kind
        `recognise.NEQUIP`, a package, which the user trusts; of any other kind no code is run.

    Raises
    ------
    UserError
        See `open_nequip`; or for any argument.
    """
    checked_arguments(arguments, (), path)
    read = _packaged if kind == recognise.NEQUIP else _unpackaged
    checkpoint = replace(read(path, content), sha256="", path=None)
    whole = Whole(
        network=lambda: checkpoint.potential().network,
        cutoff=checkpoint.cutoff,
        element_energies=checkpoint.element_energies,
        energy_scale=checkpoint.energy_scale,
    )
    return VendorModel(
        family="nequip", kind=kind.words, elements=checkpoint.elements, sha256=sha256, path=path, whole=whole,
        checkpoint=checkpoint,
    )  # fmt: skip


def _packaged(path: Path, content: bytes) -> Checkpoint:
    """Return the model in a package, compared with what the package itself computes."""
    from gmd26_md.calculators._nequip_package import packaged

    found, agrees = packaged(path, content)
    checkpoint = _as_checkpoint(found, path, content)
    agrees(checkpoint)
    return checkpoint


def _unpackaged(path: Path, content: bytes) -> Checkpoint:
    """Return the model in a Lightning checkpoint, without running anything in it."""
    return _as_checkpoint(_trained(path, content), path, content)


def _trained(path: Path, content: bytes) -> Found:
    """Return what a Lightning checkpoint holds, without running anything in it."""
    try:
        sound = checkpoint_file.checked_archive(path, content)
    except UserError as problem:
        if "would import" not in str(problem):
            raise
        raise UserError(f"{path} holds more than tensors and settings, and nothing in it was run: {CURE}.") from problem
    try:
        payload = torch.load(sound, map_location="cpu", weights_only=True)
        settings, weights = payload["hyper_parameters"], payload["state_dict"]
        model = settings["model"]
        builder = str(model["_target_"])
    except Exception as error:  # a damaged or foreign pickle may raise anything
        raise UserError(f"{path} is no checkpoint of nequip-train ({type(error).__name__}: {error}).") from error
    if builder != _BUILDER or not any(name.startswith(WEIGHTS) for name in weights):
        raise UserError(f"{path} holds a model of {builder}; only {_BUILDER} can be read from a checkpoint: {CURE}.")
    hyperparameters = _from_settings(model, path)
    plain = {name.removeprefix(WEIGHTS): w for name, w in weights.items() if name.startswith(WEIGHTS)}
    average = [weights[f"ema.ema_weight_{i}"] for i in range(sum(n.startswith("ema.ema_weight_") for n in weights))]
    if average:
        if not weights.get("ema._extra_state", {}).get("is_holding_ema_weights", True):
            raise UserError(
                f"{path} was saved in the middle of a validation; give another checkpoint of that training."
            )
        learned = [name for name, on in zip((SCALES, SHIFTS), _TRAINABLE, strict=True) if model.get(on)]
        names = [*_learned_names(hyperparameters, len(model["type_names"])), *learned]
        if len(names) != len(average):
            raise UserError(f"{path} has {len(average)} averaged weights, its architecture {len(names)}: {CURE}.")
        plain |= dict(zip(names, average, strict=True))
    return Found(hyperparameters, list(model["type_names"]), plain)


def _from_settings(model: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Return our hyperparameters from the arguments of nequip's builder, its own defaults filled in."""
    from gmd26_md.calculators._nequip_import import nequip_imports

    with nequip_imports():
        from nequip.model import FullNequIPGNNModel, NequIPGNNModel
    defaults: dict[str, Any] = {}
    for function in (FullNequIPGNNModel, NequIPGNNModel):
        parameters = inspect.signature(function).parameters.values()
        defaults |= {p.name: p.default for p in parameters if p.default is not p.empty}
    known = families.written_defaults("nequip")
    for name in set(model) - set(known) - {*_IRRELEVANT, *_TRAINABLE, "per_type_energy_shifts"}:
        if model[name] != defaults.get(name, ...):
            raise UserError(f"{path} was built with {name} = {model[name]!r}, which family nequip here has not.")
    values = {name: model.get(name, defaults.get(name)) for name in known if name != "cutoff"}
    for name in _PER_TYPE:
        if isinstance(values[name], Mapping):
            values[name] = [float(values[name][kind]) for kind in model["type_names"]]
    values["per_type_energy_scales"] = 1.0  # they are read from the weights, where they may have been trained
    if values["readout_mlp_nonlinearity"] is None and not values["readout_mlp_hidden_layers_depth"]:
        values["readout_mlp_nonlinearity"] = known["readout_mlp_nonlinearity"]  # of no layer
    zero_means_default = {name: 0 for name in known if values.get(name, ...) is None}
    return {**values, **zero_means_default, "cutoff": float(model["r_max"])}


def _learned_names(hyperparameters: dict[str, Any], n_types: int) -> list[str]:
    """Return the names of the learned weights in the order in which nequip's modules hold them."""
    network = families.build_network("nequip", hyperparameters, tuple(range(1, n_types + 1)))
    return [name.removeprefix("vendor.") for name, _ in network.named_parameters()]


def _as_checkpoint(found: Found, path: Path, content: bytes) -> Checkpoint:
    """Return the checkpoint; elements ascending, scales and shifts taken out of the weights."""
    foreign = [name for name in found.type_names if name not in atomic_numbers or name == "X"]
    if foreign:
        raise UserError(
            f"{path} has atoms of type {foreign[0]!r}, which is no element's symbol; it cannot be read here."
        )
    numbers = [atomic_numbers[name] for name in found.type_names]
    elements = tuple(sorted(numbers))
    order = [numbers.index(z) for z in elements]
    scales = _per_type(found.weights.get(SCALES), len(order), 1.0)
    shifts = _per_type(found.weights.get(SHIFTS), len(order), 0.0)
    hyperparameters = dict(found.hyperparameters)
    for name in _PER_TYPE:
        if isinstance(hyperparameters[name], list):
            hyperparameters[name] = [hyperparameters[name][i] for i in order]
    equal = min(scales) == max(scales)
    hyperparameters["per_type_energy_scales"] = 1.0 if equal else [scales[i] for i in order]
    expected = families.build_network("nequip", hyperparameters, elements).state_dict()
    weights = {name: found.weights.get(name.removeprefix("vendor.")) for name in expected}
    absent = [name for name, weight in weights.items() if weight is None]
    if absent:
        raise UserError(f"{path} lacks {absent[0].removeprefix('vendor.')}, which family nequip here has: {CURE}.")
    state_dict = {name: weight.detach().clone() for name, weight in weights.items() if weight is not None}
    state_dict["vendor.type_embed.embed_module.weight"] = state_dict["vendor.type_embed.embed_module.weight"][order]
    return Checkpoint(
        family="nequip",
        hyperparameters=hyperparameters,
        elements=elements,
        cutoff=hyperparameters["cutoff"],
        element_energies={z: shifts[i] for z, i in zip(elements, order, strict=True)},
        element_energies_from="given",
        energy_scale=scales[0] if equal else 1.0,
        level_of_theory="",
        task="",
        recipe={},
        forces_are_gradient=True,
        training={"read_from": path.name},
        state_dict=state_dict,
        sha256=hashlib.sha256(content).hexdigest(),
        path=path.resolve(),
    )


def _per_type(values: Tensor | None, n_types: int, default: float) -> list[float]:
    """Return a number for each type, from one for all, one for each, or none."""
    if values is None or not values.numel():
        return [default] * n_types
    numbers: list[float] = values.double().reshape(-1).tolist()
    return numbers * n_types if len(numbers) == 1 else numbers
