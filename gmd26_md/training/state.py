"""The whole state of a run in one file, so that a killed run goes on to the same numbers."""

from __future__ import annotations

import dataclasses
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor

from gmd26_md.errors import UserError
from gmd26_md.tensor_files import save_whole

STATE_FILE = "training_state.pt"


@dataclass
class TrainingState:
    """Where a run stands.

    The order of the data follows from the seed and the step (`training.order`), and nothing else in a run is
    random after the first weights are drawn, so there is no generator to keep.

    Attributes
    ----------
    step, elapsed_s
        Steps taken, and seconds spent over all sessions.
    weights, averaged, optimiser
        State dicts of the network, of its running average and of the optimiser.
    best_weights, best_force_mae, best_step, n_without_improvement
        The averaged weights with the smallest validation force error (eV/Å) so far, and validations since then.
    loss_sum, n_losses
        Of the training loss since the last validation.
    log
        One entry a validation: the lines of log.jsonl.
    stopped
        Why the run ended ("steps", "minutes", "patience"), or empty while it goes on.
    """

    step: int = 0
    elapsed_s: float = 0.0
    weights: dict[str, Tensor] = field(default_factory=dict)
    averaged: dict[str, Tensor] = field(default_factory=dict)
    optimiser: dict[str, Any] = field(default_factory=dict)
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    best_force_mae: float = float("inf")
    best_step: int = 0
    n_without_improvement: int = 0
    loss_sum: float = 0.0
    n_losses: int = 0
    log: list[dict[str, Any]] = field(default_factory=list)
    stopped: str = ""


def save_state(state: TrainingState, folder: Path) -> None:
    """Write the state into the run's folder, whole or not at all."""
    values = {entry.name: getattr(state, entry.name) for entry in dataclasses.fields(state)}
    save_whole(values, folder / STATE_FILE)


def load_state(folder: Path, device: torch.device | str = "cpu") -> TrainingState | None:
    """Return the state in the run's folder, or None where there is none yet. Executes no code from the file."""
    path = folder / STATE_FILE
    if not path.is_file():
        return None
    try:
        values = torch.load(path, map_location=device, weights_only=True)
        return TrainingState(**values)
    except (UnpicklingError, RuntimeError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is not a readable training state ({error}); train into a new folder.") from error
