"""Find an architecture by the name of its file: `calculators/schnet.py` is the family "schnet".

A file is a torch family if it defines `network` at top level, and an engine without weights (GFN2-xTB, the
harmonic toy) if it defines `engine`. Nothing is registered anywhere else, and listing the names imports nothing.

An engine that comes in several kinds offers `VARIANTS` and, as `VARIANT_OPTION`, the option that tells them apart; then
a name may go on: "pbe-d3bj/def2-tzvp". Such a name is one, and no path, whatever files there are.

A file that rests on packages of others names them as `PACKAGES`, and as `INSTALL` what brings those that do not come
with gmd26-md itself.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
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


def written_defaults(family: str) -> dict[str, Any]:
    """Return the default hyperparameters as they stand in the family's file, without importing it (nor torch).

    Raises
    ------
    UserError
        For an unknown family.
    """
    found: dict[str, Any] = _literal(_known("family", family, family_names()), "DEFAULTS", {})
    return found


def packages(name: str) -> dict[str, str | None]:
    """Return the packages that a family or an engine rests on, with their versions; None for one that is not installed.

    torch is not among them, and nothing is imported.

    Raises
    ------
    UserError
        For an unknown name.
    """
    names = _literal(_known("family or calculator", name, (*family_names(), *engine_names())), "PACKAGES", ())
    return {package: installed_version(package) for package in names}


def installed_version(package: str) -> str | None:
    """Return a package's version, None where it is not installed; it is not imported."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def installed_versions() -> dict[str, str]:
    """Return the versions of torch and of every package that a family or an engine rests on, where it is installed."""
    names = [package for name in (*family_names(), *engine_names()) for package in packages(name)]
    found = {package: installed_version(package) for package in dict.fromkeys(["torch", *names])}
    return {package: number for package, number in found.items() if number}


def install_line(name: str) -> str:
    """Return the command that brings the packages of a family or an engine.

    Raises
    ------
    UserError
        For an unknown name.
    """
    known = _known("family or calculator", name, (*family_names(), *engine_names()))
    line: str = _literal(known, "INSTALL", "pip install gmd26-md")
    return line


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


def _known(kind: str, name: str, allowed: tuple[str, ...]) -> str:
    if name not in allowed:
        raise unknown_name(kind, name, allowed)
    return name


def _module(kind: str, name: str, allowed: tuple[str, ...]) -> ModuleType:
    return import_module(f"gmd26_md.calculators.{_known(kind, name, allowed).replace('-', '_')}")


@cache
def _assigned(name: str) -> dict[str, Any]:
    """Return what a family's file assigns at top level, as syntax."""
    tree = ast.parse((_FOLDER / f"{name.replace('-', '_')}.py").read_text(encoding="utf-8"))
    found: dict[str, Any] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {target.id: node.value for target in targets if isinstance(target, ast.Name)}
    return found


def _literal(name: str, constant: str, default: Any) -> Any:
    """Return a fresh copy of a constant that a family's file spells out."""
    value = _assigned(name).get(constant)
    return default if value is None else ast.literal_eval(value)


@cache
def _names_of_files_that_define(function: str) -> tuple[str, ...]:
    """Return file names, with - for _, whose source defines this function at top level."""
    pattern = re.compile(rf"^def {function}\(", re.MULTILINE)
    files = sorted(_FOLDER.glob("*.py"))
    return tuple(f.stem.replace("_", "-") for f in files if pattern.search(f.read_text(encoding="utf-8")))
