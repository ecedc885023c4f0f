"""What a campaign will cost, said before it starts: from units that are done, else from a few evaluations."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from gmd26_md import tasks
from gmd26_md.campaign.drive import is_done
from gmd26_md.campaign.units import Unit
from gmd26_md.errors import UserError
from gmd26_md.protocols.stability_settings import Settings, preset
from gmd26_md.structure_files import read_structures

RELATIVE_COST = {
    "static-errors": 0.1,
    "stability": 1.5,
    "scan": 0.6,
    "conservation": 2.5,
    "relaxation": 3.1,
    "distributions": 30.0,
}
"""Of a protocol beside a bare run of the same molecules (0.5 ps + 1 ps, one seed): measured on three
acids, relaxation and distributions on twelve; that of static errors is a guess: it goes by the number of frames."""
_BARE_STEPS = 3000
_DISTRIBUTIONS_STEPS = 22000  # two runs of 0.5 ps + 5 ps in steps of 0.5 fs
_BYTES_PER_ATOM_FRAME = 180.0
_TIMED = 3


@dataclass(frozen=True)
class Cost:
    """Of one model and protocol: units to be run, hours of one worker, megabytes; NaN where it cannot be told."""

    model: str
    protocol: str
    task: str
    n_units: int
    n_done: int
    hours: float
    disk_MB: float
    source: str


def costs(out: Path, units: Sequence[Unit], this_python: str, n_threads: int = 1) -> list[Cost]:
    """Return what each group of units will cost.

    The time of a unit is the mean of those of the same model, protocol and task that are done, or of other tasks; else
    the model's forces are timed here, for a batch of the unit's molecules, and multiplied. A model of another
    environment is not timed, nor one that cannot be asked here; `source` says why.

    Parameters
    ----------
    n_threads
        Of a worker on the CPU: what is timed here gets no more.
    """
    groups: dict[tuple[str, str, str], list[Unit]] = {}
    for unit in units:
        groups.setdefault(unit.group, []).append(unit)
    known = _known_s(out, units)
    probed: dict[tuple[str, ...], float] = {}
    found = []
    for (protocol, model, task), mine in groups.items():
        todo = [u for u in mine if not is_done(out, u)]
        seconds = known.get((model, protocol, task), known.get((model, protocol)))
        source = "units that are done"
        if seconds is None and todo:
            seconds, source = _probed_s(todo[0], probed, this_python, n_threads)
        hours = len(todo) * seconds / 3600 if seconds is not None else float("nan")
        found.append(
            Cost(model, protocol, task, len(mine), len(mine) - len(todo), hours if todo else 0.0, _disk(todo), source)
        )
    return found


def _known_s(out: Path, units: Sequence[Unit]) -> dict[tuple[str, ...], float]:
    """Return the mean time of units that are done, s: of a model and protocol, and of these on a task."""
    times: dict[tuple[str, ...], list[float]] = {}
    for unit in units:
        if is_done(out, unit):
            told = json.loads((out / "units" / unit.key / "unit.json").read_text(encoding="utf-8"))
            for case in ((unit.model, unit.protocol), (unit.model, unit.protocol, unit.task)):
                times.setdefault(case, []).append(float(told["wall_s"]))
    return {key: float(np.mean(values)) for key, values in times.items()}


def _probed_s(
    unit: Unit, probed: dict[tuple[str, ...], float], this_python: str, n_threads: int
) -> tuple[float | None, str]:
    """Return the time of a unit, s, and where that is from."""
    if unit.python != this_python:
        return None, "not timed: it runs in another environment"
    case = (unit.model, unit.task, *_how_opened(unit))  # molecules of another task are of another size
    if case not in probed:
        try:
            with contextlib.redirect_stdout(sys.stderr):  # what a model's package prints is no part of the answer
                probed[case] = _evaluation_s(unit, n_threads)
        except UserError as problem:
            return None, f"not timed: {problem}"
        except Exception as problem:  # a plan is shown whatever a model does; the unit will say it too
            return None, " ".join(f"not timed: {type(problem).__name__}: {problem}".split())
    factor = RELATIVE_COST[unit.arguments[0]] * _n_runs(unit) * _run_length(unit)
    return probed[case] * _BARE_STEPS * factor, "a few evaluations, timed here"


def _evaluation_s(unit: Unit, n_threads: int) -> float:
    """Return the time of one evaluation of a batch of the unit's molecules, s."""
    import torch

    from gmd26_md.commands.common import model_arguments
    from gmd26_md.protocols.subject import open_subject

    given = _given(unit)
    subject = open_subject(
        given["model"],
        device=given["device"],
        dtype=given["dtype"],
        engine=given["engine"],
        trust_pickle=given["trust_pickle"],
        arguments=model_arguments(given["model_args"]),
    )
    structures = _structures(unit)
    bound: Any = subject.provider.bind([atoms.numbers for atoms in structures])
    positions = torch.as_tensor(
        np.concatenate([atoms.positions for atoms in structures]), dtype=torch.float64, device=subject.provider.device
    )
    n_before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        bound(positions)
        began = time.perf_counter()
        for _ in range(_TIMED):
            _, forces = bound(positions)
            float(forces.sum())  # a GPU is done when its answer is here
        seconds = (time.perf_counter() - began) / _TIMED
    finally:
        torch.set_num_threads(n_before)
    if bound.errors:
        raise UserError(next(iter(bound.errors.values())))
    return seconds


