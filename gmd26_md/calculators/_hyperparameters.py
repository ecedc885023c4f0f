"""Hyperparameters as a user or a checkpoint gives them, checked against a family's defaults."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from gmd26_md.errors import UserError, unknown_name


def merged(
    family: str, defaults: Mapping[str, Any], given: Mapping[str, Any], may_be_zero: Collection[str] = ()
) -> dict[str, Any]:
    """Return the defaults with the given values laid over them.

    A value must be of its default's kind. Counts are at least 1, largest degrees (`max_...`) and those in
    `may_be_zero` at least 0; other numbers, also those in lists, are positive and finite.

    Raises
    ------
    UserError
        A name that the family does not have, or a value that is not of its kind.
    """
    for name, value in given.items():
        if name not in defaults:
            raise unknown_name(f"{family} hyperparameter", name, defaults)
        wanted = _complaint(name, value, defaults[name], least=0 if name in may_be_zero else 1)
        if wanted:
            raise UserError(f"{family} {name} is {value!r}; it must be {wanted}, such as {defaults[name]!r}.")
    return {**defaults, **given}


def _complaint(name: str, value: Any, default: Any, least: int = 1) -> str:
    """Return what the value should have been, or nothing if it is right."""
    if isinstance(default, str):
        return "" if isinstance(value, str) else "a name"
    if isinstance(default, bool):
        return "" if isinstance(value, bool) else "true or false"
    if isinstance(default, list):
        right = isinstance(value, list | tuple) and all(not _complaint(name, v, default[0]) for v in value)
        return "" if right else "a list of positive numbers"
    if isinstance(default, int):
        least = 0 if name.startswith("max_") else least
        right = isinstance(value, int) and not isinstance(value, bool) and value >= least
        return "" if right else f"a whole number of at least {least}"
    right = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf")
    return "" if right else "a positive number"


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
