"""Unpickling what a user trusts: the process stays as it was, and failures are told in one line."""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import torch

from gmd26_md.calculators.side_effects import contained
from gmd26_md.errors import UserError

_CURE = (
    "such files depend on their packages' versions: convert it where it was made, with `gmd26-md convert`, or save it "
    "there anew"
)


def run_file(load: Callable[[io.BytesIO], Any], content: bytes, path: Path, words: str, *, cure: str = _CURE) -> Any:
    """Return what `load` makes of a file's content. This runs code from the file.

    Raises
    ------
    UserError
        If the file is damaged, or was written by versions of packages that cannot be read by those here.
    """
    check_records(content, path)
    try:
        with contained(), warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            return load(io.BytesIO(content))
    except Exception as error:  # a pickle may raise anything
        reason = (str(error).strip().splitlines() or [""])[0][:160]
        raise UserError(
            f"{path} is {words}, and cannot be loaded here ({type(error).__name__}: {reason}); {cure}."
        ) from error


def unpickled(content: bytes, path: Path, words: str) -> Any:
    """Return the object in a file of torch.save, on the CPU; see `run_file`."""
    return run_file(lambda at: torch.load(at, map_location="cpu", weights_only=False), content, path, words)


def check_records(content: bytes, path: Path) -> None:
    """Raise unless every record of an archive has its checksum: torch compares none.

    Raises
    ------
    UserError
        With the cure.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            broken = archive.testzip()
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise UserError(f"{path} is truncated or damaged ({error}); copy it again.") from error
    if broken:
        raise UserError(f"{path} is damaged ({broken} does not have its checksum); copy it again.")
