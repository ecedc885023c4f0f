"""Importing mace and building its modules without a trace in the process."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO

import torch

from gmd26_md.calculators.side_effects import contained


@contextmanager
def mace_imports() -> Iterator[None]:
    """Import mace (and with it e3nn) inside the block; afterwards the process is as it was.

    Traps. mace sets `TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD` in the environment, by which torch.load executes code from
    files: taken back. e3nn 0.4.4 reads its constants with torch.load, which needs `slice` on torch's list of safe
    globals: lent for the block. Both warn, and mace prints, about packages that they could use: silenced, as the
    standard output may be read by a program.
    """
    with contained(), warnings.catch_warnings(), redirect_stdout(StringIO()):
        warnings.simplefilter("ignore")
        with torch.serialization.safe_globals([slice]):
            yield


@contextmanager
def built_in_float64() -> Iterator[None]:
    """Build e3nn modules inside the block with exact constants and without TorchScript.

    e3nn takes the precision of its constants (Clebsch-Gordan coefficients) from torch's default dtype, and whether
    its generated code is scripted from a global option; both are put back. Plain generated code runs the same
    operations, pickles, copies, and does not recompile when the number of pairs changes.
    """
    import e3nn

    dtype, options = torch.get_default_dtype(), e3nn.get_optimization_defaults()
    try:
        torch.set_default_dtype(torch.float64)
        e3nn.set_optimization_defaults(jit_script_fx=False)
        yield
    finally:
        torch.set_default_dtype(dtype)
        e3nn.set_optimization_defaults(**options)
