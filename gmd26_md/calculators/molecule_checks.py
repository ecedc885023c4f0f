"""What a molecule says about itself, and whether a model can take it: checked before every evaluation."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols

from gmd26_md.errors import UnsupportedElementError, UserError

INFO_KEYS = ("charge", "spin", "multiplicity")
"""Keys of `atoms.info` that change the result. "spin" and "multiplicity" are both 2 S + 1 (0: not stated)."""


def check_molecule(atoms: Atoms, known_elements: Collection[int], model: str) -> None:
    """Raise unless `atoms` is a molecule that `model` can evaluate.

    Raises
    ------
    UserError
        No atoms, positions that are not finite, or a periodic direction.
    UnsupportedElementError
        An element that the model does not know.
    """
    if len(atoms) == 0:
        raise UserError("a molecule with no atoms was given; allowed are molecules of one atom or more.")
    unknown = set(atoms.numbers.tolist()).difference(known_elements)
    if unknown:
        raise UnsupportedElementError(
            f"{called(atoms)} has {_symbols(unknown)}; {model} knows {_symbols(known_elements)}. "
            "Leave such molecules out, or take a model that was trained on them."
        )
    if atoms.pbc.any():
        raise UserError(
            f"{called(atoms)} is periodic (pbc = {atoms.pbc.tolist()}); {model} evaluates molecules without a cell. "
            "Set atoms.pbc = False if the box means nothing."
        )
    if not np.isfinite(atoms.positions).all():
        first = int(np.flatnonzero(~np.isfinite(atoms.positions).all(axis=1))[0])
        raise UserError(
            f"{called(atoms)} has NaN or infinite positions, atom {first} first; only finite numbers (Å) are allowed. "
            "Check the file, or the step that moved the atoms."
        )


def check_neutral_closed_shell(atoms: Atoms, charge: int, multiplicity: int | None, model: str) -> None:
    """Raise if the molecule states a charge or a spin, which `model` cannot represent.

    Raises
    ------
    UserError
        With what was stated.
    """
    if charge == 0 and multiplicity in (None, 1):
        return
    stated = f"charge {charge:+d}" if charge else f"multiplicity {multiplicity}"
    raise UserError(
        f"{called(atoms)} states {stated}; {model} knows neutral closed-shell molecules only. "
        "Leave it out, or take a calculator that knows charge and spin, such as gfn2-xtb."
    )


def total_charge(atoms: Atoms, default: int | None) -> int:
    """Return the molecule's charge, e: `info["charge"]`, else `default`, else the sum of its initial charges.

    Raises
    ------
    UserError
        If that is no whole number.
    """
    stated = atoms.info.get("charge")
    if stated is not None:
        return _whole(stated, f'{called(atoms)} has info["charge"]')
    if default is not None:
        return _whole(default, "charge")
    if not atoms.has("initial_charges"):
        return 0
    return _whole(float(atoms.get_initial_charges().sum()), f"{called(atoms)} has initial charges that sum to", 0.05)


def spin_multiplicity(atoms: Atoms, default: int | None) -> int | None:
    """Return the molecule's 2 S + 1: `info["multiplicity"]` or `info["spin"]`, else `default`, else from its
    initial magnetic moments; None where nothing is stated.

    Raises
    ------
    UserError
        If that is no whole number from 1, or the two keys contradict each other.
    """  # noqa: D205
    stated = {key: atoms.info[key] for key in ("multiplicity", "spin") if atoms.info.get(key) is not None}
    values = {_whole(value, f"{called(atoms)} has info[{key!r}]") for key, value in stated.items()} - {0}
    if len(values) > 1:
        raise UserError(f"{called(atoms)} has {stated} in info; both mean 2 S + 1 and must agree. Keep one.")
    if not values and default is not None:
        values = {_whole(default, "multiplicity")}
    if not values and atoms.has("initial_magmoms"):
        unpaired = _whole(abs(float(atoms.get_initial_magnetic_moments().sum())), f"{called(atoms)} has magmoms", 0.05)
        values = {unpaired + 1} if unpaired else set()
    multiplicity = values.pop() if values else None
    if multiplicity is not None and multiplicity < 1:
        raise UserError(f"{called(atoms)} states multiplicity {multiplicity}; allowed are 1 (singlet), 2, 3, ...")
    return multiplicity


def same_info(before: Atoms, after: Atoms) -> bool:
    """Return whether two molecules state the same in `INFO_KEYS`; a missing key is the same as None."""
    return all(_same(before.info.get(key), after.info.get(key)) for key in INFO_KEYS)


def called(atoms: Atoms) -> str:
    """Return what to call a molecule in a message: its name if it has one, else its formula."""
    return str(atoms.info.get("name") or atoms.get_chemical_formula())


def _same(a: Any, b: Any) -> bool:
    """Compare two values of any type, arrays among them; unsure is different."""
    if a is b:
        return True
    if a is None or b is None:
        return False
    try:
        return np.shape(a) == np.shape(b) and bool(np.all(np.asarray(a) == np.asarray(b)))
    except (ValueError, TypeError):
        return False


def _whole(value: Any, what: str, tolerance: float = 1e-6) -> int:
    """Return a whole number given as int, float, text or an array of one element."""
    try:
        array = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        array = np.array([np.nan])
    if array.size != 1 or not np.isfinite(array).all() or abs(array.item() - round(array.item())) > tolerance:
        raise UserError(f"{what} {value!r}; only one whole number is allowed. Correct it or remove it.")
    return round(array.item())


def _symbols(numbers: Collection[int]) -> str:
    """Return element symbols, lightest first."""
    ordered = sorted(numbers)
    if len(ordered) > 12:
        return f"{chemical_symbols[ordered[0]]} to {chemical_symbols[ordered[-1]]}"
    return " ".join(chemical_symbols[z] for z in ordered)
