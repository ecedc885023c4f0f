"""Write what a survey found as reference data of ours: a molecule at a time, checked, resumable."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from gmd26_md.datasets import store
from gmd26_md.datasets.frame_checks import moved_twins_before
from gmd26_md.datasets.published import Source, Survey
from gmd26_md.datasets.published_files import frames
from gmd26_md.datasets.published_units import ENERGY_UNITS, LENGTH_UNITS, complaint_about_forces, stiffness_eV_per_A2
from gmd26_md.errors import UserError
from gmd26_md.files import sha256_of
from gmd26_md.molecules import Molecule
from gmd26_md.observables.bonds import Bools, Floats, Ints
from gmd26_md.trajectory import Trajectory

_STAGES = ("secondary", "primary")  # the secondary first: the primary must not hold its frames


@dataclass(frozen=True)
class ImportSettings:
    """How frames are taken over.

    Attributes
    ----------
    drop_bad_frames
        Leave out frames with values that are not finite, frames that come twice, and primary frames that are in the
        secondary too, and count them; else they are an error.
    interval_fs
        Time between frames, if it is known; otherwise a frame's time is its number, and its info says so.
    check_forces
        Whether forces must follow the C-H bonds as they should.
    """

    drop_bad_frames: bool = False
    interval_fs: float | None = None
    check_forces: bool = True


@dataclass(frozen=True)
class Imported:
    """What became of one molecule: stage -> "done", "kept" (was there) or "failed: why"."""

    molecule: Molecule
    stages: dict[str, str]


def import_molecules(
    seen: Survey,
    molecules: Sequence[Molecule],
    out: Path,
    settings: ImportSettings | None = None,
    *,
    command: str = "",
    origin: dict[str, Any] | None = None,
    on_progress: Callable[[float, str], None] = lambda fraction, words: None,
) -> list[Imported]:
    """Write primary and secondary of the molecules that were found into OUT/<level>/<slug>.

    What is there already, from the same files and with the same settings, is not touched; a molecule that fails is
    recorded in its `provenance.json` and does not stop the others. There is no minimum in such a set, and none is
    made of a frame.

    Raises
    ------
    UserError
        If data made in another way are in the place of one of them; before anything is written.
    """
    settings = settings or ImportSettings()
    chosen = [m for m in molecules if m.slug in seen.found]
    wanted = {(m.slug, s): _settings_of(seen, m, s, settings) for m in chosen for s in seen.found[m.slug]}
    done = {key: store.is_done(_folder(seen, out, key[0]), key[1], made) for key, made in wanted.items()}
    outcome = []
    for index, molecule in enumerate(chosen):
        on_progress(index / len(chosen), molecule.name)
        stages: dict[str, str] = {}
        for stage in _STAGES:
            if stage not in seen.found[molecule.slug]:
                continue
            key = (molecule.slug, stage)
            if done[key]:
                stages[stage] = "kept"
                continue
            made = _made_by(seen, molecule, stage, wanted[key], command, origin)
            stages[stage] = _import_stage(seen, molecule, stage, out, settings, made)
        outcome.append(Imported(molecule, stages))
    return outcome


def _folder(seen: Survey, out: Path, slug: str) -> Path:
    return Path(out) / seen.asked.level / slug


@cache
def _hash_of(path: Path, size: int, changed_ns: int) -> str:
    return sha256_of(path)  # one file may hold many molecules


def _hashed(path: Path) -> str:
    about = path.stat()
    return _hash_of(path, about.st_size, about.st_mtime_ns)


def _settings_of(seen: Survey, molecule: Molecule, stage: str, settings: ImportSettings) -> dict[str, Any]:
    """Return all that a stage depends on: other data in its place are refused by it.

    Not `drop_bad_frames`: where nothing was bad it changes nothing, and where something was the stage failed without.
    """
    source = seen.found[molecule.slug][stage]
    units = source.parts[0].units
    other = seen.found[molecule.slug].get("secondary") if stage == "primary" else None
    return {
        "imported_sha256": _hashed(source.path),
        "independent_of_sha256": None if other is None else _hashed(other.path),
        "n_frames_in_file": source.n_frames,
        "units": {"energy": units.energy, "length": units.length, "force": units.force},
        "names": dict(seen.asked.names.of),
        "interval_fs": settings.interval_fs,
    }


def _made_by(
    seen: Survey, molecule: Molecule, stage: str, settings: dict[str, Any], command: str, origin: dict[str, Any] | None
) -> dict[str, Any]:
    source = seen.found[molecule.slug][stage]
    return {
        "settings": settings,
        "command": command,
        "level_of_theory": seen.asked.level,
        "origin": origin or {"folder": str(seen.folder)},
        "file": source.path.relative_to(seen.folder).as_posix(),
        "kind": source.parts[0].kind.name,
        "stage_by": seen.rules[molecule.slug][stage],
        "atom_order": [part.order.tolist() for part in source.parts],
        "units": {"energies": "eV", "forces": "eV/Å", "positions": "Å", "time": "fs"},
        "minimum": "none in the set: protocols relax with a reference, and no frame is called a minimum",
    }


def _import_stage(
    seen: Survey, molecule: Molecule, stage: str, out: Path, settings: ImportSettings, made: dict[str, Any]
) -> str:
    source = seen.found[molecule.slug][stage]
    other = seen.found[molecule.slug].get("secondary") if stage == "primary" else None
    folder = _folder(seen, out, molecule.slug)
    try:
        trajectory, prints = read_source(source, seen, settings)
        secondary = None if other is None else read_source(other, seen, settings)[0]
        kept, dropped = _sound(trajectory, prints, secondary, source, settings)
        stiffness = stiffness_eV_per_A2(kept.numbers, kept.positions, kept.forces)
        complaint = complaint_about_forces(stiffness, source.parts[0].units)
        if complaint and settings.check_forces:
            raise UserError(f"{source.path}: {complaint}; or take them as they are with --no-check-forces.")
    except UserError as problem:
        store.write_failure(folder, stage, str(problem), made)
        return f"failed: {problem}"
    checks = None if stiffness is None else {"ch_stiffness_eV_per_A2": stiffness[0], "correlation": stiffness[1]}
    store.write_stage(folder, stage, kept, made | {"dropped": dropped, "checks": checks})
    return "done"


def read_source(source: Source, seen: Survey, settings: ImportSettings) -> tuple[Trajectory, Ints]:
    """Return the frames of a source in our units and our order of atoms, and their fingerprints, in the file's order.

    Raises
    ------
    UserError
        If the file changed under our hands or does not read.
    """
    rows = sorted((at, index, part) for part in source.parts for index, at in enumerate(part.at))
    units = source.parts[0].units
    raw = list(frames(source.path, source.parts[0].kind, seen.asked.names, [at for at, _, _ in rows]))
    numbers = raw[0].numbers[rows[0][2].order]
    ordered = [(frame, part.order) for frame, (_, _, part) in zip(raw, rows, strict=True)]
    if any(not np.array_equal(frame.numbers[order], numbers) for frame, order in ordered):
        raise UserError(f"{source.path} changed while it was read; run the same command again.")
    step = 1.0 if settings.interval_fs is None else settings.interval_fs
    info = {"name": source.parts[0].molecule.name}
    if settings.interval_fs is None:
        info["time_fs"] = "the number of the frame: the files do not state the interval"
    trajectory = Trajectory(
        numbers=numbers,
        time_fs=np.arange(len(raw), dtype=np.float64) * step,
        positions=LENGTH_UNITS[units.length] * np.array([frame.positions[order] for frame, order in ordered]),
        velocities=None,
        energies=ENERGY_UNITS[units.energy] * np.array([frame.energy for frame in raw]),
        forces=units.force_eV_per_A * np.array([frame.forces[order] for frame, order in ordered]),
        info=info,
    )
    return trajectory, np.array([part.prints[index] for _, index, part in rows])


def _sound(
    trajectory: Trajectory, prints: Ints, secondary: Trajectory | None, source: Source, settings: ImportSettings
) -> tuple[Trajectory, dict[str, int]]:
    """Return the frames without the bad ones, and how many were dropped for what; a UserError if none may be.

    A frame comes twice if it has the shape of another, in whatever order of atoms, file or place it stands.
    """
    finite = np.isfinite(trajectory.energies)
    for array in (trajectory.positions, trajectory.forces):
        finite &= np.isfinite(array).all(axis=(1, 2))
    first = np.zeros(len(prints), dtype=bool)
    first[np.unique(prints, return_index=True)[1]] = True
    first &= ~_in_shape_of_one_before(trajectory.numbers, trajectory.positions)
    shared = np.zeros(len(prints), dtype=bool)
    if secondary is not None:
        both = np.concatenate([secondary.positions, trajectory.positions])
        shared = _in_shape_of_one_before(trajectory.numbers, both, secondary.n_frames)[secondary.n_frames :]
    faults: dict[str, Bools] = {
        "with energies, forces or positions that are not finite": ~finite,
        "whose positions come twice": ~first,
        "that are in the secondary trajectory too": shared,
    }
    bad = np.any(list(faults.values()), axis=0)
    if bad.any() and not settings.drop_bad_frames:
        what, which = next((what, which) for what, which in faults.items() if which.any())
        raise UserError(
            f"{source.path}: {int(which.sum())} of {len(prints)} frames {what} (the first is number "
            f"{int(np.argmax(which))} of this molecule); leave such out with --drop-bad-frames."
        )
    if bad.all():
        raise UserError(f"{source.path}: no frame of {len(prints)} is left without the bad ones; look at the file.")
    dropped = {what: int(which.sum()) for what, which in faults.items() if which.any()}
    return (trajectory.part(np.flatnonzero(~bad)) if bad.any() else trajectory), dropped


def _in_shape_of_one_before(numbers: Ints, positions: Floats, n_first: int | None = None) -> Bools:
    """Tell which frames have the shape of one before them, or of one of the first `n_first`, (n_frames,)."""
    finite = np.flatnonzero(np.isfinite(positions).all(axis=(1, 2)))
    before = moved_twins_before(numbers, positions[finite])
    of = np.where(before >= 0, finite[before], len(positions)) if finite.size else before
    found = np.zeros(len(positions), dtype=bool)
    found[finite] = of < (len(positions) if n_first is None else n_first)
    return found
