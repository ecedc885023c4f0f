"""What every measurement shares: how it tells of its progress, and the record of a run that cannot be made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gmd26_md.observables.verdict import Evidence, Thresholds, judge
from gmd26_md.protocols.cases import Case
from gmd26_md.question import Question
from gmd26_md.records import Record

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


def part(show: Show, index: int, n_parts: int) -> Show:
    """Return a `Show` for one of several equal parts of the work."""
    return lambda fraction, words: show((index + fraction) / n_parts, words)
