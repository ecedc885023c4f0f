"""Open a model file of any kind: a checkpoint of ours, or a file of another package that the user trusts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gmd26_md.calculators import checkpoint_file
from gmd26_md.calculators.checkpoint import Checkpoint, load_checkpoint
from gmd26_md.calculators.vendors import recognise
from gmd26_md.calculators.vendors.arguments import checked_arguments, identity
from gmd26_md.calculators.vendors.model import VendorModel
from gmd26_md.errors import UserError


def open_model_file(
    path: Path | str, *, trust_pickle: bool = False, arguments: Mapping[str, Any] | None = None
) -> Checkpoint | VendorModel:
    """Open a model file, told by its content.

    Parameters
    ----------
    trust_pickle
        Whether code from the file may run, which a file of another package needs; a checkpoint of ours runs none.
    arguments
        What a file of another package leaves open, as `docs/your-own-model.md` lists by kind.

    Raises
    ------
    UserError
        On one line: for what `load_checkpoint` refuses, for a file that would run code and is not trusted (none has
        run), and for one that cannot be opened here.
    """
    path, given = Path(path), dict(arguments or {})
    content = checkpoint_file.bytes_of(path)
    kind = recognise.kind_of(content)
    if kind is None:
        checkpoint = load_checkpoint(path)
        checked_arguments(given, (), path)
        return checkpoint
    refuse_hopeless(kind, path)
    if not trust_pickle and kind != recognise.NEQUIP_LIGHTNING:  # read as our own checkpoints are
        raise UserError(
            f"{path} is {kind.words}: to load it is to run code from it, and nothing in it was run. If you trust who "
            f"made it, add --trust-pickle (in Python trust_pickle=True){_or_else(kind, path)}."
        )
    try:
        return _opened(kind, content, path.resolve(), given)
    except UserError:
        raise
    except Exception as error:  # an object of another package need not have what its class promises
        reason = (str(error).strip().splitlines() or [""])[-1][:160]
        raise UserError(
            f"{path} is {kind.words} that surprises ({type(error).__name__}: {reason}); give its package's ASE "
            "calculator as --model FILE.py:FUNCTION, see docs/your-own-model.md."
        ) from error


def _or_else(kind: recognise.Kind, path: Path) -> str:
    """Say what can be done in place of running code each time."""
    if kind == recognise.NEQUIP_COMPILED:
        return ", or give the checkpoint of nequip-train or the package that it was compiled from"
    if kind == recognise.MACE_SCRIPT:
        return ""
    return f", or convert it once: `gmd26-md convert {path} --trust-pickle -o model.pt`"


def refuse_hopeless(kind: recognise.Kind, path: Path) -> None:
    """Raise for a kind that is known and cannot be opened as it is.

    Raises
    ------
    UserError
        With what to do instead.
    """
    if kind == recognise.STATE_DICT:
        raise UserError(
            f"{path} is {kind.words} that do not say of what; convert them with "
            f"`gmd26-md convert {path} --family NAME --hyperparameters FILE.toml -o model.pt`."
        )
    if kind == recognise.MACE_MLIAP:
        raise UserError(f"{path} is {kind.words}, which computes there only; give the .model file that it was made of.")
    if kind == recognise.MACE_TRAINING:
        raise UserError(
            f"{path} is {kind.words}, which does not say its architecture; give the .model file that mace_run_train "
            "writes beside it."
        )
    if kind.name == "foreign":
        raise UserError(
            f"{path} is {kind.words}, which is not known here; give its package's ASE calculator as "
            "--model FILE.py:FUNCTION, see docs/your-own-model.md."
        )


def _opened(kind: recognise.Kind, content: bytes, path: Path, arguments: dict[str, Any]) -> VendorModel:
    sha256 = identity(hashlib.sha256(content).hexdigest(), arguments)
    if kind == recognise.MACE_MODEL:
        from gmd26_md.calculators.vendors.mace_model import open_mace

        return open_mace(content, path, kind.words, sha256, arguments)
    if kind == recognise.MACE_SCRIPT:
        from gmd26_md.calculators.vendors.mace_script import open_script

        return open_script(content, path, kind.words, sha256, arguments)
    if kind in (recognise.SCHNETPACK_MODEL, recognise.SCHNETPACK_LIGHTNING):
        from gmd26_md.calculators.vendors.schnetpack_model import open_schnetpack

        return open_schnetpack(content, path, kind, sha256, arguments)
    if kind == recognise.NEQUIP_COMPILED:
        from gmd26_md.calculators.vendors.nequip_compiled import open_compiled

        return open_compiled(content, path, kind.words, sha256, arguments)
    if kind in (recognise.NEQUIP, recognise.NEQUIP_LIGHTNING):
        from gmd26_md.calculators.nequip_files import nequip_model

        return nequip_model(content, path, kind, sha256, arguments)
    raise UserError(f"{path} is {kind.words}, which cannot be opened here; see docs/your-own-model.md.")
