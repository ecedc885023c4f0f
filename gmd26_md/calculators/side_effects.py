"""Keep what vendors do to the process on import from reaching anybody else."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def contained() -> Iterator[None]:
    """Run a block and leave the process as it was: environment, default dtype, random streams, threads.

    Importing mace sets `TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD`, which turns safe loading off for the whole process;
    building a network draws from torch's global stream. Only the CPU's stream is kept: networks are built there.
    Limit: other threads of the process see the changes while the block runs.
    """
    environment = dict(os.environ)
    dtype = torch.get_default_dtype()
    n_threads = torch.get_num_threads()
    numpy_state, python_state = np.random.get_state(), random.getstate()
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        np.random.set_state(numpy_state)
        random.setstate(python_state)
        if torch.get_num_threads() != n_threads:
            torch.set_num_threads(n_threads)
        torch.set_default_dtype(dtype)
        _restore_environment(environment)


def _restore_environment(before: dict[str, str]) -> None:
    """Bring `os.environ` back, touching only what changed."""
    for name in set(os.environ) - set(before):
        del os.environ[name]
    for name, value in before.items():
        if os.environ.get(name) != value:
            os.environ[name] = value
