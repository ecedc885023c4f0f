"""Which reference it is: a name where that says all, and a hash where a file or somebody's code is behind it."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from gmd26_md.calculators import families, load_calculator, named_function
from gmd26_md.files import sha256_of


def reference_identity(name: str) -> str:
    """Return what tells a reference from any other.

    Of an engine its name, of a file its hash, of a function the hash that the calculator has: of its code, or of the
    version of its package. It does not see what that code imports.

    Raises
    ------
    UserError
        If there is no such function, or it cannot be called.
    """
    if families.is_engine(name):
        return name
    if named_function.is_function(name):
        full = named_function.full_function(name)
        return _of_function(full, _content(Path(full.rpartition(":")[0])))
    return _content(Path(name)) or name


def _content(path: Path) -> str:
    return sha256_of(path) if path.is_file() else ""


@lru_cache
def _of_function(name: str, content: str) -> str:
    """Return the hash of a function's calculator, which is made for it: once for each content of its file."""
    return str(load_calculator(name).parameters["sha256"])
