"""Relaxations from every start, labelled with the reference where they end: a record a molecule and start."""

from __future__ import annotations

import logging
import time
from dataclasses import asdict
from typing import Any

from gmd26_md.dynamics.relax import Relaxation
from gmd26_md.evaluate.common import Show, part, quiet, refused
from gmd26_md.protocols import relaxation
from gmd26_md.protocols.cases import Case
from gmd26_md.question import Question
from gmd26_md.run_folder import RunFolder

log = logging.getLogger(__name__)

_RELAX_AT_ONCE = 64  # molecules whose relaxations a kill may cost


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
                folder.add(refused(question, case, "relaxation", asked, 0, refusal))
        groups = [runnable[i : i + _RELAX_AT_ONCE] for i in range(0, len(runnable), _RELAX_AT_ONCE)]
        for index, group in enumerate(groups):
            stretch = part(part(show, position, len(relaxation.STARTS)), index, len(groups))
            _relax_together(question, folder, settings, asked, group, stretch)


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
