"""The frames of one system while it moves: in memory, or streamed to a file of its own.

The file is a row of float64 numbers a frame: time (fs), energy, positions, velocities, forces. How many frames belong
to a run is not in the file but in the engine's snapshot: what was written after it is cut off when a run is continued.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from gmd26_md.trajectory import Trajectory

_PENDING_BYTES = 1 << 18  # a file gets this much at once


class FrameLog:
    """Frames by segment, in the order in which they came.

    Parameters
    ----------
    numbers
        Atomic numbers, (n_atoms,).
    path
        Where frames go; they stay in memory if None.
    """

    def __init__(self, numbers: np.ndarray, path: Path | None = None) -> None:
        self.numbers, self.path = numbers, path
        self.counts: dict[str, int] = {}
        self._rows: list[np.ndarray] = []

    @property
    def width(self) -> int:
        """Numbers a frame."""
        return 2 + 9 * len(self.numbers)

    def add(self, segment: str, time_fs: float, energy: float, x: np.ndarray, v: np.ndarray, f: np.ndarray) -> None:
        """Keep a frame: potential energy in eV; positions, velocities and forces (n_atoms, 3) in ASE units."""
        self._rows.append(np.concatenate([[time_fs, energy], x.ravel(), v.ravel(), f.ravel()]))
        self.counts[segment] = self.counts.get(segment, 0) + 1
        if self.path is not None and len(self._rows) * self.width * 8 > _PENDING_BYTES:
            self._write(sync=False)

    def sync(self) -> None:
        """Make sure that every frame is on disk, where there is a file."""
        if self.path is not None and self._rows:
            self._write(sync=True)

    def cut(self, counts: dict[str, int]) -> bool:
        """Go back to so many frames; tell whether the file holds them."""
        self.counts, self._rows = dict(counts), []
        size = sum(counts.values()) * self.width * 8
        if self.path is None or size == 0:
            self.discard()
            return size == 0
        if not self.path.is_file() or self.path.stat().st_size < size:
            return False
        os.truncate(self.path, size)
        return True

    def trajectories(self) -> dict[str, Trajectory]:
        """Return the frames of each segment; one that kept none is missing."""
        rows = self._all_rows()
        found, start, n = {}, 0, len(self.numbers)
        for name, count in self.counts.items():
            part = rows[start : start + count]
            x, v, f = (part[:, 2 + k * 3 * n : 2 + (k + 1) * 3 * n].reshape(-1, n, 3) for k in range(3))
            found[name] = Trajectory(self.numbers, part[:, 0], x, v, part[:, 1], f, {"segment": name})
            start += count
        return found

    def discard(self) -> None:
        """Remove the file."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)

    def _all_rows(self) -> np.ndarray:
        here = np.array(self._rows).reshape(-1, self.width)
        n_written = sum(self.counts.values()) - len(here)
        if self.path is None or n_written == 0:
            return here
        written = np.fromfile(self.path, dtype="<f8", count=n_written * self.width).reshape(-1, self.width)
        return np.concatenate([written, here]) if len(here) else written

    def _write(self, *, sync: bool) -> None:
        assert self.path is not None
        fresh = sum(self.counts.values()) == len(self._rows)  # an older file of this name is not ours
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("wb" if fresh else "ab") as handle:
            handle.write(np.array(self._rows, dtype="<f8").tobytes())
            handle.flush()
            if sync:
                os.fsync(handle.fileno())
        self._rows = []
