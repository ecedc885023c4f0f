"""What an executor calls: run one unit in a warm child process, and put its folder in its place, whole.

CAMPAIGN/at-work/<key>-<host>-<pid>-<n>/   a unit at work
         units/<key>/                      a unit that is done: a run folder, and unit.json with what made it
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import hashlib
import itertools
import json
import os
import select
import shutil
import socket
import subprocess
import threading
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gmd26_md.campaign.units import Unit
from gmd26_md.files import sha256_of, write_text_whole
from gmd26_md.host import N_CORES, host_kind
from gmd26_md.records import Record, read_records
from gmd26_md.report.summary import is_failure

_LONGEST_S = 1e9  # thirty years; the system counts no longer ones, and "no limit" may be written as one
_LAST_S = 10.0  # to end by itself, for a child that will answer no more
_SLOW_FREE = "MALLOC_TRIM_THRESHOLD_"
"""Dask sets it for its workers: memory goes back to the system at once, and dynamics takes 1.7 times as long."""

_children: dict[tuple[int, str], Child] = {}
_numbers = itertools.count()


class UnitFailedError(Exception):
    """A unit did not come to its end; the text says why."""


class Child:
    """A child process that runs units, by the Python of an environment.

    Raises
    ------
    UnitFailedError
        If it cannot be started.
    """

    def __init__(self, python: str, log: Path) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        read, write = os.pipe()
        try:
            with log.open("ab") as handle:
                self._process = subprocess.Popen(
                    [python, "-m", "gmd26_md.campaign.child", str(write)],
                    stdin=subprocess.PIPE,
                    stdout=handle,
                    stderr=handle,
                    pass_fds=[write],
                    env=_environment(),
                )
        except OSError as problem:
            os.close(read)
            raise UnitFailedError(f"{python} cannot be started: {problem}") from problem
        finally:
            os.close(write)
        self._answers = read
        self.log = log

    def ask(self, question: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        """Return the child's answer to a unit.

        Raises
        ------
        UnitFailedError
            If it died, or did not answer in time; it is gone then.
        """
        stdin = self._process.stdin
        if stdin is None:
            raise UnitFailedError("the child has no input")
        try:
            stdin.write(json.dumps(question).encode() + b"\n")
            stdin.flush()
        except OSError:
            raise UnitFailedError(self._death()) from None
        deadline, text = time.monotonic() + min(timeout_s, _LONGEST_S), b""
        while not text.endswith(b"\n"):
            ready, _, _ = select.select([self._answers], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                self.end()
                raise UnitFailedError(f"it hung: no answer in {timeout_s / 60:.1f} min, and it was killed")
            part = os.read(self._answers, 65536)
            if not part:
                raise UnitFailedError(self._death())
            text += part
        return dict(json.loads(text))

    def end(self) -> None:
        """Kill it."""
        self._process.kill()
        self._process.wait()
        with contextlib.suppress(OSError):
            os.close(self._answers)

    def _death(self) -> str:
        try:
            code = self._process.wait(_LAST_S)
        except subprocess.TimeoutExpired:  # a thread of its own may hold it up for ever
            self._process.kill()
            code = self._process.wait()
        with contextlib.suppress(OSError):
            os.close(self._answers)
        how = f"killed by signal {-code} (9: out of memory, or by hand)" if code < 0 else f"exit code {code}"
        return f"its process died, {how}; see {self.log}"


def _environment() -> dict[str, str]:
    """Return what a child is to find: this worker's share of the cores is all that it may use."""
    mine = {name: value for name, value in os.environ.items() if name != _SLOW_FREE}
    return {N_CORES: mine["OMP_NUM_THREADS"], **mine} if mine.get("OMP_NUM_THREADS") else mine


