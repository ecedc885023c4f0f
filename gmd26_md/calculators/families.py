"""Find an architecture by the name of its file: `calculators/schnet.py` is the family "schnet".

A file is a torch family if it defines `network` at top level, and an engine without weights (GFN2-xTB, the
harmonic toy) if it defines `engine`. Nothing is registered anywhere else, and listing the names imports nothing.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from gmd26_md.errors import unknown_name

if TYPE_CHECKING:
    from torch import nn

_FOLDER = Path(__file__).parent


def family_names() -> tuple[str, ...]:
    """Return the names of all torch families, as users write them ("deepset-moe")."""
    return _names_of_files_that_define("network")


def engine_names() -> tuple[str, ...]:
    """Return the names of all engines that need no checkpoint ("gfn2-xtb", "harmonic")."""
    return _names_of_files_that_define("engine")


def family_module(family: str) -> ModuleType:
    """Return the module of a torch family; its vendor is not imported yet.

    Raises
    ------
    UserError
        For an unknown family, with the closest known one.
    """
    return _module("family", family, family_names())


def engine_module(name: str) -> ModuleType:
    """Return the module of an engine that needs no checkpoint.

    Raises
    ------
    UserError
        For an unknown name, with the closest known one.
    """
    return _module("calculator", name, engine_names())


def default_hyperparameters(family: str) -> dict[str, Any]:
    """Return a fresh copy of a family's default hyperparameters, `cutoff` in Å among them."""
    return dict(family_module(family).DEFAULTS)


def build_network(family: str, hyperparameters: dict[str, Any], elements: tuple[int, ...]) -> nn.Module:
    """Return a new network of this family, on the CPU; the process is left as it was.

    The initial weights come from torch's global stream, whose state is put back afterwards: set a seed around
    the call (in a fork of the stream) to choose them.
    """
    from gmd26_md.calculators.side_effects import contained

    module = family_module(family)
    with contained():
        network: nn.Module = module.network(dict(hyperparameters), tuple(elements))
        return network


def _module(kind: str, name: str, allowed: tuple[str, ...]) -> ModuleType:
    if name not in allowed:
        raise unknown_name(kind, name, allowed)
    return import_module(f"gmd26_md.calculators.{name.replace('-', '_')}")


@cache
def _names_of_files_that_define(function: str) -> tuple[str, ...]:
    """Return file names, with - for _, whose source defines this function at top level."""
    pattern = re.compile(rf"^def {function}\(", re.MULTILINE)
    files = sorted(_FOLDER.glob("*.py"))
    return tuple(f.stem.replace("_", "-") for f in files if pattern.search(f.read_text(encoding="utf-8")))
