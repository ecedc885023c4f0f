"""A run beside the same run made again: which numbers are the same, and how far apart the others are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gmd26_md.records import Record


@dataclass(frozen=True)
class Replayed:
    """What came of a run that was made again.

    Attributes
    ----------
    same_verdict
        Whether it got the same one.
    verdicts
        Then and now.
    metrics
        By name: then, now, and the difference over the size of the first; None where either did not happen.
    changed
        What else differs, settings, versions and device among it: name, then, now.
    """

    same_verdict: bool
    verdicts: tuple[str | None, str | None]
    metrics: dict[str, tuple[float | None, float | None, float | None]]
    changed: list[tuple[str, str, str]]

    @property
    def n_same(self) -> int:
        """How many metrics agree to the last bit."""
        return sum(_same(then, now) for then, now, _ in self.metrics.values())

    @property
    def worst_relative(self) -> float:
        """The largest relative difference of a metric; infinite where one happened and the other did not."""
        return max((_size(then, now, relative) for then, now, relative in self.metrics.values()), default=0.0)


def compared(then: Record, now: Record) -> Replayed:
    """Return a record beside that of the same run made again."""
    metrics = {
        name: (then.metrics.get(name), now.metrics.get(name), _relative(then.metrics.get(name), now.metrics.get(name)))
        for name in dict.fromkeys([*then.metrics, *now.metrics])
    }
    changed = [
        (name, str(getattr(then, name)), str(getattr(now, name)))
        for name in ("model_sha256", "structure_sha256", "device", "reason")
        if getattr(then, name) != getattr(now, name)
    ]
    changed += _differing(_flat(then.settings), _flat(now.settings))
    changed += _differing(then.versions, now.versions)
    return Replayed(then.verdict == now.verdict, (then.verdict, now.verdict), metrics, changed)


def _differing(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return the entries that are not the same: name, then, now; "none" where there was none."""
    pairs = {name: (then.get(name, "none"), now.get(name, "none")) for name in dict.fromkeys([*then, *now])}
    return [(name, str(was), str(is_now)) for name, (was, is_now) in pairs.items() if was != is_now]


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with those within others beside them."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        found |= _flat(value) if isinstance(value, Mapping) else {name: value}
    return found


def in_words(found: Replayed) -> str:
    """Return the comparison for a person."""
    verdict = (
        f"{found.verdicts[0]}, as before" if found.same_verdict else f"{found.verdicts[1]}, before {found.verdicts[0]}"
    )
    lines = [
        f"verdict: {verdict}",
        f"{found.n_same} of {len(found.metrics)} numbers are the same to the last bit; "
        f"the largest relative difference is {found.worst_relative:.1e}.",
    ]
    differing = {name: row for name, row in found.metrics.items() if not _same(row[0], row[1])}
    if differing:
        lines.append(f"{'':<52} {'then':>14} {'now':>14} {'relative':>9}")
    for name, (then, now, relative) in differing.items():
        lines.append(f"{name:<52} {_number(then):>14} {_number(now):>14} {_number(relative, 1):>9}")
    lines += [f"{name}: {was}, now {now}" for name, was, now in found.changed]
    return "\n".join(lines) + "\n"


def as_dict(found: Replayed) -> dict[str, Any]:
    """Return the comparison for a program."""
    return {
        "same_verdict": found.same_verdict,
        "verdicts": list(found.verdicts),
        "n_same": found.n_same,
        "n_metrics": len(found.metrics),
        "worst_relative_ratio": found.worst_relative,
        "metrics": {name: list(row) for name, row in found.metrics.items()},
        "changed": [list(row) for row in found.changed],
    }


def _same(then: float | None, now: float | None) -> bool:
    if then is None or now is None:
        return then is now
    return then == now or (math.isnan(then) and math.isnan(now))


def _relative(then: float | None, now: float | None) -> float | None:
    if then is None or now is None:
        return None
    if _same(then, now):
        return 0.0
    return abs(now - then) / max(abs(then), abs(now)) if math.isfinite(then) and math.isfinite(now) else math.inf


def _size(then: float | None, now: float | None, relative: float | None) -> float:
    if relative is not None:
        return relative
    return 0.0 if then is now else math.inf


def _number(value: float | None, digits: int = 6) -> str:
    return "-" if value is None else f"{value:.{digits}e}" if digits == 1 else f"{value:.{digits}g}"
