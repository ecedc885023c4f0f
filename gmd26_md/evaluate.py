"""The straight line: model x molecules x protocol -> raw files -> records.

What is finished is in the run folder and never done again; a molecule that fails is a record and stops nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from gmd26_md.dynamics.engine import Run
from gmd26_md.dynamics.relax import Relaxation
from gmd26_md.observables.verdict import Evidence, Thresholds, judge
from gmd26_md.protocols import relaxation, stability, static_errors
from gmd26_md.protocols.cases import Case
from gmd26_md.question import Question, reference_of
from gmd26_md.records import Record
from gmd26_md.reference.labels import Labels, label
from gmd26_md.run_folder import RunFolder
from gmd26_md.runs_at_work import RunsAtWork, read_runs, write_runs

__all__ = ["Question", "measure_relaxation", "measure_stability", "measure_static_errors", "reference_of"]

log = logging.getLogger(__name__)

Show = Callable[[float, str], None]
"""Called with the fraction done and words for the rest of the line."""

MAX_ATOMS_AT_ONCE = 1500  # in one batch of the engine: big enough to fill two cores, small enough for any memory


def quiet(fraction: float, words: str) -> None:
    """Show nothing."""


def measure_static_errors(question: Question, folder: RunFolder, n_frames: int, show: Show = quiet) -> None:
    """Measure static errors where reference frames are at hand, one record a molecule."""
    settings = {"n_frames": n_frames}
    recorded = {r.key for r in folder.records()}
    have = set(folder.static_tables())
    keys = {c.slug: question.key(c, "static-errors", settings, 0) for c in question.cases}
    todo = [c for c in question.cases if c.frames is not None and question.knows(c)]
    todo = [c for c in todo if keys[c.slug] not in recorded or c.slug not in have]
    for index, case in enumerate(todo):
        began = time.monotonic()
        show(index / len(todo), f"static errors: {case.name}")
        for answer in static_errors.run(question.subject.provider, [case]):
            folder.write_static(case.slug, answer.sums.table)  # before the record: a record says that all is there
            cost = {"wall_s": time.monotonic() - began, "n_energy_calls": len(answer.sums.table)}
            if keys[case.slug] not in recorded:
                folder.add(question.record(case, "static-errors", settings, metrics=dict(answer.metrics), cost=cost))


def measure_stability(
    question: Question,
    folder: RunFolder,
    settings: stability.Settings,
    thresholds: Thresholds,
    *,
    minutes: float | None = None,
    show: Show = quiet,
) -> None:
    """Run the stability protocol on every case and seed that has no record yet.

    A killed call goes on: in the middle of a batch from the engine's snapshot, after it from the runs at work.
    """
    deadline = None if minutes is None else time.monotonic() + 60.0 * minutes
    job = _Stability(question, folder, settings, thresholds)
    todo = job.runnable()
    kept = read_runs(folder.runs_path)
    moved = {run.key for run in kept.runs} if kept else set()
    group = [pair for pair in todo if stability.run_name(*pair) in moved]
    if kept and group:
        job.judge(group, kept, show)
    groups = list(_groups([pair for pair in todo if pair not in group]))
    for index, group in enumerate(groups):
        part = _part(show, index, len(groups))
        job.judge(group, job.move(group, deadline, part), part)


@dataclass(frozen=True)
class _Stability:
    """One call of `measure_stability`: what is asked, and where it goes."""

    question: Question
    folder: RunFolder
    settings: stability.Settings
    thresholds: Thresholds

    @property
    def asked(self) -> dict[str, Any]:
        """The settings as they stand in the records."""
        return asdict(self.settings) | {"thresholds": asdict(self.thresholds)}

    def runnable(self) -> list[tuple[Case, int]]:
        """Return the runs that are to be made; those that cannot be made are recorded."""
        asked, done = self.asked, {r.key for r in self.folder.records()}
        found = []
        for seed in range(self.settings.seed, self.settings.seed + self.settings.n_seeds):
            for case in self.question.cases:
                if self.question.key(case, "stability", asked, seed) in done:
                    continue
                refusal = self.question.refusal(case)
                if refusal is None:
                    found.append((case, seed))
                else:
                    self.folder.add(_refused(self.question, case, "stability", asked, seed, refusal))
        return found

    def move(self, group: Sequence[tuple[Case, int]], deadline: float | None, show: Show) -> RunsAtWork:
        """Move one batch and keep its runs on disk."""
        began = time.monotonic()
        runs = stability.run(
            self.question.subject.provider,
            group,
            self.settings,
            self.thresholds,
            deadline=deadline,
            snapshot_path=self.folder.snapshot_path,
            on_progress=lambda p: show(
                0.9 * p.n_steps_done / p.n_steps,
                f"dynamics: {p.n_alive} of {p.n_systems} runs alive, {p.steps_per_s * p.n_alive:.0f} molecule-steps/s",
            ),
        )
        work = RunsAtWork(tuple(runs), time.monotonic() - began, sum(len(case.numbers) for case, _ in group))
        write_runs(self.folder.runs_path, work)
        return work

    def judge(self, group: Sequence[tuple[Case, int]], work: RunsAtWork, show: Show) -> None:
        """Label the runs of a batch that have no record yet, judge them and write their records."""
        began = time.monotonic()
        by_name = {run.key: run for run in work.runs}
        runs = [by_name[stability.run_name(*pair)] for pair in group]
        reference = self.settings.reference or self.question.subject.level_of_theory
        words = f"labelling the runs with {reference}"
        labels = _labels(runs, self.settings, reference, lambda f: show(0.9 + 0.1 * f, words))
        label_wall_s = time.monotonic() - began
        for (case, seed), run, answer in zip(group, runs, labels, strict=True):
            share = len(case.numbers) / work.n_atoms  # the batch's time, by atoms
            cost = {
                "wall_s": share * work.wall_s,
                "label_wall_s": share * label_wall_s,
                "n_energy_calls": run.n_force_calls,
                "n_reference_calls": 0 if answer is None else len(answer.energies),
                "n_systems_in_batch": len(work.runs),
            }
            self.folder.add(replace(self._record(case, seed, run, answer), cost=cost))
        self.folder.runs_path.unlink(missing_ok=True)

    def _record(self, case: Case, seed: int, run: Run, labels: Labels | None) -> Record:
        """Judge one run, and write its trajectory where it has frames."""
        try:
            judged = stability.analyse(case, run, labels, self.settings, self.thresholds)
        except Exception as problem:  # it concerns one molecule, and is its record
            log.warning("%s, seed %d: analysis failed", case.name, seed, exc_info=True)
            failed = Evidence(error=f"analysis failed, {type(problem).__name__}: {problem}")
            judged = stability.Judged(judge(failed, self.thresholds), {}, {})
        verdict, path = judged.verdict, None
        if run.frames:
            path = self.folder.trajectory_path(run.key)
            whole = stability.joined(run)
            info = {"model": self.question.subject.name, "molecule": case.name, "seed": seed, "verdict": verdict.name}
            replace(whole, info=whole.info | info | {"along": judged.along}).write(path)
        return self.question.record(
            case,
            "stability",
            self.asked,
            seed=seed,
            metrics=judged.metrics,
            verdict=verdict.name,
            reason=verdict.reason,
            trajectory=None if path is None else str(path.relative_to(self.folder.path)),
        )


def _labels(
    runs: Sequence[Run], settings: stability.Settings, reference: str, on_progress: Callable[[float], None]
) -> list[Labels | None]:
    """Label the runs' own frames; None for a run without frames to label."""
    jobs = [stability.label_job(run, settings) for run in runs]
    answers = iter(label([j for j in jobs if j is not None], reference, on_progress=on_progress))
    return [None if job is None else next(answers) for job in jobs]