def run_unit(unit: dict[str, Any], out: str, timeout_s: float, kept: str | float, at: str = "") -> dict[str, Any]:
    """Run a unit, or find it done, and return {"key", "wall_s", "n_records", "verdicts"}; verdicts are counts by name.

    Two workers that run the same unit do no harm: the first that ends puts its folder in place, the other's is dropped.
    Relative paths are from `at`, the driver's folder: a worker may have been started elsewhere.

    Raises
    ------
    UnitFailedError
        If it did not come to its end, its model's file is not the one that was planned, or the disk is full.
    """
    asked, folder = Unit(**unit), Path(out)
    target = folder / "units" / asked.key
    if (target / "unit.json").is_file():
        return _told(target)
    work = folder / "at-work" / f"{asked.key}-{socket.gethostname()}-{os.getpid()}-{next(_numbers)}"
    try:
        return _run(asked, folder, work, target, timeout_s, kept, at)
    except OSError as problem:
        raise UnitFailedError(f"{problem.strerror or problem} ({problem.filename or work})") from problem
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _run(
    unit: Unit, out: Path, work: Path, target: Path, timeout_s: float, kept: str | float, at: str
) -> dict[str, Any]:
    _check_files(unit, at)
    child_key = (threading.get_ident(), unit.python)
    child = _children.pop(child_key, None) or Child(unit.python, _log(out))
    arguments = [*unit.arguments, "--out", str(work.absolute())]
    answer = child.ask({"arguments": arguments, "at": at, "version": unit.code_version}, timeout_s)
    if _runs_own_code(unit):
        child.end()  # what such code has imported would answer for the next one's modules of the same name
    else:
        _children[child_key] = child  # alive, and warm for the next one
    _check_version(unit, answer["versions"])
    if answer["reason"]:
        raise UnitFailedError(answer["reason"])
    records = read_records(work / "records.jsonl")
    if not records:
        raise UnitFailedError("it left no record")
    _check_files(unit, at)
    _prune(work, records, kept)
    told = {
        "unit": asdict(unit),
        "wall_s": answer["wall_s"],
        "max_rss_MB": answer["max_rss_MB"],
        "n_records": len(records),
        "verdicts": Counter(_outcome(record) for record in records),
        "host": {"name": socket.gethostname(), "kind": host_kind()},
        "versions": answer["versions"],
    }
    write_text_whole(work / "unit.json", json.dumps(told, indent=1, sort_keys=True))
    _in_place(work, target)
    return _told(target)


def _check_files(unit: Unit, at: str) -> None:
    """Raise if a file is another one than was planned: before the unit, and when it has ended."""
    planned = {**unit.files, **({unit.model_file: unit.model_file_sha256} if unit.model_file else {})}
    for name, sha256 in planned.items():
        if sha256_of(Path(at, name)) != sha256:
            raise UnitFailedError(f"{name} has changed since the campaign was planned; give the command again")


def _check_version(unit: Unit, versions: dict[str, str]) -> None:
    """Raise if there is another version of this package than the unit's key says."""
    if unit.code_version and versions["gmd26-md"] != unit.code_version:
        raise UnitFailedError(
            f"{unit.python} has gmd26-md {versions['gmd26-md']}, the campaign was planned with {unit.code_version}; "
            "install the same there"
        )


def _runs_own_code(unit: Unit) -> bool:
    """Tell whether the command line names a Python file: a model, a task or a reference of the user's."""
    return any(part.partition(":")[0].endswith(".py") for part in unit.arguments)


def _prune(work: Path, records: list[Record], kept: str | float) -> None:
    """Delete raw trajectories that the rule does not keep; which fraction is a matter of the record's key alone."""
    if kept == "all":
        return
    for record in records:
        if kept != "none" and is_failure(record):
            continue
        if (
            isinstance(kept, int | float)
            and int(hashlib.sha256(record.key.encode()).hexdigest()[:8], 16) < kept * 2**32
        ):
            continue
        if record.trajectory:
            for kind in ("trajectories", "labels"):
                (work / kind / Path(record.trajectory).name).unlink(missing_ok=True)
        if record.protocol == "distributions":
            _prune_sampled(work, record)


def _prune_sampled(work: Path, record: Record) -> None:
    """Delete the dense frames of a molecule that distributions were made of, the model's and the reference's."""
    for path in (work / "sampled").glob("*.npz"):
        if path.name.startswith(f"{record.slug}-distributions-run"):
            path.unlink()
    for name in record.evidence.get("reference_runs", ()):
        (work / "reference-runs" / f"{name}.npz").unlink(missing_ok=True)


def _outcome(record: Record) -> str:
    """Return the verdict of a run, or the judgement that a record of another protocol begins with."""
    return record.verdict or record.reason.partition(":")[0] or record.protocol


def _in_place(work: Path, target: Path) -> None:
    """Rename the folder to its place; if another worker was there first, leave that."""
    target.parent.mkdir(parents=True, exist_ok=True)
    for folder in (work, *(path for path in work.rglob("*") if path.is_dir())):
        _sync(folder)  # files are synced as they are written, their names with their folder
    try:
        work.rename(target)
    except OSError as problem:
        if problem.errno not in (errno.ENOTEMPTY, errno.EEXIST) or not (target / "unit.json").is_file():
            raise
    _sync(target.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _told(target: Path) -> dict[str, Any]:
    found = json.loads((target / "unit.json").read_text(encoding="utf-8"))
    return {"key": target.name, **{name: found.get(name) for name in ("wall_s", "n_records", "verdicts")}}


def _log(out: Path) -> Path:
    return out / "logs" / f"{socket.gethostname()}-{os.getpid()}-{threading.get_ident()}.log"


@atexit.register
def _end_children() -> None:
    for child in _children.values():
        child.end()
