"""The command that makes a stability run again, from its record."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from gmd26_md.files import sha256_of
from gmd26_md.records import Record
from gmd26_md.report.checks import thresholds_of

# option -> setting; those that a record lacks are left to the command's defaults
_OPTIONS = {
    "--temperature-K": "temperature_K",
    "--ensemble": "ensemble",
    "--timestep-fs": "timestep_fs",
    "--thermalise-ps": "thermalise_ps",
    "--friction-per-fs": "friction_per_fs",
    "--run-ps": "run_ps",
    "--save-every-fs": "save_every_fs",
    "--n-label-frames": "n_label_frames",
    "--reference": "reference",
}


def repeat_command(record: Record, model: Path | str | None, asked: Mapping[str, Any] | None = None) -> str:
    """Return the command line for one run of one molecule: the same settings, start and seed.

    Parameters
    ----------
    model
        The checkpoint, or the name of a calculator; None where it was not found, and its name and hash stand for it.
    asked
        How the run folder's model and molecules were named (`RunFolder.asked`), which goes before `model`; a comment
        says which of the files are gone or have changed since.
    """
    named, comment = _as_asked(asked) if asked and asked.get("words") else _by_name(record, model)
    parts = ["gmd26-md", "stability", *named]
    if record.task != "user":
        parts += ["--only", record.molecule]
    for option, setting in _OPTIONS.items():
        value = record.settings.get(setting, record.settings.get("nve_ps") if setting == "run_ps" else None)
        if value not in (None, ""):
            parts += [option, _exact(value) if isinstance(value, float) else str(value)]
    parts += ["--seed", str(record.seed), "--n-seeds", "1"]
    limits = thresholds_of(record)
    parts += ["--max-drift-meV-per-atom-per-ps", _exact(limits.drift_max_meV_per_atom_per_ps)]
    parts += ["--max-force-ratio", _exact(limits.force_ratio_max)]
    parts += ["--max-true-energy-change-meV-per-atom", _exact(limits.true_energy_change_max_meV_per_atom)]
    device, _, rest = record.device.partition(" ")
    if rest:
        dtype, _, engine = rest.partition(" ")
        parts += ["--device", device, "--dtype", dtype, "--engine", engine]
    line = " ".join(shlex.quote(p) for p in parts)
    if asked and asked.get("folder") and Path(asked["folder"]) != Path.cwd():  # code of the user's may look around it
        line = f"cd {shlex.quote(asked['folder'])} && {line}"
    comment = " ".join(comment.split())  # a name with a line break would end it
    return f"{line}  # {comment}" if comment else line


def _exact(value: float) -> str:
    """Return a number in as few digits as read back to the same."""
    short = f"{value:g}"
    return short if float(short) == value else repr(float(value))


def _by_name(record: Record, model: Path | str | None) -> tuple[list[str], str]:
    """Return the options that name model and molecules, from the record alone, and what is to be filled in."""
    task = "YOUR_TASK_FILE" if record.task_sha256 else record.task
    parts = ["--model", "CHECKPOINT" if model is None else str(model)]
    parts += ["--molecules", "YOUR_FILE"] if record.task == "user" else ["--task", task]
    return parts, "" if model is not None else f"CHECKPOINT: {record.model}, sha256 {record.model_sha256}"


def _as_asked(asked: Mapping[str, Any]) -> tuple[list[str], str]:
    """Return the options that named model and molecules, and which of the files are not what they were."""
    changed = [
        f"{path} {state}" for path, sha256 in asked.get("files", {}).items() if (state := _state(Path(path), sha256))
    ]
    here = "" if asked.get("folder") else f"{Path.cwd()}/"
    return [word.removeprefix(here) if here else word for word in asked["words"]], "; ".join(changed)


def _state(path: Path, sha256: str) -> str:
    if not path.is_file():
        return "is gone"
    return "" if _sha256(path, path.stat().st_mtime_ns) == sha256 else "has changed since"


@cache
def _sha256(path: Path, modified_ns: int) -> str:
    return sha256_of(path)


def model_at_hand(record: Record) -> Path | str | None:
    """Return the model that was run: a calculator's name, or the checkpoint if it lies in a usual place; else None."""
    if hashlib.sha256(record.family.encode()).hexdigest() == record.model_sha256:
        return record.family  # a calculator by name is the hash of its name
    return _found(record.model, record.model_sha256)


@cache
def _found(name: str, sha256: str) -> Path | None:
    for folder in (Path("checkpoints"), Path()):
        path = folder / f"{name}.pt"
        if path.is_file() and sha256_of(path) == sha256:
            return path
    return None
