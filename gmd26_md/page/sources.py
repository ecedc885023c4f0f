"""What a page is made from: the records of all run folders, and where their files lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gmd26_md.errors import UserError
from gmd26_md.observables.atom_forces import AtomForces
from gmd26_md.records import Record
from gmd26_md.report.candidates import first_given, namesakes
from gmd26_md.report.unfinished import unfinished
from gmd26_md.run_folder import RunFolder


@dataclass(frozen=True, eq=False)
class Sources:
    """Everything that was read.

    Attributes
    ----------
    records
        Of a run given twice the first.
    folders
        By a record's key, the run folders that hold it.
    of_models
        By a model's hash, the run folders that hold records of it.
    static
        Static errors by frame, (n_frames, 8), by model hash and molecule slug.
    notes
        What is missing, a sentence each.
    remarks
        What needs no action: records that were given twice.
    """

    records: list[Record]
    folders: dict[str, list[Path]]
    of_models: dict[str, list[Path]]
    static: dict[str, dict[str, np.ndarray]]
    notes: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def forces_of(self, record: Record) -> AtomForces | None:
        """Return a model's forces on a molecule's reference frames by atom; None where they are not kept."""
        for folder in self.of_models.get(record.model_sha256, []):
            try:
                found = RunFolder(folder).forces_of(record.slug)
            except UserError:
                continue
            if found is not None:
                return found
        return None

    def file(self, record: Record, name: object) -> Path | None:
        """Return a file that a record names, from the first folder that has it; None where it is gone."""
        if not isinstance(name, str) or not name:
            return None
        paths = (folder / name for folder in self.folders.get(record.key, []))
        return next((path for path in paths if path.is_file()), None)


def gather(runs: Sequence[Path]) -> Sources:
    """Read run folders.

    Raises
    ------
    UserError
        For a folder that is none of ours, a line that is no record, or where no folder has a record.
    """
    everything: list[Record] = []
    folders: dict[str, list[Path]] = {}
    static: dict[str, dict[str, np.ndarray]] = {}
    of_models: dict[str, list[Path]] = {}
    notes: list[str] = []
    for run in dict.fromkeys(runs):
        folder = RunFolder(run)
        records = folder.records() if run.is_dir() else []
        if not records and not (run / "run.json").is_file():
            raise UserError(f"{run} has no records; give a run folder, as a command printed it last.")
        notes += unfinished(run, records)
        everything += records
        for record in records:
            folders.setdefault(record.key, []).append(run)
        tables = _tables(folder, notes)
        for model in {r.model_sha256 for r in records}:
            static[model] = tables | static.get(model, {})
            of_models.setdefault(model, []).append(run)
    if not everything:
        raise UserError("none of these run folders has a record yet; run the command that makes one to its end.")
    chosen, n_left_out = first_given(everything)
    notes += namesakes(chosen)
    twice = f"{n_left_out} records were given twice or with other settings; the first given counts."
    return Sources(chosen, folders, of_models, static, notes, [twice] if n_left_out else [])


def _tables(folder: RunFolder, notes: list[str]) -> dict[str, np.ndarray]:
    try:
        return folder.static_tables()
    except UserError as problem:
        notes.append(f"Static errors of {folder.path} are left out: {problem}")
        return {}
