"""Calculators: one door, one ASE class, one file a family.

`load_calculator` is the only way in. Nothing is imported with this package: torch and the vendors come with use.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gmd26_md.calculators.ase_face import MLIPCalculator
    from gmd26_md.calculators.checkpoint import Checkpoint, load_checkpoint, save_checkpoint

_HOMES = {
    "Checkpoint": "checkpoint",
    "load_checkpoint": "checkpoint",
    "save_checkpoint": "checkpoint",
    "MLIPCalculator": "ase_face",
}
__all__ = ["Checkpoint", "MLIPCalculator", "load_calculator", "load_checkpoint", "save_checkpoint"]


def load_calculator(
    path_or_name: str | Path | Sequence[str | Path],
    device: str = "auto",
    dtype: str = "float64",
    *,
    trust_pickle: bool = False,
    arguments: Mapping[str, Any] | None = None,
    **options: Any,
) -> MLIPCalculator:
    """Return an ASE calculator for a model file, for several as a committee, or for a name such as "gfn2-xtb".

    Parameters
    ----------
    path_or_name
        Path of a checkpoint, or of a model file of another package (told by its content); or the name of a calculator
        that needs none, or of a function that returns one ("package.module:function", "path/file.py:function"). A name
        goes before a file. Several paths are a committee: energy and forces are the mean over its members; what each
        said is the calculator's `committee`.
    device
        "auto", "cpu", "cuda", "cuda:1", "mps". "auto" takes the best that is there and knows the precision.
    dtype
        "float64" or "float32".
    trust_pickle
        Whether a file of another package may run code from itself, as most such files do when they are loaded.
    arguments
        Keyword arguments of a function, or what such a file leaves open (docs/your-own-model.md).
    options
        The named calculator's own options (`gfn2_xtb.OPTIONS`, `pbe_d3bj.OPTIONS`, `harmonic.OPTIONS`).

    Raises
    ------
    UserError
        If there is no such file, name or function, the file is of no known kind or would run code and is not trusted,
        the device is not there, an option is unknown, or a committee has fewer than two members or one of them twice.
    """
    from gmd26_md.calculators.ase_face import MLIPCalculator

    return MLIPCalculator(
        model=path_or_name,
        device=device,
        dtype=dtype,
        trust_pickle=trust_pickle,
        arguments=dict(arguments or {}),
        **options,
    )


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
