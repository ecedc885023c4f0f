"""A run folder: what was asked, the records, the raw trajectories. It belongs to one question.

FOLDER/run.json            the question: model, molecules, settings; and how they were named on the command line;
                           of stability the seeds that were asked for last
       records.jsonl       one line a run, as it is finished
       summary.json        what the records come to
       table.txt           the same for people
       trajectories/       extended XYZ that ASE opens
       labels/             frames of the model's own runs with the reference's energies and forces: training data
       failures/           the last frames on the way to what went wrong, to be labelled
       static/             errors by frame, for pooling
       static-forces/      the model's forces on reference frames beside the reference's, by atom
       curves/             scans as CSV, a line a point
       at-work/                     the runs at work, while there are some: the engine's state and their frames
       .lock               while a process writes here
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gmd26_md import folder_lock, strict_json
from gmd26_md.errors import UserError
from gmd26_md.files import write_text_whole, written_whole
from gmd26_md.observables.atom_forces import AtomForces
from gmd26_md.observables.bonds import BondGraph
from gmd26_md.records import Record, append_record, read_records

ASKED = "asked"  # in run.json, beside the question and no part of it


@dataclass(frozen=True)
class RunFolder:
    """A folder opened for one question; see the module's text for what lies in it.

    Attributes
    ----------
    path
        The folder.
    lock
        What keeps other processes from writing here, as long as this one is in use; None to read only.
    """

    path: Path
    lock: folder_lock.FolderLock | None = field(default=None, compare=False, repr=False)

    @property
    def records_path(self) -> Path:
        """The records, one JSON line each."""
        return self.path / "records.jsonl"

    @property
    def work_path(self) -> Path:
        """Where the engine keeps its state and the frames of the runs at work."""
        return self.path / "at-work"

    def asked(self) -> dict[str, Any]:
        """Return how model and molecules were named, as `open_run_folder` was told; empty where nobody said."""
        try:
            found = json.loads((self.path / "run.json").read_text(encoding="utf-8")).get(ASKED)
        except (OSError, ValueError, AttributeError):
            return {}
        return found if isinstance(found, dict) else {}

    def records(self) -> list[Record]:
        """Return the records so far."""
        return read_records(self.records_path)

    def add(self, record: Record) -> None:
        """Append a record, synced to disk."""
        append_record(self.records_path, record)

    def trajectory_path(self, key: str) -> Path:
        """Return where the raw trajectory of a run lies."""
        return self.frames_path("trajectories", key)

    def frames_path(self, kind: str, key: str) -> Path:
        """Return where frames of a run lie; `kind` is "trajectories", "labels" or "failures"."""
        return self.path / kind / f"{key}.extxyz"

    def write_static(self, slug: str, table: np.ndarray) -> None:
        """Keep a molecule's static errors by frame (`FrameSums.table`)."""
        buffer = io.BytesIO()  # numpy's own file writing loses the reason when the disk is full
        np.save(buffer, table)
        with written_whole(self.path / "static" / f"{slug}.npy") as aside:
            aside.write_bytes(buffer.getbuffer())

    def static_tables(self) -> dict[str, np.ndarray]:
        """Return static errors by frame of every molecule that has them."""
        return {p.stem: _table(p) for p in sorted((self.path / "static").glob("*.npy"))}

    def write_forces(self, slug: str, forces: AtomForces) -> None:
        """Keep a model's forces on a molecule's reference frames, in single precision."""
        with np.errstate(over="ignore"):  # what single precision cannot hold is infinite, and so no number
            single = {name: getattr(forces, name).astype(np.float32) for name in ("predicted", "reference")}
        graph = {name: getattr(forces.graph, name) for name in ("numbers", "bonds", "lengths")}
        buffer = io.BytesIO()
        np.savez(buffer, **graph, **single)
        with written_whole(self._forces_path(slug)) as aside:
            aside.write_bytes(buffer.getbuffer())

    def has_forces(self, slug: str) -> bool:
        """Tell whether `write_forces` kept something of a molecule; a file that is there is whole."""
        return self._forces_path(slug).is_file()

    def _forces_path(self, slug: str) -> Path:
        return self.path / "static-forces" / f"{slug}.npz"

    def forces_of(self, slug: str) -> AtomForces | None:
        """Return what `write_forces` kept of a molecule; None where nothing was.

        Raises
        ------
        UserError
            For a file that is damaged.
        """
        path = self._forces_path(slug)
        if not path.is_file():
            return None
        try:
            with np.load(path, allow_pickle=False) as kept:
                graph = BondGraph(kept["numbers"], kept["bonds"], kept["lengths"])
                return AtomForces(graph, kept["predicted"], kept["reference"])
        except (ValueError, EOFError, KeyError, zipfile.BadZipFile) as problem:
            raise UserError(f"{path} is damaged ({problem}); delete it and give the command again.") from problem

    def write_summary(self, summary: dict[str, Any], table: str) -> None:
        """Write the summary for programs and the table for people."""
        write_text_whole(self.path / "summary.json", strict_json.dumps(summary) + "\n")
        write_text_whole(self.path / "table.txt", table)


