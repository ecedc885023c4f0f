"""The runs of the conservation protocol: thermalised, at three time steps from one state, and back again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from gmd26_md.dynamics.engine import Progress, Run, Segment, System, integrate
from gmd26_md.dynamics.forces import ForceProvider
from gmd26_md.protocols.cases import Case
from gmd26_md.protocols.conservation_settings import STEPS, Settings
from gmd26_md.protocols.relaxation import reference_minimum
from gmd26_md.seeds import seed_of
from gmd26_md.trajectory import Trajectory


@dataclass(frozen=True)
class Dynamics:
    """The runs of one molecule.

    Attributes
    ----------
    thermal
        The thermalisation; if it failed, `runs` is empty.
    runs
        At constant energy, by "half", "whole" and "double", from one state.
    back
        From the frame of the whole step at which the velocities are turned round; None where there is none.
    other
        The run at half the step with the model in its other precision; None where it has none.
    """

    thermal: Run
    runs: dict[str, Run] = field(default_factory=dict)
    back: Run | None = None
    other: Run | None = None


def run(
    provider: ForceProvider,
    cases: Sequence[Case],
    settings: Settings,
    *,
    other: ForceProvider | None = None,
    on_progress: Callable[[float, str], None] = lambda fraction, words: None,
) -> list[Dynamics]:
    """Move every case (each with a reference minimum): thermalise, three runs, back, and once in the other precision.

    All molecules and time steps move together; `other` is the same model in the other precision.
    """
    steps = (1000.0 / settings.timestep_fs) * np.array(
        [2.0 * settings.thermalise_ps, 3.5 * settings.run_ps, settings.reversal_fs / 1000.0, 2.0 * settings.run_ps]
    )
    done = np.concatenate([[0.0], np.cumsum(steps)]) / steps[: 4 if other is not None else 3].sum()

    def stretch(index: int, words: str) -> Callable[[Progress], None]:
        width = done[index + 1] - done[index]
        on_progress(float(done[index]), words)  # the engine itself speaks up after a second
        return lambda p: on_progress(
            float(done[index] + width * p.n_steps_done / max(p.n_steps, 1)), f"{words}: {p.words}"
        )

    thermal = integrate(
        provider, [_cold(c, settings) for c in cases], [_warming(settings)], on_progress=stretch(0, "thermalising")
    )
    warm = {c.slug: r for c, r in zip(cases, thermal, strict=True) if r.stopped is None}
    systems = [_onwards(warm[c.slug], c, s, settings) for c in cases if c.slug in warm for s in STEPS]
    runs = {r.key: r for r in integrate(provider, systems, on_progress=stretch(1, "three time steps"))}
    turned = {c.slug: _turned(runs[f"{c.slug} whole"], c, settings) for c in cases if c.slug in warm}
    ways = [s for s in turned.values() if s is not None]
    back = {r.key: r for r in integrate(provider, ways, on_progress=stretch(2, "the way back"))}
    twin: dict[str, Run] = {}
    if other is not None:
        halves = [s for s in systems if s.key.endswith(" half")]
        twin = {r.key: r for r in integrate(other, halves, on_progress=stretch(3, "the other precision"))}
    return [
        Dynamics(
            r,
            {s: runs[f"{c.slug} {s}"] for s in STEPS} if c.slug in warm else {},
            back.get(f"{c.slug} back"),
            twin.get(f"{c.slug} half"),
        )
        for c, r in zip(cases, thermal, strict=True)
    ]


def _cold(case: Case, settings: Settings) -> System:
    positions = reference_minimum(case).positions[0]
    return System(case.slug, case.numbers, positions, seed_of(settings.seed, case.slug), settings.temperature_K)


def _warming(settings: Settings) -> Segment:
    step = STEPS["half"] * settings.timestep_fs
    n = max(1, round(1000.0 * settings.thermalise_ps / step))
    return Segment("nvt", n, step, n, settings.friction_per_fs)


def _onwards(thermal: Run, case: Case, name: str, settings: Settings) -> System:
    """Return the system that goes on from the end of the thermalisation at one of the time steps."""
    return _from(thermal.frames["nvt"], -1, case, name, settings, settings.n_samples)


def _turned(whole: Run, case: Case, settings: Settings) -> System | None:
    """Return the system that goes back from a frame with its velocities turned round; None if it is not there."""
    frames = whole.frames["nve"]
    if frames.n_frames <= settings.n_back or whole.stopped is not None:
        return None
    return _from(frames, settings.n_back, case, "back", settings, settings.n_back)


def _from(frames: Trajectory, index: int, case: Case, name: str, settings: Settings, n_samples: int) -> System:
    if frames.velocities is None:
        raise ValueError(f"{case.name} has frames without velocities")
    back = name == "back"
    return System(
        key=f"{case.slug} {name}",
        numbers=case.numbers,
        positions=frames.positions[index],
        seed=0,  # nothing is drawn
        temperature_K=settings.temperature_K,
        velocities=-frames.velocities[index] if back else frames.velocities[index],
        segments=(settings.segment("whole" if back else name, n_samples),),
    )
