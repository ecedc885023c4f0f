"""What kind of machine this is, and how much memory this process has used: provenance of a record."""

from __future__ import annotations

import os
import platform
import sys
from functools import cache
from pathlib import Path


@cache
def host_kind() -> str:
    """Return system, processor and number of cores, "Linux x86_64, AMD EPYC 7B13, 8 cores"; never a host's name."""
    n_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    parts = [f"{platform.system()} {platform.machine()}", processor(), f"{n_cores} cores"]
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
