"""What kind of machine this is, how many cores are ours, and how much memory this process has used."""

from __future__ import annotations

import os
import platform
import sys
from functools import cache
from pathlib import Path

N_CORES = "GMD26_MD_CORES"
"""Environment variable of how many cores a process may take for its own: a worker's share of the machine's."""


def n_cores() -> int:
    """Return how many processes that compute this one may open: what `N_CORES` says, else the cores it may run on."""
    share = os.environ.get(N_CORES, "")
    return int(share) if share.isdecimal() and int(share) else _allowed_cores()


def _allowed_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def host_kind() -> str:
    """Return system, processor and number of cores, "Linux x86_64, AMD EPYC 7B13, 8 cores"; never a host's name."""
    parts = [f"{platform.system()} {platform.machine()}", processor(), f"{_allowed_cores()} cores"]
    return ", ".join(part for part in parts if part)


def max_rss_MB() -> float | None:
    """Return the most memory that this process has had so far, MB; None where the system does not tell."""
    try:
        import resource
    except ImportError:
        return None
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(used / (1e6 if sys.platform == "darwin" else 1e3), 1)


def processor() -> str:
    """Return the processor's model; empty where the system does not tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
