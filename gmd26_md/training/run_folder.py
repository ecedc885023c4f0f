"""The folder of a training run: whose run it is, and its log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gmd26_md import strict_json
from gmd26_md.errors import UserError
from gmd26_md.files import write_text_whole
from gmd26_md.training.state import STATE_FILE

SETTINGS_FILE = "settings.json"
LOG_FILE = "log.jsonl"
BEST_FILE = "best.pt"
LAST_FILE = "last.pt"


def claim_folder(folder: Path, settings: dict[str, Any], *, resume: bool) -> None:
    """Make the folder this run's own, or find that it already is; nothing of another run is touched.

    Parameters
    ----------
    folder
        Made if it does not exist.
    settings
        What decides the run's numbers; JSON-safe.
    resume
        Allow a folder that holds this very run. False refuses any folder with a run in it.

    Raises
    ------
    UserError
        If the folder holds a run with other settings (named in the message), or training files of unknown origin.
    """
    path = folder / SETTINGS_FILE
    if path.is_file():
        if not resume:
            raise UserError(f"{folder} already holds a training run; give a new folder with --out, or resume it.")
        _refuse_other_settings(folder, _read_settings(path), settings)
        return
    foreign = [name for name in (STATE_FILE, BEST_FILE, LAST_FILE, LOG_FILE) if (folder / name).exists()]
    if foreign:
        raise UserError(f"{folder} holds {', '.join(foreign)} but no {SETTINGS_FILE}; give a new folder with --out.")
    folder.mkdir(parents=True, exist_ok=True)
    write_text_whole(path, json.dumps(settings, indent=1, sort_keys=True) + "\n")


def write_log(folder: Path, log: list[dict[str, Any]]) -> None:
    """Write the whole log, one line a validation: a resumed run never leaves lines of its lost future behind."""
    write_text_whole(folder / LOG_FILE, "".join(strict_json.dumps(line) + "\n" for line in log))


def _read_settings(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise UserError(f"{path} does not parse ({error}); give a new folder with --out.") from error


def _refuse_other_settings(folder: Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    there, here = _flat(found), _flat(json.loads(json.dumps(wanted)))
    for name in sorted(there.keys() | here.keys()):
        if there.get(name) != here.get(name):
            raise UserError(
                f"{folder} holds a run with {name} = {there.get(name)!r}, not {here.get(name)!r}; "
                "give a new folder with --out, or the same settings to resume."
            )


def _flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, dict):
            flat.update(_flat(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat
