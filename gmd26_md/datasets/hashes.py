"""A list of the hashes of reference data, in the form that `sha256sum -c` reads in the data folder."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from gmd26_md.datasets import store
from gmd26_md.errors import UserError
from gmd26_md.files import sha256_of, write_text_whole
from gmd26_md.molecules import Molecule

_LINE = re.compile(r"([0-9a-f]{64})  (\S.*)")


def hashes_of(data: Path, level: str, molecules: Iterable[Molecule]) -> dict[str, str]:
    """Return the SHA-256 of every trajectory file of the molecules that is there, by path below `data`, sorted."""
    files = [path for m in molecules for path in store.folder_of(data, level, m).glob("*.extxyz")]
    return {str(path.relative_to(data).as_posix()): sha256_of(path) for path in sorted(files)}


def write_hashes(path: Path, hashes: dict[str, str]) -> None:
    """Write `sha256  path` lines, whole or not at all."""
    write_text_whole(path, "".join(f"{sha}  {name}\n" for name, sha in hashes.items()))


def read_hashes(path: Path) -> dict[str, str]:
    """Return the hashes of a list, by path.

    Raises
    ------
    UserError
        If it is not there, is no such list, is empty or names a file twice.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as problem:
        raise UserError(f"cannot read the hash list {path}: {problem}; make one with --write-hashes.") from problem
    found: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        match = _LINE.fullmatch(line)
        if match is None or match.group(2) in found:
            why = "names a file twice" if match else "is not 'sha256  path'"
            raise UserError(
                f"line {number} of the hash list {path} {why}: {line[:60]!r}; make one with --write-hashes."
            )
        found[match.group(2)] = match.group(1)
    if not found:
        raise UserError(f"the hash list {path} is empty; make one with --write-hashes.")
    return found


def differing(wanted: dict[str, str], found: dict[str, str], level: str, slugs: Iterable[str] | None) -> dict[str, str]:
    """Return what is wrong with each file at a level, by path: other content, missing, not listed.

    Parameters
    ----------
    wanted, found
        The list, and what is there, by path.
    slugs
        Only of these molecules; None: of all.
    """
    ours = f"{level}/" if slugs is None else tuple(f"{level}/{slug}/" for slug in slugs)
    wrong = {}
    for path in sorted(set(wanted) | set(found)):
        if not path.startswith(ours) or wanted.get(path) == found.get(path):
            continue
        if path not in found:
            wrong[path] = "is in the hash list and not there"
        elif path not in wanted:
            wrong[path] = "is there and not in the hash list"
        else:
            wrong[path] = f"has hash {found[path][:12]}, the list says {wanted[path][:12]}"
    return wrong