def measure_relaxation(
    question: Question, folder: RunFolder, settings: relaxation.Settings, reference: str, show: Show = quiet
) -> None:
    """Relax every case from every start that has no record yet."""
    for position, start in enumerate(relaxation.STARTS):
        asked = asdict(settings) | {"start": start, "reference": reference}
        done = {r.key for r in folder.records()}
        runnable = []
        for case in question.cases:
            if question.key(case, "relaxation", asked, 0) in done:
                continue
            refusal = question.refusal(case)
            if refusal is None:
                runnable.append((case, 0))
            else:
                folder.add(_refused(question, case, "relaxation", asked, 0, refusal))
        groups = list(_groups(runnable))
        for index, group in enumerate(groups):
            part = _part(_part(show, position, len(relaxation.STARTS)), index, len(groups))
            _relax_group(question, folder, settings, asked, [case for case, _ in group], part)


def _relax_group(
    question: Question,
    folder: RunFolder,
    settings: relaxation.Settings,
    asked: dict[str, Any],
    cases: list[Case],
    show: Show,
) -> None:
    """Relax one batch, label where its molecules stop, and write their records."""
    began = time.monotonic()
    start = str(asked["start"])
    found = relaxation.run(
        question.subject.provider,
        cases,
        settings,
        start=start,
        on_progress=lambda n, left: show(n / settings.max_steps, f"relaxing from the {start}: {left} still move"),
    )
    views = relaxation.ask_reference(found, str(asked["reference"]))
    n_atoms = sum(len(c.numbers) for c in cases)
    wall = time.monotonic() - began
    for case, path, seen in zip(cases, found, views, strict=True):
        target = folder.trajectory_path(f"{case.slug}-from-{start}")
        path.path.write(target)
        metrics, reason, verdict = _relaxed(case, start, path, seen, settings)
        folder.add(
            question.record(
                case,
                "relaxation",
                asked,
                metrics=metrics,
                verdict=verdict,
                reason=reason,
                cost={"wall_s": wall * len(case.numbers) / n_atoms, "n_energy_calls": path.n_steps + 1},
                trajectory=str(target.relative_to(folder.path)),
            )
        )


