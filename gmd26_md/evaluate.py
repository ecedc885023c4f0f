"""The straight line: model x molecules x protocol -> raw files -> records.

What is finished is in the run folder and never done again; a molecule that fails is a record and stops nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from gmd26_md.dynamics.engine import Progress, Run
from gmd26_md.dynamics.relax import Relaxation
from gmd26_md.observables.verdict import Evidence, Thresholds, judge
from gmd26_md.protocols import relaxation, stability, static_errors
from gmd26_md.protocols.cases import Case
from gmd26_md.question import Question, reference_of
from gmd26_md.records import Record
from gmd26_md.reference.beside import LabelsBeside
from gmd26_md.reference.labels import Labels
from gmd26_md.run_folder import RunFolder

__all__ = ["Question", "measure_relaxation", "measure_stability", "measure_static_errors", "reference_of"]

log = logging.getLogger(__name__)

Show = Callable[[float, str], None]
"""Called with the fraction done and words for the rest of the line."""

_RELAX_AT_ONCE = 64  # molecules whose relaxations a kill may cost


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

    The reference labels the frames of a run in other processes while the dynamics goes on. A run is judged
    and recorded as soon as it ends; a killed call goes on where the engine stood.
    """
    deadline = None if minutes is None else time.monotonic() + 60.0 * minutes
    job = _Stability(question, folder, settings, thresholds)
    todo = {stability.run_name(*pair): pair for pair in job.runnable()}
    if not todo:
        return
    n_expected = len(todo) * settings.n_label_frames
    with LabelsBeside(job.reference, n_expected=n_expected) as labels:
        runs = stability.run(
            question.subject.provider,
            list(todo.values()),
            settings,
            thresholds,
            deadline=deadline,
            folder=folder.work_path,
            on_label_frame=labels.submit,
            on_progress=lambda p: show(*_moving(p, labels)),
        )
        for n_recorded, run in enumerate(runs, start=1):
            show(n_recorded / len(todo), f"labelling and judging: {n_recorded} of {len(todo)} runs")
            job.record(*todo[run.key], run, labels)


def _moving(progress: Progress, labels: LabelsBeside) -> tuple[float, str]:
    """Return the fraction done, and how the dynamics are getting on."""
    p = progress
    words = (
        f"dynamics: {p.n_moving} of {p.n_systems} runs move, {p.n_finished} done, {p.steps_per_s:.0f} molecule-steps/s"
    )
    if labels.n_submitted:
        words += f", {labels.n_done} of {labels.n_submitted} labels"
    return p.n_steps_done / p.n_steps, words


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

    @property
    def reference(self) -> str:
        """What labels the runs."""
        return self.settings.reference or self.question.subject.level_of_theory

    def record(self, case: Case, seed: int, run: Run, labels: LabelsBeside) -> None:
        """Take the labels of a run that has ended, judge it, and write its record."""
        began = time.monotonic()
        chosen = stability.frames_to_label(run, self.settings)
        answer = None
        if chosen.size:
            answer = labels.take(run.key, chosen.tolist(), case.numbers, run.frames["nve"].positions[chosen])
        labels.forget(run.key)
        cost = {
            "wall_s": run.wall_s,
            "label_wall_s": time.monotonic() - began,
            "n_energy_calls": run.n_force_calls,
            "n_reference_calls": 0 if answer is None else len(answer.energies),
            "n_systems_in_batch": run.n_together,
        }
        self.folder.add(replace(self._record(case, seed, run, answer), cost=cost))

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
                runnable.append(case)
            else:
                folder.add(_refused(question, case, "relaxation", asked, 0, refusal))
        groups = [runnable[i : i + _RELAX_AT_ONCE] for i in range(0, len(runnable), _RELAX_AT_ONCE)]
        for index, group in enumerate(groups):
            part = _part(_part(show, position, len(relaxation.STARTS)), index, len(groups))
            _relax_together(question, folder, settings, asked, group, part)


def _relax_together(
    question: Question,
    folder: RunFolder,
    settings: relaxation.Settings,
    asked: dict[str, Any],
    cases: list[Case],
    show: Show,
) -> None:
    """Relax the cases, label where they stop, and write their records."""
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


def _part(show: Show, index: int, n_parts: int) -> Show:
    """Return a `Show` for one of several equal parts of the work."""
    return lambda fraction, words: show((index + fraction) / n_parts, words)
