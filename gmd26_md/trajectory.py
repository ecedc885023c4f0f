"""A trajectory: arrays with declared shapes and units, and one extended-XYZ file that ASE opens."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ase.data import atomic_masses, atomic_numbers, chemical_symbols
from ase.units import kB
from numpy.typing import NDArray

from gmd26_md import strict_json
from gmd26_md.errors import UserError
from gmd26_md.files import written_whole

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_WITH_MOMENTA = "species:S:1:pos:R:3:momenta:R:3:forces:R:3"
_WITHOUT_MOMENTA = "species:S:1:pos:R:3:forces:R:3"
_NUMBER = re.compile(r"(?:^| )(time_fs|energy)=(\S+)")
_INFO = re.compile(r' trajectory_info="_JSON (.*)"$')


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Frames of one molecule: of a run, of a relaxation, or of reference data.

    NaN and infinities are allowed everywhere but in the time: a broken run is data.

    Parameters
    ----------
    numbers
        Atomic numbers, (n_atoms,), n_atoms >= 1.
    time_fs
        Time of each frame, (n_frames,), n_frames >= 1, finite, never decreasing.
    positions
        (n_frames, n_atoms, 3), Å.
    velocities
        (n_frames, n_atoms, 3), ASE velocity units (Å sqrt(u/eV)), or None where there are none.
    energies
        Potential energy, (n_frames,), eV.
    forces
        (n_frames, n_atoms, 3), eV/Å.
    info
        Settings and remarks; JSON-safe.

    Raises
    ------
    ValueError
        For a wrong shape (named, with want and got), no frame, no atom, or time that runs backwards.
    """

    numbers: Ints
    time_fs: Floats
    positions: Floats
    velocities: Floats | None
    energies: Floats
    forces: Floats
    info: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n_atoms, n_frames = np.size(self.numbers), np.size(self.time_fs)
        if n_atoms == 0 or n_frames == 0:
            raise ValueError(f"a trajectory needs at least one atom and one frame; got {n_atoms} and {n_frames}")
        self._set("numbers", np.int64, (n_atoms,))
        self._set("time_fs", np.float64, (n_frames,))
        self._set("positions", np.float64, (n_frames, n_atoms, 3))
        if self.velocities is not None:
            self._set("velocities", np.float64, (n_frames, n_atoms, 3))
        self._set("energies", np.float64, (n_frames,))
        self._set("forces", np.float64, (n_frames, n_atoms, 3))
        if not np.all(np.isfinite(self.time_fs)) or np.any(np.diff(self.time_fs) < 0):
            raise ValueError("time_fs must be finite and never decrease")

    def _set(self, name: str, dtype: type, shape: tuple[int, ...]) -> None:
        """Store the array `name` in its dtype after checking its shape."""
        array: NDArray[Any] = np.asarray(getattr(self, name), dtype=dtype)
        if array.shape != shape:
            raise ValueError(f"{name}: want shape {shape}, got {array.shape}")
        object.__setattr__(self, name, array)

    @property
    def n_atoms(self) -> int:
        """Number of atoms."""
        return int(self.numbers.size)

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return int(self.time_fs.size)

    def part(self, frames: slice | NDArray[np.integer]) -> Trajectory:
        """Return the trajectory of some frames (at least one), with the same info."""
        velocities = None if self.velocities is None else self.velocities[frames]
        return Trajectory(
            self.numbers,
            self.time_fs[frames],
            self.positions[frames],
            velocities,
            self.energies[frames],
            self.forces[frames],
            dict(self.info),
        )

    def write(self, path: Path | str) -> None:
        """Write extended XYZ, whole or not at all.

        `ase.io.read(path, ":")` gives positions, momenta, energy, forces and `info["time_fs"]`; the info is the
        dictionary `info["trajectory_info"]` of the first frame. Every number comes back exactly, except that
        velocities, which ASE wants as momenta, come back to the last bit or two.
        """
        columns = [self.positions, self.forces]
        if self.velocities is not None:
            columns.insert(1, self.velocities * atomic_masses[self.numbers][:, None])
        values = np.concatenate(columns, axis=2)  # (n_frames, n_atoms, 6 or 9)
        rows = " ".join(["%r"] * values.shape[2])
        body = "".join(f"{chemical_symbols[z]} {rows}\n" for z in self.numbers)
        with written_whole(Path(path)) as aside, aside.open("w", encoding="utf-8") as handle:
            for index in range(self.n_frames):
                handle.write(f"{self.n_atoms}\n{self._comment(index)}\n")
                handle.write(body % tuple(values[index].ravel().tolist()))

    def _comment(self, index: int) -> str:
        """Return the comment line of a frame; the first carries the info, last on its line."""
        properties = _WITHOUT_MOMENTA if self.velocities is None else _WITH_MOMENTA
        time, energy = float(self.time_fs[index]), float(self.energies[index])
        line = f'Properties={properties} time_fs={time!r} energy={energy!r} pbc="F F F"'
        if index or not self.info:
            return line
        # ASCII only, and backslash before quote: ASE's parser drops one backslash and keeps the next character.
        text = json.dumps(strict_json.encoded(self.info), allow_nan=False)
        text = text.replace("\\", "\\\\").replace('"', '\\"')
        return f'{line} trajectory_info="_JSON {text}"'

    @classmethod
    def read(cls, path: Path | str, choose: Callable[[Floats], Ints] | None = None) -> Trajectory:
        """Return the trajectory that `write` wrote.

        Parameters
        ----------
        choose
            Given the time of every frame, (n_frames,) fs, returns which frames to read, ascending: a few frames of a
            long file in a fraction of the time.

        Raises
        ------
        UserError
            For a file that is not there, is not one that `write` wrote, or ends early.
        """
        path = Path(path)
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"cannot read trajectory {path}: {error}. Give an extended-XYZ file of ours.") from error
        try:
            return _parsed(lines if choose is None else _lines_of(lines, choose))
        except (ValueError, KeyError, IndexError, AttributeError) as error:
            raise UserError(f"{path} is no whole trajectory of ours: {error}. Run it again, or delete it.") from error


