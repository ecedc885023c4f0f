"""What is wrong with reference data, one line each; and the units that wrong numbers are likely to be in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ase.units import Bohr, Hartree, kcal, kJ, mol

ENERGY_UNITS: Mapping[str, float] = {
    "Hartree": 1 / Hartree,
    "Rydberg": 2 / Hartree,
    "kcal/mol": mol / kcal,
    "kJ/mol": mol / kJ,
    "meV": 1e3,
}
"""What one eV is in each."""

FORCE_UNITS: Mapping[str, float] = {
    "Hartree/Bohr": Bohr / Hartree,
    "Hartree/Å": 1 / Hartree,
    "kcal/mol/Å": mol / kcal,
    "kJ/mol/Å": mol / kJ,
    "meV/Å": 1e3,
    "eV/Bohr": Bohr,
}
"""What one eV/Å is in each."""

LENGTH_UNITS: Mapping[str, float] = {"Bohr": 1 / Bohr, "nm": 0.1, "pm": 100.0}
"""What one Å is in each."""


@dataclass(frozen=True)
class Fault:
    """Something wrong in the data of one stage.

    Attributes
    ----------
    kind
        One word or two, for programs: "graph", "jump", "hash".
    words
        What is wrong, with its number and what is allowed.
    frame
        The first frame that shows it, counted from 0; None where it is no matter of frames.
    value, limit
        What decided, in the units of `words`; None where it is no number.
    """

    kind: str
    words: str
    frame: int | None = None
    value: float | None = None
    limit: float | None = None


@dataclass(frozen=True)
class Problem:
    """A fault, and where it is.

    Attributes
    ----------
    molecule
        Its name, or the name of the folder where there is no such molecule.
    stage
        One of `store.STAGES`, or "" for the whole molecule.
    fault
        What is wrong.
    """

    molecule: str
    stage: str
    fault: Fault

    @property
    def line(self) -> str:
        """One line for a person."""
        frame = None if self.fault.frame is None else f"frame {self.fault.frame}"
        place = ", ".join(part for part in (self.molecule, self.stage, frame) if part)
        return f"{place}: {self.fault.words}"


def likely_unit(factor: float, units: Mapping[str, float], within: float) -> str | None:
    """Return the unit in which numbers are `factor` times too large; None if none fits.

    Parameters
    ----------
    factor
        What was found over what is right.
    units
        By name, what one of the right unit is in it.
    within
        Largest relative deviation of the factor.
    """
    if not (math.isfinite(factor) and factor > 0):
        return None
    name = min(units, key=lambda one: abs(math.log(factor / units[one])))
    return name if abs(math.log(factor / units[name])) <= math.log1p(within) else None


def and_more(n_frames: int) -> str:
    """Return " (and 3 more frames)" for four frames of which the first is named; empty for one."""
    if n_frames < 2:
        return ""
    return f" (and {n_frames - 1} more frame{'s' if n_frames > 2 else ''})"
