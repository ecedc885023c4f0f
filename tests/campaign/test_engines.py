"""Executors by name: local processes, Dask, a function of one's own, and the job script for SLURM."""

from __future__ import annotations

import multiprocessing
import operator
import os
import signal
import sys
import time
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

import pytest

from gmd26_md.campaign.engines import kept_at, open_engine, slurm_cluster
from gmd26_md.errors import UserError


def two_threads(n_workers: int | None) -> Executor:
    return ThreadPoolExecutor(n_workers or 2)


def no_executor(n_workers: int | None) -> object:
    return object()


@pytest.mark.parametrize("name", ["processes", "dask", f"{__name__}:two_threads"])
def test_every_engine_runs_a_function_and_hands_on_its_error(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name == "dask":
        pytest.importorskip("distributed")
    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])
    with open_engine(name, 1) as engine:
        assert engine.submit({}, operator.add, 2, 3).result(timeout=60) == 5
        with pytest.raises(ZeroDivisionError):
            engine.submit({}, operator.truediv, 1, 0).result(timeout=60)


def test_an_interrupt_ends_local_workers_and_waits_for_no_unit() -> None:
    others = set(multiprocessing.active_children())
    with pytest.raises(KeyboardInterrupt), open_engine("processes", 1) as engine:  # noqa: PT012
        engine.submit({}, os.getpid).result(timeout=60)
        for _ in range(3):  # one at work, others handed out already
            engine.submit({}, time.sleep, 600)
        raise KeyboardInterrupt
    for process in set(multiprocessing.active_children()) - others:
        process.join(20)
        assert not process.is_alive()


def test_a_unit_that_fails_on_a_local_cluster_prints_no_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("distributed")
    with open_engine("dask", 1) as engine, pytest.raises(ZeroDivisionError):
        engine.submit({}, operator.truediv, 1, 0).result(timeout=60)
    assert "Traceback" not in "".join(capfd.readouterr())


def test_an_interrupt_is_for_the_driver_of_a_local_cluster_alone() -> None:
    # each of its workers would print two tracebacks
    pytest.importorskip("distributed")
    before = signal.getsignal(signal.SIGINT)
    with open_engine("dask", 1) as engine:
        assert engine.submit({}, signal.getsignal, signal.SIGINT).result(timeout=60) == signal.SIG_IGN
        assert signal.getsignal(signal.SIGINT) == before


def test_a_local_cluster_runs_what_asks_for_resources() -> None:
    # its workers offer none: the unit would wait for ever
    pytest.importorskip("distributed")
    with open_engine("dask", 1) as engine:
        assert engine.submit({"GPU": 1.0}, operator.add, 2, 3).result(timeout=60) == 5


def test_a_unit_goes_to_a_worker_that_offers_what_it_asks_for_and_waits_where_none_does() -> None:
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None, resources={"GPU": 1}
        ) as cluster,
        open_engine(f"dask:{cluster.scheduler_address}") as engine,
    ):
        waiting = engine.submit({"TPU": 1.0}, operator.add, 1, 1)
        assert engine.submit({"GPU": 1.0}, operator.add, 2, 3).result(timeout=60) == 5
        assert engine.submit({}, operator.add, 2, 4).result(timeout=60) == 6
        assert not waiting.done()
        waiting.cancel()


def test_a_local_cluster_that_cannot_be_started_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    distributed = pytest.importorskip("distributed")

    def refused(**options: object) -> None:
        raise RuntimeError("Cluster failed to start: no free port")

    monkeypatch.setattr(distributed, "LocalCluster", refused)
    with pytest.raises(UserError, match=r"no free port.*--engine processes"), open_engine("dask", 1):
        pass


