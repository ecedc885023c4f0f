"""What a run folder was asked for and has no record of: whoever counts its records says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gmd26_md.records import Record


def unfinished(run: Path, records: list[Record]) -> list[str]:
    """Return what a folder was asked for and has no record of."""
    asked = _asked(run)
    protocol = str(asked.get("protocol", ""))
    mine = [r for r in records if r.protocol == protocol]
    wanted = set(asked.get("molecules") or {})
    missing = wanted - {r.slug for r in mine}
    if protocol == "stability":
        variants = (asked.get("settings") or {}).get("stability") or []
        variants = [variants] if isinstance(variants, dict) else variants  # before there could be several
        n_asked = len(wanted) * sum(int(v.get("n_seeds", 1)) for v in variants)
        if len(mine) < n_asked:
            return [f"{run} is not finished: {len(mine)} of {n_asked} runs have a record. The others are not counted."]
    elif missing and wanted:
        n_done = len(wanted) - len(missing)
        return [f"{run} is not finished: {n_done} of {len(wanted)} molecules have a record of {protocol}."]
    return []


def _asked(run: Path) -> dict[str, Any]:
    """Return the question of a folder; empty where it is not on record."""
    try:
        found = json.loads((run / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
