"""What machine this is, and how much memory a call took."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import torch

from gmd26_md.host import processor

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def description() -> dict[str, object]:
    """Return processor, cores, threads and versions."""
    names = ("torch", "ase", "mace-torch", "numpy")
    return {
        "processor": processor() or "unknown",
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "cuda": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        **{name: version(name) for name in names},
    }


def resident_MiB(kind: str = "VmRSS") -> float | None:
    """Return the memory of this process, now (VmRSS) or at most (VmHWM); None where Linux does not say."""
    if not _STATUS.is_file():
        return None
    for line in _STATUS.read_text(encoding="utf-8").splitlines():
        if line.startswith(kind):
            return int(line.split()[1]) / 1024
    return None


def peak_MiB(call: Callable[[], float]) -> tuple[float, float | None]:
    """Return what a call returns, and by how much memory grew over its beginning at most, MiB."""
    before = resident_MiB()
    if before is None:
        return call(), None
    _CLEAR.write_text("5", encoding="utf-8")  # forget the peak so far
    found = call()
    peak = resident_MiB("VmHWM")
    return found, None if peak is None else max(peak - before, 0.0)
