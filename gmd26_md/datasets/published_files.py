"""Frames in files of other people, told by content: ASE trajectories, extended XYZ, NumPy archives, ASE databases.

Nothing in a file is executed: pickles are never opened. Values come out in the file's own units.
"""

from __future__ import annotations

import io
import sqlite3
import struct
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from gmd26_md.errors import UserError
from gmd26_md.trajectory import Floats, Ints

FIELDS = ("energies", "forces", "positions", "numbers")
UNIT_FIELDS = {
    "energy": ("e_unit", "energy_unit"),
    "length": ("r_unit", "length_unit"),
    "force": ("f_unit", "force_unit"),
}
"""Names under which a file may state its units; `e_unit` and `r_unit` are those of sGDML's archives."""

_NPZ_NAMES = {
    "energies": ("E", "energies", "energy"),
    "forces": ("F", "forces"),
    "positions": ("R", "positions", "coordinates", "coords", "pos"),
    "numbers": ("z", "numbers", "atomic_numbers", "nuclear_charges"),
}  # sGDML's and MD17's, rMD17's, and the plain words
_BROKEN = (
    OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, EOFError, AssertionError, RuntimeError,
    MemoryError, struct.error, zipfile.BadZipFile, sqlite3.Error,
)  # fmt: skip
_START = 4096  # bytes that tell what a file is


@dataclass(frozen=True, eq=False)
class RawFrame:
    """One labelled geometry as it stands in a file.

    Attributes
    ----------
    at
        Where it is: a number to read it again by (`frames`).
    numbers, positions, energy, forces
        (n_atoms,), (n_atoms, 3), a number, (n_atoms, 3); in the file's units.
    """

    at: int
    numbers: Ints
    positions: Floats
    energy: float
    forces: Floats


@dataclass(frozen=True)
class Names:
    """Under which names the fields stand, where they are not the usual ones.

    `of` maps one of `FIELDS` to a name. A leading minus turns the sign: `{"forces": "-gradient"}`.
    """

    of: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for key, name in self.of.items():
            if key not in FIELDS or not name.lstrip("-"):
                raise UserError(
                    f"--map {key}={name} names no field; map one of {', '.join(FIELDS)}, as in --map forces=REF_forces."
                )


@dataclass(frozen=True)
class Kind:
    """A kind of file: `name`; whether its own definition says eV and Å (`ase_units`)."""

    name: str
    ase_units: bool


KINDS = {
    "ase-traj": Kind("ase-traj", ase_units=True),
    "extxyz": Kind("extxyz", ase_units=True),
    "ase-db": Kind("ase-db", ase_units=True),
    "npz": Kind("npz", ase_units=False),
}


def kind_of(path: Path) -> tuple[Kind | None, str]:
    """Return what kind of data a file holds, or None and what it is instead; its name plays no part."""
    try:
        with Path(path).open("rb") as handle:
            start = handle.read(_START)
    except OSError as problem:
        return None, f"cannot be opened ({problem.strerror})"
    if not start:
        return None, "empty; fetch it again"
    for magic, why in (
        (b"version https://git-lfs", "a pointer of Git LFS, not the data; fetch it with 'git lfs pull'"),
        (b"\x89HDF\r\n", "HDF5, which is not read here; convert it to extended XYZ or npz"),
        (b"PAR1", "Parquet, which is not read here; convert it to extended XYZ or npz"),
        (b"\x1f\x8b", "compressed; unpack it first"),
    ):
        if start.startswith(magic):
            return None, why
    if start.startswith(b"- of Ulm") and b"ASE-Trajectory" in start[:32]:
        return KINDS["ase-traj"], ""
    if start.startswith(b"SQLite format 3"):
        return KINDS["ase-db"], ""
    if start.startswith(b"PK"):
        return _kind_of_zip(path)
    return (KINDS["extxyz"], "") if _begins_as_xyz(start) else (None, "not a data file of a kind known here")


def _kind_of_zip(path: Path) -> tuple[Kind | None, str]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except _BROKEN:
        return None, "a zip archive that is cut short; fetch it again"
    if names and all(name.endswith(".npy") for name in names):
        return KINDS["npz"], ""
    return None, "a zip archive, a trained model perhaps, and no npz"


