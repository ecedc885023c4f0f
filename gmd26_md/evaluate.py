"""The straight line: model x molecules x protocol -> raw files -> records.

What is finished is in the run folder and never done again; a molecule that fails is a record and stops nothing.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from typing import Any

import numpy as np

from gmd26_md.dynamics.engine import Run
from gmd26_md.observables.verdict import Evidence, Thresholds, judge
from gmd26_md.protocols import relaxation, stability, static_errors
from gmd26_md.protocols.cases import Case
from gmd26_md.protocols.subject import Subject
from gmd26_md.records import Record, run_key, structure_sha256
from gmd26_md.reference.labels import Labels, label
from gmd26_md.run_folder import RunFolder

Show = Callable[[float, str], None]
"""Called with the fraction done and words for the rest of the line."""

MAX_ATOMS_AT_ONCE = 1500  # in one batch of the engine: big enough to fill two cores, small enough for any memory


@dataclass(frozen=True)
class Question:
    """What is asked of a model: on which task's molecules, and how.

    Attributes
    ----------
    subject
        The model.
    task
        Name of the task, or "user" for structures of the user's own.
    cases
        The molecules.
    """

    subject: Subject
    task: str
    cases: Sequence[Case]

    def content(self, protocol: str, settings: dict[str, Any]) -> dict[str, Any]:
        """Return what makes this question that one, for the run folder."""
        return {
            "protocol": protocol,
            "model": self.subject.name,
            "model_sha256": self.subject.sha256,
            "task": self.task,
            "molecules": {c.slug: _structure_of(c) for c in self.cases},
            "dtype": self.subject.dtype,
            "engine": self.subject.engine,
            "settings": settings,
        }


def quiet(fraction: float, words: str) -> None:
    """Show nothing."""


def measure_static_errors(question: Question, folder: RunFolder, n_frames: int, show: Show = quiet) -> None:
    """Measure static errors where reference frames are at hand, one record a molecule."""
    settings = {"n_frames": n_frames}
    have = set(folder.static_tables())
    todo = [c for c in question.cases if c.frames is not None and c.slug not in have]
    for index, case in enumerate(todo):
        began = time.monotonic()
        show(index / len(todo), f"static errors: {case.name}")
        if not _knows(question.subject, case):
            continue
        for answer in static_errors.run(question.subject.provider, [case]):
            record = _record(question, case, "static-errors", settings, 0, answer.metrics)
            cost = {"wall_s": time.monotonic() - began, "n_energy_calls": len(answer.sums.table)}
            folder.add(replace(record, cost=cost))
            folder.write_static(case.slug, answer.sums.table)


def measure_stability(
    question: Question,
    folder: RunFolder,
    settings: stability.Settings,
    thresholds: Thresholds,
    *,
    minutes: float | None = None,
    show: Show = quiet,
) -> None:
    """Run the stability protocol on every case and seed that has no record yet."""
    deadline = None if minutes is None else time.monotonic() + 60.0 * minutes
    asked = asdict(settings) | {"thresholds": asdict(thresholds)}
    done = {r.key for r in folder.records() if r.protocol == "stability"}
    seeds = range(settings.seed, settings.seed + settings.n_seeds)
    wanted = [(c, s) for s in seeds for c in question.cases if _key(question, c, "stability", asked, s) not in done]
    runnable = []
    for case, seed in wanted:
        refusal = _refusal(question.subject, case)
        if refusal is None:
            runnable.append((case, seed))
        else:
            verdict = judge(refusal, thresholds)
            record = _record(question, case, "stability", asked, seed, {})
            folder.add(replace(record, verdict=verdict.name, reason=verdict.reason))
    groups = list(_groups(runnable))
    for index, group in enumerate(groups):
        _run_group(question, folder, settings, thresholds, asked, group, deadline, _part(show, index, len(groups)))


def _run_group(
    question: Question,
    folder: RunFolder,
    settings: stability.Settings,
    thresholds: Thresholds,
    asked: dict[str, Any],
    group: list[tuple[Case, int]],
    deadline: float | None,
    show: Show,
) -> None:
    """Move one batch, label it, judge it, and write its records."""
    began = time.monotonic()
    runs = stability.run(
        question.subject.provider,
        group,
        settings,
        thresholds,
        deadline=deadline,
        snapshot_path=folder.snapshot_path,
        on_progress=lambda p: show(
            0.9 * p.n_steps_done / p.n_steps,
            f"dynamics: {p.n_alive} of {p.n_systems} runs alive, {p.steps_per_s * p.n_alive:.0f} molecule-steps/s",
        ),
    )
    moved = time.monotonic()
    reference = settings.reference or question.subject.level_of_theory
    labels = _labels(runs, settings, reference, lambda f: show(0.9 + 0.1 * f, f"labelling the runs with {reference}"))
    labelled = time.monotonic()
    n_atoms = sum(len(case.numbers) for case, _ in group)
    for (case, seed), run, answer in zip(group, runs, labels, strict=True):
        judged = stability.analyse(case, run, answer, settings, thresholds)
        path = None
        if run.frames:
            path = folder.trajectory_path(run.key)
            whole = stability.joined(run)
            info = {"model": question.subject.name, "molecule": case.name, "seed": seed, "verdict": judged.verdict.name}
            replace(whole, info=whole.info | info | {"along": judged.along}).write(path)
        share = len(case.numbers) / n_atoms  # the batch's time, by atoms
        cost = {
            "wall_s": share * (moved - began),
            "label_wall_s": share * (labelled - moved),
            "n_energy_calls": run.n_force_calls,
            "n_reference_calls": 0 if answer is None else len(answer.energies),
            "n_systems_in_batch": len(group),
        }
        record = _record(question, case, "stability", asked, seed, judged.metrics)
        folder.add(
            replace(
                record,
                verdict=judged.verdict.name,
                reason=judged.verdict.reason,
                cost=cost,
                trajectory=None if path is None else str(path.relative_to(folder.path)),
            )
        )


def measure_relaxation(
    question: Question, folder: RunFolder, settings: relaxation.Settings, reference: str, show: Show = quiet
) -> None:
    """Relax every case from every start that has no record yet."""
    for position, start in enumerate(relaxation.STARTS):
        asked = asdict(settings) | {"start": start, "reference": reference}
        done = {r.key for r in folder.records() if r.protocol == "relaxation"}
        cases = [c for c in question.cases if _key(question, c, "relaxation", asked, 0) not in done]
        runnable = [c for c in cases if _refusal(question.subject, c) is None]
        for case in cases:
            refusal = _refusal(question.subject, case)
            if refusal is not None:
                verdict = judge(refusal, Thresholds())
                record = _record(question, case, "relaxation", asked, 0, {})
                folder.add(replace(record, verdict=verdict.name, reason=verdict.reason))
        if runnable:
            part = _part(show, position, len(relaxation.STARTS))
            _relax_group(question, folder, settings, reference, asked, runnable, start, part)


def _relax_group(
    question: Question,
    folder: RunFolder,
    settings: relaxation.Settings,
    reference: str,
    asked: dict[str, Any],
    cases: list[Case],
    start: str,
    show: Show,
) -> None:
    began = time.monotonic()
    found = relaxation.run(
        question.subject.provider,
        cases,
        settings,
        start=start,
        on_progress=lambda n, left: show(n / settings.max_steps, f"relaxing from the {start}: {left} still move"),
    )
    labels = relaxation.label_ends(found, reference)
    n_atoms = sum(len(c.numbers) for c in cases)
    wall = time.monotonic() - began
    for case, path, answer in zip(cases, found, labels, strict=True):
        outcome = relaxation.analyse(case, start, path, answer, settings)
        target = folder.trajectory_path(f"{case.slug}-from-{start}")
        path.path.write(target)
        record = _record(question, case, "relaxation", asked, 0, outcome.metrics)
        folder.add(
            replace(
                record,
                reason=f"{outcome.judgement}: {outcome.reason}",
                cost={"wall_s": wall * len(case.numbers) / n_atoms, "n_energy_calls": path.n_steps + 1},
                trajectory=str(target.relative_to(folder.path)),
            )
        )


def _labels(
    runs: Sequence[Run], settings: stability.Settings, reference: str, on_progress: Callable[[float], None]
) -> list[Labels | None]:
    """Label the runs' own frames; None for a run without frames to label."""
    jobs = [stability.label_job(run, settings) for run in runs]
    answers = iter(label([j for j in jobs if j is not None], reference, on_progress=on_progress))
    return [None if job is None else next(answers) for job in jobs]


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


