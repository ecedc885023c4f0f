"""A TorchScript model of mace-torch, run as it is: NAME_compiled.model, or what mace_create_lammps_model writes.

Its hyperparameters cannot be read from the script, so that it is never a checkpoint of ours.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from gmd26_md.calculators.vendors.agreement import answer_of, test_batch
from gmd26_md.calculators.vendors.arguments import checked_arguments
from gmd26_md.calculators.vendors.mace_model import WholeMACE, element_energies, head_index
from gmd26_md.calculators.vendors.model import VendorModel, Whole
from gmd26_md.calculators.vendors.unpickle import run_file
from gmd26_md.errors import UserError


def open_script(content: bytes, path: Path, words: str, sha256: str, arguments: Mapping[str, Any]) -> VendorModel:
    """Open a script that the user trusts: TorchScript can write files.

    Parameters
    ----------
    arguments
        `head`, the number of one, of a model that has several and was not made for LAMMPS with one.

    Raises
    ------
    UserError
        If it cannot be loaded here, or does not answer as a MACE does.
    """
    checked_arguments(arguments, ("head",), path)
    script, head = _loaded(content, path, words, arguments)
    elements = tuple(int(z) for z in script.atomic_numbers)
    whole = Whole(
        network=lambda: WholeMACE(_loaded(content, path, words, arguments)[0].double(), elements, head),
        cutoff=round(float(script.r_max), 6),
        element_energies=element_energies(script, elements, head),
    )
    batch = test_batch(elements, whole.cutoff)
    try:
        energies, forces = answer_of(whole.potential(), batch)
    except (RuntimeError, KeyError, AttributeError) as error:
        reason = str(error).strip().splitlines()[-1][:160]
        raise UserError(f"{path} is {words} that does not answer as one ({reason}); give its .model file.") from error
    if not (torch.isfinite(energies).all() and torch.isfinite(forces).all()):
        raise UserError(f"{path} is {words} whose energies or forces are not finite; give its .model file.")
    return VendorModel(
        family="mace", kind=words, elements=elements, sha256=sha256, path=path, whole=whole, checkpoint=None,
        why_whole="a script does not tell its hyperparameters",
    )  # fmt: skip


def _loaded(content: bytes, path: Path, words: str, arguments: Mapping[str, Any]) -> tuple[Any, int]:
    """Return the script of the bare MACE, and the number of its head."""

    def load(at: io.BytesIO) -> Any:
        return torch.jit.load(at, map_location="cpu")  # type: ignore[no-untyped-call]

    script = run_file(load, content, path, words).eval()
    for weight in script.parameters():
        weight.requires_grad = False
    if hasattr(script, "head"):  # made for LAMMPS, with one head
        head = int(script.head[0])
        return script.model, head
    n_heads = len(torch.atleast_2d(script.atomic_energies_fn.atomic_energies))
    asked = arguments.get("head")
    head = head_index([str(i) for i in range(n_heads)], None if asked is None else str(asked), path)
    return script, head
