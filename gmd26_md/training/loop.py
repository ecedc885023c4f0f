"""Train a potential: steps, validations, a state on disk, and a checkpoint at the end."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from gmd26_md.errors import UserError
from gmd26_md.training.frames_in_memory import FramesInMemory
from gmd26_md.training.model import ModelInTraining
from gmd26_md.training.objective import training_loss
from gmd26_md.training.order import DataOrder
from gmd26_md.training.recipe import Recipe
from gmd26_md.training.run_folder import write_log
from gmd26_md.training.schedule import learning_rate, progress
from gmd26_md.training.state import TrainingState, save_state
from gmd26_md.training.validation import Errors, validation_errors

REPORT_EVERY_S = 2.0
SAVE_EVERY_S = 60.0
STEPS_BETWEEN_CHECKS_ON_GPU = 20  # reading a loss makes the GPU wait


class TrainingDivergedError(UserError):
    """The loss stopped being a number."""


@dataclass(frozen=True)
class Progress:
    """How a run is doing, for whoever watches.

    Attributes
    ----------
    step, n_steps
        Steps taken, and the most there can be.
    fraction
        Of the whole run, by steps or by minutes, 0 to 1.
    elapsed_s, eta_s
        Seconds spent over all sessions, and left if it goes on like this.
    steps_per_s
        Of this session.
    learning_rate
        Of the next step.
    train_loss
        Mean since the last validation; NaN right after one.
    best_force_mae_eV_per_A
        Smallest validation error so far, or None before the first validation.
    validation
        Errors just measured, where this report follows a validation; else None.
    """

    step: int
    n_steps: int
    fraction: float
    elapsed_s: float
    eta_s: float
    steps_per_s: float
    learning_rate: float
    train_loss: float
    best_force_mae_eV_per_A: float | None
    validation: Errors | None = None


@dataclass
class Run:
    """One training run in this process.

    Attributes
    ----------
    recipe, minutes, folder
        How to train, how long at most, and where the state goes.
    model, frames, validation_frames
        What learns, from what, and on what it is checked.
    state
        Where the run stands; brought up to date at validations and saves.
    on_progress
        Called every few seconds and after each validation.
    """

    recipe: Recipe
    minutes: float | None
    folder: Path
    model: ModelInTraining
    frames: FramesInMemory
    validation_frames: FramesInMemory
    state: TrainingState
    on_progress: Callable[[Progress], None]
    order: DataOrder = field(init=False)
    _losses: list[Tensor] = field(default_factory=list, init=False)
    _began: float = field(default=0.0, init=False)
    _earlier_s: float = field(default=0.0, init=False)
    _first_step: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        """Lay out the data's order and put the state's weights in place."""
        self.order = DataOrder(self.frames.n_atoms.cpu(), self.recipe.batch_atoms, self.recipe.seed)
        self._earlier_s, self._first_step = self.state.elapsed_s, self.state.step
        if self.state.weights:
            self.model.live.network.load_state_dict(self.state.weights)
            self.model.averaged.network.load_state_dict(self.state.averaged)
            self.model.optimiser.load_state_dict(self.state.optimiser)

    def train(self) -> None:
        """Take steps until the steps, the minutes or the patience run out; the state says which.

        Raises
        ------
        TrainingDivergedError
            If a loss is not finite. The last state on disk is from before.
        """
        self._began = saved = reported = time.monotonic()
        while not self._why_stop():
            self._step()
            if self.state.step % self.recipe.validate_every_steps == 0:
                self._validate()
                self._save()
                saved = time.monotonic()
            now = time.monotonic()
            if now - saved > SAVE_EVERY_S:
                self._save()
                saved = now
            if now - reported > REPORT_EVERY_S:
                self.on_progress(self._progress())
                reported = now
        if not self.state.log or self.state.log[-1]["step"] != self.state.step:
            self._validate()
        self.state.stopped = self._why_stop()
        self._save()

    def _elapsed_s(self) -> float:
        return self._earlier_s + time.monotonic() - self._began

    def _fraction(self) -> float:
        return progress(self.state.step, self._elapsed_s(), self.recipe.n_steps, self.minutes)

    def _why_stop(self) -> str:
        if self.state.stopped:
            return self.state.stopped
        if self.state.step >= self.recipe.n_steps:
            return "steps"
        if self.minutes is not None and self._elapsed_s() >= 60.0 * self.minutes:
            return "minutes"
        patience = self.recipe.patience_validations
        return "patience" if patience and self.state.n_without_improvement >= patience else ""

    def _step(self) -> None:
        recipe, model = self.recipe, self.model
        frame_idx = self.order.batch(self.state.step).to(self.frames.numbers.device)
        labelled = self.frames.batch(frame_idx, model.live.cutoff)
        loss = training_loss(model.live, labelled, recipe)
        model.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if recipe.gradient_clip_norm:
            torch.nn.utils.clip_grad_norm_(model.live.network.parameters(), recipe.gradient_clip_norm)
        for group in model.optimiser.param_groups:
            group["lr"] = learning_rate(self.state.step, self._fraction(), recipe)
        model.optimiser.step()
        model.average(self.state.step, recipe.ema_decay)
        self.state.step += 1
        self._losses.append(loss.detach())
        if loss.device.type == "cpu" or len(self._losses) >= STEPS_BETWEEN_CHECKS_ON_GPU:
            self._collect_losses()

    def _collect_losses(self) -> None:
        """Read the losses of the last steps; nothing is saved before they are known to be numbers."""
        for loss in torch.stack(self._losses).tolist() if self._losses else []:
            if not math.isfinite(loss):
                raise TrainingDivergedError(
                    f"the training loss became {loss} at step {self.state.step} (learning rate "
                    f"{self.recipe.learning_rate:g}); the state before is kept in {self.folder}. Lower learning_rate "
                    "or gradient_clip_norm and train into a new folder."
                )
            self.state.loss_sum += loss
            self.state.n_losses += 1
        self._losses.clear()

    def _validate(self) -> None:
        self._collect_losses()
        errors = validation_errors(self.model.averaged, self.validation_frames)
        if not math.isfinite(errors.force_mae_eV_per_A):
            raise TrainingDivergedError(
                f"the validation error became {errors.force_mae_eV_per_A} at step {self.state.step}; the state before "
                f"is kept in {self.folder}. Lower learning_rate (now {self.recipe.learning_rate:g}) and train anew."
            )
        report = self._progress(errors)
        state = self.state
        if errors.force_mae_eV_per_A < state.best_force_mae:
            state.best_force_mae, state.best_step, state.n_without_improvement = (
                errors.force_mae_eV_per_A,
                state.step,
                0,
            )
            state.best_weights = _copied(self.model.averaged.network.state_dict())
        else:
            state.n_without_improvement += 1
        state.log.append(
            {
                "step": state.step,
                "seconds": round(report.elapsed_s, 2),
                "learning_rate": report.learning_rate,
                "train_loss": report.train_loss,
                **{f"validation_{name}": value for name, value in asdict(errors).items()},
                "steps_per_second": round(report.steps_per_s, 3),
            }
        )
        state.loss_sum, state.n_losses = 0.0, 0
        self.on_progress(report)

    def _save(self) -> None:
        self._collect_losses()
        self.state.elapsed_s = self._elapsed_s()
        self.state.weights = self.model.live.network.state_dict()
        self.state.averaged = self.model.averaged.network.state_dict()
        self.state.optimiser = self.model.optimiser.state_dict()
        save_state(self.state, self.folder)
        write_log(self.folder, self.state.log)

    def _progress(self, validation: Errors | None = None) -> Progress:
        elapsed, fraction, state = self._elapsed_s(), self._fraction(), self.state
        here_s = elapsed - self._earlier_s
        return Progress(
            step=state.step,
            n_steps=self.recipe.n_steps,
            fraction=fraction,
            elapsed_s=elapsed,
            eta_s=elapsed * (1.0 - fraction) / fraction if fraction > 0 else math.inf,
            steps_per_s=(state.step - self._first_step) / here_s if here_s > 0 else 0.0,
            learning_rate=learning_rate(state.step, fraction, self.recipe),
            train_loss=state.loss_sum / state.n_losses if state.n_losses else math.nan,
            best_force_mae_eV_per_A=state.best_force_mae if math.isfinite(state.best_force_mae) else None,
            validation=validation,
        )


def _copied(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: weight.detach().clone() for name, weight in weights.items()}
