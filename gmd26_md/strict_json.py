"""JSON that any parser accepts and that loses no failure: NaN and infinities travel as strings."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, is_dataclass
from pathlib import PurePath
from typing import Any

import numpy as np

_NAMED_FLOATS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def encoded(value: Any) -> Any:
    """Return `value` as plain JSON types, with NaN and infinities as "NaN", "Infinity", "-Infinity".

    numpy scalars and arrays, tuples, paths and dataclasses become numbers, lists, strings and objects.

    Raises
    ------
    TypeError
        For a type with no plain meaning in JSON, or a key that is no string.
    """
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, (np.generic, np.ndarray)):
        return encoded(value.tolist())
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else _name_of(value)
    if isinstance(value, PurePath):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return encoded(asdict(value))
    return _encoded_container(value)


def _encoded_container(value: Any) -> Any:
    """Return a dict, list or tuple with every item encoded."""
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"JSON keys are strings; got {key!r} ({type(key).__name__})")
        return {key: encoded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [encoded(item) for item in value]
    raise TypeError(f"no JSON form for {type(value).__name__}: {value!r}")


def _name_of(value: float) -> str:
    """Return the string that stands for a non-finite float."""
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def decoded(value: Any) -> Any:
    """Return what `encoded` was given: the three strings become floats again.

    Limit: a text that was exactly "NaN" comes back as a number. Decode only where numbers are expected.
    """
    if isinstance(value, str):
        return _NAMED_FLOATS.get(value, value)
    if isinstance(value, list):
        return [decoded(item) for item in value]
    if isinstance(value, dict):
        return {key: decoded(item) for key, item in value.items()}
    return value


def dumps(value: Any) -> str:
    """Return strict JSON on one line."""
    return json.dumps(encoded(value), allow_nan=False, ensure_ascii=False)


def canonical(value: Any) -> str:
    """Return strict JSON with sorted keys and no spaces: equal content gives equal text, to be hashed."""
    return json.dumps(encoded(value), allow_nan=False, sort_keys=True, separators=(",", ":"))
