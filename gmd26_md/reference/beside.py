"""Labels beside the dynamics: worker processes label a model's own frames while the run that made them goes on.

What is computed beforehand is only a head start: `take` returns the labels of the frames that are asked for, whether
they were submitted before or not, and an answer does not depend on who computed it or when.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from types import TracebackType

import numpy as np

from gmd26_md import host
from gmd26_md.reference.labels import WORTH_A_POOL, Frames, Labels, label_frames, label_in_worker
from gmd26_md.reference.pool import begin_worker, spawn_context

_FRAMES_A_TASK = 4  # some 20 ms of GFN2-xTB, to which sending them adds one
_ATTEMPTS = 3
_NICE = 10  # the dynamics come first, where both want the same core


@dataclass(eq=False)
class _Task:
    """Some frames of one run, and the answer to come."""

    frames: list[int]
    numbers: np.ndarray
    positions: list[np.ndarray] = field(default_factory=list)
    future: Future[Labels] | None = None
    n_attempts: int = 0

    def content(self) -> Frames:
        return Frames(self.numbers, np.stack(self.positions))


class LabelsBeside:
    """Labels of runs that are still under way; use it in a `with` statement.

    Parameters
    ----------
    reference
        What `load_calculator` opens.
    n_expected
        How many labels will be asked for, about: for a few, no worker is started (that takes a second or two), and they
        are computed when they are taken.
    n_workers
        Processes, one thread each; all cores if None. They give way to the dynamics (nice 10).

    Notes
    -----
    A worker that dies takes what all workers were doing with it; that is given to new ones, twice at most, and then
    is a label that the reference failed to give. A reference that hangs is waited for. Leaving the `with` statement
    drops what nobody took.
    """

    def __init__(self, reference: str, *, n_expected: int, n_workers: int | None = None) -> None:
        self.reference = reference
        self.n_workers = (n_workers or host.n_cores()) if n_expected >= WORTH_A_POOL else 0
        self._pool: ProcessPoolExecutor | None = None
        self._open: dict[str, _Task] = {}  # by run, not sent yet
        self._tasks: dict[str, list[_Task]] = {}  # by run
        self._n_taken = 0

    def __enter__(self) -> LabelsBeside:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)  # waits for the few frames that are being computed
            self._pool = None

    @property
    def n_submitted(self) -> int:
        """Frames submitted so far, taken ones among them."""
        waiting = [t for tasks in self._tasks.values() for t in tasks] + list(self._open.values())
        return self._n_taken + sum(len(t.frames) for t in waiting)

    @property
    def n_done(self) -> int:
        """How many of them are labelled."""
        tasks = [t for tasks in self._tasks.values() for t in tasks]
        return self._n_taken + sum(len(t.frames) for t in tasks if t.future is not None and t.future.done())

    def submit(self, key: str, frame: int, numbers: np.ndarray, positions: np.ndarray) -> None:
        """Hand in a frame of a run, by the run's name and a number; returns at once.

        `numbers` (n_atoms,), `positions` (n_atoms, 3) in Å. A frame that was handed in before is left as it is.
        """
        if self.n_workers == 0 or frame in self._known(key):
            return
        task = self._open.setdefault(key, _Task([], np.asarray(numbers)))
        task.frames.append(frame)
        task.positions.append(np.array(positions, dtype=np.float64))
        if len(task.frames) >= _FRAMES_A_TASK:
            self._send_open(key)

    def take(self, key: str, frames: Sequence[int], numbers: np.ndarray, positions: np.ndarray) -> Labels:
        """Return the labels of frames of a run, and forget the run; waits for those that are not there yet.

        Parameters
        ----------
        frames
            Their numbers, as in `submit`.
        numbers, positions
            (n_atoms,), and (n_frames, n_atoms, 3) in Å.
        """
        known = self._known(key)
        missing = [i for i, frame in enumerate(frames) if frame not in known]
        if self.n_workers == 0:
            return label_frames(Frames(np.asarray(numbers), np.asarray(positions)), self.reference)
        for i in missing:
            self.submit(key, frames[i], numbers, positions[i])
        self._send_open(key)
        tasks = self._tasks.get(key, [])
        answers = {}
        for task in tasks:
            labels = self._answer(task)
            for i, frame in enumerate(task.frames):
                answers[frame] = (labels.energies[i], labels.forces[i], labels.problems.get(i))
        self.forget(key)
        chosen = [answers[frame] for frame in frames]
        problems = {i: words for i, (_, _, words) in enumerate(chosen) if words is not None}
        forces = np.array([f for _, f, _ in chosen]).reshape(np.shape(positions))
        return Labels(np.array([e for e, _, _ in chosen]), forces, problems)

    def forget(self, key: str) -> None:
        """Drop what was handed in of a run."""
        self._open.pop(key, None)
        for task in self._tasks.pop(key, []):
            self._n_taken += len(task.frames)
            if task.future is not None:
                task.future.cancel()

    def _known(self, key: str) -> set[int]:
        tasks = [*self._tasks.get(key, []), *([self._open[key]] if key in self._open else [])]
        return {frame for task in tasks for frame in task.frames}

    def _send_open(self, key: str) -> None:
        task = self._open.pop(key, None)
        if task is not None:
            self._tasks.setdefault(key, []).append(task)
            self._send(task)

    def _send(self, task: _Task) -> None:
        """Give a task to the workers; new ones, where the old have died."""
        task.n_attempts += 1
        try:
            task.future = self._workers().submit(label_in_worker, task.content(), self.reference)
        except BrokenProcessPool:
            self._pool = None
            task.future = self._workers().submit(label_in_worker, task.content(), self.reference)

    def _answer(self, task: _Task) -> Labels:
        while True:
            assert task.future is not None
            try:
                return task.future.result()
            except BrokenProcessPool:
                if task.n_attempts >= _ATTEMPTS:
                    return _failed(task, "a worker process died on it (out of memory, or killed)")
                self._send(task)

    def _workers(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(self.n_workers, spawn_context(), begin_worker, (os.nice, (_NICE,)))
        return self._pool


def _failed(task: _Task, words: str) -> Labels:
    n, n_atoms = len(task.frames), len(task.numbers)
    nothing = np.full((n, n_atoms, 3), np.nan)
    return Labels(np.full(n, np.nan), nothing, dict.fromkeys(range(n), words))
