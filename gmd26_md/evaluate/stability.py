"""Stability: dynamics with the model, labels beside it, a verdict a run."""

from __future__ import annotations

import logging
import time
from dataclasses import asdict, dataclass, replace
from typing import Any

from gmd26_md.dynamics.engine import Progress, Run
from gmd26_md.evaluate.common import Show, quiet, refused
from gmd26_md.observables.verdict import Evidence, Thresholds, judge
from gmd26_md.protocols import stability
from gmd26_md.protocols.cases import Case
from gmd26_md.question import Question
from gmd26_md.records import Record
from gmd26_md.reference.beside import LabelsBeside
from gmd26_md.reference.labels import Labels
from gmd26_md.run_folder import RunFolder

log = logging.getLogger(__name__)


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
                    self.folder.add(refused(self.question, case, "stability", asked, seed, refusal))
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
