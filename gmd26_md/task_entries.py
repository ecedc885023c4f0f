"""The entries of a task file: families with lengths, molecules by name, SMILES, structure files."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gmd26_md import molecules, own_molecules
from gmd26_md.errors import UserError, unknown_name
from gmd26_md.molecules import MAX_CARBON, MIN_CARBON, Molecule, family_members

_WAYS = "write '- smiles: CCO', '- family: alkanes', '- molecule: ethanol' or '- file: mine.xyz'"


def molecules_of(entries: Any, where: str, folder: Path) -> tuple[Molecule, ...]:
    """Return the molecules that a list of entries names, in its order.

    Parameters
    ----------
    where
        What to call the list in a message.
    folder
        Where structure files lie that are named by a relative path.

    Raises
    ------
    UserError
        For what is no entry, with its place.
    """
    if not isinstance(entries, list):
        raise UserError(f"{where} is not a list; {_WAYS}, one below the other.")
    found: list[Molecule] = []
    for number, entry in enumerate(entries, start=1):
        place = f"{where}, entry {number}"
        try:
            found += _of_entry(entry, place, folder)
        except UserError as problem:
            text = str(problem)
            raise UserError(text if place in text else f"{place}: {text}") from problem
    return tuple(found)


def _of_entry(entry: Any, place: str, folder: Path) -> list[Molecule]:
    if not isinstance(entry, dict):
        raise UserError(f"{place} is {entry!r}; {_WAYS}.")
    kinds = [kind for kind in _KINDS if kind in entry and not (kind == "family" and {"smiles", "file"} & entry.keys())]
    if len(kinds) != 1:
        unknown = [str(key) for key in entry if key not in _ALL_KEYS]
        if unknown:
            raise unknown_name(f"key in {place}", unknown[0], _ALL_KEYS)
        raise UserError(f"{place} names {'nothing' if not kinds else ' and '.join(kinds)}; {_WAYS}, one an entry.")
    read, allowed = _KINDS[kinds[0]]
    for key in entry:
        if key not in allowed:
            raise unknown_name(f"key in {place} ({kinds[0]})", str(key), allowed)
    return read(entry, folder)


def _of_family(entry: dict[str, Any], folder: Path) -> list[Molecule]:
    members = family_members(_text(entry, "family"))
    if "lengths" not in entry:
        return list(members)
    wanted = _lengths(entry["lengths"])
    return [m for m in members if m.n_carbon in wanted]


def _of_molecule(entry: dict[str, Any], folder: Path) -> list[Molecule]:
    return [molecules.get(_text(entry, "molecule"))]


def _of_smiles(entry: dict[str, Any], folder: Path) -> list[Molecule]:
    given, name = entry["smiles"], _optional(entry, "name")
    several = given if isinstance(given, list) else [given]
    if name is not None and len(several) != 1:
        raise UserError(f"the name {name!r} stands for {len(several)} SMILES; write an entry for each that has a name.")
    if not several or not all(isinstance(smiles, str) for smiles in several):
        raise UserError(f"smiles is {given!r}; it must be text, or a list of texts. Put SMILES in quotes.")
    return [own_molecules.from_smiles(smiles, name, _optional(entry, "family")) for smiles in several]


def _of_file(entry: dict[str, Any], folder: Path) -> list[Molecule]:
    path = folder / Path(_text(entry, "file")).expanduser()
    return own_molecules.from_file(path, _optional(entry, "name"), _optional(entry, "family"))


_KINDS: dict[str, tuple[Callable[[dict[str, Any], Path], list[Molecule]], tuple[str, ...]]] = {
    "smiles": (_of_smiles, ("smiles", "name", "family")),
    "file": (_of_file, ("file", "name", "family")),
    "molecule": (_of_molecule, ("molecule",)),
    "family": (_of_family, ("family", "lengths")),
}
_ALL_KEYS = ("smiles", "file", "molecule", "family", "lengths", "name")


def _lengths(given: Any) -> set[int]:
    """Return the numbers of carbon atoms that "2-6", 4 or [2, 3, 4] means."""
    found: set[int] = set()
    for part in given if isinstance(given, list) else [given]:
        ends = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", str(part))
        if ends is None or isinstance(part, bool):
            raise UserError(f"lengths is {given!r}; write 2-6, 4, or [2, 3, 4].")
        first, last = int(ends[1]), int(ends[2] or ends[1])
        if not MIN_CARBON <= first <= last <= MAX_CARBON:
            raise UserError(f"lengths is {given!r}; allowed are {MIN_CARBON} to {MAX_CARBON} carbon atoms, rising.")
        found |= set(range(first, last + 1))
    return found


def _text(entry: dict[str, Any], key: str) -> str:
    value = entry[key]
    if not isinstance(value, str) or not value.strip():
        raise UserError(f"{key} is {value!r}; it must be text. Put it in quotes.")
    return value.strip()


def _optional(entry: dict[str, Any], key: str) -> str | None:
    return " ".join(_text(entry, key).split()) if key in entry else None  # a table has it on one line
