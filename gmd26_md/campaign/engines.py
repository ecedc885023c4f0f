"""Executors: what runs the units. Everything goes through the standard `concurrent.futures` interface.

"processes"                     local processes (the default)
"dask"                          a Dask cluster of local processes
"dask:tcp://HOST:8786"          a Dask scheduler that is there; "dask:FILE.json" is its scheduler file
"slurm:FILE.yaml"               jobs through dask-jobqueue; the file holds SLURMCluster's arguments and `jobs: N`
"MODULE:FUNCTION"               a function that returns any executor, given the number of workers
"""

from __future__ import annotations

import importlib
import logging
import multiprocessing
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gmd26_md import host
from gmd26_md.errors import UserError

DASK_INSTALL = "pip install 'gmd26-md[campaign]'"
CONNECT_S = 20.0
AGAIN_S = 30.0  # between looks at jobs that have ended
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
Submit = Callable[..., Future[Any]]


@dataclass(frozen=True)
class Engine:
    """An executor, open.

    Attributes
    ----------
    submit
        `submit(resources, function, *arguments)`; resources matter to workers of Dask elsewhere only.
    words
        What it is, for a person.
    """

    submit: Submit
    words: str


@contextmanager
def open_engine(name: str, n_workers: int | None = None) -> Iterator[Engine]:
    """Give an engine by its name, for a `with` statement; its workers are gone when that ends.

    Raises
    ------
    UserError
        For an unknown engine, a package that is missing, or a scheduler that does not answer.
    """
    kind, _, rest = name.partition(":")
    if kind == "processes" and not rest:
        opened = _processes(n_workers)
    elif kind == "dask":
        opened = _dask(rest, n_workers)
    elif kind == "slurm":
        opened = _slurm(Path(rest), n_workers)
    elif rest:
        opened = _named(kind, rest, n_workers)
    else:
        raise UserError(
            f"--engine {name!r} is unknown; allowed: processes, dask, dask:ADDRESS, slurm:FILE.yaml, MODULE:FUNCTION."
        )
    with opened as engine:
        yield engine


