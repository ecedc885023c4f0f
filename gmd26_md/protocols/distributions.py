"""Distributions: does the model's dynamics visit what the reference's visits, and vibrate as it does?

Independent runs of the model and of the reference, all from the reference minimum and under the same thermostat. This
module says how they run; what they come to is in `distributions_analysis`. Docs: `docs/protocols/distributions.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gmd26_md.dynamics.engine import Checks, PairCheck, Progress, Run, Segment, System, stream
from gmd26_md.dynamics.forces import ForceProvider
from gmd26_md.errors import UserError
from gmd26_md.observables.bonds import bond_graph
from gmd26_md.observables.verdict import Thresholds
from gmd26_md.observables.watched import watched
from gmd26_md.protocols.cases import Case
from gmd26_md.protocols.relaxation import reference_minimum
from gmd26_md.reference.sampling import Order
from gmd26_md.seeds import seed_of

SAMPLE = "sample"
"""The segment whose frames are compared."""

_SLOWEST_SAVE_FS = 4.0  # sees up to 4170 1/cm, and O-H stretches are at 3700
_MAX_STEPS = 1e9


@dataclass(frozen=True)
class Settings:
    """Options of the protocol.

    Attributes
    ----------
    temperature_K, timestep_fs
        Of all runs.
    friction_per_fs
        Of the Langevin thermostat. 0.01 broadens every peak by 53 1/cm, in the model's spectrum as in the reference's,
        and gives a mode new energy every 100 fs: at constant energy each mode keeps what it happened to have, and the
        heights of the peaks make two runs of one potential differ by more than most models are wrong.
    equilibrate_ps, run_ps
        Left out at the start; compared.
    save_every_fs
        Between frames.
    window_ps
        Of the spectra: 1 ps resolves 48 1/cm.
    n_runs, seed
        Runs of the model, and as many of the reference: two at least, as the noise is what differs between them.
    max_ratio
        Of the mean distance of a family (bonds, angles, ...) to its noise; more is "off". 2.5: of 36 such ratios of
        GFN2-xTB against itself (acetic acid, 5 ps) one was above 2, at 2.3.
    max_kind_ratio
        Of the distance of one kind in it; more is "off" too. 4, as the worst of many is meant: there it went up to 2.6.
    max_noise_ratio
        Of the distance between two reference runs to the spread: a coordinate that differs by more between them was not
        sampled, and the molecule is "unsettled".
    """

    temperature_K: float = 300.0
    timestep_fs: float = 0.5
    friction_per_fs: float = 0.01
    equilibrate_ps: float = 0.5
    run_ps: float = 5.0
    save_every_fs: float = 2.0
    window_ps: float = 1.0
    n_runs: int = 2
    seed: int = 0
    max_ratio: float = 2.5
    max_kind_ratio: float = 4.0
    max_noise_ratio: float = 1.0

    def __post_init__(self) -> None:
        for name in (
            "temperature_K", "timestep_fs", "friction_per_fs", "run_ps", "save_every_fs", "window_ps", "max_ratio",
            "max_kind_ratio", "max_noise_ratio",
        ):  # fmt: skip
            if not 0 < getattr(self, name) < float("inf"):
                raise UserError(f"{name} is {getattr(self, name)}; it must be a number above 0.")
        for name in ("equilibrate_ps", "seed"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise UserError(f"{name} is {getattr(self, name)}; it must be 0 or more.")
        if self.n_runs < 2:
            raise UserError(f"n_runs is {self.n_runs}; give 2 or more: noise is what differs between two runs.")
        steps = self.save_every_fs / self.timestep_fs
        if not (steps >= 1 and self.save_every_fs <= _SLOWEST_SAVE_FS and abs(steps - round(steps)) < 1e-6 * steps):
            raise UserError(
                f"save_every_fs is {self.save_every_fs}; allowed are multiples of timestep_fs ({self.timestep_fs}) "
                f"up to {_SLOWEST_SAVE_FS:g}, as slower frames do not see O-H stretches."
            )
        if not 2 * self.save_every_fs <= 1000 * self.window_ps <= 1000 * self.run_ps:
            raise UserError(
                f"window_ps is {self.window_ps}; allowed is from two frames ({self.save_every_fs} fs each) to run_ps "
                f"({self.run_ps}). Make the run longer or the window shorter."
            )
        n_steps = 1000 * (self.equilibrate_ps + self.run_ps) / self.timestep_fs
        if not n_steps <= _MAX_STEPS:
            raise UserError(f"{n_steps:.3g} steps a run are asked for; allowed are {_MAX_STEPS:.0e}. Make it shorter.")


def segments(settings: Settings) -> tuple[Segment, ...]:
    """Return the stretches of dynamics of every run, the model's and the reference's."""
    step, friction = settings.timestep_fs, settings.friction_per_fs
    before = Segment("equilibrate", round(1000 * settings.equilibrate_ps / step), step, 0, friction)
    save = round(settings.save_every_fs / step)
    itself = Segment(SAMPLE, round(1000 * settings.run_ps / step), step, save, friction)
    return (before, itself) if before.n_steps else (itself,)


def run_name(case: Case, index: int) -> str:
    """Return what the model's run of a case is called, also in file names."""
    return f"{case.slug}-distributions-run{index}"


def run(
    provider: ForceProvider,
    chosen: Sequence[tuple[Case, int]],
    settings: Settings,
    *,
    folder: Path | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Iterator[Run]:
    """Run the model on cases (each with a reference minimum), by number of the run; yield each as it ends."""
    systems = [_system(case, index, settings) for case, index in chosen]
    yield from stream(provider, systems, segments(settings), folder=folder, on_progress=on_progress)


def _system(case: Case, index: int, settings: Settings) -> System:
    """Return a run of the model, which ends where a bond breaks or two atoms clash: nothing after it is compared."""
    minimum = reference_minimum(case).positions[0]
    checks = watched(bond_graph(case.numbers, minimum))
    pairs = [PairCheck(name, c.pairs, c.at_least_A, c.at_most_A, stops=True) for name, c in checks.items()]
    return System(
        key=run_name(case, index),
        numbers=case.numbers,
        positions=minimum,
        seed=seed_of(settings.seed, case.slug, f"model-{index}"),
        temperature_K=settings.temperature_K,
        checks=Checks(max_temperature_K=_max_temperature_K(settings), pairs=tuple(pairs)),
    )


def reference_orders(case: Case, settings: Settings, reference: str) -> list[Order]:
    """Return the runs of the reference for a case; no seed is one of the model's."""
    return [
        Order(
            numbers=case.numbers,
            positions=np.asarray(reference_minimum(case).positions[0]),
            segments=segments(settings),
            temperature_K=settings.temperature_K,
            seed=seed_of(settings.seed, case.slug, f"reference-{index}"),
            max_temperature_K=_max_temperature_K(settings),
            reference=reference,
        )
        for index in range(settings.n_runs)
    ]


def _max_temperature_K(settings: Settings) -> float:
    return Thresholds().temperature_limit_K(settings.temperature_K, n_dof=1)
