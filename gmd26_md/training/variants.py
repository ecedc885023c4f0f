"""Variants of a family for an ablation: what is changed in a recipe's hyperparameters, one at a time or crossed."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gmd26_md.errors import UserError, unknown_name


@dataclass(frozen=True)
class Variant:
    """One model of an ablation.

    Attributes
    ----------
    name
        Fit for a file: "routing=spatial", "routing=spatial,decoder=mlp"; "as-it-is" for the recipe itself.
    hyperparameters
        What it changes in the recipe's.
    """

    name: str
    hyperparameters: dict[str, Any]


def variants(base: Mapping[str, Any], choices: Mapping[str, Sequence[Any]], *, crossed: bool = False) -> list[Variant]:
    """Return the recipe as it is, then every variant of it.

    Parameters
    ----------
    base
        All hyperparameters of the recipe.
    choices
        Values to try, by hyperparameter; the recipe's own among them is no variant of its own.
    crossed
        All combinations in place of one change at a time.

    Raises
    ------
    UserError
        For a hyperparameter that the family does not have, or where nothing would change.
    """
    for name in choices:
        if name not in base:
            raise unknown_name("hyperparameter", name, list(base))
    if crossed:
        values = [list(dict.fromkeys([_key(base[name]), *map(_key, tried)])) for name, tried in choices.items()]
        changed = [dict(zip(choices, map(json.loads, one), strict=True)) for one in itertools.product(*values)]
    else:
        changed = [{name: value} for name, tried in choices.items() for value in tried]
    found: dict[str, Variant] = {}
    for change in changed:
        kept = {name: value for name, value in change.items() if _key(value) != _key(base[name])}
        if kept:
            words = ",".join(f"{name}={_word(value)}" for name, value in kept.items())
            found.setdefault(words, Variant(words, kept))
    if not found:
        raise UserError("no variant differs from the recipe; name other values with --vary name=value,value.")
    return [Variant("as-it-is", {}), *found.values()]


def parsed(vary: Sequence[str]) -> dict[str, list[Any]]:
    """Return the choices that options such as "routing=spatial,both" and "max_degree=0,3" name.

    A value is a number, true or false where it reads as one, else a word; a list stands in JSON's brackets.

    Raises
    ------
    UserError
        If one is not of that form.
    """
    choices: dict[str, list[Any]] = {}
    for text in vary:
        name, equals, values = text.partition("=")
        if not (name and equals and values):
            raise UserError(f"--vary {text!r} is not of the form name=value,value; for example routing=spatial,both.")
        choices.setdefault(name, []).extend(_values(values))
    return choices


def _values(text: str) -> list[Any]:
    try:
        return list(json.loads(f"[{text}]"))
    except json.JSONDecodeError:
        return [_value(word) for word in text.split(",")]


def _value(word: str) -> Any:
    try:
        return json.loads(word)
    except json.JSONDecodeError:
        return word


def _key(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _word(value: Any) -> str:
    return "".join(c if c.isalnum() or c in "._-+" else "_" for c in (value if isinstance(value, str) else _key(value)))
