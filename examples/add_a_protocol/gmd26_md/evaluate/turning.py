"""Turning: a record a molecule."""

from __future__ import annotations

import logging
import time
from dataclasses import asdict
from typing import Any

from gmd26_md.evaluate.common import Show, quiet, refused
from gmd26_md.protocols import turning
from gmd26_md.question import Question
from gmd26_md.run_folder import RunFolder

log = logging.getLogger(__name__)


def measure_turning(question: Question, folder: RunFolder, settings: turning.Settings, show: Show = quiet) -> None:
    """Turn every case that has no record yet; a molecule that fails is a record and stops nothing."""
    asked = asdict(settings)
    done = {r.key for r in folder.records()}
    for index, case in enumerate(question.cases):
        show(index / len(question.cases), case.name)
        if question.key(case, "turning", asked, settings.seed) in done:
            continue
        refusal = question.refusal(case)
        if refusal is not None or case.minimum is None:
            if refusal is not None:
                folder.add(refused(question, case, "turning", asked, settings.seed, refusal))
            continue
        began = time.monotonic()
        try:
            outcome = turning.analyse(*turning.run(question.subject.provider, case.minimum, settings), settings)
            found: dict[str, Any] = {
                "metrics": outcome.metrics,
                "reason": f"{outcome.judgement}: {outcome.reason}",
            }
        except Exception as problem:  # it concerns one molecule, and is its record
            log.warning("%s: turning failed", case.name, exc_info=True)
            found = {"verdict": "error", "reason": f"turning failed, {type(problem).__name__}: {problem}"}
        cost = {"wall_s": time.monotonic() - began, "n_energy_calls": settings.n_turns + 1}
        folder.add(question.record(case, "turning", asked, seed=settings.seed, cost=cost, **found))
