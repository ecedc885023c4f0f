"""What every measurement shares: how it tells of its progress, and the record of a run that cannot be made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from gmd26_md.observables.verdict import Evidence, Thresholds, judge
from gmd26_md.protocols.cases import Case
from gmd26_md.question import Question
from gmd26_md.records import Record
from gmd26_md.report.sections import judgement_of

Show = Callable[[float, str], None]
"""Called with the fraction done and words for the rest of the line."""


def quiet(fraction: float, words: str) -> None:
    """Show nothing."""


def refused(
    question: Question, case: Case, protocol: str, settings: dict[str, Any], seed: int, refusal: Evidence
) -> Record:
    """Return the record of a run that cannot be made."""
    verdict = judge(refusal, Thresholds())
    return question.record(case, protocol, settings, seed=seed, verdict=verdict.name, reason=verdict.reason)


def part(show: Show, index: int, n_parts: int, so_far: str = "") -> Show:
    """Return a `Show` for one of several equal parts of the work, which also says what came out `so_far`."""
    before = f"batch {index + 1} of {n_parts}, " if n_parts > 1 else ""
    after = f"; so far {so_far}" if so_far else ""
    return lambda fraction, words: show((index + fraction) / n_parts, f"{before}{words}{after}")


def judgements(records: Iterable[Record], protocol: str) -> str:
    """Return how the records of a protocol were judged, "agrees 12, rough 1", the most frequent first."""
    counts = Counter(judgement_of(r) for r in records if r.protocol == protocol)
    return ", ".join(f"{name} {n}" for name, n in counts.most_common())
