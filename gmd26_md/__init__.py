"""Test machine-learned interatomic potentials where static errors do not look: in relaxation and dynamics.

The public names import what they need when first used; importing this package imports neither torch nor ASE.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gmd26_md.calculators import load_calculator, load_checkpoint
    from gmd26_md.errors import UnsupportedElementError, UserError
    from gmd26_md.molecules import FAMILIES, Molecule
    from gmd26_md.record_columns import records_frame
    from gmd26_md.tasks import TASKS, Task

__version__ = "0.1.0"

_HOMES = {
    "FAMILIES": "molecules",
    "Molecule": "molecules",
    "TASKS": "tasks",
    "Task": "tasks",
    "UnsupportedElementError": "errors",
    "UserError": "errors",
    "load_calculator": "calculators",
    "load_checkpoint": "calculators",
    "records_frame": "record_columns",
}
__all__ = [
    "FAMILIES",
    "TASKS",
    "Molecule",
    "Task",
    "UnsupportedElementError",
    "UserError",
    "load_calculator",
    "load_checkpoint",
    "records_frame",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted({*globals(), *__all__})
