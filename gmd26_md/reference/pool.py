"""Worker processes for reference calculations: fresh interpreters, one thread each.

Many small quantum-chemical calculations run best one a core. The thread count is set in the workers' own environment,
before a numerical library is loaded there; this process is left as it is.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import wait
from multiprocessing.context import SpawnContext
from typing import Any

from threadpoolctl import threadpool_limits

from gmd26_md.errors import UserError


class WorkerDiedError(UserError):
    """A worker process ended without an answer."""


def spawn_context() -> SpawnContext:
    """Return the multiprocessing context of the workers; queues for them come from it too."""
    return multiprocessing.get_context("spawn")


@contextmanager
def one_thread_workers(
    n_workers: int, prepare: Callable[..., object] | None = None, *arguments: Any
) -> Iterator[ProcessPoolExecutor]:
    """Give a pool of worker processes with one thread each, for a `with` statement.

    Parameters
    ----------
    n_workers
        How many.
    prepare, arguments
        Called once in each fresh worker.

    Raises
    ------
    WorkerDiedError
        If a worker process died.
    """
    try:
        with ProcessPoolExecutor(n_workers, spawn_context(), begin_worker, (prepare, arguments)) as pool:
            yield pool
    except BrokenProcessPool as problem:
        raise WorkerDiedError(
            "a worker process died (out of memory, or killed); run the same command to go on."
        ) from problem


def begin_worker(prepare: Callable[..., object] | None, arguments: tuple[Any, ...]) -> None:
    """Set up a fresh worker: one thread, gone when its parent is gone, and then whatever `prepare` does."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"
    threadpool_limits(limits=1)  # for libraries that the main module has loaded here before
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if prepare is not None:
        prepare(*arguments)


def _end_with_parent() -> None:
    """End this worker when the process that started it was killed: nobody waits for the answer."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
