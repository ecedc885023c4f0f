"""Which device and which precision a model runs on: asked for by name, checked before anything is loaded."""

from __future__ import annotations

import torch

from gmd26_md.errors import UserError, unknown_name

DTYPES = {"float32": torch.float32, "float64": torch.float64}
DEVICE_TYPES = ("auto", "cpu", "cuda", "mps")


def choose_dtype(dtype: str | torch.dtype) -> torch.dtype:
    """Return the torch dtype for "float32" or "float64".

    Raises
    ------
    UserError
        For any other precision.
    """
    name = str(dtype).removeprefix("torch.")
    if name not in DTYPES:
        raise unknown_name("precision", name, DTYPES)
    return DTYPES[name]


def choose_device(device: str | torch.device, dtype: str | torch.dtype = "float64") -> torch.device:
    """Return the device to run on in this precision.

    Parameters
    ----------
    device
        "auto" takes CUDA, then MPS, then the CPU, whichever is there and knows the precision (MPS has no
        float64). "cuda:1" names one of several.

    Raises
    ------
    UserError
        For a device that does not exist, is not there, or cannot compute in `dtype`.
    """
    wide = choose_dtype(dtype) == torch.float64
    if str(device) == "auto":
        return _best_device(wide)
    chosen = _parsed(str(device))
    if chosen.type == "cuda":
        _check_cuda(chosen)
    if chosen.type == "mps":
        _check_mps(wide)
    return chosen


def _best_device(wide: bool) -> torch.device:
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available() and not wide:
        return torch.device("mps")
    return torch.device("cpu")


def _parsed(name: str) -> torch.device:
    """Return the torch device of this name, if it is of a kind we run on."""
    if name.partition(":")[0] not in DEVICE_TYPES:
        raise unknown_name("device", name, DEVICE_TYPES)
    try:
        return torch.device(name)
    except RuntimeError as error:
        raise UserError(f"device {name!r} has no such form; write cpu, cuda, cuda:0 or mps.") from error


def _check_cuda(device: torch.device) -> None:
    if not torch.cuda.is_available():
        raise UserError(
            f"device {str(device)!r} is not there: torch {torch.__version__} sees no CUDA GPU; use cpu or auto, "
            "or install a CUDA build of torch and check nvidia-smi."
        )
    n_devices = torch.cuda.device_count()
    if device.index is not None and device.index >= n_devices:
        raise UserError(f"device {str(device)!r} is not there: this machine has cuda:0 to cuda:{n_devices - 1}.")


def _check_mps(wide: bool) -> None:
    if not torch.backends.mps.is_available():
        raise UserError("device 'mps' is not there: torch sees no Apple GPU; use cpu or auto.")
    if wide:
        raise UserError("device 'mps' cannot compute in float64; ask for float32, or use cpu.")
