"""The whole line from nothing to the paper's table, as the commands that a person would type, each of which resumes.

FOLDER/training/<family>-<task>/     what `train` leaves
       checkpoints/<family>-<task>.pt
       static/<family>-<task>/       run folders of `static-errors`
       stability/<family>-<task>/    run folders of `stability`
       logs/<stage>.log              what each command printed
       stages.jsonl                  a line each time a stage ended
       tables/<task>.txt .md .tex .csv
"""

from __future__ import annotations

import hashlib
import json
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gmd26_md import strict_json, tasks
from gmd26_md.datasets import store
from gmd26_md.errors import UserError
from gmd26_md.files import sha256_of, written_whole
from gmd26_md.molecules import Molecule
from gmd26_md.tasks import Task

_WELL = ("done", "done before")
"""Outcomes of a stage whose work is there."""


@dataclass(frozen=True)
class Plan:
    """What is to be reproduced, and where.

    Attributes
    ----------
    task_names, families
        What is trained on what; a task that uses another's models (fission) has those trained.
    data, out
        Folders of reference data and of everything else.
    minutes
        Of training, a family and task; by the recipe's steps if None.
    seed
        Of training.
    recipe
        As `train` takes it.
    preset
        Of the dynamics; none is run if empty.
    level
        Of theory.
    data_options
        Further options of `data generate`, as given on the command line.
    device
        As every command takes it.
    pythons
        The Python that runs a family, where it is not this one.
    """

    task_names: tuple[str, ...]
    families: tuple[str, ...]
    data: Path
    out: Path
    minutes: float | None = None
    seed: int | None = None
    recipe: str | None = None
    preset: str = "quick"
    level: str = "gfn2-xtb"
    data_options: tuple[str, ...] = ()
    device: str = "auto"
    pythons: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Stage:
    """One command of the line.

    Attributes
    ----------
    name
        Fit for a file, "train-mace-fusion".
    arguments
        After `gmd26-md`.
    needs
        Names of the stages without which it cannot be run.
    python
        What runs it.
    reads
        Files whose content it depends on: a stage is done for these contents.
    copies
        (from, to) when it has ended well.
    leaves
        The file by which its work is there: a checkpoint, or the summary in a run folder.
    """

    name: str
    arguments: tuple[str, ...]
    needs: tuple[str, ...]
    python: str
    reads: tuple[Path, ...] = ()
    copies: tuple[Path, Path] | None = None
    leaves: Path | None = None

    @property
    def command(self) -> str:
        """As a person would type it."""
        return shlex.join(["gmd26-md", *self.arguments])


@dataclass(frozen=True)
class Ended:
    """How a stage ended: "done", "done before", "failed" or "left out", and why."""

    stage: Stage
    outcome: str
    reason: str = ""
    seconds: float = 0.0


def stages(plan: Plan) -> list[Stage]:
    """Return the commands in an order in which each finds what it needs; training that tasks share stands once.

    Raises
    ------
    UserError
        For an unknown task, or two of one name, which would share their folders.
    """
    names = [tasks.get(name).name for name in plan.task_names]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise UserError(f"two of the tasks are called {twice[0]}; give one of them another name.")
    found: dict[str, Stage] = {}
    for name in plan.task_names:
        task = tasks.get(name)
        trained_on = name if task.models_of is None else task.models_of
        made = [s for family in plan.families for s in _of_family(plan, family, trained_on, name, task)]
        for stage in (_data(plan, name, task), *made):
            found.setdefault(stage.name, stage)
    return list(found.values())


def _data(plan: Plan, given: str, task: Task) -> Stage:
    options = ("--task", given, "--out", str(plan.data), "--reference", plan.level, *plan.data_options)
    return Stage(f"data-{task.name}", ("data", "generate", *options), (), sys.executable)


def _of_family(plan: Plan, family: str, trained_on: str, given: str, task: Task) -> list[Stage]:
    python = plan.pythons.get(family, sys.executable)
    trains = tasks.get(trained_on)
    model = f"{family}-{trains.name}"
    training, checkpoint = plan.out / "training" / model, plan.out / "checkpoints" / f"{model}.pt"
    options: list[str] = ["--family", family, "--task", trained_on, "--data", str(plan.data), "--level", plan.level]
    options += ["--out", str(training), "--device", plan.device]
    for option, value in (("--minutes", plan.minutes), ("--seed", plan.seed), ("--recipe", plan.recipe)):
        if value is not None:
            options += [option, f"{value:g}" if isinstance(value, float) else str(value)]
    train = Stage(
        f"train-{model}",
        ("train", *options),
        (f"data-{task.name}",),
        python,
        reads=(*_provenance(plan, trains.train), *([Path(plan.recipe)] if plan.recipe else [])),
        copies=(training / "best.pt", checkpoint),
        leaves=checkpoint,
    )
    return [train, *_tests(plan, train, checkpoint, f"{family}-{task.name}", given, task)]


