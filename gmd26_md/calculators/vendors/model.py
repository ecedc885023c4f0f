"""A model of another package, opened: as a checkpoint of ours where that says the same, else as it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from gmd26_md.calculators.device import choose_device, choose_dtype
from gmd26_md.calculators.potential import Potential

if TYPE_CHECKING:
    from gmd26_md.calculators.checkpoint import Checkpoint


@dataclass(frozen=True, eq=False)
class Whole:
    """The original behind a `Potential`: evaluated by its own package.

    Attributes
    ----------
    network
        Returns a new network, in float64 on the CPU, that maps a `Batch` to atomic energies.
    cutoff
        Å.
    element_energies
        eV of each known element.
    energy_scale
        eV for one unit of the network's output.
    """

    network: Callable[[], nn.Module]
    cutoff: float
    element_energies: Mapping[int, float]
    energy_scale: float = 1.0

    def potential(self, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float64) -> Potential:
        """Return a potential of its own, frozen, in evaluation mode."""
        potential = Potential(
            self.network(),
            cutoff=self.cutoff,
            element_energies=self.element_energies,
            energy_scale=self.energy_scale,
        )
        return potential.to(device=device, dtype=dtype).eval().requires_grad_(False)


@dataclass(frozen=True, eq=False)
class VendorModel:
    """A model file of another package, opened; it answers like a `Checkpoint`.

    Attributes
    ----------
    family
        "mace", "schnet", "painn", or the vendor's class where it is none of ours.
    kind
        What the file is, in words.
    elements
        Atomic numbers that it knows.
    sha256
        Of the file; with arguments, of the file's hash and them.
    path
        The file, absolute.
    whole
        The original.
    checkpoint
        The same as a checkpoint of ours, shown to agree with the original; None where it cannot be said as one.
    why_whole
        Why there is no checkpoint; empty where there is one.
    level_of_theory, task
        What the file says of its training: nothing.
    """

    family: str
    kind: str
    elements: tuple[int, ...]
    sha256: str
    path: Path
    whole: Whole
    checkpoint: Checkpoint | None
    why_whole: str = ""
    level_of_theory: str = ""
    task: str = ""
    forces_are_gradient: bool = field(default=True, init=False)

    @property
    def cutoff(self) -> float:
        """Pair cutoff, Å."""
        return self.whole.cutoff

    def potential(self, device: str | torch.device = "cpu", dtype: str | torch.dtype = "float64") -> Potential:
        """Return the potential, ready to evaluate: by our own family's evaluation, else by the original.

        Raises
        ------
        UserError
            If the device or the precision is not there.
        """
        precision = choose_dtype(dtype)
        place = choose_device(device, precision)
        if self.checkpoint is not None:
            return self.checkpoint.potential(place, precision)
        return self.whole.potential(place, precision)
