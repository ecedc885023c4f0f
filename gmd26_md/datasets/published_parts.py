"""What a file of somebody else holds: which of our molecules, in which order of atoms, at which level of theory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from ase.data import chemical_symbols

from gmd26_md.datasets.published_files import Kind, Names, RawFrame, frames, stated_units
from gmd26_md.datasets.published_molecules import identify, is_intact
from gmd26_md.datasets.published_units import LENGTH_UNITS, Units, energy_family, recognise_energies, units_of
from gmd26_md.errors import UserError
from gmd26_md.molecules import Molecule
from gmd26_md.trajectory import Ints

LEVEL = "pbe-d3bj/def2-tzvp"

_BLOCK = 4096  # frames in memory at once while looking
_N_SEEDS = 5  # about so many geometries of a block are asked which molecule they are, until one answers


@dataclass(frozen=True)
class Asked:
    """What the user says of the set.

    Attributes
    ----------
    level
        Level of theory wanted; files whose energies are another's are left out.
    names
        Names of fields, where they are not the usual ones.
    units
        "energy", "length", "force", where a file does not state its own.
    primary, secondary
        Patterns of paths (fnmatch, relative to the folder) that say which is which; by `stage_of`'s rule if empty.
    include
        Only files whose relative path fits one of these patterns; all if empty.
    check_energies
        Whether energies must look like the level's.
    """

    level: str = LEVEL
    names: Names = field(default_factory=Names)
    units: Mapping[str, str] = field(default_factory=dict)
    primary: str = ""
    secondary: str = ""
    include: tuple[str, ...] = ()
    check_energies: bool = True


@dataclass(frozen=True, eq=False)
class Part:
    """Frames of one molecule in one file, their atoms in one order.

    Attributes
    ----------
    path, kind, units
        The file.
    molecule, order
        `numbers[order]` of the file are those of `molecule.atoms()`.
    at
        Where the frames are in the file, in its order.
    prints
        A fingerprint of each frame's positions, (n_frames,).
    """

    path: Path
    kind: Kind
    units: Units
    molecule: Molecule
    order: Ints
    at: tuple[int, ...]
    prints: Ints


@dataclass(frozen=True)
class Unknown:
    """Frames that are none of our molecules: file, formula, how many, and a remark."""

    path: Path
    formula: str
    n_frames: int
    why: str


@dataclass(eq=False)
class Contents:
    """What a file holds, or several: parts of our molecules, frames of none of them, and what is wrong, a line each.

    `other_level` are parts left out because their energies are another level's; `problems` have to be mended.
    """

    parts: list[Part] = field(default_factory=list)
    unknown: list[Unknown] = field(default_factory=list)
    other_level: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


@dataclass(eq=False)
class _Seen:
    """What is kept of frames while looking: of one molecule in one order, or of one row of elements if unknown."""

    first: RawFrame
    molecule: Molecule | None = None
    order: Ints | None = None
    at: list[int] = field(default_factory=list)
    prints: list[bytes] = field(default_factory=list)
    energies: list[float] = field(default_factory=list)

    def add(self, frame: RawFrame) -> None:
        self.at.append(frame.at)
        self.prints.append(hashlib.blake2b(frame.positions.tobytes(), digest_size=8).digest())
        self.energies.append(frame.energy)


def contents_of(path: Path, kind: Kind, asked: Asked) -> Contents:
    """Return what a file holds.

    Raises
    ------
    UserError
        If it does not read, lacks a field, or nobody says its units.
    """
    try:
        units = units_of(stated_units(path, kind), asked.units, ase_units=kind.ase_units)
    except UserError as problem:
        raise UserError(f"{path}: {problem}") from problem
    groups: dict[tuple[str, bytes], _Seen] = {}
    for block in _blocks(frames(path, kind, asked.names)):
        for same in _by_elements(block):
            _sort_out(same, LENGTH_UNITS[units.length], groups)
    found = Contents()
    for group in groups.values():
        if group.molecule is None or group.order is None:
            found.unknown.append(_unknown(path, group, units))
            continue
        prints = np.frombuffer(b"".join(group.prints), dtype=np.int64)
        part = Part(path, kind, units, group.molecule, group.order, tuple(group.at), prints)
        if not asked.check_energies or _is_of_level(part, group, asked.level, found):
            found.parts.append(part)
    return found


def _blocks(frames_of_file: Iterator[RawFrame]) -> Iterator[list[RawFrame]]:
    block: list[RawFrame] = []
    for frame in frames_of_file:
        block.append(frame)
        if len(block) == _BLOCK:
            yield block
            block = []
    if block:
        yield block


def _by_elements(block: Sequence[RawFrame]) -> list[list[RawFrame]]:
    """Return the frames of a block, those with the same elements in the same order together."""
    groups: dict[bytes, list[RawFrame]] = {}
    for frame in block:
        groups.setdefault(frame.numbers.tobytes(), []).append(frame)
    return list(groups.values())


def _sort_out(same: list[RawFrame], length_A: float, groups: dict[tuple[str, bytes], _Seen]) -> None:
    """Say of frames with the same elements which molecule each is, and in which order of atoms."""
    numbers = same[0].numbers
    positions = length_A * np.array([frame.positions for frame in same])
    waiting = np.arange(len(same))
    while waiting.size:
        seeds = waiting[:: max(1, waiting.size // _N_SEEDS)].tolist()
        named = ((seed, identify(numbers, positions[seed])) for seed in seeds)
        seed, answer = next(((seed, found) for seed, found in named if found is not None), (-1, None))
        if answer is None:
            group = groups.setdefault(("", numbers.tobytes()), _Seen(same[int(waiting[0])]))
            mine = waiting
        else:
            molecule, order = answer
            group = groups.setdefault((molecule.slug, order.tobytes()), _Seen(same[seed], molecule, order))
            mine = waiting[is_intact(numbers, positions[seed], positions[waiting])]
        for index in mine.tolist():
            group.add(same[index])
        waiting = np.setdiff1d(waiting, mine)


def _unknown(path: Path, group: _Seen, units: Units) -> Unknown:
    from ase.formula import Formula

    numbers, positions = group.first.numbers, group.first.positions
    formula = str(Formula.from_list([chemical_symbols[z] for z in numbers.tolist()]).format("hill"))
    for unit, length_A in LENGTH_UNITS.items():
        if unit != units.length and identify(numbers, length_A * positions) is not None:
            return Unknown(path, formula, len(group.at), f"positions look like {unit}: say --length-unit {unit}")
    return Unknown(path, formula, len(group.at), "none of the 120 molecules by its bonds, or broken")


def _is_of_level(part: Part, group: _Seen, level: str, found: Contents) -> bool:
    """Tell whether energies look like the level's in the unit claimed; if not, `found` says what they look like."""
    wanted = energy_family(level)
    energies = np.array(group.energies)
    looks = recognise_energies(group.first.numbers, energies)
    if looks == (wanted, part.units.energy) or not np.isfinite(energies).any():  # NaN is complained about on import
        return True
    where = f"{part.path}: {part.molecule.name}"
    if looks is not None and looks[0] != wanted:
        found.other_level.append(f"{where} looks like {looks[0]} in {looks[1]}, asked is {level}")
        return False
    typical = f"{float(np.nanmedian(energies)):.6g}"
    if looks is None:
        found.problems.append(
            f"{where} has energies around {typical} {part.units.energy}, no total energy of {level} in any unit known "
            "here; map the right field with --map energies=NAME, or take them with --no-check-energies."
        )
    else:
        found.problems.append(
            f"{where} has energies around {typical}, which look like {looks[1]} and not {part.units.energy}; say "
            f"--energy-unit {looks[1]}, and the unit of forces with --force-unit."
        )
    return False
