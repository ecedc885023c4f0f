"""Models that do what machines do to campaigns: they work, die, hang, and change while they are tried."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import time
from pathlib import Path

from ase.calculators.calculator import BaseCalculator
from ase.calculators.emt import EMT

from gmd26_md import host


def good() -> BaseCalculator:
    """Return effective-medium theory: quick, smooth, and wrong for molecules."""
    return EMT()


def dies_once(marker: str) -> BaseCalculator:
    """Die of signal 9 the first time, as of want of memory; work the second."""
    if not Path(marker).exists():
        Path(marker).mkdir()  # no file: those that options name are part of a unit's key
        os.kill(os.getpid(), signal.SIGKILL)
    return EMT()


def hangs() -> BaseCalculator:
    """Never return."""
    time.sleep(3600)
    return EMT()


def asks() -> BaseCalculator:
    """Ask the person who is not there."""
    input("Accept the licence? [y/N] ")
    return EMT()


def stops_answering() -> BaseCalculator:
    """Close what the answers go to, and live on: a process that will never say anything again."""
    for descriptor in range(3, 32):
        with contextlib.suppress(OSError):
            if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
                os.close(descriptor)
    time.sleep(3600)
    return EMT()


def changes() -> BaseCalculator:
    """Change the file that the model stands in, while it is tried."""
    with Path(__file__).open("a", encoding="utf-8") as handle:
        handle.write("# changed\n")
    return EMT()


def tells(marker: str) -> BaseCalculator:
    """Write down what the environment says, and how many cores there are for what opens a process a core."""
    environment = os.environ.get("GMD26_TEST_ENVIRONMENT", "none")
    Path(marker).write_text(f"{environment}, {host.n_cores()} cores", encoding="utf-8")
    return EMT()