def _structures(unit: Unit) -> list[Atoms]:
    """Return the molecules of a unit."""
    if not unit.task_file:
        return read_structures(_given(unit)["molecules"])
    task = tasks.get(unit.task_file)
    return [task.find(name).atoms() for name in unit.molecules]


def _given(unit: Unit) -> Mapping[str, Any]:
    """Return the options of a unit's command line as the command reads them, defaults and other spellings too."""
    return _parsed(unit.arguments)


@cache
def _parsed(arguments: tuple[str, ...]) -> Mapping[str, Any]:
    import click

    from gmd26_md.cli import gmd26_md

    command = gmd26_md.get_command(click.Context(gmd26_md), arguments[0])
    if command is None:
        raise UserError(f"{arguments[0]} is no command.")
    return command.make_context(arguments[0], list(arguments[1:])).params


def _how_opened(unit: Unit) -> tuple[str, ...]:
    given = _given(unit)
    return tuple(str(given[name]) for name in ("device", "dtype", "engine", "model_args"))


def _settings(unit: Unit) -> Settings:
    """Return a stability unit's settings where they cost: lengths, time step, frames, seeds."""
    given = _given(unit)
    names = ("thermalise_ps", "run_ps", "timestep_fs", "save_every_fs", "n_seeds")
    return preset(given["preset"], **{name: given[name] for name in names})


def _n_runs(unit: Unit) -> float:
    if unit.arguments[0] != "stability":
        return 1.0
    given = _given(unit)
    conditions = max(1, len(set(given["temperatures"]))) * max(1, len(set(given["ensembles"])))
    return float(_settings(unit).n_seeds * conditions)


def _run_length(unit: Unit) -> float:
    """Return the steps of a unit's runs over those of which `RELATIVE_COST` is; 1 where the length costs little."""
    given = _given(unit)
    if unit.arguments[0] == "distributions":
        steps = given["n_runs"] * (given["equilibrate_ps"] + given["run_ps"]) * 1000.0 / given["timestep_fs"]
        return float(steps / _DISTRIBUTIONS_STEPS)
    if unit.arguments[0] != "stability":
        return 1.0
    settings = _settings(unit)
    return (settings.thermalise_ps + settings.run_ps) * 1000.0 / settings.timestep_fs / _BARE_STEPS


def _disk(units: Sequence[Unit]) -> float:
    """Return what the raw trajectories of the stability runs of a group take, MB, were all kept."""
    if not units or units[0].arguments[0] != "stability":
        return 0.0
    settings = _settings(units[0])  # all of them have the same options
    frames = ((settings.thermalise_ps + settings.run_ps) * 1000.0 / settings.save_every_fs + 2) * _n_runs(units[0])
    n_atoms = sum(len(atoms) for unit in units for atoms in _structures(unit))
    return n_atoms * frames * _BYTES_PER_ATOM_FRAME / 1e6


def as_rows(found: Sequence[Cost]) -> list[Mapping[str, Any]]:
    """Return the costs for a program; hours are None where they cannot be told."""
    return [
        {
            "model": c.model, "protocol": c.protocol, "task": c.task, "n_units": c.n_units, "n_done": c.n_done,
            "worker_hours": None if np.isnan(c.hours) else c.hours, "trajectories_MB": c.disk_MB,
            "estimated_from": c.source,
        }
        for c in found
    ]  # fmt: skip