def _tests(plan: Plan, train: Stage, checkpoint: Path, run: str, given: str, task: Task) -> list[Stage]:
    """Return what is measured of a trained model in the run folders of this name: static errors, dynamics if any."""
    tested = ("--model", str(checkpoint), "--task", given, "--frames", str(plan.data), "--device", plan.device)
    needs = (train.name, f"data-{task.name}")  # a training that tasks share needs the data of the first of them only
    reads = (checkpoint, *_provenance(plan, task.molecules))

    def stage(kind: str, command: str, *options: str) -> Stage:
        folder = plan.out / kind / run
        arguments = (command, *tested, *options, "--out", str(folder))
        return Stage(f"{kind}-{run}", arguments, needs, train.python, reads, leaves=folder / "summary.json")

    static = stage("static", "static-errors")
    # few static frames in dynamics: those of the static stage are the ones that count
    dynamics = ("--preset", plan.preset, "--n-static-frames", "20")
    return [static, stage("stability", "stability", *dynamics)] if plan.preset else [static]


def _provenance(plan: Plan, molecules: Sequence[Molecule]) -> list[Path]:
    """Return the files that hold the hashes of some molecules' data: with other data their content is another."""
    return [store.folder_of(plan.data, plan.level, molecule) / "provenance.json" for molecule in molecules]


def reproduce(plan: Plan, *, on_stage: Callable[[Stage], None] = lambda stage: None) -> list[Ended]:
    """Run what is missing of the stages, and return how each ended; what one cannot have, its dependents leave out.

    A stage that last ended well for the same command and the same files is not started again while its work is there.

    Raises
    ------
    UserError
        For an unknown task.
    KeyboardInterrupt
        As it comes; the command at work leaves what it has for the next time.
    """
    ended: dict[str, Ended] = {}
    done = _done(plan.out)
    for stage in stages(plan):
        missing = [name for name in stage.needs if ended[name].outcome not in _WELL]
        if missing:
            ended[stage.name] = Ended(stage, "left out", f"{missing[0]} is missing")
            continue
        # data are always asked for: their command knows best what is whole
        key = _key(stage)
        if done.get(stage.name) == key and stage.leaves is not None and stage.leaves.is_file():
            ended[stage.name] = Ended(stage, "done before")
            continue
        on_stage(stage)
        ended[stage.name] = _run(stage, key, plan.out)
    return list(ended.values())


def _run(stage: Stage, key: str, out: Path) -> Ended:
    log = out / "logs" / f"{stage.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with log.open("a", encoding="utf-8") as handle:
        handle.write(f"$ {stage.command}\n")
        handle.flush()
        command = [stage.python, "-m", "gmd26_md", *stage.arguments]
        try:
            code = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=handle, stderr=_errors(handle)).returncode
        except OSError as problem:
            return Ended(stage, "failed", f"{stage.python} cannot be started: {problem}")
    seconds = time.monotonic() - began
    if code:
        return Ended(stage, "failed", f"exit code {code}: {_last_line(log)}", seconds)
    if stage.copies is not None:
        source, target = stage.copies
        with written_whole(target) as aside:
            shutil.copyfile(source, aside)
    _note(out, {"stage": stage.name, "key": key, "command": stage.command, "seconds": round(seconds, 1)})
    return Ended(stage, "done", "", seconds)


def _errors(handle: Any) -> Any:
    """Return where a command's progress goes: to the terminal where there is one, else into the log."""
    return None if sys.stderr.isatty() else handle


def _last_line(log: Path) -> str:
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return f"{lines[-1]} ({log})" if lines else f"see {log}"


def _key(stage: Stage) -> str:
    contents = [sha256_of(path) if path.is_file() else None for path in stage.reads]
    return hashlib.sha256(strict_json.canonical([stage.arguments, contents]).encode()).hexdigest()


def _note(out: Path, entry: dict[str, Any]) -> None:
    with (out / "stages.jsonl").open("a", encoding="utf-8") as handle:
        handle.write(json.dumps(entry) + "\n")


def _done(out: Path) -> dict[str, str]:
    """Return for what each stage was last done, by its name: what it made for anything else is overwritten."""
    path = out / "stages.jsonl"
    if not path.is_file():
        return {}
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entry = json.loads(line)
            found[str(entry["stage"])] = str(entry["key"])
        except (ValueError, KeyError, TypeError):
            continue  # a line torn by a kill: its stage is asked again, and finds its own work done
    return found


def folders_of(ended: Sequence[Ended]) -> list[Path]:
    """Return the run folders of the stages that ended well, static errors first; what else lies there is another's."""
    left = [one.stage.leaves for one in ended if one.outcome in _WELL]
    found = [path.parent for path in left if path is not None and path.name == "summary.json" and path.is_file()]
    return sorted(found, key=lambda folder: (folder.parent.name != "static", folder))


def checked_pythons(given: Sequence[str]) -> dict[str, str]:
    """Return FAMILY=PATH options as a mapping.

    Raises
    ------
    UserError
        For one of another form, or a path that is no file.
    """
    found = {}
    for text in given:
        family, sign, path = text.partition("=")
        if not (family and sign and path):
            raise UserError(f"--python {text!r} is not of the form FAMILY=PATH, as nequip=/envs/all/bin/python.")
        if not Path(path).is_file():
            raise UserError(f"--python {text}: {path} does not exist; give the python of an environment.")
        found[family] = path
    return found