def _begins_as_xyz(start: bytes) -> bool:
    lines = start.split(b"\n", 3)
    words = lines[2].split() if len(lines) > 2 else []
    return lines[0].strip().isdigit() and len(words) >= 4 and words[0].isalpha()


def frames(path: Path, kind: Kind, names: Names, at: Sequence[int] | None = None) -> Iterator[RawFrame]:
    """Yield the frames of a file: all, or those `at` these places, in the order asked.

    Raises
    ------
    UserError
        For a file that is cut short or does not parse, and for a field that is not there.
    """
    reader = {"ase-traj": _traj, "extxyz": _xyz, "ase-db": _db, "npz": _npz}[kind.name]
    n_read = 0
    try:
        for frame in reader(Path(path), names, at):
            n_read += 1
            yield frame
    except UserError as problem:
        raise UserError(f"{path}: {problem}") from problem
    except _BROKEN as problem:
        why = f"{problem}".strip().splitlines()[:1] or [type(problem).__name__]
        raise UserError(
            f"{path}: is no whole {kind.name} file: frame {n_read} does not read ({why[0]}); fetch it again."
        ) from problem


def stated_units(path: Path, kind: Kind) -> dict[str, str]:
    """Return the units that a file states of itself ("energy", "length", "force"), as it writes them."""
    found: Mapping[str, Any] = {}
    try:
        if kind.name == "npz":
            with np.load(path, allow_pickle=False) as archive:
                found = {n: archive[n].item() for names in UNIT_FIELDS.values() for n in names if n in archive.files}
        elif kind.name == "extxyz":
            found = next(_xyz_atoms(path, None))[1].info
    except (*_BROKEN, UserError, StopIteration):
        return {}  # what is wrong with it is said when its frames are read
    decoded = {name: v.decode() if isinstance(v, bytes) else str(v) for name, v in found.items()}
    return {unit: decoded[n] for unit, names in UNIT_FIELDS.items() for n in names if n in decoded}


def _traj(path: Path, names: Names, at: Sequence[int] | None) -> Iterator[RawFrame]:
    from ase.io.trajectory import TrajectoryReader

    with closing(TrajectoryReader(str(path))) as trajectory:
        for index in range(len(trajectory)) if at is None else at:
            yield _of_atoms(index, trajectory[index], names)


def _xyz(path: Path, names: Names, at: Sequence[int] | None) -> Iterator[RawFrame]:
    for offset, atoms in _xyz_atoms(path, at):
        yield _of_atoms(offset, atoms, names)


def _xyz_atoms(path: Path, at: Iterable[int] | None) -> Iterator[tuple[int, Atoms]]:
    """Yield (byte offset, atoms) of the frames of an XYZ file, or of those at these offsets."""
    from ase.io.extxyz import read_xyz

    with path.open("rb") as handle:
        for offset in _offsets(handle) if at is None else at:
            handle.seek(offset)
            first = handle.readline()
            lines = [first, *(handle.readline() for _ in range(int(first) + 1))]
            if not lines[-1].split():
                raise ValueError(f"it ends inside the frame at byte {offset}")
            text = b"".join(lines).decode("utf-8")
            yield offset, next(iter(read_xyz(io.StringIO(text), 0)))


def _offsets(handle: io.BufferedReader) -> Iterator[int]:
    """Yield where each frame begins; the handle may be moved between two of them."""
    offset = 0
    while True:
        handle.seek(offset)
        first = handle.readline()
        if not first.strip():
            if any(line.strip() for line in handle):
                raise UserError(f"an empty line at byte {offset}, and more frames behind it; take the line out.")
            return
        for _ in range(int(first) + 1):
            handle.readline()
        following = handle.tell()
        yield offset
        offset = following


def _db(path: Path, names: Names, at: Sequence[int] | None) -> Iterator[RawFrame]:
    from ase.db import connect

    database = connect(str(path), type="db", use_lock_file=False)
    rows = database.select(sort="id") if at is None else (database.get(id=index) for index in at)
    for row in rows:
        atoms = row.toatoms(add_additional_information=True)
        extra = dict(atoms.info.pop("key_value_pairs", {})) | dict(atoms.info.pop("data", {}))
        atoms.info.update(extra)
        yield _of_atoms(int(row.id), atoms, names)


