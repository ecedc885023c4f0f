"""A stage's file against what its provenance says: there, whole, so many frames, this level, these units."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gmd26_md.datasets import store
from gmd26_md.datasets.faults import Fault
from gmd26_md.errors import UserError
from gmd26_md.files import sha256_of
from gmd26_md.trajectory import Trajectory

UNITS = {"energies": "eV", "forces": "eV/Å", "positions": "Å", "time": "fs"}
"""What every provenance must state."""


def stages_of(told: dict[str, dict[str, Any]]) -> tuple[str, ...]:
    """Return the stages that must be there.

    All three of `store.STAGES` where the level's own dynamics sampled; those that the provenance names where frames
    were imported, labelled anew or thinned to travel.
    """
    # the minimum's entry too says how: the rest may not be begun
    sampled = any("integrator" in entry or is_dynamics(entry) for entry in told.values())
    return store.STAGES if sampled or not told else tuple(told)


def is_dynamics(entry: dict[str, Any]) -> bool:
    """Tell whether a stage is a trajectory of its own level: then time and temperature can be judged."""
    return "temperature_K" in entry.get("settings", {})


def checked_frames(
    folder: Path, stage: str, told: dict[str, dict[str, Any]], level: str, n_wanted: int | None
) -> tuple[list[Fault], Trajectory | None]:
    """Return what is wrong with a stage's file, and its frames where they can be read.

    Parameters
    ----------
    told
        The provenance of the folder.
    n_wanted
        Frames there must be; None: what the provenance says.
    """
    path, entry = folder / f"{stage}.extxyz", told.get(stage)
    if entry is None:
        there = "a file without an entry" if path.is_file() else "no entry"
        words = f"is not done: {there} in provenance.json; 'gmd26-md data generate' makes it"
        return [Fault("missing", words)], None
    if entry.get("status") != "done":
        return [Fault("failed", f"is not done: {entry.get('reason', entry.get('status'))}")], None
    faults = _stated(entry, level)
    if not path.is_file():
        return [*faults, Fault("missing", f"{path.name} is not there, and its provenance says it was made")], None
    found = sha256_of(path)
    if found != entry.get("sha256"):
        words = f"hash {found[:12]}, its provenance says {str(entry.get('sha256'))[:12]}: the file was changed"
        faults.append(Fault("hash", words))
    try:
        frames = Trajectory.read(path)
    except UserError as problem:
        return [*faults, Fault("unreadable", str(problem))], None
    return faults + _count(entry, stage, frames.n_frames, n_wanted), frames


def _stated(entry: dict[str, Any], level: str) -> list[Fault]:
    """Return what is wrong with the level and the units that a provenance states."""
    faults = []
    found = store.stated(entry, "level_of_theory")
    if found != level:
        faults.append(Fault("level", f"its provenance says level of theory {found}, want {level}"))
    units = store.stated(entry, "units")
    units = units if isinstance(units, dict) else {}
    for name, unit in UNITS.items():
        if units.get(name) != unit:
            faults.append(Fault("unit", f"its provenance says {name} in {units.get(name)}, want {unit}"))
    return faults


def _count(entry: dict[str, Any], stage: str, n_frames: int, n_wanted: int | None) -> list[Fault]:
    wanted = {"its provenance says": entry.get("n_frames")}
    if stage == "minimum":
        wanted["a minimum has"] = 1
    elif is_dynamics(entry):
        wanted["its settings asked for"] = entry["settings"].get("n_frames")
    if n_wanted is not None and stage != "minimum":
        wanted["wanted are"] = n_wanted
    for words, number in wanted.items():
        if n_frames != number:
            limit = None if number is None else float(number)
            return [Fault("count", f"has {n_frames} frames, {words} {number}", None, float(n_frames), limit)]
    return []
