"""Looks at a batch between two stretches: notes what happened, keeps frames, sends systems on to their next segment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from ase import units

from gmd26_md.dynamics.motion import without_overall_motion
from gmd26_md.dynamics.plan import System
from gmd26_md.dynamics.state import NOTHING_OBSERVED, Moving, Noticed, Track
from gmd26_md.dynamics.step import Trace
from gmd26_md.dynamics.watch import Watch

OnFrame = Callable[[System, str, int, np.ndarray], None]

_WHY_EXPLODED = "an energy, force, position or velocity was not finite, or the temperature out of bounds"


def note(moving: Moving, trace: Trace, watch: Watch, n_steps: int) -> None:
    """Write what a stretch of steps showed into the tracks; the first failure of a system is the one that counts."""
    groups: dict[int, list[int]] = {}
    for group, (index, _) in enumerate(watch.owners):
        groups.setdefault(index, []).append(group)
    for index, track in enumerate(moving.tracks):
        track.n_force_calls += n_steps
        if track.stopped is None:
            n_good = _note_health(track, index, trace, moving.forces_of.errors.get(index))
            for group in groups.get(index, ()):
                _note_pairs(track, group, trace, watch, n_good)
        track.n_done += n_steps


def _note_health(track: Track, index: int, trace: Trace, error: str | None) -> int:
    """Note energies, and the first step that is not healthy; return how many were before it."""
    energy, kinetic, size = (a[:, index] for a in (trace.energy, trace.kinetic, trace.size))
    hottest = 0.5 * 3 * track.n_atoms * units.kB * track.system.checks.max_temperature_K  # a thermostat heats all 3N
    healthy = np.isfinite(energy + kinetic + size) & (kinetic <= hottest)
    n_good = len(healthy) if healthy.all() else int(np.argmin(healthy))
    name = track.rule.name
    seen = track.observed.get(name, NOTHING_OBSERVED)
    track.observed[name] = seen.with_steps(kinetic[:n_good], (energy + kinetic)[:n_good])
    if n_good < len(healthy):
        track.stopped, track.reason = ("error", error) if error else ("exploded", _WHY_EXPLODED)
        track.stopped_at_fs = track.begun_fs + (track.n_done + n_good + 1) * track.rule.timestep_fs
    return n_good


def _note_pairs(track: Track, group: int, trace: Trace, watch: Watch, n_good: int) -> None:
    """Note the first violation of a check at this system's own looks, before it failed otherwise."""
    check = watch.owners[group][1]
    if check.name in track.noticed:
        return
    every = track.system.checks.every
    for step in np.flatnonzero(trace.bad[:n_good, group] > 0).tolist():
        if (track.n_done + step + 1) % every:
            continue
        at_fs = track.begun_fs + (track.n_done + step + 1) * track.rule.timestep_fs
        if track.stopped_at_fs is not None and track.stopped_at_fs <= at_fs:
            return
        atoms, distance = watch.worst(group, trace.distances[step])
        track.noticed[check.name] = Noticed(check.name, at_fs, atoms, distance)
        if check.stops:
            track.stopped, track.stopped_at_fs = "check", at_fs
            track.reason = f"{check.name}: atoms {atoms[0]} and {atoms[1]} were {distance:.3f} Å apart"
        return


def look(moving: Moving, *, late: bool, on_frame: OnFrame | None) -> Moving:
    """Keep the frames that are due and send systems on; those that are done are marked as finished.

    `late` says that the time limit has passed: what is not at its end is censored.
    """
    here = [i for i, track in enumerate(moving.tracks) if track.looks_now]
    if not here:
        return moving
    arrays = moving.arrays()
    onwards = []
    for index in here:
        track = moving.tracks[index]
        if track.rule.save_every:
            _keep(track, arrays[index], on_frame)
        if track.stopped is None and track.n_done == track.rule.n_steps:
            track.segment, track.n_done = track.segment + 1, 0
            onwards.append(index)
        if track.stopped is None and late and not track.ended:
            track.stopped, track.stopped_at_fs, track.reason = "censored", track.now_fs, "cut by the time limit"
        track.finished = track.ended or track.stopped is not None
    return begin_segments(moving, [i for i in onwards if not moving.tracks[i].finished], on_frame)


def begin_segments(moving: Moving, chosen: Sequence[int], on_frame: OnFrame | None) -> Moving:
    """Let some systems begin the segment that they stand before: still, where it has constant energy."""
    if not chosen:
        return moving
    arrays = moving.arrays()
    changed = False
    for index in chosen:
        track, here = moving.tracks[index], arrays[index]
        while not track.ended:
            if track.rule.friction_per_fs == 0.0 and np.isfinite(here["x"]).all() and np.isfinite(here["v"]).all():
                here["v"] = without_overall_motion(here["x"], here["v"], track.masses)
                changed = True
            if track.rule.save_every:
                _keep(track, here, on_frame)
            if track.rule.n_steps > 0:
                break
            track.segment += 1  # a segment of no steps is its first frame
        track.finished = track.ended
    if not changed:
        return moving
    return replace(moving, v=torch.as_tensor(np.concatenate([a["v"] for a in arrays]), device=moving.x.device))


def _keep(track: Track, here: dict[str, np.ndarray], on_frame: OnFrame | None) -> None:
    name = track.rule.name
    track.log.add(name, track.now_fs, float(here["energy"]), here["x"], here["v"], here["f"])
    if on_frame is not None:
        on_frame(track.system, name, track.log.counts[name] - 1, here["x"])