def _relaxed(
    case: Case, start: str, path: Relaxation, seen: relaxation.SeenByReference, settings: relaxation.Settings
) -> tuple[dict[str, Any], str, str | None]:
    """Return metrics, reason and verdict of a relaxation; its reason begins with the judgement."""
    try:
        outcome = relaxation.analyse(case, start, path, seen, settings)
    except Exception as problem:  # it concerns one molecule, and is its record
        log.warning("%s: analysis failed", case.name, exc_info=True)
        return {}, f"analysis failed, {type(problem).__name__}: {problem}", "error"
    return outcome.metrics, f"{outcome.judgement}: {outcome.reason}", None


def _refused(
    question: Question, case: Case, protocol: str, settings: dict[str, Any], seed: int, refusal: Evidence
) -> Record:
    """Return the record of a run that cannot be made."""
    verdict = judge(refusal, Thresholds())
    return question.record(case, protocol, settings, seed=seed, verdict=verdict.name, reason=verdict.reason)


def _groups(wanted: Sequence[tuple[Case, int]]) -> Iterator[list[tuple[Case, int]]]:
    """Yield batches of runs of at most `MAX_ATOMS_AT_ONCE` atoms."""
    group: list[tuple[Case, int]] = []
    n_atoms = 0
    for case, seed in wanted:
        if group and n_atoms + len(case.numbers) > MAX_ATOMS_AT_ONCE:
            yield group
            group, n_atoms = [], 0
        group.append((case, seed))
        n_atoms += len(case.numbers)
    if group:
        yield group


def _part(show: Show, index: int, n_parts: int) -> Show:
    """Return a `Show` for one of several equal parts of the work."""
    return lambda fraction, words: show((index + fraction) / n_parts, words)
