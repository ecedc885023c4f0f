"""What a verification saw, in numbers: how many frames, and the worst of everything beside its limit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gmd26_md.datasets.verify import Measured, MoleculeReport
from gmd26_md.observables.topology import Limits


@dataclass(frozen=True)
class Worst:
    """The worst of one kind that was measured.

    Attributes
    ----------
    words
        What it is, with its unit.
    value, limit
        In that unit.
    where
        Molecule and stage.
    """

    words: str
    value: float
    limit: str
    where: str


def n_frames(reports: Sequence[MoleculeReport]) -> int:
    """Return how many frames of trajectories were read; minima are not counted."""
    return sum(int(m["n_frames"] or 0) for r in reports for stage, m in r.measured.items() if stage != "minimum")


def worst(reports: Sequence[MoleculeReport]) -> list[Worst]:
    """Return the worst of each kind that was measured anywhere, in the order of the checks."""
    return [found for row in _ROWS if (found := _worst(reports, *row)) is not None]


def _worst(
    reports: Sequence[MoleculeReport],
    words: str,
    value: Callable[[Measured], float | None],
    limit: Callable[[Measured], str],
    sign: int,
) -> Worst | None:
    rows = [
        (sign * number, r.molecule, stage, measured)
        for r in reports
        for stage, measured in r.measured.items()
        if (number := value(measured)) is not None
    ]
    if not rows:
        return None
    number, molecule, stage, measured = max(rows, key=lambda row: row[0])
    return Worst(words, sign * number, limit(measured), f"{molecule}, {stage}")


def _of(name: str) -> Callable[[Measured], float | None]:
    return lambda measured: measured.get(name)


def _size(name: str) -> Callable[[Measured], float | None]:
    return lambda measured: None if (value := measured.get(name)) is None else abs(value)


def _least_steps(measured: Measured) -> str:
    return f"{measured['least_start_steps']:g} up"


def _off(measured: Measured) -> float | None:
    found, wanted = measured.get("virial_K"), measured.get("temperature_K")
    return None if found is None or wanted is None else abs(found - wanted)


def _ratio(over: str, under: str) -> Callable[[Measured], float | None]:
    def ratio(measured: Measured) -> float | None:
        above, below = measured.get(over), measured.get(under)
        return None if above is None or not below else above / below

    return ratio


def _stated(name: str) -> Callable[[Measured], str]:
    return lambda measured: f"{measured[name]:.3g}"


def _fixed(words: str) -> Callable[[Measured], str]:
    return lambda measured: words


_ROWS: tuple[tuple[str, Callable[[Measured], float | None], Callable[[Measured], str], int], ...] = (
    ("largest force at a minimum, eV/Å", _of("largest_force_eV_per_A"), _fixed("as asked"), 1),
    ("energy off the level's own, eV", _of("energy_eV"), _stated("energy_limit_eV"), 1),
    ("force off the level's own, eV/Å", _of("force_eV_per_A"), _stated("force_limit_eV_per_A"), 1),
    ("force off the slope of the energy, eV/Å", _of("difference_eV_per_A"), _stated("force_limit_eV_per_A"), 1),
    ("longest bond, sums of covalent radii", _of("longest_bond_radii"), _fixed(f"{Limits().broken_radii:g}"), 1),
    ("energy jump over what is allowed", _ratio("largest_jump_eV", "jump_limit_eV"), _fixed("1"), 1),
    ("temperature of the forces off, K", _off, _stated("allowed_off_K"), 1),
    ("start of secondary from primary's, steps", _ratio("start_rmsd_A", "step_rmsd_A"), _least_steps, -1),
    ("correlation of their energies", _size("energy_correlation"), _fixed("0.9"), 1),
)
