"""Whether one number with a standard error is above another: yes, no, or within the noise."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gmd26_md.report.static_results import Value

_Z = 1.96  # 95 %, two-sided


def mean_of(values: Sequence[Value]) -> Value:
    """Return the mean of several models' numbers, NaN of none.

    Their standard errors are shared, as the molecules are the same, so they do not average out; their scatter does.
    """
    if not values:
        return Value(math.nan)
    n = len(values)
    mean = sum(v.value for v in values) / n
    shared = sum(v.standard_error**2 for v in values) / n
    scatter = sum((v.value - mean) ** 2 for v in values) / (n - 1) / n if n > 1 else 0.0
    return Value(mean, math.sqrt(shared + scatter))


def at_least(found: Value, limit: float) -> bool | None:
    """Tell whether a number is above a limit; None within 1.96 standard errors, False for one that is not finite."""
    return _sign(found.value - limit, found.standard_error)


def less(first: Value, second: Value) -> bool | None:
    """Tell whether the first of two independent numbers is the lesser; None and False as in `at_least`."""
    return _sign(second.value - first.value, math.hypot(first.standard_error, second.standard_error))


def _sign(difference: float, error: float) -> bool | None:
    if not math.isfinite(difference):
        return False
    if math.isfinite(error) and abs(difference) <= _Z * error:
        return None
    return difference > 0


def all_of(answers: Sequence[bool | None]) -> bool | None:
    """Tell whether all hold: False where one does not, else None where one is within the noise."""
    if any(answer is False for answer in answers):
        return False
    return None if any(answer is None for answer in answers) else True
