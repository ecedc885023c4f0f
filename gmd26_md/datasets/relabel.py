"""Label at one level of theory what another level sampled: for references too dear for dynamics of their own.

Every label is on disk as it is made (`relabel_journal`), so that a kill loses what was being computed and no more. A
run that was resumed gives the numbers of one that was not; how nearly, says `docs/dft-labels.md`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from typing import Any

import numpy as np

from gmd26_md.datasets import store
from gmd26_md.datasets.relabel_jobs import Job, LabelSettings
from gmd26_md.datasets.relabel_work import label_one, relax_one
from gmd26_md.reference.cost import STEPS_TO_A_MINIMUM, Estimate, estimate
from gmd26_md.reference.pool import one_thread_workers
from gmd26_md.trajectory import Trajectory

_Part = tuple[Job, int | None]  # a job, and which frame of it; None for a relaxation


def cost(jobs: Sequence[Job], reference: str, n_workers: int) -> Estimate:
    """Return what the jobs will cost, from one evaluation of the smallest molecule; see `reference.cost.estimate`."""
    minima = [int(job.source is None) for job in jobs]
    structures = [job.start for job in jobs]
    return estimate(reference, structures, [len(job.missing) for job in jobs], n_minima=minima, n_cores=n_workers)


def relabel(
    jobs: Sequence[Job],
    settings: LabelSettings,
    n_workers: int,
    on_progress: Callable[[float, str], None] = lambda fraction, words: None,
) -> dict[str, dict[str, dict[str, Any]]]:
    """Do the jobs in one-thread workers, and return the provenance of each by slug and stage.

    Relaxations begin first, as they are longest; then frames, those of a molecule in the order of time. A stage is
    written as soon as it is whole. A frame that the reference cannot do is left out and named in the provenance.

    Raises
    ------
    UserError
        If a worker process died.
    """
    for job in jobs:
        if job.source is not None and not job.missing:
            _finish_frames(job)  # a kill came between the last label and its stage
    ledger = _Ledger(jobs)
    with one_thread_workers(n_workers) as pool:
        waiting = _submitted(pool, jobs, settings)
        try:
            for future in as_completed(waiting):
                job, i = waiting[future]
                if job.source is None:
                    _finish_minimum(job, future.result())
                else:
                    job.journal.add(job.source.frames.positions[i], future.result())
                    if not job.missing:
                        _finish_frames(job)
                on_progress(*ledger.after(job, i))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for job in jobs:
        found.setdefault(job.molecule.slug, {})[job.stage] = store.read_provenance(job.folder)[job.stage]
    return found


def _submitted(pool: ProcessPoolExecutor, jobs: Sequence[Job], settings: LabelSettings) -> dict[Future[Any], _Part]:
    """Hand everything to the workers, and return what each answer will belong to."""
    waiting: dict[Future[Any], _Part] = {}
    for job in jobs:
        if job.source is None:
            arguments = (job.start, settings.reference, settings.fmax_eV_per_A, job.journal)
            waiting[pool.submit(relax_one, *arguments)] = (job, None)
    for job in jobs:
        if job.source is not None:
            frames = job.source.frames
            for i in job.missing:
                future = pool.submit(label_one, frames.numbers, frames.positions[i], settings.reference)
                waiting[future] = (job, i)
    return waiting


def _finish_frames(job: Job) -> None:
    """Write the stage, now that every geometry has its answer; those that failed are left out and named."""
    assert job.source is not None
    frames = job.source.frames
    answers = [answer for answer in job.answers if answer is not None]
    good = np.array([i for i, answer in enumerate(answers) if not answer.problem], dtype=int)
    failed = [
        {"time_fs": float(frames.time_fs[i]), "reason": answer.problem}
        for i, answer in enumerate(answers)
        if answer.problem
    ]
    made_by = job.made_by | {"failed_frames": failed}
    if len(good):
        labelled = Trajectory(
            numbers=frames.numbers,
            time_fs=frames.time_fs[good],
            positions=frames.positions[good],
            velocities=None,
            energies=np.array([answers[i].energy for i in good]),
            forces=np.array([answers[i].forces for i in good]),
            info={name: job.made_by[name] for name in ("level_of_theory", "sampled_by")},
        )
        store.write_stage(job.folder, job.stage, labelled, made_by)
    else:
        store.write_failure(job.folder, job.stage, f"every frame failed: {failed[0]['reason']}", made_by)
    job.journal.remove()


def _finish_minimum(job: Job, found: Trajectory | None) -> None:
    if found is None:
        store.write_failure(job.folder, "minimum", "the relaxation did not converge", job.made_by)
    else:
        store.write_stage(job.folder, "minimum", found, job.made_by)
    job.journal.remove()


class _Ledger:
    """What is done of the work, by a molecule's size squared; a relaxation counts as its usual number of steps."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        numbers = [(self._weight(job), self._n_parts(job)) for job in jobs]
        self._total = sum(weight * n for weight, n in numbers)
        self._n_parts_in_all = sum(n for _, n in numbers)
        self._done, self._n = 0.0, 0
        self._began = time.monotonic()

    @staticmethod
    def _weight(job: Job) -> float:
        return float(len(job.start) ** 2) * (STEPS_TO_A_MINIMUM if job.source is None else 1)

    @staticmethod
    def _n_parts(job: Job) -> int:
        return 1 if job.source is None else len(job.missing)

    def after(self, job: Job, frame: int | None) -> tuple[float, str]:
        """Count one answer, and return the fraction done with words for the user."""
        self._done += self._weight(job)
        self._n += 1
        left_s = (time.monotonic() - self._began) * (self._total - self._done) / self._done
        what = f"{job.molecule.name}, {job.stage}" + ("" if frame is None else f" {frame + 1}")
        return self._done / self._total, f"{self._n}/{self._n_parts_in_all}, {left_s / 60:.0f} min left; {what}"