@contextmanager
def _processes(n_workers: int | None) -> Iterator[Engine]:
    n = n_workers or host.n_cores()
    threads = threads_of(n)
    context = multiprocessing.get_context("spawn")
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(n, context, _begin_local, (threads,))
    try:
        yield Engine(lambda resources, function, *given: pool.submit(function, *given), f"{n} local processes")
    except BaseException:
        # left alone, a pool ends what is at work and what it has handed out: this process would wait for units
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def threads_of(n_workers: int | None) -> int:
    """Return how many threads each of so many local workers has; as many workers as cores if None."""
    n = host.n_cores()
    return max(1, n // (n_workers or n))


def _begin_local(n_threads: int) -> None:
    """Set up a local worker: its share of the cores, and gone with its parent."""
    from gmd26_md.reference.pool import begin_worker

    begin_worker(None, ())
    for name in _THREADS:
        os.environ[name] = str(n_threads)  # for the children, which compute


@contextmanager
def _dask(address: str, n_workers: int | None) -> Iterator[Engine]:
    distributed = _imported("distributed")
    with ExitStack() as stack:
        if address:
            client = _connected(distributed, address)
            stack.callback(client.close)
            yield _dask_engine(client, f"Dask at {address}")
        else:
            n = n_workers or host.n_cores()
            cluster = stack.enter_context(_local_cluster(distributed, n))
            client = stack.enter_context(distributed.Client(cluster))
            opened = _dask_engine(client, f"Dask, {n} local workers")
            # local workers offer no resources: a unit that asks for some would wait for ever
            yield Engine(lambda resources, function, *given: opened.submit({}, function, *given), opened.words)


def _local_cluster(distributed: Any, n_workers: int) -> Any:
    try:
        with _interrupts_are_the_drivers():
            return distributed.LocalCluster(
                n_workers=n_workers,
                threads_per_worker=1,
                processes=True,
                dashboard_address=None,
                silence_logs=logging.CRITICAL,  # it prints a traceback of a unit that fails; we say why
            )
    except (OSError, RuntimeError, TimeoutError) as problem:
        raise UserError(
            f"no local Dask cluster can be started ({' '.join(str(problem).split()) or type(problem).__name__}); "
            "--engine processes needs none."
        ) from problem


@contextmanager
def _interrupts_are_the_drivers() -> Iterator[None]:
    """Let processes that are started within take no notice of an interrupt: this one ends them, and they print less."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL if before is None else before)


def _connected(distributed: Any, address: str) -> Any:
    try:
        if Path(address).is_file():
            return distributed.Client(scheduler_file=address, timeout=CONNECT_S)
        return distributed.Client(address, timeout=CONNECT_S)
    except (OSError, TimeoutError, ValueError) as problem:
        raise UserError(
            f"no Dask scheduler answers at {address} ({' '.join(str(problem).split())}); start one with "
            "'dask scheduler', and workers with 'dask worker ADDRESS --nthreads 1'."
        ) from problem


@contextmanager
def _slurm(path: Path, n_workers: int | None) -> Iterator[Engine]:
    distributed = _imported("distributed")
    n = n_workers or _jobs(path)
    cluster = slurm_cluster(path)
    if shutil.which("sbatch") is None:
        cluster.close()
        raise UserError(f"{path}: no sbatch here; give the command on a machine that submits SLURM jobs.")
    with cluster, distributed.Client(cluster) as client, kept_at(cluster, n):
        yield _dask_engine(client, f"{n} SLURM jobs")


@contextmanager
def kept_at(cluster: Any, n_jobs: int) -> Iterator[None]:
    """Keep so many jobs of a dask-jobqueue cluster: that submits none again by itself, at a walltime say."""
    ended = threading.Event()

    def keep() -> None:
        while not ended.wait(AGAIN_S):
            cluster.scale(jobs=n_jobs)

    cluster.scale(jobs=n_jobs)
    thread = threading.Thread(target=keep, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def slurm_cluster(path: Path) -> Any:
    """Return the SLURMCluster of a file of its arguments, with no job yet; `job_script()` shows what it would submit.

    Raises
    ------
    UserError
        If the file or dask-jobqueue is missing, or it refuses the arguments.
    """
    jobqueue = _imported("dask_jobqueue", "dask-jobqueue")
    given = {"processes": 1} | {name: value for name, value in _slurm_file(path).items() if name != "jobs"}
    try:
        return jobqueue.SLURMCluster(**_one_thread_each(given))
    except (TypeError, ValueError) as problem:
        raise UserError(f"{path}: dask-jobqueue refuses it: {' '.join(str(problem).split())}") from problem


def _one_thread_each(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return arguments by which a worker runs one unit at a time, on its share of the cores of the job.

    Of `cores`, dask-jobqueue makes as many threads of the worker: a GPU would get as many units at once.
    """
    cores, processes = given.get("cores"), given["processes"]
    if not (isinstance(cores, int) and isinstance(processes, int) and cores >= processes >= 1):
        return given  # dask-jobqueue says what is wrong with it, or has it from a file of its own
    lines = [f"export {name}={cores // processes}" for name in _THREADS]
    return {
        "job_cpu": cores,
        **given,
        "cores": processes,
        "job_script_prologue": [*lines, *(given.get("job_script_prologue") or [])],
    }


def _jobs(path: Path) -> int:
    n = _slurm_file(path).get("jobs", 1)
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise UserError(f"{path}: jobs is {n!r}; it must be a whole number of 1 or more.")
    return n


def _slurm_file(path: Path) -> Mapping[str, Any]:
    import yaml

    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, ValueError, TypeError, RecursionError) as problem:  # what PyYAML lets through, too
        raise UserError(
            f"cannot read {path}: {' '.join(str(problem).split())}; write --engine slurm:FILE.yaml."
        ) from problem
    if not isinstance(found, dict):
        raise UserError(
            f"{path} holds no arguments; write lines such as 'cores: 8', 'memory: 32GB', 'walltime: 04:00:00'."
        )
    return found


def _dask_engine(client: Any, words: str) -> Engine:
    """Return the engine of a Dask client: an executor for each set of resources."""
    executors: dict[tuple[tuple[str, float], ...], Executor] = {}

    def submit(resources: Mapping[str, float], function: Callable[..., Any], *given: Any) -> Future[Any]:
        key = tuple(sorted(resources.items()))
        if key not in executors:
            # pure: no; two attempts of a unit are two tasks
            executors[key] = client.get_executor(pure=False, **({"resources": dict(key)} if key else {}))
        return executors[key].submit(function, *given)

    return Engine(submit, words)


@contextmanager
def _named(module: str, function: str, n_workers: int | None) -> Iterator[Engine]:
    try:
        made = getattr(importlib.import_module(module), function)(n_workers)
    except Exception as problem:  # anybody's code may raise anything
        said = " ".join(f"{type(problem).__name__}: {problem}".split())
        raise UserError(
            f"--engine {module}:{function}: {said}; name a function that takes the number of workers and returns an "
            "executor."
        ) from problem
    if not isinstance(made, Executor):
        raise UserError(f"{module}:{function} returned {type(made).__name__}, which is no concurrent.futures.Executor.")
    executor: Executor = made
    try:
        yield Engine(lambda resources, call, *given: executor.submit(call, *given), f"{module}:{function}")
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


def _imported(name: str, package: str = "") -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as problem:
        raise UserError(
            f"this engine needs the package {package or name}, which is not here: {DASK_INSTALL}."
        ) from problem
