"""The command that makes a stability run again, from its record."""

from __future__ import annotations

import hashlib
import shlex
from functools import cache
from pathlib import Path

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


def repeat_command(record: Record, model: Path | str | None) -> str:
    """Return the command line for one run of one molecule: the same settings, start and seed.

    Parameters
    ----------
    model
        The checkpoint, or the name of a calculator; None where it was not found, and its name and hash stand for it.
    """
    parts = ["gmd26-md", "stability", "--model", "CHECKPOINT" if model is None else str(model)]
    task = "YOUR_TASK_FILE" if record.task_sha256 else record.task
    parts += ["--molecules", "YOUR_FILE"] if record.task == "user" else ["--task", task, "--only", record.molecule]
    for option, setting in _OPTIONS.items():
        value = record.settings.get(setting, record.settings.get("nve_ps") if setting == "run_ps" else None)
        if value not in (None, ""):
            parts += [option, f"{value:g}" if isinstance(value, float) else str(value)]
    parts += ["--seed", str(record.seed), "--n-seeds", "1"]
    limits = thresholds_of(record)
    parts += ["--max-drift-meV-per-atom-per-ps", f"{limits.drift_max_meV_per_atom_per_ps:g}"]
    parts += ["--max-force-ratio", f"{limits.force_ratio_max:g}"]
    parts += ["--max-true-energy-change-meV-per-atom", f"{limits.true_energy_change_max_meV_per_atom:g}"]
    device, _, rest = record.device.partition(" ")
    if rest:
        dtype, _, engine = rest.partition(" ")
        parts += ["--device", device, "--dtype", dtype, "--engine", engine]
    line = " ".join(shlex.quote(p) for p in parts)
    return line if model is not None else f"{line}  # CHECKPOINT: {record.model}, sha256 {record.model_sha256}"


def model_at_hand(record: Record) -> Path | str | None:
    """Return the model that was run: a calculator's name, or the checkpoint where it lies in a usual place; else None."""
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
