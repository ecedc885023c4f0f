"""The engine: many molecules at once through velocity Verlet or Langevin dynamics.

Positions and velocities are float64 on the provider's device, whatever the model's precision. Every system has its own
random stream and temperature. A system that fails leaves the batch with its frames kept, and changes nothing for
the others.

Integrator: BAOAB (Leimkuhler and Matthews, Appl. Math. Res. Express 2013, 34),

    B  v += dt/2 f/m      A  x += dt/2 v      O  v = c v + sqrt((1 - c^2) kT/m) xi,  c = exp(-friction dt)
    A  x += dt/2 v        B  v += dt/2 f/m

which without friction (c = 1) is velocity Verlet. One force call a step.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from ase import units
from torch import Tensor

from gmd26_md.dynamics import snapshot
from gmd26_md.dynamics.forces import ForceProvider
from gmd26_md.dynamics.state import BatchState, System, Track, begin, survivors
from gmd26_md.trajectory import Trajectory

__all__ = ["Progress", "Run", "Segment", "System", "integrate"]

_LOOK_EVERY = 20  # steps between looks at failures in a segment that keeps no frames
_SNAPSHOT_EVERY_S = 15.0
_WHY_EXPLODED = "an energy, force, position or velocity was not finite, or the temperature out of bounds"


@dataclass(frozen=True)
class Segment:
    """A stretch of dynamics under one rule.

    Attributes
    ----------
    name
        What the frames of this stretch are called: "nvt", "nve".
    n_steps, timestep_fs
        Length and step.
    save_every
        A frame is kept every so many steps; 0 keeps none.
    friction_per_fs
        Langevin friction; 0 is velocity Verlet at constant energy. Such a segment starts with overall
        translation and rotation taken out of the velocities.
    """

    name: str
    n_steps: int
    timestep_fs: float
    save_every: int
    friction_per_fs: float = 0.0


@dataclass(frozen=True)
class Run:
    """What became of one system.

    Attributes
    ----------
    key
        As in `System`.
    frames
        Kept frames by segment name. A segment that was not reached is missing. The clock starts at 0 with the
        first segment and runs through.
    stopped
        None if it ran to its end; else "exploded" (a value not finite, or too hot), "error" (the calculator raised) or
        "censored" (the time limit of the call).
    stopped_at_fs
        When, to the step, or None.
    reason
        In words, or None.
    n_force_calls
        Force calls spent on this system.
    """

    key: str
    frames: dict[str, Trajectory]
    stopped: str | None
    stopped_at_fs: float | None
    reason: str | None
    n_force_calls: int


@dataclass(frozen=True)
class Progress:
    """How far a call is: steps done and to do, systems alive, seconds spent, steps a second of late."""

    n_steps_done: int
    n_steps: int
    n_alive: int
    n_systems: int
    seconds: float
    steps_per_s: float


def integrate(
    provider: ForceProvider,
    systems: Sequence[System],
    segments: Sequence[Segment],
    *,
    max_temperature_K: float = 1e4,
    deadline: float | None = None,
    snapshot_path: Path | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> list[Run]:
    """Run every system through the segments, all of them together.

    Parameters
    ----------
    provider
        Where forces come from.
    systems, segments
        What moves, and how.
    max_temperature_K
        A system hotter than this has exploded and leaves the batch.
    deadline
        `time.monotonic()` after which what still runs is censored; None for no limit.
    snapshot_path
        Where the state is written every few seconds. A call that finds its own snapshot there goes on from it, to the
        same numbers (bitwise on a CPU with the same number of threads). Removed at the end.
    on_progress
        Called about once a second.

    Returns
    -------
    One `Run` a system, in the order given.
    """
    loop = _Loop(provider, systems, list(segments), max_temperature_K, deadline, snapshot_path, on_progress)
    tracks = loop.run()
    if snapshot_path is not None:
        Path(snapshot_path).unlink(missing_ok=True)
    return [_finished(track) for track in tracks]


@dataclass
class _Loop:
    """One call of the engine: its question, and where it stands."""

    provider: ForceProvider
    systems: Sequence[System]
    segments: list[Segment]
    max_temperature_K: float
    deadline: float | None
    snapshot_path: Path | None
    on_progress: Callable[[Progress], None] | None
    asked: str = ""
    tracks: list[Track] = field(default_factory=list)
    n_done: int = 0
    began: float = field(default_factory=time.monotonic)
    reported: tuple[float, int] = (0.0, 0)
    saved: float = field(default_factory=time.monotonic)

    def run(self) -> list[Track]:
        """Run all segments and return the tracks."""
        self.asked = snapshot.question(self.systems, (self.segments, self.max_temperature_K))
        at, state = self._resumed() or self._begun()
        for index in range(at.segment, len(self.segments)):
            if not state.tracks:
                break
            done = at.n_steps if index == at.segment else 0
            self.n_done = sum(s.n_steps for s in self.segments[:index]) + done
            state = self._segment(state, index, done)
        return self.tracks

    def _begun(self) -> tuple[snapshot.Position, BatchState]:
        self.tracks = [Track.of(s) for s in self.systems]
        return snapshot.Position(0, 0), begin(self.provider, list(self.tracks), self.max_temperature_K)

    def _resumed(self) -> tuple[snapshot.Position, BatchState] | None:
        if self.snapshot_path is None:
            return None
        found = snapshot.load(self.snapshot_path, self.asked, self.provider, self.systems, self.max_temperature_K)
        if found is None:
            return None
        at, state, self.tracks = found
        self.reported = (0.0, sum(s.n_steps for s in self.segments[: at.segment]) + at.n_steps)  # for the pace
        return at, state

    def _segment(self, state: BatchState, index: int, done: int) -> BatchState:
        """Move the batch through one segment; systems that failed leave at the next look."""
        segment = self.segments[index]
        start_fs = sum(s.n_steps * s.timestep_fs for s in self.segments[:index])
        if done == 0:
            state = state.still() if segment.friction_per_fs == 0.0 else state
            if segment.save_every:
                state.keep_frame(segment.name, start_fs)
        dt = segment.timestep_fs * units.fs
        keep = float(np.exp(-segment.friction_per_fs * segment.timestep_fs))
        failed_at = torch.zeros(len(state.tracks), dtype=torch.int64, device=state.x.device)
        for step in range(done + 1, segment.n_steps + 1):
            state, healthy = _step(state, dt, keep)
            failed_at = torch.where((failed_at == 0) & ~healthy, step, failed_at)
            self._report(len(state.tracks))
            if step % (segment.save_every or _LOOK_EVERY) and step != segment.n_steps:
                continue
            state = self._look(state, segment, start_fs, step, failed_at.cpu().numpy())
            failed_at = torch.zeros(len(state.tracks), dtype=torch.int64, device=state.x.device)
            if not state.tracks:
                break
            self._save(state, snapshot.Position(index, step))
        return state

    def _look(
        self, state: BatchState, segment: Segment, start_fs: float, step: int, failed_at: np.ndarray
    ) -> BatchState:
        """Keep a frame, and take out what has failed or run out of time."""
        now_fs = start_fs + step * segment.timestep_fs
        if segment.save_every:
            state.keep_frame(segment.name, now_fs)
        for position, (track, when) in enumerate(zip(state.tracks, failed_at, strict=True)):
            if when:
                said = state.forces_of.errors.get(position)
                track.stopped, track.reason = ("error", said) if said else ("exploded", _WHY_EXPLODED)
                track.stopped_at_fs = start_fs + float(when) * segment.timestep_fs
        over = segment is self.segments[-1] and step == segment.n_steps
        if self.deadline is not None and time.monotonic() > self.deadline and not over:
            for track in state.tracks:
                if track.stopped is None:
                    track.stopped, track.stopped_at_fs, track.reason = "censored", now_fs, "cut by the time limit"
        if all(track.stopped is None for track in state.tracks):
            return state
        return survivors(self.provider, state, self.max_temperature_K)

    def _save(self, state: BatchState, at: snapshot.Position) -> None:
        if self.snapshot_path is not None and time.monotonic() - self.saved > _SNAPSHOT_EVERY_S:
            snapshot.save(self.snapshot_path, self.asked, at, state, self.tracks)
            self.saved = time.monotonic()

    def _report(self, n_alive: int) -> None:
        self.n_done += 1
        if self.on_progress is None:
            return
        now = time.monotonic() - self.began
        total = sum(s.n_steps for s in self.segments)
        since, before = self.reported
        if now - since > 1.0 or self.n_done == total:
            pace = (self.n_done - before) / max(now - since, 1e-9)
            self.reported = (now, self.n_done)
            self.on_progress(Progress(self.n_done, total, n_alive, len(self.systems), now, pace))


def _step(state: BatchState, dt: float, keep: float) -> tuple[BatchState, Tensor]:
    """Take one BAOAB step; return the state and which systems are healthy, (n_systems,), bool."""
    half = 0.5 * dt
    v = state.v + half * state.f / state.masses
    if keep == 1.0:
        x = state.x + dt * v
    else:
        x = state.x + half * v
        noise = np.concatenate([t.rng.standard_normal((t.n_atoms, 3)) for t in state.tracks])
        spread = torch.sqrt((1.0 - keep * keep) * state.kT / state.masses)
        v = keep * v + spread * torch.as_tensor(noise, device=x.device)
        x = x + half * v
    moved = replace(state, x=x).evaluated()
    moved = replace(moved, v=v + half * moved.f / state.masses)
    return moved, moved.healthy()


def _finished(track: Track) -> Run:
    frames = {}
    for name, kept in track.kept.items():
        times, xs, vs, energies, fs = zip(*kept, strict=True)
        frames[name] = Trajectory(
            numbers=track.system.numbers,
            time_fs=np.array(times),
            positions=np.stack(xs),
            velocities=np.stack(vs),
            energies=np.array(energies),
            forces=np.stack(fs),
            info={"segment": name},
        )
    return Run(track.system.key, frames, track.stopped, track.stopped_at_fs, track.reason, track.n_force_calls)
