"""Finished dynamics that are not judged yet, kept on disk: a kill between the two loses no dynamics.

One file, arrays and JSON, read without executing anything. Every number comes back exactly.
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gmd26_md import strict_json
from gmd26_md.dynamics.engine import Run
from gmd26_md.files import written_whole
from gmd26_md.trajectory import Trajectory

_ARRAYS = ("numbers", "time_fs", "positions", "velocities", "energies", "forces")


@dataclass(frozen=True)
class RunsAtWork:
    """The runs of one batch, the time (s) that moving them took, and their number of atoms."""

    runs: tuple[Run, ...]
    wall_s: float
    n_atoms: int


def write_runs(path: Path, work: RunsAtWork) -> None:
    """Write the runs of a batch, whole or not at all."""
    arrays: dict[str, np.ndarray] = {}
    cards = []
    for index, run in enumerate(work.runs):
        cards.append(_card(run))
        for segment, frames in run.frames.items():
            for name in _ARRAYS:
                values = getattr(frames, name)
                if values is not None:
                    arrays[f"{index}/{segment}/{name}"] = values
    card = strict_json.dumps({"wall_s": work.wall_s, "n_atoms": work.n_atoms, "runs": cards})
    buffer = io.BytesIO()  # numpy's own file writing loses the reason when the disk is full
    np.savez(buffer, card=np.frombuffer(card.encode(), dtype=np.uint8), **arrays)  # type: ignore[arg-type]
    with written_whole(path) as aside:
        aside.write_bytes(buffer.getbuffer())


def read_runs(path: Path) -> RunsAtWork | None:
    """Return the runs that were kept, or None where there are none (or the file is damaged)."""
    if not Path(path).is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        card = json.loads(arrays.pop("card").tobytes())
        runs = tuple(_run(i, c, arrays) for i, c in enumerate(card["runs"]))
        return RunsAtWork(runs, card["wall_s"], card["n_atoms"])
    except (ValueError, KeyError, TypeError, AttributeError, OSError, EOFError, zipfile.BadZipFile):
        return None


def _card(run: Run) -> dict[str, Any]:
    return {
        "key": run.key,
        "stopped": run.stopped,
        "stopped_at_fs": run.stopped_at_fs,
        "reason": run.reason,
        "n_force_calls": run.n_force_calls,
        "segments": {name: frames.info for name, frames in run.frames.items()},
    }


def _run(index: int, card: dict[str, Any], arrays: dict[str, np.ndarray]) -> Run:
    frames = {
        segment: Trajectory(**{name: arrays.get(f"{index}/{segment}/{name}") for name in _ARRAYS}, info=info)  # type: ignore[arg-type]
        for segment, info in card.pop("segments").items()
    }
    return Run(frames=frames, **card)
