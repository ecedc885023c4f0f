"""What a user says beside a model file, as name=value: checked, and part of what the model is."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from gmd26_md import strict_json
from gmd26_md.errors import UserError, unknown_name


def checked_arguments(arguments: Mapping[str, Any], allowed: Collection[str], path: Path) -> None:
    """Raise unless all arguments are among those that this kind of file takes.

    Raises
    ------
    UserError
        With those that are.
    """
    for name in arguments:
        if not allowed:
            raise UserError(f"{path} takes no arguments, got {name!r}; leave --model-arg out.")
        if name not in allowed:
            raise unknown_name(f"argument of {path.name}", name, allowed)


def identity(sha256: str, arguments: Mapping[str, Any]) -> str:
    """Return the hash that stands for a file and what was said beside it: the file's own where nothing was."""
    if not arguments:
        return sha256
    return hashlib.sha256(f"{sha256} {strict_json.canonical(dict(arguments))}".encode()).hexdigest()
