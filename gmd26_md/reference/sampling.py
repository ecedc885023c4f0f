"""Reference dynamics, in one-thread workers, kept in a folder by content: a run that is there is never made again.

FOLDER/<hash>.npz     one run (`dynamics.sampled`), named after all that it depends on: reference, molecule, rules, seed
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import as_completed
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from gmd26_md import host, strict_json
from gmd26_md.dynamics.engine import Checks, Segment, System, integrate
from gmd26_md.dynamics.forces import AseForces
from gmd26_md.dynamics.sampled import Sampled
from gmd26_md.reference.identity import reference_identity
from gmd26_md.reference.pool import one_thread_workers

_FORMAT = 1  # part of every name: another meaning of a run is another number
_TIMED_STEPS = 20
_SLOW_S = 2.0  # a reference that takes so long for two steps is not timed further


@dataclass(frozen=True, eq=False)
class Order:
    """A run of the reference that is asked for.

    Attributes
    ----------
    numbers, positions
        Where it starts, (n_atoms,) and (n_atoms, 3), Å.
    segments
        Stretches of dynamics; the frames of the last are kept.
    temperature_K, seed
        Of velocities and thermostat.
    max_temperature_K
        Hotter has exploded.
    reference
        What `load_calculator` opens.
    """

    numbers: np.ndarray
    positions: np.ndarray
    segments: tuple[Segment, ...]
    temperature_K: float
    seed: int
    max_temperature_K: float
    reference: str

    @property
    def content(self) -> dict[str, Any]:
        """What the run depends on. Positions count to 1e-4 Å."""
        return {
            "format": _FORMAT,
            "reference": reference_identity(self.reference),
            "numbers": self.numbers.tolist(),
            "positions": (np.round(self.positions, 4) + 0.0).tolist(),
            "segments": [asdict(segment) for segment in self.segments],
            "temperature_K": self.temperature_K,
            "max_temperature_K": self.max_temperature_K,
            "seed": self.seed,
        }

    @property
    def name(self) -> str:
        """The run's file name, without its ending."""
        return hashlib.sha256(strict_json.canonical(self.content).encode()).hexdigest()[:32]

    @property
    def n_steps(self) -> int:
        """Steps of all segments."""
        return sum(segment.n_steps for segment in self.segments)


def path_of(order: Order, folder: Path) -> Path:
    """Return where a run lies, or will."""
    return folder / f"{order.name}.npz"


def sample(orders: Sequence[Order], folder: Path, *, n_workers: int | None = None) -> Iterator[tuple[int, Sampled]]:
    """Yield each run with its place in `orders`: first those that are in the folder, the others as they are made.

    One that did not come to its end is yielded and not kept. Limit: a run that is killed begins again.

    Parameters
    ----------
    n_workers
        Processes; all cores if None. With fewer than two, runs are made in this one.
    """
    missing = []
    for index, order in enumerate(orders):
        if path_of(order, folder).is_file():
            yield index, Sampled.read(path_of(order, folder))
        else:
            missing.append(index)
    workers = min(n_workers or host.n_cores(), len(missing))
    if workers < 2:
        for index in missing:
            yield index, _made(orders[index], folder)
        return
    with one_thread_workers(workers) as pool:
        futures = {pool.submit(_made, orders[index], folder): index for index in missing}
        for future in as_completed(futures):
            yield futures[future], future.result()


def estimated_s(orders: Sequence[Order], folder: Path, *, n_workers: int | None = None) -> float:
    """Return how long the runs that are missing will take, s, from a few steps of each molecule."""
    missing = [order for order in orders if not path_of(order, folder).is_file()]
    step_s: dict[tuple[int, ...], float] = {}
    for order in missing:
        molecule = tuple(order.numbers.tolist())
        if molecule not in step_s:
            step_s[molecule] = _step_s(order)
    each = [order.n_steps * step_s[tuple(order.numbers.tolist())] for order in missing]
    workers = max(1, min(n_workers or host.n_cores(), len(each)))
    return max(sum(each) / workers, max(each, default=0.0))


def _step_s(order: Order) -> float:
    first = _timed(order, 1)
    return first / 2 if first > _SLOW_S else _timed(order, _TIMED_STEPS) / (_TIMED_STEPS + 1)


def _timed(order: Order, n_steps: int) -> float:
    began = time.perf_counter()
    integrate(
        _provider(order.reference), [_system(order)], [Segment("timed", n_steps, order.segments[-1].timestep_fs, 0)]
    )
    return time.perf_counter() - began


def _made(order: Order, folder: Path) -> Sampled:
    """Make a run, here and now, and keep it if it came to its end."""
    run = integrate(_provider(order.reference), [_system(order)], order.segments)[0]
    made_by = order.content | {"reference_name": order.reference, "versions": _versions()}
    sampled = Sampled.of(run, order.numbers, order.segments[-1].name, made_by)
    if sampled.stopped is None:
        sampled.write(path_of(order, folder))
    return sampled


def _system(order: Order) -> System:
    checks = Checks(max_temperature_K=order.max_temperature_K)
    return System("reference", order.numbers, order.positions, order.seed, order.temperature_K, checks=checks)


def _provider(reference: str) -> AseForces:
    from gmd26_md.calculators import load_calculator

    # the last step's density is where the next one begins: half the time, and no difference that dynamics could show
    options: dict[str, Any] = {"warm_start": True} if reference == "gfn2-xtb" else {}
    return AseForces(lambda: load_calculator(reference, **options))


def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("gmd26-md", "ase", "tblite", "numpy")}
