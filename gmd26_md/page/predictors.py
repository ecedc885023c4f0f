"""What predicts trouble: the sentences and the surest correlations, where there are runs to correlate with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gmd26_md.page.content import TaskContent
from gmd26_md.report.static_dynamic import correlations_of
from gmd26_md.report.static_dynamic_words import sentences

_N_PERMUTATIONS = 499
_MAX_RECORDS = 3000
_N_SHOWN = 12


@dataclass(frozen=True)
class Predictors:
    """Sentences, the surest correlations, how many there are in all; or why there are none."""

    sentences: list[str]
    rows: list[dict[str, Any]]
    n_all: int


def predictors(task: TaskContent) -> Predictors | None:
    """Return what goes with trouble in a task; None where nothing was run."""
    if not task.conditions:
        return None
    if len(task.records) > _MAX_RECORDS:
        words = (
            f"Not correlated here: {len(task.records)} records are more than {_MAX_RECORDS}, and a page should be made "
            "in seconds. 'gmd26-md correlate' does it."
        )
        return Predictors([words], [], 0)
    rows = correlations_of(task.records, {m.sha: m.label for m in task.models}, _N_PERMUTATIONS)
    known = [c for c in rows if c["rho"] is not None]
    return Predictors(sentences({"correlations": rows, "n_given_twice": 0}), known[:_N_SHOWN], len(known))
