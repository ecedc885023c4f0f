"""Where reference data lies on disk, and whether it is whole.

DATA/<level of theory>/<slug>/minimum.extxyz     the reference minimum, one frame
primary.extxyz     the training trajectory; all of it is the OOD test
secondary.extxyz   the independent one: first 100 frames validate, the rest is the ID test
provenance.json    what made each of them, with their hashes
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from ase.data import chemical_symbols

from gmd26_md.errors import UserError
from gmd26_md.files import sha256_of, write_text_whole
from gmd26_md.molecules import Molecule
from gmd26_md.trajectory import Trajectory

STAGES = ("minimum", "primary", "secondary")
N_VALIDATION_FRAMES = 100  # of the secondary; the published split


def folder_of(data: Path, level: str, molecule: Molecule) -> Path:
    """Return the folder of a molecule's data at a level of theory ("gfn2-xtb")."""
    return Path(data) / level / molecule.slug


def path_of(data: Path, level: str, molecule: Molecule, stage: str) -> Path:
    """Return the path of one of `STAGES` of a molecule."""
    return folder_of(data, level, molecule) / f"{stage}.extxyz"


def read_frames(path: Path, molecule: Molecule | None = None, level: str = "") -> Trajectory:
    """Read reference frames and hold them to what reference data must be.

    Parameters
    ----------
    molecule
        Whose frames they must be, by their atoms in order; None: anybody's.
    level
        The level of theory that they must not contradict; empty: any.

    Raises
    ------
    UserError
        If the file is missing, is not the one that its provenance names (where there is one), does not parse, has the
        atoms of another molecule or labels of another level, or an energy, force or position is not finite.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"no reference data at {path}; make it with 'gmd26-md data generate'.")
    entry = read_provenance(path.parent).get(path.stem)
    if entry is not None and entry.get("sha256") != sha256_of(path):
        raise UserError(f"{path} is not the file that its provenance.json names; delete and regenerate it.")
    told = stated(entry or {}, "level_of_theory")
    if level and told and told != level:
        raise UserError(
            f"{path} has labels of {told} by its provenance.json, and lies where those of {level} belong; move its "
            f"folder to {told}, or regenerate it."
        )
    try:
        frames = Trajectory.read(path)
    except (ValueError, KeyError, IndexError, OSError) as problem:
        raise UserError(
            f"{path} is not a trajectory with energies and forces ({problem}); delete and regenerate it."
        ) from problem
    if molecule is not None and tuple(chemical_symbols[z] for z in frames.numbers) != molecule.symbols:
        raise UserError(
            f"{path} has other atoms, or another order of them, than {molecule.name} ({molecule.formula}); delete and "
            "regenerate it."
        )
    for name in ("positions", "energies", "forces"):
        if not np.isfinite(getattr(frames, name)).all():
            raise UserError(f"{path} has {name} that are not finite; delete and regenerate it.")
    return frames


def read_provenance(folder: Path) -> dict[str, Any]:
    """Return what made the data in a molecule's folder; empty if nothing is there yet."""
    path = Path(folder) / "provenance.json"
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as problem:
        raise UserError(f"{path} is not JSON ({problem}); delete the folder and regenerate it.") from problem
    if not (isinstance(found, dict) and all(isinstance(entry, dict) for entry in found.values())):
        raise UserError(f"{path} does not say what made each stage; delete the folder and regenerate it.")
    return found


def stated(entry: dict[str, Any], name: str) -> Any:
    """Return what a provenance's entry states, or what that of the data that it was cut from does; else None."""
    if name in entry:
        return entry[name]
    source = entry.get("source")
    several = source.values() if isinstance(source, dict) else ()
    return next((one[name] for one in several if isinstance(one, dict) and name in one), None)


def write_stage(folder: Path, stage: str, frames: Trajectory, made_by: dict[str, Any]) -> None:
    """Write a stage's frames, then its provenance: a stage without provenance is not done."""
    path = Path(folder) / f"{stage}.extxyz"
    frames.write(path)
    _add_provenance(folder, stage, made_by | {"status": "done", "n_frames": frames.n_frames, "sha256": sha256_of(path)})


def write_failure(folder: Path, stage: str, reason: str, made_by: dict[str, Any]) -> None:
    """Record that a stage failed and why; no frames are written, and a torn file in their place is removed."""
    (Path(folder) / f"{stage}.extxyz").unlink(missing_ok=True)
    _add_provenance(folder, stage, made_by | {"status": "failed", "reason": reason})


def _add_provenance(folder: Path, stage: str, entry: dict[str, Any]) -> None:
    everything = read_provenance(folder) | {stage: entry}
    write_text_whole(Path(folder) / "provenance.json", json.dumps(everything, indent=1, sort_keys=True))


def is_done(folder: Path, stage: str, settings: dict[str, Any]) -> bool:
    """Tell whether a stage is there, whole and made with these settings.

    Raises
    ------
    UserError
        If it is there but was made with other settings: nothing is written over.
    """
    entry = read_provenance(folder).get(stage)
    if entry is None or entry.get("status") != "done":
        return False
    made_with = entry.get("settings", {})
    differing = [k for k in settings if made_with.get(k) != settings[k]]
    if differing:
        key = differing[0]
        raise UserError(
            f"{folder}/{stage} was made with {key}={made_with.get(key)}, asked is {key}={settings[key]}; "
            "choose another --out, or delete that folder."
        )
    path = Path(folder) / f"{stage}.extxyz"
    return path.is_file() and sha256_of(path) == entry.get("sha256")


def contents(data: Path, level: str, molecules: Iterable[Molecule]) -> tuple[int, int]:
    """Return how many frames the finished trajectories of the molecules have, and the bytes of all their files."""
    n_frames, n_bytes = 0, 0
    for molecule in molecules:
        folder = folder_of(data, level, molecule)
        told = read_provenance(folder)
        n_frames += sum(int(told.get(stage, {}).get("n_frames", 0)) for stage in STAGES if stage != "minimum")
        n_bytes += sum(path.stat().st_size for path in folder.glob("*.*"))
    return n_frames, n_bytes


def missing(data: Path, level: str, molecules: Iterable[Molecule], stages: Iterable[str]) -> list[str]:
    """Return "molecule (stage)" for what is not there."""
    wanted = list(stages)
    return [f"{m.name} ({s})" for m in molecules for s in wanted if not path_of(data, level, m, s).is_file()]
