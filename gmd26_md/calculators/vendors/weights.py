"""A plain dictionary of weights, with a family and hyperparameters given, as a checkpoint. No code is run for it.

There is no original to compare with: names and shapes of the weights must be the family's.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from ase.data import atomic_numbers
from torch import Tensor

from gmd26_md.calculators import checkpoint_file, families
from gmd26_md.calculators.checkpoint import Checkpoint
from gmd26_md.errors import UserError, unknown_name

_ENTRIES = ("elements", "element_energies", "energy_scale", "hyperparameters", "level_of_theory", "task")
_INSIDE = ("state_dict", "model_state_dict", "model")  # where trainers put the weights
_UNSCALED = (("scale", 1.0), ("shift", 0.0))
_BEFORE = ("model.", "module.", "network.")  # what trainers put before their names
_UNSEEN = "avg_num_neighbors"  # of mace and nequip: it divides sums of neighbours, and no state dict has it
_EMBEDDING = "representation.embedding.weight"  # of schnetpack: a row for every atomic number up to its max_z, 100


@dataclass(frozen=True)
class _Offsets:
    """What a mace state dict holds beside the network.

    Attributes
    ----------
    elements
        Atomic numbers, in the file's order; none where it does not say them.
    alone
        Energies of isolated atoms, eV, in the same order; none where it has none.
    shift
        eV, added for each atom.
    scale
        eV for one unit of the network's output.
    """

    elements: tuple[int, ...] = ()
    alone: tuple[float, ...] = ()
    shift: float = 0.0
    scale: float = 1.0


def of_weights(path: Path, family: str, toml: Path, *, level_of_theory: str = "", task: str = "") -> Checkpoint:
    """Return a checkpoint of a file of weights.

    Parameters
    ----------
    path
        What torch.save made of a state dict, ours or the vendor's of this family, or of a dictionary that holds one.
    toml
        `elements` (symbols), `element_energies` (eV by symbol, 0 where left out), `energy_scale` (eV for one unit of
        the network's output, by default 1), `[hyperparameters]`, and `level_of_theory` and `task` if known. Of a mace
        state dict the shift is added to `element_energies`, which must be left out where the file has its own.

    Raises
    ------
    UserError
        If one of the files cannot be read, something in them is not known, or the weights are not the family's.
    """
    card = _card(toml)
    given = dict(card.get("hyperparameters", {}))
    hyperparameters = {**families.default_hyperparameters(family), **given}
    elements = _elements(card, toml)
    if _UNSEEN in hyperparameters and _UNSEEN not in given:
        raise UserError(f"{toml} lacks {_UNSEEN}, which weights do not tell; give the one it was trained with.")
    weights = _weights(path)
    offsets = _taken_offsets(weights, path) if family == "mace" else _Offsets()
    energies = _element_energies(card, elements, offsets, path, toml)
    network = families.build_network(family, hyperparameters, elements)
    constants = {name.removeprefix("vendor."): tensor for name, tensor in network.named_buffers()}
    found = _renamed(weights, set(network.state_dict()), constants, path, family)
    if family in ("schnet", "painn") and _EMBEDDING in found:
        found[_EMBEDDING] = found[_EMBEDDING][: elements[-1] + 1].clone()
    _check_constants(weights, constants, path, toml)
    checkpoint = Checkpoint(
        family=family, hyperparameters=hyperparameters, elements=elements, cutoff=float(hyperparameters["cutoff"]),
        element_energies=energies, element_energies_from="given",
        energy_scale=offsets.scale * float(card.get("energy_scale", 1)),
        level_of_theory=level_of_theory or str(card.get("level_of_theory", "")), task=task or str(card.get("task", "")),
        recipe={}, forces_are_gradient=bool(getattr(network, "forces_are_gradient", True)),
        training={"weights_from": path.name}, state_dict=found,
    )  # fmt: skip
    checkpoint.potential()  # names and shapes, or a message
    return checkpoint


def _card(toml: Path) -> dict[str, Any]:
    try:
        card = tomllib.loads(toml.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{toml} is no TOML ({error}); correct it.") from error
    for name in card:
        if name not in _ENTRIES:
            raise unknown_name(f"entry of {toml}", name, _ENTRIES)
    for name, kind in (("hyperparameters", dict), ("element_energies", dict), ("elements", list)):
        if not isinstance(card.get(name, kind()), kind):
            raise UserError(f"{toml} has {name} = {card[name]!r}; see docs/your-own-model.md for its form.")
    numbers = [*card.get("element_energies", {}).values(), card.get("energy_scale", 1)]
    if not all(isinstance(n, int | float) and math.isfinite(n) for n in numbers):
        raise UserError(f"{toml} has an energy that is no finite number; energies are in eV.")
    return card


def _symbols(card: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
    for symbol in card["elements"]:
        yield atomic_numbers[symbol], symbol


def _elements(card: Mapping[str, Any], toml: Path) -> tuple[int, ...]:
    symbols = card.get("elements", [])
    if not symbols or not all(atomic_numbers.get(s) for s in symbols) or len(set(symbols)) != len(symbols):
        raise UserError(f'{toml} has elements = {symbols!r}; write their symbols, such as ["H", "C", "O"].')
    unknown = set(card.get("element_energies", {})) - set(symbols)
    if unknown:
        raise UserError(f"{toml} has element_energies of {', '.join(sorted(unknown))}, which are not among elements.")
    return tuple(sorted(atomic_numbers[s] for s in symbols))


def _weights(path: Path) -> dict[str, Tensor]:
    """Return weights by their bare names."""
    content = checkpoint_file.bytes_of(path)
    sound = checkpoint_file.checked_archive(path, content)  # refuses everything but plain tensors
    try:
        payload = torch.load(sound, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle may raise anything
        raise UserError(f"{path} is damaged and cannot be read ({type(error).__name__}); copy it again.") from error
    for name in _INSIDE:
        if isinstance(payload, dict) and isinstance(payload.get(name), dict):
            payload = payload[name]
    if not isinstance(payload, dict) or not all(isinstance(v, Tensor) for v in payload.values()) or not payload:
        raise UserError(f"{path} holds no dictionary of weights by name; save model.state_dict() with torch.save.")
    weights = {str(name): tensor for name, tensor in payload.items()}
    for before in _BEFORE:
        if all(name.startswith(before) for name in weights):
            weights = {name.removeprefix(before): tensor for name, tensor in weights.items()}
    return weights


def _taken_offsets(weights: dict[str, Tensor], path: Path) -> _Offsets:
    """Take what a mace state dict holds beside the network out of its weights."""
    energies = weights.pop("atomic_energies_fn.atomic_energies", None)
    numbers = weights.pop("atomic_numbers", torch.zeros(0))
    scale, shift = (weights.pop(f"scale_shift.{name}", torch.tensor(value)) for name, value in _UNSCALED)
    alone = () if energies is None else tuple(energies.double().flatten().tolist())
    if scale.numel() > 1 or shift.numel() > 1 or (alone and len(alone) != numbers.numel()):
        raise UserError(f"{path} has several heads, or no atomic_numbers; take one with mace_select_head first.")
    return _Offsets(tuple(int(z) for z in numbers.flatten()), alone, float(shift), float(scale))


def _element_energies(
    card: Mapping[str, Any], elements: tuple[int, ...], offsets: _Offsets, path: Path, toml: Path
) -> dict[int, float]:
    """Return the energy of each element, eV, from the one place that states them, the file's shift added."""
    if offsets.elements and offsets.elements != elements:
        raise UserError(
            f"{path} is of the elements {list(offsets.elements)}, in this order; {toml} names {list(elements)}."
        )
    if any(offsets.alone):
        if card.get("element_energies"):
            raise UserError(f"{path} has energies of isolated atoms; leave element_energies out of {toml}.")
        return {z: energy + offsets.shift for z, energy in zip(elements, offsets.alone, strict=True)}
    stated = card.get("element_energies", {})
    return {z: float(stated.get(symbol, 0.0)) + offsets.shift for z, symbol in _symbols(card)}


def _renamed(
    weights: Mapping[str, Tensor], expected: set[str], constants: Collection[str], path: Path, family: str
) -> dict[str, Tensor]:
    """Return the weights by our names for them; mace's constants, which the family builds itself, are left out."""
    found, extra = {}, []
    for name, tensor in weights.items():
        ours = [n for n in (name, f"vendor.{name}", name.replace("output_modules.0.", "atomwise.")) if n in expected]
        if ours:
            found[ours[0]] = tensor
        elif name not in constants:
            extra.append(name)
    if extra:
        raise UserError(
            f"{path} has {len(extra)} weights that {family} with these hyperparameters has not, {extra[0]} first; "
            "correct the hyperparameters, or leave them out of the file where they are offsets, and give these as "
            "element_energies."
        )
    return found


def _check_constants(weights: Mapping[str, Tensor], constants: Mapping[str, Tensor], path: Path, toml: Path) -> None:
    """Raise where the file holds a constant, its cutoff above all, that the hyperparameters make another.

    Only that can tell wrong ones: names and shapes of weights are the same for any cutoff.
    """
    for name, tensor in weights.items():
        built = constants.get(name)
        if built is None or tensor.shape != built.shape:
            continue  # another shape is complained of where weights are loaded
        off = (tensor.double() - built.double()).abs() > 1e-5 * built.double().abs() + 1e-6
        if bool(off.any()):
            values = f"{float(tensor[off].flatten()[0]):g}, by {toml.name} {float(built[off].flatten()[0]):g}"
            raise UserError(f"{path} has {name} = {values}; correct the hyperparameters, the cutoff first.")
