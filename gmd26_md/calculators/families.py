"""Find an architecture by the name of its file: `calculators/schnet.py` is the family "schnet".

A file is a torch family if it defines `network` at top level, and an engine without weights (GFN2-xTB, the
harmonic toy) if it defines `engine`. Nothing is registered anywhere else, and listing the names imports nothing.

An engine that comes in several kinds offers `VARIANTS` and, as `VARIANT_OPTION`, the option that tells them apart; then
a name may go on: "pbe-d3bj/def2-tzvp". Such a name is one, and no path, whatever files there are.
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

    from gmd26_md.calculators.ase_face import Engine

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


def is_engine(name: str) -> bool:
    """Tell whether this is an engine's name, with or without a variant, be it one that the engine has or not."""
    return _parts(name)[0] in engine_names()


def full_name(name: str) -> str:
    """Return an engine's name with the variant that it stands for: "pbe-d3bj" is "pbe-d3bj/def2-svp"."""
    bare, variant = _parts(name)
    module = engine_module(name)
    if not variant and hasattr(module, "VARIANTS"):
        variant = module.OPTIONS[module.VARIANT_OPTION]
    return f"{bare}/{variant}" if variant else bare


def engine_module(name: str) -> ModuleType:
    """Return the module of an engine that needs no checkpoint; a variant in the name is not looked at.

    Raises
    ------
    UserError
        For an unknown name, with the closest known one.
    """
    return _module("calculator", _parts(name)[0], engine_names())


def engine_options(name: str) -> dict[str, Any]:
    """Return a fresh copy of an engine's options with their defaults, without the one that its name settles."""
    module = engine_module(name)
    settled = module.VARIANT_OPTION if _parts(name)[1] else None
    return {option: default for option, default in module.OPTIONS.items() if option != settled}


def built_engine(name: str, options: dict[str, Any]) -> Engine:
    """Return the engine of this name with these options (complete, as `engine_options`).

    Raises
    ------
    UserError
        For an unknown name or variant, an option that cannot be, or a package that is not installed.
    """
    module, variant = engine_module(name), _parts(name)[1]
    engine: Engine = module.engine({**options, module.VARIANT_OPTION: variant} if variant else dict(options))
    return engine


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


def _parts(name: str) -> tuple[str, str]:
    """Return an engine's name and its variant; the whole and nothing for any other text, a path among them."""
    bare, _, variant = name.partition("/")
    if variant and bare in engine_names() and hasattr(_module("calculator", bare, engine_names()), "VARIANTS"):
        return bare, variant
    return name, ""


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
