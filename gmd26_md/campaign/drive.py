"""Run what is missing of a campaign: submit, wait, try again elsewhere, write down what failed, go on."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Future
from dataclasses import asdict, dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from gmd26_md.campaign.description import Campaign
from gmd26_md.campaign.engines import Engine, open_engine
from gmd26_md.campaign.units import Unit
from gmd26_md.campaign.worker import run_unit
from gmd26_md.errors import UserError
from gmd26_md.files import write_text_whole

_MAX_BREAKS = 6  # of the engine, without a unit done between them
_LONGEST_REST_S = 30.0  # before an engine is opened again
_LOOK_S = 1.0


@dataclass
class Progress:
    """How a campaign stands.

    Attributes
    ----------
    units
        All of them.
    done, failed
        Keys, failed ones with their reason.
    began
        On the monotonic clock, s.
    n_before
        Units that were done before this call.
    spent_s
        Of the units done in this call.
    verdicts
        Counts of all records so far, by model and verdict.
    """

    units: Sequence[Unit]
    done: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)
    n_before: int = 0
    spent_s: float = 0.0
    verdicts: dict[str, Counter[str]] = field(default_factory=dict)

    def count(self, unit: Unit, verdicts: Mapping[str, int] | None) -> None:
        """Add a unit's verdicts to those of its model."""
        self.verdicts.setdefault(unit.model, Counter()).update(verdicts or {})

    @property
    def seconds_left(self) -> float | None:
        """By the pace of this call; None until a unit is done."""
        n_new = len(self.done) - self.n_before
        n_left = len(self.units) - len(self.done) - len(self.failed)
        return (time.monotonic() - self.began) / n_new * n_left if n_new else None


def is_done(out: Path, unit: Unit) -> bool:
    """Tell whether a unit's folder is in its place."""
    return (out / "units" / unit.key / "unit.json").is_file()


def verdicts_of(out: Path, unit: Unit) -> dict[str, int]:
    """Return the counts of verdicts of a unit that is done."""
    told = json.loads((out / "units" / unit.key / "unit.json").read_text(encoding="utf-8"))
    return dict(told.get("verdicts") or {})


