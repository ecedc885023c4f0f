"""What comes out of the engine: runs, and how far a call is."""

from __future__ import annotations

from dataclasses import dataclass, field

from gmd26_md.dynamics.state import Noticed, Observed, Track
from gmd26_md.pace import left_words
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
    """How far a call is.

    Attributes
    ----------
    n_steps_done, n_steps
        Of all molecules. What a system that failed will not do counts as done.
    n_moving, n_finished, n_systems
        Those in the batch, those at their end, and all: the rest waits for a place.
    seconds
        Since the call began.
    steps_per_s
        Molecule-steps made a second, over the last half minute.
    n_stopped, n_failing
        Finished ones that exploded, or failed in another way; moving ones of which a check has been violated.
    """

    n_steps_done: int
    n_steps: int
    n_moving: int
    n_finished: int
    n_systems: int
    seconds: float
    steps_per_s: float
    n_stopped: int = 0
    n_failing: int = 0

    @property
    def words(self) -> str:
        """The same for people: who is alive and who is not, the pace, and the time left."""
        failing = f" ({self.n_failing} of them failing)" if self.n_failing else ""
        stopped = f" ({self.n_stopped} died)" if self.n_stopped else ""
        n_waiting = self.n_systems - self.n_moving - self.n_finished
        waiting = f", {n_waiting} wait" if n_waiting else ""
        left = left_words(self.n_steps - self.n_steps_done, self.steps_per_s)
        return (
            f"{self.n_moving} of {self.n_systems} runs move{failing}, {self.n_finished} done{stopped}{waiting}, "
            f"{self.steps_per_s:,.0f} molecule-steps/s{left}"
        )


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
