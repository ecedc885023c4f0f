"""Importing nequip and building its modules without a trace in the process."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pickle import UnpicklingError

import torch

from gmd26_md.calculators.side_effects import contained
from gmd26_md.errors import UserError


@contextmanager
def nequip_imports() -> Iterator[None]:
    """Import nequip (and with it e3nn and lightning) inside the block; afterwards the process is as it was.

    Traps. Importing nequip loads torch's compiler, which sets environment variables: taken back. Lightning and e3nn
    warn about packages that they could use: silenced.

    Raises
    ------
    UserError
        nequip, or an e3nn that it can use, is not installed.
    """
    with contained(), warnings.catch_warnings(), redirect_stdout(StringIO()):
        warnings.simplefilter("ignore")
        try:
            yield
        except (ImportError, UnpicklingError) as error:  # an e3nn that is too old is not let load its constants
            raise UserError(
                f"nequip cannot be imported here ({error}); `bash scripts/all-families.sh` in a checkout makes an "
                "environment with all families, NequIP among them (docs/environments.md)."
            ) from error


@contextmanager
def built_in_float64() -> Iterator[None]:
    """Build nequip's modules inside the block with exact constants and without TorchScript; all is put back.

    e3nn takes the precision of its constants from torch's default dtype, and whether its generated code is scripted
    from global options. nequip warns where scales and shifts are not given, which are the potential's here.
    """
    import e3nn

    dtype, options = torch.get_default_dtype(), e3nn.get_optimization_defaults()
    try:
        torch.set_default_dtype(torch.float64)
        e3nn.set_optimization_defaults(jit_script_fx=False)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.set_default_dtype(dtype)
        e3nn.set_optimization_defaults(**options)
