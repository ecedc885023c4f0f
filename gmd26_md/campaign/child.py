"""What runs units: a process that is kept warm, one unit after the other.

`python -m gmd26_md.campaign.child N` reads a JSON line a unit from its input and answers each with a JSON line on the
open file N. What the commands print goes where its output goes; they get no input: what asks a person there fails at
once, and nothing takes the next unit's line. It ends with its input, and with its parent.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import sys
import threading
import time
import traceback
from importlib.metadata import version
from typing import Any, TextIO

_N_WARM = 2  # models: units of one follow each other, and conservation opens one in two precisions


def main() -> None:
    """Run units until there are no more."""
    parent = os.getppid()
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    questions = _own_input()

    from gmd26_md.protocols.subject import keep_warm

    keep_warm(_N_WARM)
    with os.fdopen(int(sys.argv[1]), "w", encoding="utf-8") as answers, questions:
        for line in questions:
            answers.write(json.dumps(answer(json.loads(line))) + "\n")
            answers.flush()


def _own_input() -> TextIO:
    """Return what this process was given to read, and leave nothing to read to all that runs in it or below it."""
    questions = os.fdopen(os.dup(0), encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return questions


def answer(unit: dict[str, Any]) -> dict[str, Any]:
    """Run the command line of a unit; say whether it ended well, and if not, why.

    A unit that was planned with another version of this package is not run: the answer's versions say so.
    """
    import click

    from gmd26_md.cli import gmd26_md
    from gmd26_md.errors import UserError
    from gmd26_md.host import max_rss_MB

    began = time.monotonic()
    reason, here = "", version("gmd26-md")
    try:
        if unit.get("at"):
            os.chdir(unit["at"])
        if (unit.get("version") or here) == here:
            with contextlib.redirect_stdout(sys.stderr):
                gmd26_md.main(list(unit["arguments"]), prog_name="gmd26-md", standalone_mode=False)
    except click.exceptions.Exit:
        pass
    except click.ClickException as problem:
        reason = problem.format_message()
    except (UserError, OSError, MemoryError) as problem:
        reason = str(problem) or type(problem).__name__
    except (Exception, SystemExit) as problem:  # whatever it is, the unit failed of it, and the next one may not
        traceback.print_exc()
        reason = f"{type(problem).__name__}: {problem}"
    sys.stderr.flush()
    return {
        "reason": " ".join(reason.split()),
        "wall_s": time.monotonic() - began,
        "max_rss_MB": max_rss_MB(),
        "versions": {"gmd26-md": here, "python": platform.python_version()},
    }


def _end_with(parent: int) -> None:
    """End when the parent is gone: nobody waits for the answer, and the work folder is not anyone's."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


if __name__ == "__main__":
    main()
