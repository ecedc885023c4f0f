"""The one error a user is meant to see: what, got, allowed, cure, on one line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake in the input, with its cure in the message.

    The command line prints it as one line and exits with code 2. The message says what is wrong,
    what was got, what is allowed and how to mend it.
    """


class UnsupportedElementError(UserError):
    """A molecule has an element that the model was not trained on."""


def unknown_name(kind: str, got: str, allowed: Iterable[str], *, listed: str = "") -> UserError:
    """Return the error for a name that does not exist, with the closest one that does.

    Parameters
    ----------
    kind
        What the name should have named: "task", "family", "preset".
    got
        The name as the user gave it.
    allowed
        All names that exist.
    listed
        The command that lists them, where they are too many for a line.
    """
    names = sorted(allowed)
    close = difflib.get_close_matches(got.lower(), [n.lower() for n in names], n=1, cutoff=0.5)
    hint = ""
    if close:
        match = next(n for n in names if n.lower() == close[0])
        hint = f" Did you mean {match!r}?"
    known = f"{len(names)}, listed by '{listed}'" if listed else ", ".join(names)
    return UserError(f"unknown {kind} {got!r}.{hint} Known: {known}.")