def _of_atoms(at: int, atoms: Atoms, names: Names) -> RawFrame:
    """Return a frame from ASE's atoms: labels from the stored calculator, or from info and arrays if mapped there."""
    results = {} if atoms.calc is None else dict(atoms.calc.results)
    available = {**atoms.arrays, **atoms.info, **results}
    energy = _field(at, available, names.of.get("energies", "energy"), "energies")
    forces = _field(at, available, names.of.get("forces", "forces"), "forces")
    energies = np.asarray(energy, dtype=np.float64).reshape(-1)
    if energies.size != 1:
        raise UserError(f"frame {at} has {energies.size} energies, expected one; name it with --map energies=NAME.")
    return _checked(at, atoms.numbers, atoms.positions, energies[0], forces)


def _field(at: int, available: Mapping[str, Any], name: str, asked: str) -> Any:
    sign, key = (-1.0, name[1:]) if name.startswith("-") else (1.0, name)
    if key not in available:
        have = ", ".join(sorted(k for k in available if k not in ("numbers", "positions"))) or "no labels at all"
        raise UserError(
            f"frame {at}: expected {asked} as {key!r}, found {have}; name the field with --map {asked}=NAME."
        )
    return sign * np.asarray(available[key], dtype=np.float64)


def _npz(path: Path, names: Names, at: Sequence[int] | None) -> Iterator[RawFrame]:
    with np.load(path, allow_pickle=False) as archive:
        found = {key: _npz_field(archive, key, names) for key in FIELDS}
    n_frames = len(found["positions"])
    numbers = np.asarray(found["numbers"])
    energies = found["energies"].reshape(len(found["energies"]), -1)
    if energies.shape[1] != 1:
        raise UserError(
            f"expected one energy a frame, found energies of shape {found['energies'].shape}; name the right array "
            "with --map energies=NAME."
        )
    energies = energies[:, 0]
    for key in ("energies", "forces"):
        if len(found[key]) != n_frames:
            raise UserError(f"expected {n_frames} {key}, one a geometry, found {len(found[key])}; the file is torn.")
    if numbers.ndim == 2 and len(numbers) != n_frames:
        raise UserError(f"expected atomic numbers (n_atoms,) or ({n_frames}, n_atoms), found {numbers.shape}.")
    for index in range(n_frames) if at is None else at:
        own = numbers[index] if numbers.ndim == 2 else numbers
        real = own > 0  # molecules of different size stand padded with zeros
        positions, forces = (_part(found, key, index, real) for key in ("positions", "forces"))
        yield _checked(index, own[real], positions, energies[index], forces)


def _part(found: Mapping[str, Any], key: str, index: int, real: np.ndarray) -> Floats:
    array = np.asarray(found[key][index], dtype=np.float64)
    if array.shape != (len(real), 3):
        raise UserError(
            f"expected {key} ({len(real)}, 3) a frame, found {array.shape}; name the right ones with --map."
        )
    return array[real]


def _npz_field(archive: Any, key: str, names: Names) -> Any:
    name = names.of.get(key, "")
    bare = name.lstrip("-")
    candidates = [bare] if bare else [n for n in _NPZ_NAMES[key] if n in archive.files]
    if len(candidates) != 1 or candidates[0] not in archive.files:
        want = bare or " or ".join(_NPZ_NAMES[key])
        have = ", ".join(archive.files)
        raise UserError(f"expected {key} as one array {want}, found {have}; name it with --map {key}=NAME.")
    array = archive[candidates[0]]
    return -array if name.startswith("-") else array


def _checked(at: int, numbers: Any, positions: Any, energy: Any, forces: Any) -> RawFrame:
    elements: Ints = np.asarray(numbers, dtype=np.int64)
    forces = np.asarray(forces, dtype=np.float64)
    if forces.shape != (len(elements), 3):
        raise UserError(f"frame {at}: expected forces of shape ({len(elements)}, 3), found {forces.shape}.")
    return RawFrame(at, elements, np.asarray(positions, dtype=np.float64), float(energy), forces)