def run_missing(
    campaign: Campaign,
    units: Sequence[Unit],
    *,
    engine: str = "processes",
    n_workers: int | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Progress:
    """Run the units that are not done, and return how all of them stand.

    A unit that fails is tried `n_retries` times more and then recorded in `failed/`; an engine that breaks is opened
    anew. Units that failed in an earlier call are tried again.

    Raises
    ------
    UserError
        If the engine cannot be opened, or broke several times with nothing done between.
    """
    _clean(campaign.out)
    progress = Progress(units, {u.key for u in units if is_done(campaign.out, u)})
    progress.n_before = len(progress.done)
    for unit in units:
        if unit.key in progress.done:
            progress.count(unit, verdicts_of(campaign.out, unit))
            _no_failure(campaign.out, unit)
    attempts: dict[str, list[str]] = {}
    breaks = 0
    while todo := [u for u in units if u.key not in progress.done and u.key not in progress.failed]:
        before = len(progress.done)
        try:
            with open_engine(engine, n_workers) as opened:
                _work_off(campaign, opened, todo, attempts, progress, on_progress)
        except (BrokenExecutor, CancelledError, ConnectionError, UserError) as problem:
            if isinstance(problem, UserError) and not breaks:
                raise  # it never was there
            breaks = 1 if len(progress.done) > before else breaks + 1
            if breaks > _MAX_BREAKS:
                raise UserError(
                    f"the engine {engine} broke {breaks} times and nothing was done between "
                    f"({type(problem).__name__}: {problem}); what is done is kept, give the command again."
                ) from problem
            time.sleep(min(_LONGEST_REST_S, 2.0**breaks))
    _clean(campaign.out)
    return progress


def _work_off(
    campaign: Campaign,
    engine: Engine,
    todo: Iterable[Unit],
    attempts: dict[str, list[str]],
    progress: Progress,
    on_progress: Callable[[Progress], None],
) -> None:
    """Submit the units, and again those that fail, until each is done or has failed for good."""
    running: dict[Future[Any], Unit] = {}
    ended: SimpleQueue[Future[Any]] = SimpleQueue()  # `wait` would look at each of them each time

    def begin(unit: Unit) -> None:
        future = _submit(campaign, engine, unit)
        running[future] = unit
        future.add_done_callback(ended.put)

    try:
        for unit in todo:
            begin(unit)
        told_at = -_LOOK_S
        while running:
            if time.monotonic() - told_at >= _LOOK_S:
                on_progress(progress)
                told_at = time.monotonic()
            try:
                future = ended.get(timeout=_LOOK_S)
            except Empty:
                continue
            unit = running.pop(future)
            if not _has_ended(campaign, unit, future, attempts, progress):
                begin(unit)
        on_progress(progress)
    finally:
        for future in running:
            future.cancel()


def _has_ended(
    campaign: Campaign,
    unit: Unit,
    future: Future[Any],
    attempts: dict[str, list[str]],
    progress: Progress,
) -> bool:
    """Count a unit as done or failed; tell whether it is either, and not to be tried again."""
    try:
        told = future.result()
    except (BrokenExecutor, CancelledError, ConnectionError):
        raise  # the engine's end, not this unit's
    except Exception as problem:  # of whatever kind the engine wraps it in: the unit has failed
        return _failed_again(campaign, unit, problem, attempts, progress)
    progress.done.add(unit.key)
    progress.spent_s += float(told["wall_s"])
    progress.count(unit, told["verdicts"])
    _no_failure(campaign.out, unit)
    return True


def _no_failure(out: Path, unit: Unit) -> None:
    """Forget that a unit failed in an earlier call, or in another driver's: it is done."""
    with contextlib.suppress(OSError):  # a disk that is full or read only takes nothing from the result
        (out / "failed" / f"{unit.key}.json").unlink(missing_ok=True)


def _submit(campaign: Campaign, engine: Engine, unit: Unit) -> Future[Any]:
    """Submit a unit.

    Raises
    ------
    BrokenExecutor
        If the engine takes no work, whatever it says: a client of Dask that lost its scheduler has errors of its own.
    """
    out, seconds = str(campaign.out.absolute()), 60.0 * campaign.unit_minutes
    try:
        return engine.submit(
            unit.resources, run_unit, asdict(unit), out, seconds, campaign.keep_trajectories, str(Path.cwd())
        )
    except Exception as problem:
        raise BrokenExecutor(f"{type(problem).__name__}: {problem}") from problem


def _failed_again(
    campaign: Campaign, unit: Unit, problem: Exception, attempts: dict[str, list[str]], progress: Progress
) -> bool:
    """Note why a unit failed; tell whether that was its last attempt, and write that down."""
    reasons = attempts.setdefault(unit.key, [])
    reasons.append(" ".join(f"{problem}".split()) or type(problem).__name__)  # one line, as it is told
    if len(reasons) <= campaign.n_retries:
        return False
    progress.failed[unit.key] = reasons[-1]
    told = {"unit": asdict(unit), "reasons": reasons}
    with contextlib.suppress(OSError):  # the disk is full, it may be: the reason is in what this call returns too
        write_text_whole(campaign.out / "failed" / f"{unit.key}.json", json.dumps(told, indent=1, sort_keys=True))
    return True


def _clean(out: Path) -> None:
    """Remove what workers that are gone left at work: all of this host's, and of others' what is done by now.

    Those of other hosts may be alive: what they are still doing is done already, and is dropped either way.
    """
    for path in (out / "at-work").glob("*"):
        host, _, rest = path.name.split("-", 1)[-1].rpartition("-")[0].rpartition("-")
        if host == socket.gethostname() and rest.isdigit():
            is_left = not _alive(int(rest))
        else:
            is_left = (out / "units" / path.name.partition("-")[0] / "unit.json").is_file()
        if is_left:
            shutil.rmtree(path, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
