"""Hyperparameters as a user or a checkpoint gives them, checked against a family's defaults."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from gmd26_md.errors import UserError, unknown_name


def merged(family: str, defaults: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the defaults with the given values laid over them.

    Raises
    ------
    UserError
        A name that the family does not have, or a cutoff that is not a positive number.
    """
    for name in given:
        if name not in defaults:
            raise unknown_name(f"{family} hyperparameter", name, defaults)
    values = {**defaults, **given}
    cutoff = values["cutoff"]
    if not isinstance(cutoff, int | float) or isinstance(cutoff, bool) or not 0 < cutoff < float("inf"):
        raise UserError(f"{family} cutoff is {cutoff!r}; it must be a positive number of Å, such as 5.0.")
    return values


def one_of(kind: str, got: str, allowed: Collection[str]) -> str:
    """Return `got` if it is among the allowed names.

    Raises
    ------
    UserError
        It is not; the message offers the closest one that is.
    """
    if got not in allowed:
        raise unknown_name(kind, str(got), allowed)
    return got


def checked_elements(elements: Collection[int]) -> tuple[int, ...]:
    """Return the elements' atomic numbers, ascending, without repetition.

    Raises
    ------
    UserError
        There is none, or a number that is no element's.
    """
    numbers = tuple(sorted({int(z) for z in elements}))
    if not numbers or numbers[0] < 1 or numbers[-1] > 118:
        raise UserError(f"elements are {numbers}; give atomic numbers from 1 to 118, such as (1, 6, 8).")
    return numbers
