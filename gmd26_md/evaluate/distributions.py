"""Distributions: the model's runs, the reference's beside them, and a record a molecule."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gmd26_md import host
from gmd26_md.dynamics.sampled import Sampled
from gmd26_md.errors import UserError
from gmd26_md.evaluate.common import Show, quiet, refused
from gmd26_md.protocols import distributions
from gmd26_md.protocols.cases import Case
from gmd26_md.protocols.distributions_analysis import analyse, as_trajectory, trouble
from gmd26_md.protocols.distributions_judgement import Judged
from gmd26_md.question import Question
from gmd26_md.reference.sampling import Order, estimated_s, path_of, sample
from gmd26_md.run_folder import RunFolder

log = logging.getLogger(__name__)

_MODEL_SHARE = 0.3  # of the progress bar
_PROTOCOL = "distributions"
_WORTH_WORKERS_S = 5.0  # the start of workers takes a second or two


def measure_distributions(
    question: Question,
    folder: RunFolder,
    settings: distributions.Settings,
    reference: str,
    *,
    reference_runs: Path | None = None,
    max_hours: float = float("inf"),
    tell: Callable[[str], None] = lambda words: None,
    show: Show = quiet,
) -> None:
    """Run model and reference on every case that has no record yet, compare, and record.

    Parameters
    ----------
    reference_runs
        Folder in which the reference's runs are kept for every model; the run folder's own if None.
    max_hours
        A longer estimate for the reference's runs is refused before they begin.
    tell
        Given a sentence: how many runs of the reference are to be made, and how long that takes.

    Raises
    ------
    UserError
        If the reference's runs would take too long, or their folder is a file.
    """
    job = _Distributions(question, folder, settings, reference, reference_runs or folder.path / "reference-runs")
    if job.kept.exists() and not job.kept.is_dir():
        raise UserError(f"{job.kept} is a file; give --reference-runs a folder.")
    todo = job.runnable()
    job.move(todo, lambda fraction, words: show(_MODEL_SHARE * fraction, words))
    whole = job.record_those_in_trouble(todo)
    orders = [(case, order) for case in whole for order in job.orders(case)]
    n_workers = job.workers([order for _, order in orders], max_hours, tell)
    job.compare(
        whole, orders, n_workers, lambda fraction, words: show(_MODEL_SHARE + (1 - _MODEL_SHARE) * fraction, words)
    )


@dataclass(frozen=True)
class _Distributions:
    """One call of `measure_distributions`: what is asked, and where it goes."""

    question: Question
    folder: RunFolder
    settings: distributions.Settings
    reference: str
    kept: Path

    @property
    def asked(self) -> dict[str, Any]:
        """The settings as they stand in the records."""
        return asdict(self.settings) | {"reference": self.reference}

    def runnable(self) -> list[Case]:
        """Return the cases that are to be run; those that cannot be run are recorded."""
        done = {r.key for r in self.folder.records()}
        found = []
        for case in self.question.cases:
            if self.question.key(case, _PROTOCOL, self.asked, 0) in done:
                continue
            refusal = self.question.refusal(case)
            if refusal is None:
                found.append(case)
            else:
                self.folder.add(refused(self.question, case, _PROTOCOL, self.asked, 0, refusal))
        return found

    def orders(self, case: Case) -> list[Order]:
        """Return the reference's runs of a case."""
        return distributions.reference_orders(case, self.settings, self.reference)

    def path(self, case: Case, index: int) -> Path:
        """Return where a run of the model lies, or will."""
        return self.folder.path / "sampled" / f"{distributions.run_name(case, index)}.npz"

    def model_runs(self, case: Case) -> list[Sampled]:
        """Return the model's runs of a case, all of which are there."""
        return [Sampled.read(self.path(case, index)) for index in range(self.settings.n_runs)]

    def move(self, cases: Sequence[Case], show: Show) -> None:
        """Make the model's runs that are not there, all together; each is safe as soon as it ends."""
        everything = [(case, index) for case in cases for index in range(self.settings.n_runs)]
        missing = {
            distributions.run_name(case, index): (case, index)
            for case, index in everything
            if not self.path(case, index).is_file()
        }
        if not missing:
            return
        runs = distributions.run(
            self.question.subject.provider,
            list(missing.values()),
            self.settings,
            folder=self.folder.work_path,
            on_progress=lambda p: show(
                p.n_steps_done / p.n_steps,
                f"the model: {p.words}",
            ),
        )
        for run in runs:
            case, index = missing[run.key]
            Sampled.of(run, case.numbers, distributions.SAMPLE, {"model": self.question.subject.name}).write(
                self.path(case, index)
            )

    def record_those_in_trouble(self, cases: Sequence[Case]) -> list[Case]:
        """Record the cases of which a run of the model is not to be compared; return the others."""
        whole = []
        for case in cases:
            runs = self.model_runs(case)
            found = trouble(case, runs)
            if found is None:
                whole.append(case)
                continue
            judged = Judged(found.judgement, found.reason, {"failed_at_ps": found.at_ps}, {"run": found.run})
            self._record(case, runs, judged, shown=found.run)
        return whole

    def workers(self, orders: Sequence[Order], max_hours: float, tell: Callable[[str], None]) -> int:
        """Say how long the reference's missing runs will take, refuse what is too long, and return how many workers."""
        missing = [order for order in orders if not path_of(order, self.kept).is_file()]
        if not missing:
            return 1
        n_workers = host.n_cores()
        hours = estimated_s(missing, self.kept, n_workers=n_workers) / 3600
        n_steps = sum(order.n_steps for order in missing)
        took = (
            f"{hours:.1f} h" if hours >= 1.5 else f"{60 * hours:.0f} min" if hours > 0.03 else f"{3600 * hours:.0f} s"
        )
        words = f"{len(missing)} runs of {self.reference}, {n_steps} steps in all, about {took} on {n_workers} cores"
        if not hours <= max_hours:
            raise UserError(
                f"{words}: more than --max-hours {max_hours:g}. Allow more, or make them shorter (--run-ps), fewer "
                "(--only, --n-runs), or the reference cheaper (--reference). Nothing that is finished is lost."
            )
        tell(f"reference dynamics: {words}; kept in {self.kept}")
        return n_workers if 3600 * hours > _WORTH_WORKERS_S else 1

    def compare(self, cases: Sequence[Case], orders: Sequence[tuple[Case, Order]], n_workers: int, show: Show) -> None:
        """Make the reference's runs that are not there, and record each case as soon as it has all of its own."""
        waiting: dict[str, dict[int, Sampled]] = {case.slug: {} for case in cases}
        by_slug = {case.slug: case for case in cases}
        runs = sample([order for _, order in orders], self.kept, n_workers=n_workers)
        for n_done, (index, sampled) in enumerate(runs, start=1):
            slug = orders[index][0].slug
            waiting[slug][index] = sampled
            show(n_done / len(orders), f"reference dynamics: {n_done} of {len(orders)} runs")
            if len(waiting[slug]) == self.settings.n_runs:
                found = waiting.pop(slug)
                self._compare(by_slug[slug], [found[i] for i in sorted(found)])

    def _compare(self, case: Case, reference: list[Sampled]) -> None:
        runs = self.model_runs(case)
        names = {"reference_runs": [order.name for order in self.orders(case)]}
        wrong = trouble(case, reference)
        if wrong is not None:
            reason = f"the reference's own {wrong.reason} ({wrong.judgement}), so there is nothing to compare with"
            self._record(case, runs, Judged("failed", reason, {}, names), verdict="error", reference=reference)
            return
        try:
            judged = analyse(case, runs, reference, self.settings)
        except Exception as problem:  # it concerns one molecule, and is its record
            log.warning("%s: analysis failed", case.name, exc_info=True)
            reason = f"analysis failed, {type(problem).__name__}: {problem}"
            self._record(case, runs, Judged("failed", reason, {}, names), verdict="error", reference=reference)
            return
        judged.evidence.update(names)
        self._record(case, runs, judged, reference=reference)

    def _record(
        self,
        case: Case,
        runs: Sequence[Sampled],
        judged: Judged,
        *,
        shown: int = 0,
        verdict: str | None = None,
        reference: Sequence[Sampled] = (),
    ) -> None:
        """Write the record, and one of the model's runs as a trajectory to look at."""
        path = None
        if len(runs[shown].time_fs):
            path = self.folder.trajectory_path(distributions.run_name(case, shown))
            as_trajectory(runs[shown]).write(path)
        self.folder.add(
            self.question.record(
                case,
                _PROTOCOL,
                self.asked,
                metrics=judged.metrics,
                verdict=verdict,
                reason=judged.reason if verdict else f"{judged.judgement}: {judged.reason}",
                evidence=judged.evidence,
                trajectory=None if path is None else str(path.relative_to(self.folder.path)),
                cost={
                    "wall_s": sum(run.wall_s for run in runs),
                    "n_energy_calls": sum(run.n_force_calls for run in runs),
                    "n_reference_calls": sum(run.n_force_calls for run in reference),
                    "reference_wall_s": sum(run.wall_s for run in reference),
                },
            )
        )
