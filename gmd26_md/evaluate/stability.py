"""Stability: dynamics with the model, labels beside it, a verdict a run."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from gmd26_md.dynamics.engine import Progress, Run
from gmd26_md.evaluate.common import Show, quiet, refused
from gmd26_md.evaluate.standing import Standing
from gmd26_md.observables.verdict import Evidence, Thresholds, judge
from gmd26_md.protocols import stability, stability_analysis
from gmd26_md.protocols.stability import Order, Settings
from gmd26_md.protocols.stability_analysis import Judged
from gmd26_md.protocols.stability_settings import of_a_run
from gmd26_md.question import Question
from gmd26_md.records import Record
from gmd26_md.reference.beside import LabelsBeside
from gmd26_md.reference.labels import Labels
from gmd26_md.run_folder import RunFolder
from gmd26_md.trajectory import Trajectory

log = logging.getLogger(__name__)


def measure_stability(
    question: Question,
    folder: RunFolder,
    settings: Settings | Sequence[Settings],
    thresholds: Thresholds,
    *,
    minutes: float | None = None,
    show: Show = quiet,
) -> None:
    """Run the stability protocol on every case, seed and setting that has no record yet, all in one batch.

    The reference labels the frames of a run in other processes while the dynamics goes on. A run is judged
    and recorded as soon as it ends; a killed call goes on where the engine stood.

    Parameters
    ----------
    settings
        One, or several that differ in temperature or ensemble; all name the same reference.
    """
    deadline = None if minutes is None else time.monotonic() + 60.0 * minutes
    variants = [settings] if isinstance(settings, Settings) else list(settings)
    job = _Stability(question, folder, variants, thresholds)
    todo = {order.name: order for order in job.runnable()}
    if not todo:
        return
    n_expected = sum(order.settings.n_label_frames for order in todo.values())
    standing = Standing.of([order.case.name for order in todo.values()], folder.records())
    with LabelsBeside(job.reference, n_expected=n_expected) as labels:

        def tell() -> None:
            show(standing.fraction, standing.words(labels.n_done, labels.n_submitted))

        def moved(progress: Progress) -> None:
            standing.told(progress)
            tell()

        runs = stability.run(
            question.subject.provider,
            list(todo.values()),
            thresholds,
            deadline=deadline,
            folder=folder.work_path,
            on_label_frame=labels.submit,
            on_progress=moved,
        )
        for run in runs:
            standing.judged(job.record(todo[run.key], run, labels))
            tell()


@dataclass(frozen=True)
class _Stability:
    """One call of `measure_stability`: what is asked, and where it goes."""

    question: Question
    folder: RunFolder
    variants: list[Settings]
    thresholds: Thresholds

    def asked(self, settings: Settings) -> dict[str, Any]:
        """Return the settings as they stand in the records."""
        return of_a_run(settings) | {"thresholds": asdict(self.thresholds)}

    def runnable(self) -> list[Order]:
        """Return the runs that are to be made; those that cannot be made are recorded."""
        done = {r.key for r in self.folder.records()}
        found = []
        for settings in self.variants:
            asked = self.asked(settings)
            for seed in range(settings.seed, settings.seed + settings.n_seeds):
                for case in self.question.cases:
                    if self.question.key(case, "stability", asked, seed) in done:
                        continue
                    refusal = self.question.refusal(case)
                    if refusal is None:
                        found.append(Order(case, seed, settings))
                    else:
                        self.folder.add(refused(self.question, case, "stability", asked, seed, refusal))
        return found

    @property
    def reference(self) -> str:
        """What labels the runs."""
        return self.variants[0].reference or self.question.subject.level_of_theory

    def record(self, order: Order, run: Run, labels: LabelsBeside) -> Record:
        """Take the labels of a run that has ended, judge it, and write its files and then its record; return that."""
        began = time.monotonic()
        chosen = stability.frames_to_label(run, order.settings)
        frames, answer = stability.proper(run), None
        if frames is not None and chosen.size:
            answer = labels.take(run.key, chosen.tolist(), order.case.numbers, frames.positions[chosen])
        labels.forget(run.key)
        cost = {
            "wall_s": run.wall_s,
            "label_wall_s": time.monotonic() - began,
            "n_energy_calls": run.n_force_calls,
            "n_reference_calls": 0 if answer is None else len(answer.energies),
            "n_systems_in_batch": run.n_together,
        }
        record = replace(self._record(order, run, answer), cost=cost)
        self.folder.add(record)
        return record

    def _record(self, order: Order, run: Run, labels: Labels | None) -> Record:
        """Judge one run, and write its trajectory, its labelled frames and its last ones, where it has them."""
        case, seed = order.case, order.seed
        try:
            judged = stability_analysis.analyse(order, run, labels, self.thresholds)
        except Exception as problem:  # it concerns one molecule, and is its record
            log.warning("%s: analysis failed", order.name, exc_info=True)
            failed = Evidence(error=f"analysis failed, {type(problem).__name__}: {problem}")
            judged = Judged(judge(failed, self.thresholds))
        verdict = judged.verdict
        info = {
            "model": self.question.subject.name, "molecule": case.name, "split": case.split, "seed": seed,
            "verdict": verdict.name,
        }  # fmt: skip
        whole = stability.joined(run) if run.frames else None
        path = self._written("trajectories", order.name, whole, info)
        evidence = judged.evidence | {
            "labels": self._written("labels", order.name, judged.labelled, info | {"reference": self.reference}),
            "last_frames": self._written("failures", order.name, judged.last, info | {"reason": verdict.reason}),
        }
        return self.question.record(
            case,
            "stability",
            self.asked(order.settings),
            seed=seed,
            metrics=judged.metrics,
            verdict=verdict.name,
            reason=verdict.reason,
            trajectory=path,
            evidence=evidence,
        )

    def _written(self, kind: str, name: str, frames: Trajectory | None, info: dict[str, Any]) -> str | None:
        """Write frames of a run where there are some; return the path within the run folder."""
        if frames is None:
            return None
        path = self.folder.frames_path(kind, name)
        replace(frames, info=frames.info | info).write(path)
        return str(path.relative_to(self.folder.path))
