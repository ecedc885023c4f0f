"""What runs in a worker process of the generation: one molecule at a time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ase.calculators.calculator import BaseCalculator

    from gmd26_md.datasets.sample import SamplingSettings
    from gmd26_md.molecules import Molecule

_messages: Any = None


def listen(messages: Any) -> None:
    """Give a fresh worker the queue on which it reports progress."""
    global _messages
    _messages = messages


def sample(molecule: Molecule, folder: Path, level: str, settings: SamplingSettings, command: str) -> dict[str, str]:
    """Make one molecule's data; see `sample.sample_molecule`."""
    from gmd26_md.calculators import load_calculator
    from gmd26_md.datasets.sample import sample_molecule

    def report(fraction: float) -> None:
        _messages.put((molecule.slug, fraction))

    def reference() -> BaseCalculator:
        return load_calculator(level, accuracy=settings.accuracy, warm_start=True)

    return sample_molecule(molecule, folder, level, reference, settings, command, report)
