"""What a campaign will cost, said before it starts: from units that are done, else from a few evaluations."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gmd26_md import tasks
from gmd26_md.campaign.drive import is_done
from gmd26_md.campaign.units import Unit
from gmd26_md.errors import UserError
from gmd26_md.protocols.stability_settings import Settings, preset

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


def costs(out: Path, units: Sequence[Unit], this_python: str) -> list[Cost]:
    """Return what each group of units will cost.

    The time of a unit is the mean of those of the same model and protocol that are done; else the model's forces are
    timed here, for a batch of the unit's molecules, and multiplied. A model of another environment is not timed.
    """
    groups: dict[tuple[str, str, str], list[Unit]] = {}
    for unit in units:
        groups.setdefault(unit.group, []).append(unit)
    known = _known_s(out, units)
    probed: dict[tuple[str, str], float] = {}
    found = []
    for (protocol, model, task), mine in groups.items():
        todo = [u for u in mine if not is_done(out, u)]
        seconds, source = known.get((model, protocol)), "units that are done"
        if seconds is None and todo:
            seconds, source = _probed_s(todo[0], probed, this_python)
        hours = len(todo) * seconds / 3600 if seconds is not None else float("nan")
        found.append(
            Cost(model, protocol, task, len(mine), len(mine) - len(todo), hours if todo else 0.0, _disk(todo), source)
        )
    return found


def _known_s(out: Path, units: Sequence[Unit]) -> dict[tuple[str, str], float]:
    times: dict[tuple[str, str], list[float]] = {}
    for unit in units:
        if is_done(out, unit):
            told = json.loads((out / "units" / unit.key / "unit.json").read_text(encoding="utf-8"))
            times.setdefault((unit.model, unit.protocol), []).append(float(told["wall_s"]))
    return {key: float(np.mean(values)) for key, values in times.items()}


def _probed_s(unit: Unit, probed: dict[tuple[str, str], float], this_python: str) -> tuple[float | None, str]:
    """Return the time of a unit, s, and where that is from."""
    if unit.python != this_python:
        return None, "not timed: it runs in another environment"
    if not unit.task_file:
        return None, "not timed: structures of one's own"
    case = unit.model, unit.task  # molecules of another task are of another size
    if case not in probed:
        try:
            with contextlib.redirect_stdout(sys.stderr):  # what a model's package prints is no part of the answer
                probed[case] = _evaluation_s(unit)
        except UserError as problem:
            return None, f"not timed: {problem}"
    factor = RELATIVE_COST[unit.arguments[0]] * _n_runs(unit) * _run_length(unit)
    return probed[case] * _BARE_STEPS * factor, "a few evaluations, timed here"


def _evaluation_s(unit: Unit) -> float:
    """Return the time of one evaluation of a batch of the unit's molecules, s."""
    import torch

    from gmd26_md.protocols.subject import open_subject

    model = unit.arguments[unit.arguments.index("--model") + 1]
    subject = open_subject(
        model, dtype=_option(unit, "--dtype", "float64"), trust_pickle="--trust-pickle" in unit.arguments
    )
    task = tasks.get(unit.task_file)
    structures = [task.find(name).atoms() for name in unit.molecules]
    bound: Any = subject.provider.bind([atoms.numbers for atoms in structures])
    positions = torch.as_tensor(
        np.concatenate([atoms.positions for atoms in structures]), dtype=torch.float64, device=subject.provider.device
    )
    bound(positions)
    began = time.perf_counter()
    for _ in range(_TIMED):
        bound(positions)
    return (time.perf_counter() - began) / _TIMED


def _settings(unit: Unit) -> Settings:
    """Return a stability unit's settings where they cost: lengths, time step, frames, seeds."""
    options = ("thermalise-ps", "run-ps", "timestep-fs", "save-every-fs", "n-seeds")
    given = {name.replace("-", "_"): _option(unit, f"--{name}", "") for name in options}
    numbers = {name: int(text) if name == "n_seeds" else float(text) for name, text in given.items() if text}
    return preset(_option(unit, "--preset", "quick"), **numbers)


def _n_runs(unit: Unit) -> float:
    if unit.arguments[0] != "stability":
        return 1.0
    conditions = max(1, unit.arguments.count("--temperature-K")) * max(1, unit.arguments.count("--ensemble"))
    return float(_settings(unit).n_seeds * conditions)


def _run_length(unit: Unit) -> float:
    """Return the steps of a run over those of a quick one."""
    if unit.arguments[0] != "stability":
        return 1.0
    settings = _settings(unit)
    return (settings.thermalise_ps + settings.run_ps) * 1000.0 / settings.timestep_fs / _BARE_STEPS


def _disk(units: Sequence[Unit]) -> float:
    """Return what the raw trajectories of stability runs take, MB, were all kept."""
    total = 0.0
    for unit in units:
        if unit.arguments[0] != "stability" or not unit.task_file:
            continue
        task = tasks.get(unit.task_file)
        n_atoms = sum(len(task.find(name).atoms()) for name in unit.molecules)
        settings = _settings(unit)
        frames = ((settings.thermalise_ps + settings.run_ps) * 1000.0 / settings.save_every_fs + 2) * _n_runs(unit)
        total += n_atoms * frames * _BYTES_PER_ATOM_FRAME / 1e6
    return total


def _option(unit: Unit, name: str, default: str) -> str:
    given = unit.arguments
    return given[given.index(name) + 1] if name in given else default


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
