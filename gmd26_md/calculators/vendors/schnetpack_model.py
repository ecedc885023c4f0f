"""A model of schnetpack, pickled whole (`best_model`) or by Lightning, as a checkpoint of ours or as it is.

Such files do not say their units, nor which elements they have seen unless they hold energies of isolated atoms: the
rest is to be given. Offsets that schnetpack adds after the network (a mean, energies of isolated atoms) are the
potential's energies of elements.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from ase.data import atomic_numbers
from torch import Tensor, nn

from gmd26_md.calculators._schnetpack import import_schnetpack, schnetpack_imports
from gmd26_md.calculators.batch import Batch
from gmd26_md.calculators.checkpoint import Checkpoint
from gmd26_md.calculators.vendors.agreement import Answer, check_finite, complaint, test_batch
from gmd26_md.calculators.vendors.arguments import checked_arguments
from gmd26_md.calculators.vendors.model import VendorModel, Whole
from gmd26_md.calculators.vendors.recognise import Kind
from gmd26_md.calculators.vendors.schnetpack_family import as_checkpoint
from gmd26_md.calculators.vendors.unpickle import unpickled
from gmd26_md.errors import UserError

ARGUMENTS = ("elements", "energy_unit", "position_unit", "energy_key")
ENERGY_UNITS = ("eV", "kcal/mol", "kJ/mol", "Ha", "Hartree", "Ry", "Rydberg")
_CASTS = ("CastMap", "CastTo32", "CastTo64")
_FAMILIES = {"SchNet": "schnet", "PaiNN": "painn"}


def open_schnetpack(content: bytes, path: Path, kind: Kind, sha256: str, arguments: Mapping[str, Any]) -> VendorModel:
    """Open a model that the user trusts. This runs code from the file.

    Parameters
    ----------
    arguments
        `elements` (symbols), `energy_unit` and `position_unit` (schnetpack's names);
        `energy_key` where the energy is not called "energy".

    Raises
    ------
    UserError
        If it cannot be loaded here, is no potential, says too little of itself, or changes its energy in ways that are
        not known here.
    """
    checked_arguments(arguments, ARGUMENTS, path)
    model = _loaded(content, path, kind.words)
    key, scale = _energy_key(model, arguments), _energy_unit(arguments, path)
    offsets = _offsets(model, key, path)
    elements = _elements(offsets, arguments, path, len(model.representation.embedding.weight))
    whole = Whole(
        network=lambda: WholeSchnetpack(_loaded(content, path, kind.words).double(), key),
        cutoff=round(float(model.representation.cutoff_fn.cutoff), 6),
        element_energies={z: float(offsets[z]) * scale for z in elements},
        energy_scale=scale,
    )
    batch = test_batch(elements, whole.cutoff)
    wanted = vendor_answer(model.double(), key, scale, batch)
    check_finite(wanted, path, kind.words)
    checkpoint, why = as_checkpoint(model, key, elements, whole)
    if checkpoint is not None:
        why = complaint(checkpoint.potential, wanted, batch, 1e-9)
    wrong = complaint(whole.potential, wanted, batch, 1e-9) if why else ""
    if wrong:
        raise UserError(f"{path} is {kind.words} whose wrapping differs ({wrong}); give its ASE calculator, see docs.")
    kept: Checkpoint | None = None if why else checkpoint
    name = type(model.representation).__name__
    return VendorModel(
        family=_FAMILIES.get(name, name), kind=kind.words, elements=elements, sha256=sha256, path=path, whole=whole,
        checkpoint=kept, why_whole=why,
    )  # fmt: skip


def _loaded(content: bytes, path: Path, words: str) -> Any:
    """Return schnetpack's `NeuralNetworkPotential`, in evaluation mode, not learning."""
    import_schnetpack()
    with schnetpack_imports():
        held = unpickled(content, path, words)
    model = held
    if isinstance(held, dict):  # of Lightning: the module among the hyperparameters, its weights beside it
        model = held.get("hyper_parameters", {}).get("model")
        if model is None:
            raise UserError(f"{path} is {words} without its model; give best_model, which training writes beside it.")
        weights = {n.removeprefix("model."): t for n, t in held["state_dict"].items() if n.startswith("model.")}
        model.load_state_dict(weights)
        model.do_postprocessing = True
    if type(model).__name__ != "NeuralNetworkPotential":
        raise UserError(f"{path} holds {type(model).__qualname__}, which is no NeuralNetworkPotential of schnetpack.")
    return model.cpu().eval().requires_grad_(False)


def _energy_key(model: Any, arguments: Mapping[str, Any]) -> str:
    """Return what the model calls its energy: as said, as its forces are made of, or "energy"."""
    of_forces = [m.energy_key for m in model.output_modules if type(m).__name__ == "Forces"]
    return str(arguments.get("energy_key") or next(iter(of_forces), "energy"))


def _energy_unit(arguments: Mapping[str, Any], path: Path) -> float:
    """Return eV for one unit of the model's energy; lengths must be in Å."""
    from schnetpack.units import convert_units

    energy, position = arguments.get("energy_unit"), arguments.get("position_unit", "Ang")
    if not energy:
        raise UserError(
            f"{path} does not say the unit of its energies; say it, --model-arg energy_unit=eV (or kcal/mol, Ha, ...)."
        )
    if energy not in ENERGY_UNITS:  # schnetpack would take a length or a force for one
        raise UserError(f"{path}: {energy!r} is no unit of energy; allowed are {', '.join(ENERGY_UNITS)}.")
    try:
        length, scale = float(convert_units(position, "Ang")), float(convert_units(energy, "eV"))
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: schnetpack knows no unit {position!r}; write Ang.") from error
    if abs(length - 1.0) > 1e-9:
        raise UserError(f"{path} has positions in {position}; only models in Å are known here.")
    return scale


def _offsets(model: Any, key: str, path: Path) -> Tensor:
    """Return what is added for an atom of each atomic number, (n,), in the model's unit, from its postprocessors."""
    n_rows = len(model.representation.embedding.weight)
    total = torch.zeros(max(n_rows, 119), dtype=torch.float64)
    for step in model.postprocessors if model.do_postprocessing else ():
        name = type(step).__name__
        of_energy = getattr(step, "_property", getattr(step, "output_key", None)) == key
        if name in _CASTS or not (of_energy or name not in ("AddOffsets", "ScaleProperty")):
            continue
        if name != "AddOffsets" or not step.is_extensive:
            raise UserError(f"{path} ends with {name} on its energy, which is not known here; give its ASE calculator.")
        if step.add_mean:
            total += float(step.mean)
        if step.add_atomrefs:
            table = step.atomref.double().flatten()[: len(total)]
            total[: len(table)] += table
    return total


def _elements(offsets: Tensor, arguments: Mapping[str, Any], path: Path, n_rows: int) -> tuple[int, ...]:
    """Return the elements: as said, or those whose offset is their own."""
    given = arguments.get("elements")
    symbols = [s.strip() for s in given.split(",")] if isinstance(given, str) else given
    if symbols is None:
        usual = float(offsets.mode().values)
        known = [z for z in range(1, min(n_rows, len(offsets))) if float(offsets[z]) != usual]
        if not known:
            raise UserError(f"{path} does not say which elements it knows; say it, --model-arg elements=H,C,O.")
        return tuple(known)
    if not isinstance(symbols, list) or not symbols or not all(atomic_numbers.get(s) for s in symbols):
        raise UserError(f"{path}: elements = {given!r}; write their symbols, --model-arg elements=H,C,O.")
    numbers = tuple(sorted({atomic_numbers[s] for s in symbols}))
    if numbers[-1] >= n_rows:
        raise UserError(f"{path} has no embedding of element {numbers[-1]}; its elements end at {n_rows - 1}.")
    return numbers


def _inputs(batch: Batch) -> dict[str, Tensor]:
    """Return a batch in schnetpack's words, without cells."""
    counts = torch.bincount(batch.system_idx, minlength=batch.n_systems)
    like = batch.positions
    return {
        "_atomic_numbers": batch.numbers,
        "_positions": like,
        "_idx_i": batch.pairs[0],
        "_idx_j": batch.pairs[1],
        "_idx_m": batch.system_idx,
        "_n_atoms": counts,
        "_offsets": like.new_zeros((batch.pairs.shape[1], 3)),
        "_cell": like.new_zeros((batch.n_systems, 3, 3)),
        "_pbc": torch.zeros(3 * batch.n_systems, dtype=torch.bool, device=like.device),
    }


def vendor_answer(model: Any, key: str, scale: float, batch: Batch) -> Answer:
    """Return what the vendor's own forward says, energies in eV and forces, postprocessing included."""
    with torch.enable_grad():
        inputs = _inputs(batch) | {"_positions": batch.positions.clone().requires_grad_(True)}
        found = model(inputs)
        forces = next((found[m.force_key] for m in model.output_modules if type(m).__name__ == "Forces"), None)
        if forces is None:
            forces = -torch.autograd.grad(found[key].sum(), inputs["_positions"])[0]
    return found[key].detach().double().reshape(-1) * scale, forces.detach().double() * scale


class WholeSchnetpack(nn.Module):
    """schnetpack's model behind a `Batch`, less forces and offsets; a system's energy is its first atom's."""

    def __init__(self, model: Any, key: str) -> None:
        super().__init__()
        self.model, self.key = model, key

    def forward(self, batch: Batch) -> Tensor:
        """Return energies, (n_atoms,), in the model's unit."""
        inputs = _inputs(batch)
        for module in (*self.model.input_modules, self.model.representation, *self.model.output_modules):
            if type(module).__name__ != "Forces":
                inputs = module(inputs)
        counts = inputs["_n_atoms"]
        energy = inputs[self.key].reshape(-1)
        first = counts.cumsum(0) - counts
        return torch.zeros_like(batch.positions[:, 0]).index_add(0, first, energy.to(batch.positions.dtype))
