"""What a run folder was asked for and has no record of: whoever counts its records says so."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gmd26_md.records import Record
from gmd26_md.run_folder import ASKED


def unfinished(run: Path, records: Sequence[Record]) -> list[str]:
    """Return what a folder was asked for and has no record of."""
    question = _question(run)
    protocol = str(question.get("protocol", ""))
    wanted = set(question.get("molecules") or {})
    mine = [r for r in records if r.protocol == protocol and r.slug in wanted]
    n_wanted, n_with = len(wanted), len({r.slug for r in mine})
    if protocol == "stability":
        n_runs, n_done = n_wanted * _n_runs_a_molecule(question, mine), len({r.key for r in mine})
        if n_done < n_runs:
            none = f", and {n_wanted - n_with} of {n_wanted} molecules have none" if n_with < n_wanted else ""
            words = f"{n_done} of {n_runs} runs have a record{none}"
            return [f"{run} is not finished: {words}. The others are not counted."]
    elif n_with < n_wanted:
        return [f"{run} is not finished: {n_with} of {n_wanted} molecules have a record of {protocol}."]
    return []


def _n_runs_a_molecule(question: Mapping[str, Any], records: Sequence[Record]) -> int:
    """Return how many runs of each molecule were asked for: a run a condition and seed.

    Seeds are those of the last call and those of any record, since seeds may join a folder. Limit: of a folder that
    does not say which were asked for, as before it was on record, only those that have a record are known.
    """
    settings = (question.get("settings") or {}).get("stability") or {}
    variants = settings if isinstance(settings, list) else [settings]
    asked = question.get(ASKED) or {}
    found = 0
    for variant in variants:
        temperatures = variant.get("temperature_K")
        n_conditions = len(temperatures) if isinstance(temperatures, list) else 1
        first = int(asked.get("seed", variant.get("seed", 0)))
        n_seeds = int(asked.get("n_seeds", variant.get("n_seeds", 0)))
        seeds = {*range(first, first + n_seeds), *[r.seed for r in records]}
        found += n_conditions * max(len(seeds), 1)
    return found


def _question(run: Path) -> dict[str, Any]:
    """Return the question of a folder; empty where it is not on record."""
    try:
        found = json.loads((run / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
