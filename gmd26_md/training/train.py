"""Train one family on one task: the one call that the command line makes."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from gmd26_md import tasks
from gmd26_md.calculators import families
from gmd26_md.calculators.checkpoint import Checkpoint, save_checkpoint
from gmd26_md.calculators.device import choose_device
from gmd26_md.errors import UserError
from gmd26_md.tasks import Task
from gmd26_md.training.element_energies import (
    ElementEnergies,
    element_energies,
    elements_of,
    remaining_element_energies,
)
from gmd26_md.training.frames_in_memory import digest, force_rms, frames_in_memory
from gmd26_md.training.loop import Progress, Run
from gmd26_md.training.model import ModelInTraining, all_hyperparameters, new_model, start_self_energies
from gmd26_md.training.recipe import Recipe, load_recipe
from gmd26_md.training.run_folder import BEST_FILE, LAST_FILE, claim_folder, write_log
from gmd26_md.training.state import TrainingState, load_state
from gmd26_md.training.training_data import TrainingData, evenly_spaced, training_data
from gmd26_md.training.validation import Errors, validation_errors


def train(
    task: Task | Path | str,
    recipe: Recipe | str,
    data_dir: Path | str,
    out_dir: Path | str,
    *,
    level_of_theory: str = "gfn2-xtb",
    minutes: float | None = None,
    device: str = "auto",
    resume: bool = True,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Path:
    """Train on a task's training molecules, and return the path of the best checkpoint.

    Trains on the primary trajectories; validates on the first 100 frames of the secondary ones. Later secondary
    frames and out-of-distribution molecules are never used. A run that was killed goes on from its last state (at
    most a minute old); a run that is finished returns at once.

    Parameters
    ----------
    task
        A task, its name, or the file of one's own.
    recipe
        A recipe, the path of a recipe file, or a family for its packaged recipe.
    data_dir
        Folder with <level>/<slug>/primary.extxyz and secondary.extxyz.
    out_dir
        Gets best.pt, last.pt, log.jsonl, settings.json and training_state.pt.
    minutes
        Time budget of the steps, over all sessions. The learning rate anneals to its end whether the steps or the
        minutes run out first. None: by steps alone, which repeats bit by bit on one CPU thread.
    device
        "auto", "cpu", "cuda" ...
    resume
        False refuses an `out_dir` that already holds a run.
    on_progress
        Called every few seconds and after each validation.

    Raises
    ------
    UserError
        For unknown names, missing data, or an `out_dir` with a run of other settings, which stays as it is.
    TrainingDivergedError
        If the loss stops being a number; the last good state stays on disk.
    """
    task = task if isinstance(task, Task) else tasks.get(task)
    recipe = recipe if isinstance(recipe, Recipe) else load_recipe(recipe)
    _check_request(task, minutes)
    hyperparameters = all_hyperparameters(recipe)
    folder = Path(out_dir)
    data = training_data(task, Path(data_dir), level_of_theory, recipe.n_train_frames_per_molecule)
    settings = _settings(task, recipe, level_of_theory, minutes, data)
    claim_folder(folder, settings, resume=resume)
    setup = _Setup(task, recipe, hyperparameters, level_of_theory, data, choose_device(device, recipe.dtype))
    state = load_state(folder, setup.device) or TrainingState()
    if state.stopped and (folder / BEST_FILE).is_file():
        return folder / BEST_FILE
    run = setup.run(state, minutes, folder, on_progress)
    run.train()
    write_log(folder, state.log)
    setup.write_checkpoints(run, settings)
    return folder / BEST_FILE


class _Setup:
    """What follows from the arguments and the data, before the first step."""

    def __init__(
        self,
        task: Task,
        recipe: Recipe,
        hyperparameters: dict[str, Any],
        level_of_theory: str,
        data: TrainingData,
        device: torch.device,
    ) -> None:
        self.task, self.recipe, self.hyperparameters = task, recipe, hyperparameters
        self.level_of_theory, self.data, self.device = level_of_theory, data, device
        molecules = [m.numbers for m in data.train]
        self.elements = elements_of(molecules)
        self.element_energies: ElementEnergies = element_energies(
            recipe.element_energies, molecules, [m.energies for m in data.train], level_of_theory
        )
        self.energy_scale = force_rms(data.train)

    def model(self) -> ModelInTraining:
        """Return the untrained model, well conditioned whatever the choice of per-element energies."""
        energies = self.element_energies.energies_eV
        model = new_model(self.recipe, self.elements, energies, self.energy_scale, self.device)
        if self.recipe.element_energies != "least-squares":
            totals = [m.energies for m in self.data.train]
            left = remaining_element_energies(self.element_energies, [m.numbers for m in self.data.train], totals)
            start_self_energies(model, left)
        return model

    def run(
        self, state: TrainingState, minutes: float | None, folder: Path, on_progress: Callable[[Progress], None]
    ) -> Run:
        """Return the run, ready to go on from `state`."""
        energies = self.element_energies.energies_eV
        kind = {"dtype": getattr(torch, self.recipe.dtype), "device": self.device}
        validation = evenly_spaced(self.data.validation, self.recipe.n_validation_frames_per_molecule)
        return Run(
            recipe=self.recipe,
            minutes=minutes,
            folder=folder,
            model=self.model(),
            frames=frames_in_memory(self.data.train, energies, **kind),
            validation_frames=frames_in_memory(validation, energies, **kind),
            state=state,
            on_progress=on_progress,
        )

    def write_checkpoints(self, run: Run, settings: dict[str, Any]) -> None:
        """Measure the last and the best weights on all validation frames and write both, the best one last."""
        energies = self.element_energies.energies_eV
        kind = {"dtype": getattr(torch, self.recipe.dtype), "device": self.device}
        frames = frames_in_memory(self.data.validation, energies, **kind)
        state = run.state
        averaged = run.model.averaged
        for name, weights, step in (
            (LAST_FILE, state.averaged, state.step),
            (BEST_FILE, state.best_weights, state.best_step),
        ):
            kept = {key: value.detach().clone() for key, value in weights.items()}
            averaged.network.load_state_dict(kept)
            errors = validation_errors(averaged, frames)
            save_checkpoint(self._checkpoint(kept, step, errors, state, settings, averaged), run.folder / name)

    def _checkpoint(
        self,
        weights: dict[str, torch.Tensor],
        step: int,
        errors: Errors,
        state: TrainingState,
        settings: dict[str, Any],
        potential: Any,
    ) -> Checkpoint:
        return Checkpoint(
            family=self.recipe.family,
            hyperparameters=self.hyperparameters,
            elements=self.elements,
            cutoff=float(self.hyperparameters["cutoff"]),
            element_energies=self.element_energies.energies_eV,
            element_energies_from=self.element_energies.source,
            energy_scale=self.energy_scale,
            level_of_theory=self.level_of_theory,
            task=self.task.name,
            recipe=self.recipe.as_dict(),
            forces_are_gradient=potential.forces_are_gradient,
            training={
                "step": step,
                "steps": state.step,
                "seconds": round(state.elapsed_s, 1),
                "minutes_allowed": settings["minutes"],
                "stopped_by": state.stopped,
                "seed": self.recipe.seed,
                "n_parameters": sum(p.numel() for p in potential.network.parameters()),
                "n_train_frames": sum(len(m.energies) for m in self.data.train),
                "molecules": [m.name for m in self.task.train],
                **_own_task(self.task),
                "train_data_sha256": settings["train_data_sha256"],
                "validation": asdict(errors),
                **self.element_energies.card(),
                "device": str(self.device),
                "versions": _versions(),
            },
            state_dict={name: weight.cpu() for name, weight in weights.items()},
        )


def _check_request(task: Task, minutes: float | None) -> None:
    if task.models_of is not None:
        raise UserError(f"task {task.name!r} trains nothing: it uses the models of {task.models_of!r}. Train that one.")
    if minutes is not None and not minutes > 0:
        raise UserError(f"--minutes is {minutes}; give a number above 0, or leave it out to train by steps alone.")


def _settings(
    task: Task, recipe: Recipe, level_of_theory: str, minutes: float | None, data: TrainingData
) -> dict[str, Any]:
    return {
        "task": task.name,
        **({"task_sha256": task.sha256} if task.sha256 else {}),
        "molecules": [m.slug for m in task.train],
        "level_of_theory": level_of_theory,
        "minutes": minutes,
        "recipe": recipe.as_dict(),
        "train_data_sha256": digest(data.train),
        "validation_data_sha256": digest(data.validation),
    }


def _own_task(task: Task) -> dict[str, Any]:
    """Return what a name does not say of a task of one's own: its hash, and what its molecules are."""
    if not task.sha256:
        return {}
    from gmd26_md.constitution import constitution

    return {"task_sha256": task.sha256, "constitutions": [constitution(m) for m in task.train]}


def _versions() -> dict[str, str]:
    return {"python": platform.python_version(), "gmd26-md": version("gmd26-md"), **families.installed_versions()}
