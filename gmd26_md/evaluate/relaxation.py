"""Relaxations from every start, labelled with the reference where they end: a record a molecule, start and seed."""

from __future__ import annotations

import logging
import time
from typing import Any

from gmd26_md.dynamics.relax import Relaxation
from gmd26_md.evaluate.common import Show, judgements, part, quiet, refused
from gmd26_md.observables.verdict import Evidence
from gmd26_md.protocols import relaxation
from gmd26_md.protocols.cases import Case
from gmd26_md.protocols.relaxation_modes import TwoModes, compare_modes
from gmd26_md.protocols.relaxation_settings import Settings
from gmd26_md.protocols.starts import NoStartError, Start, begin
from gmd26_md.question import Question
from gmd26_md.run_folder import RunFolder

log = logging.getLogger(__name__)

_RELAX_AT_ONCE = 64  # relaxations that a kill may cost


def measure_relaxation(
    question: Question, folder: RunFolder, settings: Settings, reference: str, show: Show = quiet
) -> None:
    """Relax every case from every start that has no record yet."""
    done = {r.key for r in folder.records()}
    wanted = [
        (case, kind, seed)
        for kind in settings.starts
        for case in question.cases
        for seed in range(settings.n_of(kind))
        if question.key(case, "relaxation", settings.of_start(kind, reference), seed) not in done
    ]
    show(0.0, "relaxing the reference minima on")
    asked = {case.slug: case for case, _, _ in wanted if question.refusal(case) is None}
    home = {case.slug: case for case in relaxation.relaxed_home(list(asked.values()), reference, settings)}
    runnable: list[tuple[Case, Start]] = []
    for case, kind, seed in wanted:
        start = _start(question, case, home.get(case.slug), kind, seed, settings)
        if isinstance(start, Start):
            runnable.append((case, start))
        else:
            folder.add(refused(question, case, "relaxation", settings.of_start(kind, reference), seed, start))
    groups = [runnable[i : i + _RELAX_AT_ONCE] for i in range(0, len(runnable), _RELAX_AT_ONCE)]
    for index, group in enumerate(groups):
        so_far = judgements(folder.records(), "relaxation")
        _relax_together(question, folder, settings, reference, group, part(show, index, len(groups), so_far))


def _start(
    question: Question, case: Case, home: Case | None, kind: str, seed: int, settings: Settings
) -> Start | Evidence:
    """Return the start of a relaxation, or the evidence of one that cannot be made."""
    refusal = question.refusal(case)
    if refusal is not None or home is None:
        return refusal or Evidence(error="the reference found no minimum to start from")
    try:
        return begin(home, kind, seed, settings.perturbation_A)
    except NoStartError as problem:
        return Evidence(error=f"no {kind} to start from: {problem}")


def _relax_together(
    question: Question,
    folder: RunFolder,
    settings: Settings,
    reference: str,
    asked: list[tuple[Case, Start]],
    show: Show,
) -> None:
    """Relax from these starts, each with its case as it was asked for; label, compare modes, write the records."""
    starts = [start for _, start in asked]
    began = time.monotonic()
    found = relaxation.run(
        question.subject.provider,
        starts,
        settings,
        on_progress=lambda n, left: show(
            0.5 * n / settings.max_steps,
            f"relaxing: {left} of {len(starts)} still move, step {n} of {settings.max_steps} at most",
        ),
    )
    views = relaxation.ask_reference(
        found,
        reference,
        settings,
        lambda done: show(0.5 + 0.3 * done, f"relaxing on with the reference: {100 * done:.0f} %"),
    )
    wall = time.monotonic() - began
    modes, modes_wall = _modes(question, starts, found, views, settings, reference, show)
    n_atoms = sum(len(start.case.numbers) for start in starts)
    n_mode_atoms = sum(len(starts[i].case.numbers) for i in modes)
    for index, ((case, start), path, seen) in enumerate(zip(asked, found, views, strict=True)):
        several = f"-{start.seed}" if settings.n_of(start.kind) > 1 else ""
        target = folder.trajectory_path(f"{case.slug}-from-{start.kind}{several}")
        path.path.write(target)
        cost: dict[str, Any] = {"wall_s": wall * len(case.numbers) / n_atoms, "n_energy_calls": path.n_steps + 1}
        if index in modes:
            cost["modes_wall_s"] = modes_wall * len(case.numbers) / n_mode_atoms
            cost["n_mode_calls"] = modes[index].n_calls
        folder.add(
            question.record(
                case,
                "relaxation",
                settings.of_start(start.kind, reference),
                seed=start.seed,
                cost=cost,
                trajectory=str(target.relative_to(folder.path)),
                **_relaxed(start, path, seen, settings, modes.get(index)),
            )
        )


def _modes(
    question: Question,
    starts: list[Start],
    found: list[Relaxation],
    views: list[relaxation.SeenByReference],
    settings: Settings,
    reference: str,
    show: Show,
) -> tuple[dict[int, TwoModes], float]:
    """Return the modes of those that began at the reference minimum, by their place in the list, and the seconds."""
    chosen = [i for i, start in enumerate(starts) if settings.modes and start.kind == relaxation.HOME]
    began = time.monotonic()
    modes = compare_modes(
        question.subject.provider,
        [found[i] for i in chosen],
        [views[i].minimum for i in chosen],
        reference,
        settings,
        lambda done: show(0.8 + 0.2 * done, f"normal modes of the reference: {100 * done:.0f} %"),
    )
    return dict(zip(chosen, modes, strict=True)), time.monotonic() - began


def _relaxed(
    start: Start, path: Relaxation, seen: relaxation.SeenByReference, settings: Settings, modes: TwoModes | None
) -> dict[str, Any]:
    """Return what a record says of a relaxation; its reason begins with the judgement."""
    try:
        outcome = relaxation.analyse(start, path, seen, settings, modes)
    except Exception as problem:  # it concerns one molecule, and is its record
        log.warning("%s: analysis failed", start.case.name, exc_info=True)
        return {"reason": f"analysis failed, {type(problem).__name__}: {problem}", "verdict": "error"}
    return {
        "metrics": outcome.metrics,
        "reason": f"{outcome.judgement}: {outcome.reason}",
        "evidence": outcome.evidence,
    }
