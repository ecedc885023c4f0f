"""What comes out of the engine: runs, and how far a call is."""

from __future__ import annotations

from dataclasses import dataclass, field

from gmd26_md.dynamics.state import Noticed, Observed, Track
from gmd26_md.trajectory import Trajectory


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
        None if it ran to its end; else "exploded" (a value not finite, or too hot), "error" (the calculator raised, or
        one molecule does not fit into memory), "check" (a pair check that stops) or "censored" (the time limit).
    stopped_at_fs
        When, to the step, or None.
    reason
        In words, or None.
    n_force_calls
        Force calls spent on this system.
    noticed
        The first violation of each pair check, by its name.
    observed
        What was seen at every step, by segment name.
    wall_s, n_together
        Its share, by atoms, of the time of its batches; and how many systems moved together, at most.
    """

    key: str
    frames: dict[str, Trajectory]
    stopped: str | None
    stopped_at_fs: float | None
    reason: str | None
    n_force_calls: int
    noticed: dict[str, Noticed] = field(default_factory=dict)
    observed: dict[str, Observed] = field(default_factory=dict)
    wall_s: float = 0.0
    n_together: int = 1


@dataclass(frozen=True)
class Progress:
    """How far a call is: steps of all molecules done and to do, systems that move and that are done, and the pace.

    `steps_per_s` are molecule-steps a second of late. What a failed system did not do counts as done.
    """

    n_steps_done: int
    n_steps: int
    n_moving: int
    n_finished: int
    n_systems: int
    seconds: float
    steps_per_s: float


def run_of(track: Track) -> Run:
    """Return what became of a system at its end."""
    return Run(
        track.system.key,
        track.log.trajectories(),
        track.stopped,
        track.stopped_at_fs,
        track.reason,
        track.n_force_calls,
        dict(track.noticed),
        dict(track.observed),
        track.wall_s,
        track.n_together,
    )