def _lines_of(lines: list[str], choose: Callable[[Floats], Ints]) -> list[str]:
    """Return the lines of some frames, with the info of the first frame."""
    stride = int(lines[0]) + 2
    if len(lines) % stride:
        raise ValueError(f"it ends inside a frame ({len(lines)} lines, {stride} a frame)")
    times = np.array([float(dict(_NUMBER.findall(comment))["time_fs"]) for comment in lines[1::stride]])
    chosen = [lines[stride * i : stride * (i + 1)] for i in choose(times).tolist()]
    info = _INFO.search(lines[1])
    if info is not None and not _INFO.search(chosen[0][1]):
        chosen[0][1] += info.group(0)
    return [line for frame in chosen for line in frame]


def _parsed(lines: list[str]) -> Trajectory:
    """Return the trajectory in the lines of a file."""
    if not lines:
        raise ValueError("it is empty")
    n_atoms = int(lines[0])
    if n_atoms < 1:
        raise ValueError(f"it begins with {n_atoms} atoms")
    stride = n_atoms + 2
    if len(lines) % stride:
        raise ValueError(f"it ends inside a frame ({len(lines)} lines, {stride} a frame)")
    if any(count.strip() != lines[0].strip() for count in lines[::stride]):
        raise ValueError("the number of atoms changes")
    comments = lines[1::stride]
    has_momenta = _WITH_MOMENTA in comments[0]
    columns = _WITH_MOMENTA if has_momenta else _WITHOUT_MOMENTA
    for frame, comment in enumerate(comments):
        if columns not in comment:
            raise ValueError(f"the columns of frame {frame} are not {_WITHOUT_MOMENTA} or {_WITH_MOMENTA}")
    del lines[::stride], lines[:: stride - 1]  # counts and comments; the atoms stay
    numbers, values = _atoms(lines, n_atoms, 9 if has_momenta else 6)
    return Trajectory(
        numbers=numbers,
        time_fs=_numbers_in(comments, "time_fs"),
        positions=np.ascontiguousarray(values[..., :3]),
        velocities=values[..., 3:6] / atomic_masses[numbers][:, None] if has_momenta else None,
        energies=_numbers_in(comments, "energy"),
        forces=np.ascontiguousarray(values[..., -3:]),
        info=_parsed_info(comments[0]),
    )


