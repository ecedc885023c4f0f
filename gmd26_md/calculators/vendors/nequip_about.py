"""What a compiled model of nequip says of itself, read beside its code; nothing is run."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

from ase.data import atomic_numbers

from gmd26_md.errors import UserError

INSTEAD = "give the checkpoint or the package that it was compiled from"
AGAIN = "compile it again, where it shall run, with a recent nequip"
_INPUTS = {"pos", "edge_index", "atom_types", "cell", "edge_cell_shift", "batch", "num_atoms"}
_OUTPUTS = {"atomic_energy", "forces"}


@dataclass(frozen=True)
class About:
    """A compiled model in the words that stand in its file.

    Attributes
    ----------
    elements
        Atomic numbers, in the order in which the model counts its types.
    cutoff
        Å.
    pair_cutoffs
        Å, (n_types, n_types) of centre and neighbour; of no size where all pairs have `cutoff`.
    precision
        "float64" or "float32", in which its weights compute; positions and sums are float64 in both. Empty if unknown.
    inputs, outputs
        Of AOTInductor, in order; none of a script, which takes and gives them by name.
    device
        Where code of AOTInductor runs ("cpu", "cuda"); empty of a script, which runs anywhere.
    machine
        Operating system and processor for which AOTInductor compiled; empty of a script.
    libraries
        Python modules whose operations it calls.
    """

    elements: tuple[int, ...]
    cutoff: float
    pair_cutoffs: tuple[tuple[float, ...], ...] = ()
    precision: str = ""
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    device: str = ""
    machine: str = ""
    libraries: tuple[str, ...] = ()


def about_compiled(content: bytes, path: Path) -> About:
    """Return what a compiled model says of itself.

    Raises
    ------
    UserError
        If it does not say its elements, cutoff, inputs or outputs, or they cannot be used here.
    """
    words = _words(content, path)
    aot = "AOTI_DEVICE_KEY" in words
    needed = ["type_names", "r_max", *(["nequip_aoti_inputs", "nequip_aoti_outputs"] if aot else [])]
    absent = [name for name in needed if not words.get(name)]
    if absent:
        raise UserError(f"{path} is a compiled model of nequip that does not say its {absent[0]}; {AGAIN}.")
    names = words["type_names"].split()
    foreign = [name for name in names if name not in atomic_numbers or name == "X"]
    if foreign:
        raise UserError(f"{path} has atoms of type {foreign[0]!r}, which is no element's symbol; it cannot run here.")
    inputs, outputs = (tuple(words.get(f"nequip_aoti_{which}", "").split()) for which in ("inputs", "outputs"))
    if aot and (not set(inputs) <= _INPUTS or not set(outputs) >= _OUTPUTS):
        raise UserError(
            f"{path} was compiled to take {', '.join(inputs)} and to give {', '.join(outputs)}; what takes positions "
            "and pairs and gives energies of atoms and forces can run: compile it with --target ase."
        )
    try:
        cutoffs = tuple(float(value) for value in words.get("per_edge_type_cutoff", "").split())
        return About(
            elements=tuple(atomic_numbers[name] for name in names),
            cutoff=float(words["r_max"]),
            pair_cutoffs=tuple(zip(*[iter(cutoffs)] * len(names), strict=True)),
            precision=words.get("model_dtype", ""),
            inputs=inputs,
            outputs=outputs,
            device=words.get("AOTI_DEVICE_KEY", ""),
            machine=" ".join(words[name] for name in ("AOTI_PLATFORM", "AOTI_MACHINE") if words.get(name)),
            libraries=tuple(words.get("nequip_custom_ops_libs", "").split()),
        )
    except ValueError as error:
        raise UserError(f"{path} is a compiled model of nequip that says nonsense of itself ({error}).") from error


def _words(content: bytes, path: Path) -> dict[str, str]:
    """Return the names and values beside the code: files `extra/NAME` of a script, one of JSON of AOTInductor."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
            beside = [name for name in names if name.endswith("wrapper_metadata.json")]
            if beside:
                return {str(name): str(value) for name, value in json.loads(archive.read(beside[0])).items()}
            extra = [name for name in names if "/extra/" in name]
            return {name.rpartition("/extra/")[2]: archive.read(name).decode() for name in extra}
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError, AttributeError) as error:
        raise UserError(f"{path} is truncated or damaged ({error}); copy it again.") from error
