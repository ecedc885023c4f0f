"""The engine: many molecules at once through velocity Verlet or Langevin dynamics.

Positions and velocities are float64 on the provider's device, whatever the model's precision. Every system has its own
random stream, segments, time step, temperature and checks. One that fails or comes to its end leaves the batch with its
frames kept, the next one takes its place, and for the others nothing changes. What is looked at is looked at
on the device, and comes back once every few steps. The integrator is in `step`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from gmd26_md.dynamics.forces import ForceProvider
from gmd26_md.dynamics.look import OnFrame
from gmd26_md.dynamics.loop import Loop, Options
from gmd26_md.dynamics.outcome import Progress, Run
from gmd26_md.dynamics.plan import Checks, PairCheck, Segment, System
from gmd26_md.dynamics.state import Noticed, Observed

__all__ = ["Checks", "Noticed", "Observed", "PairCheck", "Progress", "Run", "Segment", "System", "integrate", "stream"]


def integrate(
    provider: ForceProvider,
    systems: Sequence[System],
    segments: Sequence[Segment] = (),
    *,
    deadline: float | None = None,
    folder: Path | None = None,
    max_cost: float = float("inf"),
    on_frame: OnFrame | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> list[Run]:
    """Run every system through its segments and return one `Run` a system, in the order given.

    As `stream`, with the same parameters. All frames are in memory at the end; a folder keeps its content until then.
    """
    options = Options(deadline, folder, max_cost, on_frame, on_progress)
    loop = Loop(provider, systems, segments, options)
    found = {run.key: run for run in loop.runs(forget=False)}
    loop.clean()
    return [found[s.key] for s in systems]


def stream(
    provider: ForceProvider,
    systems: Sequence[System],
    segments: Sequence[Segment] = (),
    *,
    deadline: float | None = None,
    folder: Path | None = None,
    max_cost: float = float("inf"),
    on_frame: OnFrame | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Iterator[Run]:
    """Run every system through its segments, as many together as fit, and yield each when it is done.

    Parameters
    ----------
    provider
        Where forces come from.
    systems
        What moves; keys are unique.
    segments
        How, for every system that brings no segments of its own.
    deadline
        `time.monotonic()` after which what still runs, or has not begun, is censored; None for no limit.
    folder
        Where frames are streamed to and where the state is written every few seconds. A call that finds its own
        state there goes on from it to the same numbers: bitwise on a CPU, whatever the number of threads (see
        `PotentialForces`); on other devices to the rounding of sums whose order they do not promise. The files of a run
        are removed when the next run is asked for, so what is made of a run must be safe by then. None: memory only.
    max_cost
        Upper limit of the summed `provider.cost` of a batch; by default what memory allows.
    on_frame
        Called with system, segment name, number of the frame in the segment, and positions (n_atoms, 3), Å, as frames
        are kept.
    on_progress
        Called about once a second.

    Raises
    ------
    ValueError
        Two systems of one key, or a system without segments.
    """
    loop = Loop(provider, systems, segments, Options(deadline, folder, max_cost, on_frame, on_progress))
    yield from loop.runs(forget=True)
    loop.clean()