def test_a_job_that_ends_at_its_walltime_is_submitted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    # dask-jobqueue alone would leave the campaign without workers, waiting for ever
    distributed = pytest.importorskip("distributed")
    local = pytest.importorskip("dask_jobqueue.local")
    dask = pytest.importorskip("dask")
    monkeypatch.setattr("gmd26_md.campaign.engines.AGAIN_S", 0.5)
    arguments = {"worker_extra_args": ["--no-nanny"], "scheduler_options": {"dashboard_address": ":0"}}
    with (
        dask.config.set({"distributed.deploy.lost-worker-timeout": "1s"}),
        local.LocalCluster(cores=1, processes=1, memory="500MB", **arguments) as cluster,
        distributed.Client(cluster) as client,
        kept_at(cluster, 1),
    ):
        client.wait_for_workers(1, timeout=60)
        (first,) = client.run(os.getpid).values()
        os.kill(first, signal.SIGKILL)
        assert client.submit(os.getpid, pure=False).result(timeout=60) != first


def test_slurm_without_sbatch_says_so_and_waits_for_no_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("dask_jobqueue")
    monkeypatch.setenv("PATH", str(tmp_path))
    path = tmp_path / "slurm.yaml"
    path.write_text("cores: 1\nmemory: 1GB\n", encoding="utf-8")
    with pytest.raises(UserError, match="no sbatch here"), open_engine(f"slurm:{path}"):
        pass


def breaks(n_workers: int | None) -> Executor:
    raise RuntimeError("no\nnodes")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (f"{__name__}:breaks", "RuntimeError: no nodes; name a function"),
        ("proceses", "processes, dask"),
        ("no_such_module:f", "no_such_module"),
        (f"{__name__}:no_executor", "no concurrent.futures.Executor"),
        ("slurm:no.yaml", "cannot read"),
    ],
)
def test_what_is_no_engine_says_so(name: str, words: str) -> None:
    with pytest.raises(UserError, match=words), open_engine(name, 1):
        pass


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"cores: 1\njobs: many\n", "jobs is 'many'"),
        (b"cores: 1\njobs: 0\n", "jobs is 0"),
        (b"\xff\xfe\x00", "cannot read"),
        (b"when: 2024-13-45\n", "cannot read"),
    ],
)
def test_a_slurm_file_that_is_none_is_one_line(tmp_path: Path, content: bytes, words: str) -> None:
    pytest.importorskip("dask_jobqueue")
    path = tmp_path / "slurm.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError, match=words) as problem, open_engine(f"slurm:{path}"):
        pass
    assert "\n" not in str(problem.value)


def test_a_scheduler_that_is_not_there_says_how_to_start_one(monkeypatch: pytest.MonkeyPatch) -> None:
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr("gmd26_md.campaign.engines.CONNECT_S", 0.5)
    with pytest.raises(UserError, match="dask scheduler"), open_engine("dask:tcp://127.0.0.1:9", 1):
        pass
    assert distributed is not None


def test_the_job_script_holds_what_the_file_says(tmp_path: Path) -> None:
    pytest.importorskip("dask_jobqueue")
    path = tmp_path / "slurm.yaml"
    path.write_text(
        "queue: gpu\ncores: 4\nmemory: 16GB\nwalltime: '04:00:00'\njobs: 3\n"
        "job_extra_directives: ['--gres=gpu:1']\nworker_extra_args: ['--resources GPU=1']\n",
        encoding="utf-8",
    )
    with slurm_cluster(path) as cluster:
        script = cluster.job_script()
    assert "--nthreads 1 " in script.splitlines()[-1]  # one unit at a time, with all four cores
    assert "export OMP_NUM_THREADS=4" in script.splitlines()
    for line in ("#SBATCH -p gpu", "#SBATCH --cpus-per-task=4", "#SBATCH -t 04:00:00", "#SBATCH --gres=gpu:1"):
        assert line in script
    assert "--resources GPU=1" in script
    assert "dask" in script.splitlines()[-1]
    path.write_text("cores: 4\nmemory: 16GB\nwaltime: 1\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"waltime|refuses"):
        slurm_cluster(path)