def _knows(subject: Subject, case: Case) -> bool:
    return subject.elements is None or set(case.numbers.tolist()) <= subject.elements


def _refusal(subject: Subject, case: Case) -> Evidence | None:
    """Return the evidence of a case that cannot be run, or None."""
    if not _knows(subject, case):
        return Evidence(unsupported=f"{subject.name} does not know all elements of {case.formula}")
    if case.minimum is None:
        return Evidence(error="the reference found no minimum to start from")
    return None


def _structure_of(case: Case) -> str:
    positions = case.structure.positions if case.minimum is None else case.minimum.positions[0]
    return structure_sha256(case.numbers, np.asarray(positions))


def _key(question: Question, case: Case, protocol: str, settings: dict[str, Any], seed: int) -> str:
    return run_key(protocol, question.subject.sha256, case.name, _structure_of(case), settings, seed)


def _record(
    question: Question, case: Case, protocol: str, settings: dict[str, Any], seed: int, metrics: dict[str, Any]
) -> Record:
    subject = question.subject
    return Record(
        model=subject.name,
        model_sha256=subject.sha256,
        family=subject.family,
        molecule=case.name,
        formula=case.formula,
        split=case.split,
        task=question.task,
        protocol=protocol,
        settings=settings,
        seed=seed,
        metrics=metrics,
        versions=versions(),
        device=f"{subject.device} {subject.dtype} {subject.engine}",
        structure_sha256=_structure_of(case),
    )


def versions() -> dict[str, str]:
    """Return the versions that a record rests on."""
    names = ("gmd26-md", "ase", "torch", "tblite", "numpy", "mace-torch", "schnetpack")
    return {name: version(name) for name in names} | {"python": sys.version.split()[0]}
