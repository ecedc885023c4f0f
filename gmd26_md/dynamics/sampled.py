"""What a stretch of dynamics left to be compared: positions and velocities, densely, in one file of plain arrays.

In float32, which resolves positions to 1e-6 Å: a tenth of the size of extended XYZ, for many frames that nobody reads.
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmd26_md import strict_json
from gmd26_md.dynamics.outcome import Run
from gmd26_md.errors import UserError
from gmd26_md.files import written_whole

Floats = NDArray[np.float64]
_ARRAYS = ("numbers", "time_fs", "positions", "velocities")


@dataclass(frozen=True, eq=False)
class Sampled:
    """The frames of one stretch of one run, and how the run ended.

    Attributes
    ----------
    numbers
        (n_atoms,).
    time_fs
        (n_frames,), evenly spaced; no frame where the run stopped before the stretch.
    positions, velocities
        (n_frames, n_atoms, 3), Å and ASE units.
    stopped, stopped_at_fs, reason
        As in `outcome.Run`.
    n_force_calls, wall_s
        What it cost.
    info
        What made it; JSON-safe.
    """

    numbers: NDArray[np.int64]
    time_fs: Floats
    positions: Floats
    velocities: Floats
    stopped: str | None = None
    stopped_at_fs: float | None = None
    reason: str | None = None
    n_force_calls: int = 0
    wall_s: float = 0.0
    info: dict[str, Any] = field(default_factory=dict)

    @staticmethod
    def of(run: Run, numbers: NDArray[np.integer], segment: str, info: dict[str, Any] | None = None) -> Sampled:
        """Return the frames of a segment of a run."""
        frames = run.frames.get(segment)
        nothing = np.zeros((0, len(numbers), 3))
        time_fs = np.zeros(0) if frames is None else frames.time_fs
        x, v = (
            (nothing, nothing) if frames is None or frames.velocities is None else (frames.positions, frames.velocities)
        )
        with np.errstate(over="ignore"):
            x, v = (a.astype(np.float32).astype(np.float64) for a in (x, v))
        return Sampled(
            np.asarray(numbers, dtype=np.int64), time_fs, x, v, run.stopped, run.stopped_at_fs, run.reason,
            run.n_force_calls, run.wall_s, info or {},
        )  # fmt: skip

    def write(self, path: Path) -> None:
        """Write a file of numpy's (.npz), whole or not at all."""
        told = {name: getattr(self, name) for name in ("stopped", "stopped_at_fs", "reason", "n_force_calls", "wall_s")}
        words = json.dumps(strict_json.encoded(told | {"info": self.info}), allow_nan=False)
        with np.errstate(over="ignore"):
            small = {name: getattr(self, name).astype(np.float32) for name in ("positions", "velocities")}
        buffer = io.BytesIO()  # numpy's own file writing loses the reason when the disk is full
        np.savez(buffer, numbers=self.numbers, time_fs=self.time_fs, told=np.array(words), **small)
        with written_whole(path) as aside:
            aside.write_bytes(buffer.getbuffer())

    @staticmethod
    def read(path: Path) -> Sampled:
        """Return what `write` wrote.

        Raises
        ------
        UserError
            For a file that is damaged or not one of ours.
        """
        try:
            with np.load(path, allow_pickle=False) as content:
                arrays = {name: np.asarray(content[name]) for name in _ARRAYS}
                told = dict(json.loads(str(content["told"])))
        except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as problem:
            raise UserError(
                f"{path} is no sampled run of ours ({problem}); delete it, and it is made again."
            ) from problem
        return Sampled(
            numbers=arrays["numbers"].astype(np.int64),
            time_fs=arrays["time_fs"].astype(np.float64),
            positions=arrays["positions"].astype(np.float64),
            velocities=arrays["velocities"].astype(np.float64),
            **strict_json.decoded(told),
        )