def open_run_folder(path: Path, question: dict[str, Any], asked: dict[str, Any] | None = None) -> RunFolder:
    """Open a new folder for a question, or the folder in which the same question was begun. It is locked until let go.

    Parameters
    ----------
    asked
        How model and molecules were named, JSON-safe: kept beside the question, the latest. Files may have moved.

    Raises
    ------
    UserError
        If the folder answers another question (which part differs is named), holds something else, or another process
        writes into it.
    """
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise UserError(f"{path} is a file; give --out a folder.")
    wanted = json.loads(strict_json.canonical(question))
    _check_ours(path, wanted)  # before anything is written
    path.mkdir(parents=True, exist_ok=True)
    lock = folder_lock.locked(path)
    begun = _check_ours(path, wanted)
    content = wanted | ({ASKED: asked} if asked else {ASKED: begun[ASKED]} if ASKED in begun else {})
    if content != begun:
        write_text_whole(path / "run.json", json.dumps(content, indent=1, sort_keys=True) + "\n")
    return RunFolder(path, lock)


def _check_ours(path: Path, wanted: dict[str, Any]) -> dict[str, Any]:
    """Return what a folder was begun with, nothing of a new one; raise if it is for something else."""
    marker = path / "run.json"
    if marker.is_file():
        begun = _read_marker(marker)
        _check_same(path, {name: value for name, value in begun.items() if name != ASKED}, wanted)
        return begun
    if path.is_dir() and any(entry.suffix != ".part" and entry.name != folder_lock.NAME for entry in path.iterdir()):
        raise UserError(f"{path} is not empty and no run folder of ours; give --out another folder.")
    return {}


def _read_marker(marker: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(marker.read_text(encoding="utf-8")))
    except (json.JSONDecodeError, UnicodeDecodeError, TypeError, ValueError) as problem:
        raise UserError(f"{marker} does not parse ({problem}); give --out another folder.") from problem


def _check_same(path: Path, begun: dict[str, Any], asked: dict[str, Any]) -> None:
    was, now = _flat(begun), _flat(asked)
    for key in sorted(set(was) | set(now), key=lambda name: (name.startswith("frames."), name)):
        if was.get(key) != now.get(key):
            raise UserError(
                f"{path} was made with {_difference(key, was.get(key), now.get(key))}; "
                "give --out another folder, or the same settings to go on."
            )


def _difference(key: str, was: Any, now: Any) -> str:
    """Say what differs; of hashes, whose they are."""
    kind, _, name = key.partition(".")
    if kind == "molecules":
        return f"other molecules: {name} {'is new' if was is None else 'is gone' if now is None else 'differs'}"
    if kind == "frames":
        return f"other reference frames of {name}"
    if kind == "model_sha256":
        return "another checkpoint of this name"
    if kind == "reference_sha256":
        return "another reference of this name" if was and now else "a reference whose file or code is not noted there"
    return f"{key.removeprefix('settings.')} = {was}, asked is {now}"


def _flat(content: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _table(path: Path) -> np.ndarray:
    try:
        return np.asarray(np.load(path, allow_pickle=False))
    except (ValueError, EOFError) as problem:
        raise UserError(f"{path} is damaged ({problem}); give --out another folder.") from problem
