"""Generate the reference data of many molecules in parallel; resumable, with progress and time left."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gmd26_md.datasets import store, worker
from gmd26_md.datasets.sample import SamplingSettings, settings_of
from gmd26_md.molecules import Molecule
from gmd26_md.reference.pool import one_thread_workers, spawn_context


@dataclass(frozen=True)
class GenerationProgress:
    """How far the generation is.

    Attributes
    ----------
    fraction
        Of the estimated work, which grows with the square of a molecule's size.
    seconds_left
        By the pace so far; None until there is one.
    n_done, n_molecules
        Molecules.
    running
        Names of those at work.
    """

    fraction: float
    seconds_left: float | None
    n_done: int
    n_molecules: int
    running: tuple[str, ...]


@dataclass
class _Ledger:
    """Work done and to do, by molecule."""

    weights: dict[str, float]
    fractions: dict[str, float] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)
    began: float = field(default_factory=time.monotonic)

    def progress(self) -> GenerationProgress:
        total = sum(self.weights.values()) or 1.0
        work = sum(self.weights[s] * self.fractions.get(s, 0.0) for s in self.weights)
        elapsed = time.monotonic() - self.began
        left = elapsed * (total - work) / work if work > 0 else None
        running = tuple(s for s, f in self.fractions.items() if s not in self.done and f < 1.0)
        return GenerationProgress(work / total, left, len(self.done), len(self.weights), running)


def generate(
    molecules: Sequence[Molecule],
    data: Path,
    *,
    level: str = "gfn2-xtb",
    settings: SamplingSettings | None = None,
    n_workers: int = 1,
    command: str = "",
    on_progress: Callable[[GenerationProgress], None] = lambda progress: None,
) -> dict[str, dict[str, str]]:
    """Make what is missing of the molecules' trajectories; return each molecule's status by stage.

    Finished trajectories are never computed again, an interrupted one is redone from its seed, and a reference
    that fails is recorded in `provenance.json` and not written as data.

    Raises
    ------
    UserError
        If data made with other settings is in the way, or a worker process died.
    """
    settings = settings or SamplingSettings()
    todo = [m for m in molecules if not _all_done(m, data, level, settings)]
    statuses = {m.slug: dict.fromkeys(store.STAGES, "done") for m in molecules if m not in todo}
    if not todo:
        return statuses
    ledger = _Ledger({m.slug: float(len(m.symbols) ** 2) for m in todo})
    todo.sort(key=lambda m: -ledger.weights[m.slug])  # the longest first, so that no worker ends up alone with one
    messages = spawn_context().Queue()
    with one_thread_workers(n_workers, worker.listen, messages) as pool:
        futures = {
            pool.submit(worker.sample, m, store.folder_of(data, level, m), level, settings, command): m for m in todo
        }
        try:
            _follow(futures, messages, ledger, statuses, on_progress)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return statuses


def _follow(
    futures: dict[Future[dict[str, str]], Molecule],
    messages: Any,
    ledger: _Ledger,
    statuses: dict[str, dict[str, str]],
    on_progress: Callable[[GenerationProgress], None],
) -> None:
    pending = set(futures)
    while pending:
        finished, pending = wait(pending, timeout=0.5, return_when=FIRST_COMPLETED)
        _drain(messages, ledger)
        for future in finished:
            slug = futures[future].slug
            statuses[slug] = future.result()
            ledger.fractions[slug] = 1.0
            ledger.done.add(slug)
        on_progress(ledger.progress())


def _drain(messages: Any, ledger: _Ledger) -> None:
    while True:
        try:
            slug, fraction = messages.get_nowait()
        except queue.Empty:
            return
        ledger.fractions[slug] = fraction


def _all_done(molecule: Molecule, data: Path, level: str, settings: SamplingSettings) -> bool:
    folder = store.folder_of(data, level, molecule)
    # every stage is asked, done or not: data made with other settings must be met before anything is written
    done = [store.is_done(folder, stage, settings_of(settings, stage)) for stage in store.STAGES]
    return all(done)
