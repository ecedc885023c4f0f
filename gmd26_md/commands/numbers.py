"""Numbers on the command line: finite and within bounds, or refused in one line."""

from __future__ import annotations

import sys
from typing import Any

import click


class Number(click.ParamType):  # type: ignore[type-arg]
    """A finite number within bounds. (click's own ranges let NaN pass.)

    Parameters
    ----------
    above, at_least
        Lower bound, without and with itself.
    whole
        Whether only whole numbers are allowed.
    """

    def __init__(self, *, above: float | None = None, at_least: float | None = None, whole: bool = False) -> None:
        self.above, self.at_least, self.whole = above, at_least, whole
        self.name = "integer" if whole else "number"

    @property
    def allowed(self) -> str:
        """What is allowed, in words."""
        kind = "a whole number" if self.whole else "a finite number"
        if self.above is not None:
            return f"{kind} above {self.above:g}"
        return kind if self.at_least is None else f"{kind} of {self.at_least:g} or more"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float | int:
        """Return the number; a click error, which names the option, if it is not allowed."""
        number: float | int
        try:
            number = int(value) if self.whole else float(value)
        except (TypeError, ValueError):
            self.fail(f"{value!r}; give {self.allowed}.", param, ctx)
        fine = (
            abs(number) <= sys.float_info.max  # false for NaN, and for whole numbers that no float can hold
            and (self.above is None or number > self.above)
            and (self.at_least is None or number >= self.at_least)
        )
        if not fine:
            self.fail(f"{value}; give {self.allowed}.", param, ctx)
        return number


POSITIVE = Number(above=0)
NOT_NEGATIVE = Number(at_least=0)
COUNT = Number(at_least=0, whole=True)
AT_LEAST_ONE = Number(at_least=1, whole=True)
WHOLE = Number(whole=True)
