"""Stability: short dynamics with the model, and whether they may be believed.

Each run starts at the reference minimum, is thermalised by Langevin dynamics and then left alone at constant energy, or
kept at its temperature. This module moves the atoms and says which frames the reference shall label; what the frames
come to is in `stability_analysis`. Docs: `docs/protocols/stability.md`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gmd26_md.dynamics.engine import Checks, PairCheck, Progress, Run, Segment, System, stream
from gmd26_md.dynamics.forces import ForceProvider
from gmd26_md.observables.bonds import bond_graph
from gmd26_md.observables.verdict import Thresholds
from gmd26_md.observables.watched import watched
from gmd26_md.protocols.cases import Case
from gmd26_md.protocols.relaxation import reference_minimum
from gmd26_md.protocols.stability_settings import PRESETS, Settings, preset
from gmd26_md.seeds import seed_of
from gmd26_md.trajectory import Trajectory

__all__ = [
    "PRESETS", "THERMALISE", "Order", "Settings", "asked_ps", "before_error", "frames_to_label", "joined", "preset",
    "proper", "run", "segments",
]  # fmt: skip

THERMALISE = "thermalise"
"""Name of the frames before the run proper, whose frames are called after its ensemble."""


@dataclass(frozen=True)
class Order:
    """One run that is asked for: a case (with a reference minimum), a seed, and how."""

    case: Case
    seed: int
    settings: Settings

    @property
    def name(self) -> str:
        """What the run is called, also in file names."""
        s = self.settings
        return f"{self.case.slug}-{s.temperature_K:g}K-{s.ensemble}-seed{self.seed}"


def segments(settings: Settings) -> list[Segment]:
    """Return the stretches of dynamics that the settings ask for."""
    step = settings.timestep_fs
    save = _save_steps(settings)
    before = Segment(THERMALISE, round(1000 * settings.thermalise_ps / step), step, save, settings.friction_per_fs)
    friction = settings.friction_per_fs if settings.ensemble == "nvt" else 0.0
    itself = Segment(settings.ensemble, round(1000 * settings.run_ps / step), step, save, friction)
    return [before, itself] if before.n_steps else [itself]


def asked_ps(settings: Settings) -> float:
    """Return the length of a run, ps."""
    return sum(s.n_steps * s.timestep_fs for s in segments(settings)) / 1000.0


def run(
    provider: ForceProvider,
    orders: Sequence[Order],
    thresholds: Thresholds,
    *,
    deadline: float | None = None,
    folder: Path | None = None,
    on_label_frame: Callable[[str, int, np.ndarray, np.ndarray], None] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Iterator[Run]:
    """Move all that is ordered, as many together as fit, and yield each run as it ends.

    `on_label_frame` is called with the run's name, the number of the frame in the run proper, numbers and positions, as
    soon as a frame is there that will be labelled if the run comes to its end. The rest is as in
    `dynamics.engine.stream`.
    """
    planned = {order.name: (order.settings.ensemble, _planned(order.settings)) for order in orders}

    def see(system: System, segment: str, index: int, positions: np.ndarray) -> None:
        ensemble, frames = planned[system.key]
        if segment == ensemble and index in frames and on_label_frame is not None:
            on_label_frame(system.key, index, system.numbers, positions)

    yield from stream(
        provider,
        [_system(order, thresholds) for order in orders],
        deadline=deadline,
        folder=folder,
        on_frame=see,
        on_progress=on_progress,
    )


def _system(order: Order, thresholds: Thresholds) -> System:
    case, settings = order.case, order.settings
    minimum = reference_minimum(case).positions[0]
    checks = watched(bond_graph(case.numbers, minimum), thresholds.topology)
    return System(
        key=order.name,
        numbers=case.numbers,
        positions=minimum,
        seed=seed_of(order.seed, case.slug),
        temperature_K=settings.temperature_K,
        segments=tuple(segments(settings)),
        checks=Checks(
            max_temperature_K=thresholds.temperature_limit_K(settings.temperature_K, n_dof=1),
            pairs=tuple(PairCheck(name, c.pairs, c.at_least_A, c.at_most_A) for name, c in checks.items()),
        ),
    )


def _save_steps(settings: Settings) -> int:
    return round(settings.save_every_fs / settings.timestep_fs)


def _planned(settings: Settings) -> frozenset[int]:
    """Return which frames of the run proper will be labelled if it comes to its end."""
    n_frames = 1 + math.ceil(segments(settings)[-1].n_steps / _save_steps(settings))
    return frozenset(_spread(n_frames, settings).tolist())


def _spread(n_frames: int, settings: Settings) -> np.ndarray:
    """Return which of so many frames are labelled: evenly spread, the first and the last among them."""
    chosen = np.linspace(0, n_frames - 1, min(settings.n_label_frames, n_frames)).round().astype(int)
    return np.unique(chosen)


def proper(run: Run) -> Trajectory | None:
    """Return the frames of the run proper; None if it never began."""
    return next((frames for name, frames in run.frames.items() if name != THERMALISE), None)


def frames_to_label(run: Run, settings: Settings) -> np.ndarray:
    """Return which frames of the run proper to label, of those with finite positions and before any error."""
    frames = proper(before_error(run))
    if frames is None or settings.n_label_frames == 0:
        return np.zeros(0, dtype=int)
    whole = np.flatnonzero(np.isfinite(frames.positions).all(axis=(1, 2)))
    return np.asarray(whole[_spread(len(whole), settings)])


def before_error(run: Run) -> Run:
    """Return a run with the frames from before its calculator raised, those of numbers that are; others as they are."""
    if run.stopped != "error":
        return run
    until = np.inf if run.stopped_at_fs is None else run.stopped_at_fs - 1e-6
    kept = {
        name: np.flatnonzero((part.time_fs < until) & np.isfinite(part.energies + part.forces.sum(axis=(1, 2))))
        for name, part in run.frames.items()
    }
    return replace(run, frames={name: run.frames[name].part(chosen) for name, chosen in kept.items() if chosen.size})


def joined(run: Run) -> Trajectory:
    """Return all frames of a run as one trajectory."""
    parts = [run.frames[THERMALISE]] if THERMALISE in run.frames else []
    itself = proper(run)
    parts += [] if itself is None else [itself]
    if len(parts) == 1:
        return parts[0]
    velocities = [part.velocities for part in parts if part.velocities is not None]
    return Trajectory(
        numbers=parts[0].numbers,
        time_fs=np.concatenate([p.time_fs for p in parts]),
        positions=np.concatenate([p.positions for p in parts]),
        velocities=np.concatenate(velocities),
        energies=np.concatenate([p.energies for p in parts]),
        forces=np.concatenate([p.forces for p in parts]),
        info={"n_frames_by_segment": {p.info["segment"]: p.n_frames for p in parts}},
    )
