"""Static errors where reference frames are at hand, one record a molecule."""

from __future__ import annotations

import time

from gmd26_md.evaluate.common import Show, quiet
from gmd26_md.pace import Pace, left_words
from gmd26_md.protocols import static_errors
from gmd26_md.question import Question
from gmd26_md.run_folder import RunFolder


def measure_static_errors(question: Question, folder: RunFolder, n_frames: int, show: Show = quiet) -> None:
    """Measure static errors where reference frames are at hand, one record a molecule."""
    settings = {"n_frames": n_frames}
    recorded = {r.key for r in folder.records()}
    have = {slug for slug in folder.static_tables() if folder.has_forces(slug)}
    keys = {c.slug: question.key(c, "static-errors", settings, 0) for c in question.cases}
    todo = [c for c in question.cases if c.frames is not None and question.knows(c)]
    todo = [c for c in todo if keys[c.slug] not in recorded or c.slug not in have]
    n_frames_of = [0 if c.frames is None else c.frames.n_frames for c in todo]
    pace = Pace(window_s=60.0)
    for index, case in enumerate(todo):
        began = time.monotonic()
        n_done, n_all = sum(n_frames_of[:index]), sum(n_frames_of)
        left = left_words(n_all - n_done, pace.at(began, n_done))
        show(n_done / n_all, f"static errors: {case.name}, {index} of {len(todo)} molecules done{left}")
        for answer in static_errors.run(question.subject.provider, [case]):
            folder.write_forces(case.slug, answer.forces)
            folder.write_static(case.slug, answer.sums.table)  # before the record: a record says that all is there
            cost = {"wall_s": time.monotonic() - began, "n_energy_calls": len(answer.sums.table)}
            if keys[case.slug] not in recorded:
                folder.add(question.record(case, "static-errors", settings, metrics=dict(answer.metrics), cost=cost))
