"""One file for one trained potential: what it is, what it knows, where it comes from, its weights.

Read without executing code from the file (`checkpoint_file`). What can be saved can be loaded: both ends check the
same things.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gmd26_md import strict_json
from gmd26_md.calculators import checkpoint_file, families
from gmd26_md.calculators.device import choose_device, choose_dtype
from gmd26_md.errors import UserError

if TYPE_CHECKING:
    from gmd26_md.calculators.potential import Potential

ELEMENT_ENERGIES_FROM = ("isolated-atoms", "least-squares", "zero", "given")
_ALWAYS_POSSIBLE = 1024
"""A hyperparameter that is a whole number up to this needs no weight of that size: an exponent, a grid."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A trained potential, as its file tells it.

    Attributes
    ----------
    family
        Name of the family file, "deepset-moe".
    hyperparameters
        What the family's `network` is called with; JSON-safe; `cutoff` among them.
    elements
        Atomic numbers that the network knows.
    cutoff
        Å; the same as in the hyperparameters.
    element_energies
        eV of each element, added to the network's energies.
    element_energies_from
        "isolated-atoms", "least-squares", "zero", or "given" with a model that was trained elsewhere.
    energy_scale
        eV for one unit of the network's output.
    level_of_theory
        Of the training labels, "gfn2-xtb".
    task
        Name of the task it was trained on.
    recipe
        The training recipe, JSON-safe.
    forces_are_gradient
        Whether forces are the negative gradient of the energy.
    training
        How training went: steps, seconds, validation errors, seed, versions; JSON-safe (NaN allowed).
    state_dict
        Weights and buffers of the *network* (`potential.network.state_dict()`), on the CPU.
    sha256
        Of the file it was read from, else empty.
    path
        The file it was read from, absolute, else None.
    """

    family: str
    hyperparameters: dict[str, Any]
    elements: tuple[int, ...]
    cutoff: float
    element_energies: dict[int, float]
    element_energies_from: str
    energy_scale: float
    level_of_theory: str
    task: str
    recipe: dict[str, Any]
    forces_are_gradient: bool
    training: dict[str, Any]
    state_dict: dict[str, Tensor] = field(repr=False)
    sha256: str = ""
    path: Path | None = None

    def potential(self, device: str | torch.device = "cpu", dtype: str | torch.dtype = "float64") -> Potential:
        """Return the potential, ready to evaluate: weights loaded and frozen, evaluation mode.

        Raises
        ------
        UserError
            If the weights do not fit the family's network, or the device or the precision is not there.
        """
        from gmd26_md.calculators.potential import Potential

        precision = choose_dtype(dtype)
        place = choose_device(device, precision)
        network = families.build_network(self.family, self.hyperparameters, self.elements).to(precision)
        _check_weights_fit(self, network.state_dict())
        network.load_state_dict(self.state_dict, strict=True)
        potential = Potential(
            network, cutoff=self.cutoff, element_energies=self.element_energies, energy_scale=self.energy_scale
        )
        if potential.forces_are_gradient != self.forces_are_gradient:
            raise UserError(
                f"{_where(self)} says forces_are_gradient = {self.forces_are_gradient}, its network "
                f"({self.family}) does the opposite; train it again."
            )
        return potential.to(place).eval().requires_grad_(False)


_CARD = tuple(f.name for f in fields(Checkpoint) if f.name not in {"state_dict", "sha256", "path"})
_TYPES: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("family", "element_energies_from", "level_of_theory", "task"), (str,)),
    **dict.fromkeys(("hyperparameters", "element_energies", "recipe", "training"), (dict,)),
    **dict.fromkeys(("cutoff", "energy_scale"), (int, float)),
    "elements": (list, tuple),
    "forces_are_gradient": (bool,),
}


def save_checkpoint(checkpoint: Checkpoint, path: Path | str) -> str:
    """Write a checkpoint, whole or not at all, and return the file's SHA-256.

    Equal content gives equal bytes: time and place are not in the file unless `training` says them.

    Raises
    ------
    UserError
        If it could not be loaded again: an unknown family, non-finite weights, fields that contradict each other.
    """
    card: dict[str, Any] = {name: getattr(checkpoint, name) for name in _CARD}
    card["element_energies"] = {str(z): energy for z, energy in checkpoint.element_energies.items()}
    where = f"checkpoint for {path}"
    text = strict_json.dumps(card)
    _from_card(json.loads(text), checkpoint.state_dict, where)
    return checkpoint_file.write(Path(path), text, checkpoint.state_dict)


def load_checkpoint(path: Path | str) -> Checkpoint:
    """Read a checkpoint without executing code from the file.

    Raises
    ------
    UserError
        On one line, if the path is no file, or the file is no checkpoint, is damaged, is of a newer format, or says
        something that cannot be: an unknown family or element, missing fields, NaN weights.
    """
    path = Path(path)
    contents = checkpoint_file.read(path)
    try:
        card = json.loads(contents.card)
    except (ValueError, RecursionError) as error:  # no JSON, a number of too many digits, or brackets without end
        raise UserError(f"{path} is damaged: its card is no JSON ({error}); copy or train it again.") from error
    checkpoint = _from_card(card, contents.state_dict, str(path))
    return replace(checkpoint, sha256=contents.sha256, path=path.resolve())


def _where(checkpoint: Checkpoint) -> str:
    return str(checkpoint.path) if checkpoint.path else f"this {checkpoint.family} checkpoint"


def _from_card(card: Any, state_dict: dict[str, Tensor], where: str) -> Checkpoint:
    """Return the checkpoint that a card (as JSON gives it) and weights describe, or raise."""
    _check_fields(card, where)
    values = {name: card[name] for name in _CARD}
    values["elements"] = _checked_elements(card["elements"], where)
    values["element_energies"] = _checked_energies(card["element_energies"], values["elements"], where)
    values["training"] = strict_json.decoded(card["training"])
    checkpoint = Checkpoint(**values, state_dict=state_dict)
    _check_values(checkpoint, where)
    _check_weights_finite(state_dict, where)
    _check_sizes(checkpoint, where)
    return checkpoint


def _check_fields(card: Any, where: str) -> None:
    if not isinstance(card, dict):
        raise UserError(f"{where} has a card that is {type(card).__name__}, not an object; train it again.")
    missing = [name for name in _CARD if name not in card]
    if missing:
        raise UserError(f"{where} lacks {', '.join(missing)} in its card; train it again.")
    for name, allowed in _TYPES.items():
        value = card[name]
        if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
            kinds = " or ".join(kind.__name__ for kind in allowed)
            raise UserError(f"{where} has {name} = {value!r} in its card, which should be {kinds}; train it again.")


def _checked_elements(elements: list[Any], where: str) -> tuple[int, ...]:
    known = all(type(z) is int and 1 <= z <= 118 for z in elements)
    if not elements or not known or len(set(elements)) != len(elements):
        raise UserError(f"{where} has elements = {elements!r}; allowed are different atomic numbers from 1 to 118.")
    return tuple(elements)


def _checked_energies(energies: Mapping[str, Any], elements: tuple[int, ...], where: str) -> dict[int, float]:
    """Return the energies by atomic number, in the order of the elements."""
    if set(energies) != {str(z) for z in elements}:
        raise UserError(f"{where} has element_energies for {sorted(energies)}, but elements {list(elements)}.")
    for z, energy in energies.items():
        if type(energy) not in (int, float) or not math.isfinite(energy):
            raise UserError(f"{where} has element_energies[{z}] = {energy!r} eV; only finite numbers are allowed.")
    return {z: float(energies[str(z)]) for z in elements}


def _check_values(checkpoint: Checkpoint, where: str) -> None:
    try:
        defaults = families.default_hyperparameters(checkpoint.family)
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
    for name in ("cutoff", "energy_scale"):
        value = getattr(checkpoint, name)
        if not (math.isfinite(value) and value > 0):
            raise UserError(f"{where} has {name} = {value!r}; only finite positive numbers are allowed.")
    inner = {**defaults, **checkpoint.hyperparameters}["cutoff"]
    if inner != checkpoint.cutoff:
        raise UserError(f"{where} has cutoff = {checkpoint.cutoff} Å but {inner} Å among the hyperparameters.")
    if checkpoint.element_energies_from not in ELEMENT_ENERGIES_FROM:
        allowed = ", ".join(ELEMENT_ENERGIES_FROM)
        raise UserError(
            f"{where} has element_energies_from = {checkpoint.element_energies_from!r}; allowed: {allowed}."
        )


def _check_weights_finite(state_dict: Mapping[str, Tensor], where: str) -> None:
    bad = [name for name, tensor in state_dict.items() if not bool(torch.isfinite(tensor).all())]
    if bad:
        raise UserError(
            f"{where} has NaN or infinite weights in {bad[0]} ({len(bad)} of {len(state_dict)} tensors); "
            "training diverged: train again with a smaller learning rate, or use an earlier checkpoint."
        )


def _check_sizes(checkpoint: Checkpoint, where: str) -> None:
    """Raise for a size that no weight can have: to build that network would take all memory, or for ever."""
    weights = checkpoint.state_dict.values()
    largest = max([_ALWAYS_POSSIBLE, len(weights), *(n for tensor in weights for n in tensor.shape)])
    for name, value in checkpoint.hyperparameters.items():
        for size in value if isinstance(value, list) else [value]:
            if isinstance(size, int) and size > largest:
                raise UserError(
                    f"{where} has {name} = {size} in its card, and no weights of that size; copy or train it again."
                )


def _check_weights_fit(checkpoint: Checkpoint, expected: Mapping[str, Tensor]) -> None:
    """Raise unless names and shapes of the weights are the network's."""
    got, where = checkpoint.state_dict, _where(checkpoint)
    cure = "the hyperparameters in its card are not those of its weights; train it again."
    missing, extra = sorted(set(expected) - set(got)), sorted(set(got) - set(expected))
    if missing:
        raise UserError(f"{where} lacks {len(missing)} weights of {checkpoint.family}, {missing[0]} first: {cure}")
    if extra:
        raise UserError(f"{where} has {len(extra)} weights {checkpoint.family} has not, {extra[0]} first: {cure}")
    for name, tensor in expected.items():
        if got[name].is_floating_point() != tensor.is_floating_point():
            kinds = f"{got[name].dtype}, {checkpoint.family} needs {tensor.dtype}"
            raise UserError(f"{where} has {name} of kind {kinds}: copy or train it again.".replace("torch.", ""))
        if got[name].shape != tensor.shape:
            shapes = f"{tuple(got[name].shape)}, {checkpoint.family} needs {tuple(tensor.shape)}"
            raise UserError(f"{where} has {name} of shape {shapes}: {cure}")
