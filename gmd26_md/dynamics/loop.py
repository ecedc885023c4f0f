"""The engine's loop: systems come into the batch, move, are looked at, and leave; what that stands on is on disk."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from gmd26_md.dynamics import snapshot
from gmd26_md.dynamics.capacity import is_out_of_memory
from gmd26_md.dynamics.forces import ForceProvider
from gmd26_md.dynamics.frames import FrameLog
from gmd26_md.dynamics.look import OnFrame, begin_segments, look, note
from gmd26_md.dynamics.outcome import Progress, Run, run_of
from gmd26_md.dynamics.plan import Segment, System
from gmd26_md.dynamics.state import Moving, Track, entered, laid_out
from gmd26_md.dynamics.step import Rules, advance
from gmd26_md.dynamics.waiting import WaitingLine
from gmd26_md.dynamics.watch import Watch
from gmd26_md.pace import Pace

log = logging.getLogger(__name__)

_MOST_STEPS_AT_ONCE = 20  # between two looks at the clock, and what a system that failed may go on
_SNAPSHOT_EVERY_S = 15.0


@dataclass(frozen=True)
class Options:
    """The keyword arguments of `stream`."""

    deadline: float | None
    folder: Path | None
    max_cost: float
    on_frame: OnFrame | None
    on_progress: Callable[[Progress], None] | None


class Loop:
    """One call of the engine: its question, and where it stands."""

    def __init__(
        self, provider: ForceProvider, systems: Sequence[System], segments: Sequence[Segment], options: Options
    ) -> None:
        self.provider, self.options = provider, options
        self.folder = None if options.folder is None else Path(options.folder)
        self.tracks = {s.key: self._track(s, segments) for s in systems}
        if len(self.tracks) != len(systems):
            raise ValueError("two systems have the same key")
        self.moving = laid_out(provider, [], [])
        self.finished: list[Track] = []  # at their end, and not handed over
        self.handed: list[Track] = []  # handed over, and kept all the same
        self.n_finished = 0
        self.has_moved = False
        self.began = self.saved = time.monotonic()
        self.reported_s, self.n_steps_made, self.pace = 0.0, 0, Pace()
        self.pace.at(0.0, 0)
        self.total = sum(t.n_steps for t in self.tracks.values())
        capacity = min(provider.capacity(), options.max_cost) if systems else 0.0
        self.line: WaitingLine[Track] = WaitingLine([], capacity)

    def _track(self, system: System, segments: Sequence[Segment]) -> Track:
        own = tuple(segments) if system.segments is None else tuple(system.segments)
        if not own:
            raise ValueError(f"{system.key} has no segments")
        path = None if self.folder is None else self.folder / f"{_file_name(system.key)}.frames"
        return Track(system, own, np.random.default_rng(system.seed), FrameLog(system.numbers, path))

    def runs(self, *, forget: bool) -> Iterator[Run]:
        """Yield runs as they end; with `forget` the files of one are removed when the next is asked for."""
        self._resume()
        while True:
            while self.finished:
                track = self.finished[0]
                yield run_of(track)
                self.finished.pop(0)
                if forget:
                    track.log.discard()
                else:
                    self.handed.append(track)
            if not self.moving.tracks and not len(self.line):
                return
            self._censor_those_waiting()
            self._admit()
            if self.moving.tracks:
                self._move()
            self._save()

    def clean(self) -> None:
        """Remove the files of a call that is over, and the folder if it is empty then."""
        if self.folder is None or not self.folder.is_dir():
            return
        for path in [self.folder / "state.pt", *self.folder.glob("*.frames")]:
            path.unlink(missing_ok=True)
        if not any(self.folder.iterdir()):
            self.folder.rmdir()

    def _resume(self) -> None:
        """Take up where a killed call stood, and line up all others."""
        stand = None if self.folder is None else snapshot.load(self.folder / "state.pt", self.tracks)
        known: set[str] = set()
        if stand is not None:
            known = {*stand.moving, *stand.parked, *stand.finished}
            self.line.capacity = min(stand.capacity, self.options.max_cost)
            self.finished = [self.tracks[k] for k in stand.finished]
            self.n_finished = len(self.finished)
            if stand.moving:
                tracks = [self.tracks[k] for k in stand.moving]
                self.moving = laid_out(self.provider, tracks, [stand.arrays[k] for k in stand.moving])
        parked = [] if stand is None else [self.tracks[k] for k in stand.parked]
        fresh = [t for key, t in self.tracks.items() if key not in known]
        for track in fresh:
            track.cost = self.provider.cost(track.system.numbers, track.system.positions)
        self.line.back([(t, t.cost) for t in [*parked, *fresh]])

    def _admit(self) -> None:
        """Fill the places that are free."""
        used = sum(t.cost for t in self.moving.tracks)
        chosen = self.line.next(used)
        if not chosen:
            return
        tracks = [t for t, _ in chosen]
        try:
            new = entered(self.provider, tracks)
        except Exception as problem:
            if not is_out_of_memory(problem):
                raise
            self._too_many(chosen, used)
            return
        fresh = [i for i, t in enumerate(new.tracks) if t.parked is None]
        for track in new.tracks:
            track.parked = None
        new = begin_segments(new, fresh, self.options.on_frame)
        self.moving = self.moving.joined(new) if self.moving.tracks else new
        self._let_go()

    def _too_many(self, chosen: list[tuple[Track, float]], used: float) -> None:
        """Put systems that did not fit back in line, and let fewer go together from now on."""
        _free_memory(self.provider.device)
        for track, _ in chosen:
            if track.parked is None:  # its beginning will be drawn again
                track.rng = np.random.default_rng(track.system.seed)
        if used > 0.0:
            self.line.capacity = used
        elif len(chosen) > 1:
            self.line.capacity = sum(cost for _, cost in chosen) / 2
        else:
            self._does_not_fit(chosen[0][0])
            return
        self.line.back(chosen)
        log.info("out of memory: a batch may cost %.0f from now on", self.line.capacity)

    def _does_not_fit(self, track: Track) -> None:
        track.stopped, track.stopped_at_fs = "error", track.now_fs
        track.reason = f"out of memory: {track.n_atoms} atoms do not fit on {self.provider.device} by themselves"
        self._end(track)

    def _halve(self) -> None:
        """Send the second half of the batch back in line, as it stands."""
        _free_memory(self.provider.device)
        n = len(self.moving.tracks)
        if n == 1:
            self._does_not_fit(self.moving.tracks[0])
            self.moving = self.moving.only([])
            return
        leaving = self.moving.only(range(n // 2, n))
        for track, arrays in zip(leaving.tracks, leaving.arrays(), strict=True):
            track.parked = arrays
        self.moving = self.moving.only(range(n // 2))
        self.line.capacity = sum(t.cost for t in self.moving.tracks)
        self.line.back([(t, t.cost) for t in leaving.tracks])
        log.info("out of memory: %d systems go on together, not %d", n // 2, n)

    def _move(self) -> None:
        """Move the batch to the next look of one of its systems."""
        self.has_moved = True
        moving = self.moving
        n_steps = min(_MOST_STEPS_AT_ONCE, *(t.steps_to_look() for t in moving.tracks))
        streams = [t.rng.bit_generator.state for t in moving.tracks]
        began = time.perf_counter()
        rules = Rules.of(moving)
        watch = Watch.of(moving).over(moving.tracks, n_steps)
        try:
            noise = _noise(moving, n_steps) if rules.thermostat else None
            moved, trace = advance(moving, rules, noise, n_steps, watch, self._tick)
        except Exception as problem:
            if not is_out_of_memory(problem):
                raise
            for track, stream_state in zip(moving.tracks, streams, strict=True):
                track.rng.bit_generator.state = stream_state
            self._halve()
            return
        note(moved, trace, watch, n_steps)
        self.n_steps_made += n_steps * len(moving.tracks)
        _share_out(moving, time.perf_counter() - began)
        late = self.options.deadline is not None and time.monotonic() > self.options.deadline
        self.moving = look(moved, late=late, on_frame=self.options.on_frame)
        self._let_go()

    def _let_go(self) -> None:
        """Take those out that are done."""
        tracks = self.moving.tracks
        leaving = [t for t in tracks if t.finished]
        if leaving:
            self.moving = self.moving.only([i for i, t in enumerate(tracks) if not t.finished])
            for track in leaving:
                self._end(track)
            self._save(now=True)

    def _end(self, track: Track) -> None:
        track.finished = True
        self.finished.append(track)
        self.n_finished += 1

    def _censor_those_waiting(self) -> None:
        """End what has not come into the batch by the time limit; the first batch of a call always moves."""
        limit = self.options.deadline
        if limit is None or time.monotonic() <= limit or self.moving.tracks or not self.has_moved:
            return
        for track in self.line.clear():
            track.stopped, track.stopped_at_fs, track.reason = "censored", track.now_fs, "cut by the time limit"
            self._end(track)

    def _save(self, *, now: bool = False) -> None:
        if self.folder is None or not (now or time.monotonic() - self.saved > _SNAPSHOT_EVERY_S):
            return
        parked = [t for t in self.line if t.parked is not None]
        finished = [*self.handed, *self.finished]
        names = [[t.system.key for t in group] for group in (self.moving.tracks, parked, finished)]
        arrays = {t.system.key: a for t, a in zip(self.moving.tracks, self.moving.arrays(), strict=True)}
        stand = snapshot.Stand(self.line.capacity, names[0], names[1], names[2], arrays)
        snapshot.save(self.folder / "state.pt", stand, [*self.moving.tracks, *parked, *finished])
        self.saved = time.monotonic()

    def _steps_done(self) -> int:
        return sum(t.n_steps if t.finished else t.n_steps_done for t in self.tracks.values())

    def _tick(self, n_steps: int) -> None:
        """Report about once a second; `n_steps` of the present stretch are done."""
        now = time.monotonic() - self.began
        if self.options.on_progress is None or now - self.reported_s < 1.0:
            return
        self.reported_s = now
        tracks = self.moving.tracks
        more = n_steps * len(tracks)
        self.options.on_progress(
            Progress(
                n_steps_done=self._steps_done() + more,
                n_steps=self.total,
                n_moving=len(tracks),
                n_finished=self.n_finished,
                n_systems=len(self.tracks),
                seconds=now,
                steps_per_s=self.pace.at(now, self.n_steps_made + more),
                n_stopped=sum(t.finished and t.stopped not in (None, "censored") for t in self.tracks.values()),
                n_failing=sum(bool(t.noticed) for t in tracks),
            )
        )


def _noise(moving: Moving, n_steps: int) -> torch.Tensor:
    """Draw what the thermostats need, from each system's own stream, (n_steps, n_atoms, 3)."""
    parts = []
    for track in moving.tracks:
        warm = track.rule.friction_per_fs > 0.0
        shape = (n_steps, track.n_atoms, 3)
        parts.append(track.rng.standard_normal(shape) if warm else np.zeros(shape))
    return torch.as_tensor(np.concatenate(parts, axis=1), device=moving.x.device)


def _share_out(moving: Moving, seconds: float) -> None:
    """Give each system its share of what a stretch cost, by atoms."""
    n_atoms, n = sum(moving.rows.counts), len(moving.tracks)
    for track in moving.tracks:
        track.wall_s += seconds * track.n_atoms / n_atoms
        track.n_together = max(track.n_together, n)


def _free_memory(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _file_name(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:24]
