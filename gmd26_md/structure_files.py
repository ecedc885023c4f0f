"""A user's own structures, read and held to what a gas-phase molecule must be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ase import Atoms

from gmd26_md.errors import UserError

_CHARGE_NAMES = ("charge", "total_charge", "net_charge")


def read_structures(path: Path) -> list[Atoms]:
    """Return the molecules of a structure file, each with a unique `info["name"]`.

    Any format that ASE reads. The name is the frame's `name` entry, else the file's stem and a number.

    Raises
    ------
    UserError
        For a file that is not there or does not parse, one without molecules, a molecule without atoms, with
        an atom of no element, positions that are not finite, two atoms in one place, a cell, or a net charge.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"no molecule file at {path}; give a structure file that ASE reads, .xyz or .extxyz.")
    frames = _read(path)
    if not frames:
        raise UserError(f"{path} has no molecules; give at least one frame.")
    names: set[str] = set()
    for index, atoms in enumerate(frames):
        given = " ".join(str(atoms.info.get("name") or "").split())  # a table has it on one line
        label = given or (path.stem if len(frames) == 1 else f"{path.stem}-{index + 1}")
        _check(atoms, f"{path}, frame {index + 1} ({label})")
        while label in names:
            label = f"{label}-{index + 1}"
        names.add(label)
        atoms.info["name"] = label
        atoms.calc = None
    return frames


def _read(path: Path) -> list[Atoms]:
    from ase.io import read

    if path.stat().st_size == 0:
        raise UserError(f"{path} is empty; give a structure file that ASE reads.")
    try:
        found = read(path, index=":", do_not_split_by_at_sign=True)
    except Exception as problem:  # every format of ASE has errors of its own
        said = " ".join(f"{type(problem).__name__}: {problem}".split())
        raise UserError(
            f"{path} does not parse as a structure ({said}); give a file that ASE reads, for example extended XYZ."
        ) from problem
    return [atoms for atoms in found if isinstance(atoms, Atoms)]


def _check(atoms: Atoms, where: str) -> None:
    if len(atoms) == 0:
        raise UserError(f"{where} has no atoms; remove the frame.")
    if not atoms.numbers.all():
        raise UserError(f"{where} has an atom X, which is no element; name its element, or take it out.")
    if not np.isfinite(atoms.positions).all():
        raise UserError(f"{where} has positions that are not finite; mend or remove the frame.")
    if atoms.pbc.any() or np.abs(atoms.cell.array).max() > 0.0:
        raise UserError(
            f"{where} has a cell; these protocols run molecules in vacuum. Remove it with atoms.pbc = False; "
            "atoms.cell = None if the molecule is whole and alone."
        )
    distances = atoms.get_all_distances()[np.triu_indices(len(atoms), 1)]
    if distances.size and distances.min() < 0.1:
        raise UserError(f"{where} has two atoms {distances.min():.3f} Å apart; allowed is 0.1 Å and more.")
    for charge in _charges(atoms):
        if not _is_zero(charge):
            raise UserError(f"{where} has charge {charge}; the models know neutral molecules only. Remove it.")


def _charges(atoms: Atoms) -> list[object]:
    """Return what a frame says of its net charge: under each name, and as the sum of its atoms' charges."""
    stated = [atoms.info[key] for key in _CHARGE_NAMES if key in atoms.info]
    total = float(atoms.get_initial_charges().sum())
    return [*stated, round(total) if np.isfinite(total) else total]  # the atoms' own are rounded


def _is_zero(charge: object) -> bool:
    return isinstance(charge, (int, float, np.number)) and float(charge) == 0.0