def _numbers_in(comments: list[str], name: str) -> Floats:
    """Return a number that every frame's comment line states, (n_frames,)."""
    found = [dict(_NUMBER.findall(comment)).get(name) for comment in comments]
    if None in found:
        raise ValueError(f"frame {found.index(None)} has no {name}")
    return np.array(found, dtype=np.float64)


def _atoms(rows: list[str], n_atoms: int, n_columns: int) -> tuple[Ints, Floats]:
    """Return atomic numbers (n_atoms,) and columns (n_frames, n_atoms, n_columns) of the lines of all atoms.

    numpy's own parser in C: four times as fast as splitting lines in Python, and rounded as Python rounds.
    """
    dtype = np.dtype([("symbol", "U3"), ("values", np.float64, (n_columns,))])
    try:
        table = np.loadtxt(rows, dtype=dtype, comments=None, ndmin=1)
        if table.shape != (len(rows),):
            raise ValueError("a line is empty")
    except ValueError as error:
        raise ValueError(_bad_row(rows, n_atoms, n_columns) or str(error)) from error
    symbols = table["symbol"].reshape(-1, n_atoms)
    unknown = set(symbols[0].tolist()) - set(chemical_symbols)
    if unknown:
        raise ValueError(f"{', '.join(sorted(unknown))} is no element")
    numbers = np.array([atomic_numbers[symbol] for symbol in symbols[0].tolist()], dtype=np.int64)
    other = np.flatnonzero((symbols != symbols[0]).any(axis=1))
    if other.size:
        raise ValueError(f"frame {other[0]} has other atoms, or another order of them, than frame 0")
    # copied: beside the symbols, the numbers lie 60 or 84 bytes apart, which torch does not take
    return numbers, np.ascontiguousarray(table["values"]).reshape(-1, n_atoms, n_columns)


def _bad_row(rows: list[str], n_atoms: int, n_columns: int) -> str:
    """Say which line is no atom with its numbers; empty if all are."""
    for index, row in enumerate(rows):
        place = f"frame {index // n_atoms}, atom {index % n_atoms}:"
        fields = row.split()[1:]
        if len(fields) != n_columns:
            return f"{place} want a symbol and {n_columns} numbers, got {row[:60]!r}"
        for field_ in fields:
            try:
                float(field_)
            except ValueError:
                return f"{place} {field_[:30]!r} is no number"
    return ""


def _parsed_info(comment: str) -> dict[str, Any]:
    """Return the info in the first comment line, empty where there is none."""
    match = _INFO.search(comment)
    if match is None:
        return {}
    return dict(strict_json.decoded(json.loads(re.sub(r"\\(.)", r"\1", match.group(1)))))


def kinetic_energy(trajectory: Trajectory) -> Floats:
    """Return the kinetic energy of each frame, (n_frames,), eV.

    Raises
    ------
    ValueError
        When the trajectory has no velocities.
    """
    if trajectory.velocities is None:
        raise ValueError("the trajectory has no velocities: no kinetic energy")
    masses = atomic_masses[trajectory.numbers]
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(0.5 * np.einsum("a,fax->f", masses, trajectory.velocities**2), dtype=np.float64)


def degrees_of_freedom(n_atoms: int, *, rotation_fixed: bool = True) -> int:
    """Return the number of degrees of freedom that share the kinetic energy of an isolated molecule.

    3N-3 with the centre of mass at rest; three fewer with the overall rotation stopped as well. A molecule
    of three atoms or more is taken to be non-linear; of two, two rotations are removed; one atom has none.
    """
    rotations = min(3, max(0, 2 * (n_atoms - 1))) if rotation_fixed else 0
    return 3 * n_atoms - 3 - rotations


def temperature_K(trajectory: Trajectory, n_dof: int | None = None) -> Floats:
    """Return the kinetic temperature of each frame, (n_frames,), K.

    Parameters
    ----------
    n_dof
        Degrees of freedom; by default `degrees_of_freedom(n_atoms)`, 3N-6 for a non-linear molecule, right for
        velocities with neither momentum nor angular momentum. Without any (one atom at rest) it is NaN.
    """
    dof = degrees_of_freedom(trajectory.n_atoms) if n_dof is None else n_dof
    energy = kinetic_energy(trajectory)
    return 2.0 * energy / (dof * kB) if dof > 0 else np.full_like(energy, np.nan)
