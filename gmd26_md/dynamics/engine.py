"""The engine: many molecules at once through velocity Verlet or Langevin dynamics.

Positions and velocities are float64 on the provider's device, whatever the model's precision. Every system has its own
random stream, time step and temperature. A system that fails leaves the batch with its frames kept, and
changes nothing for the others.

Integrator: BAOAB (Leimkuhler and Matthews, Appl. Math. Res. Express 2013, 34),

    B  v += dt/2 f/m      A  x += dt/2 v      O  v = c v + sqrt((1 - c^2) kT/m) xi,  c = exp(-friction dt)
    A  x += dt/2 v        B  v += dt/2 f/m

which without friction (c = 1) is velocity Verlet. One force call a step.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from ase import units
from ase.data import atomic_masses
from torch import Tensor

from gmd26_md.dynamics.forces import BoundForces, ForceProvider
from gmd26_md.dynamics.motion import degrees_of_freedom, maxwell_boltzmann, without_overall_motion
from gmd26_md.trajectory import Trajectory


@dataclass(frozen=True)
class System:
    """One molecule to be moved.

    Attributes
    ----------
    key
        Name of the run, unique in a call.
    numbers, positions
        (n_atoms,) and (n_atoms, 3), Å.
    seed
        Seeds this system's own random stream: initial velocities and thermostat.
    temperature_K
        Of the initial velocities and of the thermostat.
    velocities
        (n_atoms, 3), ASE units; drawn at `temperature_K` if None.
    """

    key: str
    numbers: np.ndarray
    positions: np.ndarray
    seed: int
    temperature_K: float
    velocities: np.ndarray | None = None


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
        When, or None.
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
    """How far a call is: steps done and to do, systems alive, seconds spent."""

    n_steps_done: int
    n_steps: int
    n_alive: int
    n_systems: int
    seconds: float


@dataclass
class _Track:
    """One system's own things: its random stream, its frames, its end."""

    system: System
    rng: np.random.Generator
    kept: dict[str, list[tuple[float, np.ndarray, np.ndarray, float, np.ndarray]]] = field(default_factory=dict)
    stopped: str | None = None
    stopped_at_fs: float | None = None
    reason: str | None = None
    n_force_calls: int = 0


@dataclass(frozen=True)
class _Batch:
    """The systems that still run, flat."""

    tracks: list[_Track]
    forces_of: BoundForces
    system_idx: Tensor  # (n_atoms,)
    masses: Tensor  # (n_atoms, 1)
    kT: Tensor  # (n_atoms, 1), eV
    max_kinetic: Tensor  # (n_systems,), eV
    x: Tensor  # (n_atoms, 3)
    v: Tensor  # (n_atoms, 3)
    energy: Tensor  # (n_systems,)
    f: Tensor  # (n_atoms, 3)

    def split(self, flat: Tensor) -> list[np.ndarray]:
        """Cut a flat (n_atoms, ...) tensor into one array a system."""
        ends = np.cumsum([len(t.system.numbers) for t in self.tracks])[:-1]
        return list(np.split(flat.detach().cpu().numpy().copy(), ends))


def integrate(
    provider: ForceProvider,
    systems: Sequence[System],
    segments: Sequence[Segment],
    *,
    max_temperature_K: float = 1e4,
    deadline: float | None = None,
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
    on_progress
        Called about once a second.

    Returns
    -------
    One `Run` a system, in the order given.
    """
    tracks = [_Track(s, np.random.default_rng(s.seed)) for s in systems]
    reporter = _Reporter(on_progress, sum(s.n_steps for s in segments), len(tracks))
    batch = _start(provider, tracks, max_temperature_K)
    clock_fs = 0.0
    for segment in segments:
        if not batch.tracks:
            break
        batch = _run_segment(provider, batch, segment, clock_fs, max_temperature_K, deadline, reporter)
        clock_fs += segment.n_steps * segment.timestep_fs
    return [_finished(track) for track in tracks]


class _Reporter:
    """Counts steps and calls back about once a second."""

    def __init__(self, callback: Callable[[Progress], None] | None, n_steps: int, n_systems: int) -> None:
        self.callback, self.n_steps, self.n_systems = callback, n_steps, n_systems
        self.done = 0
        self.began = self.last = time.monotonic()

    def step(self, n_alive: int) -> None:
        self.done += 1
        if self.callback is None:
            return
        now = time.monotonic()
        if now - self.last > 1.0 or self.done == self.n_steps:
            self.last = now
            self.callback(Progress(self.done, self.n_steps, n_alive, self.n_systems, now - self.began))


def _start(provider: ForceProvider, tracks: list[_Track], max_temperature_K: float) -> _Batch:
    """Draw initial velocities and evaluate the first forces."""
    positions, velocities = [], []
    for track in tracks:
        system = track.system
        masses = atomic_masses[system.numbers]
        drawn = system.velocities
        if drawn is None:
            drawn = maxwell_boltzmann(masses, system.temperature_K, track.rng)
            drawn = without_overall_motion(system.positions, drawn, masses)
        positions.append(system.positions - masses @ system.positions / masses.sum())
        velocities.append(drawn)
    batch = _assemble(provider, tracks, positions, velocities, max_temperature_K)
    return _evaluated(batch)


def _assemble(
    provider: ForceProvider,
    tracks: list[_Track],
    positions: list[np.ndarray],
    velocities: list[np.ndarray],
    max_temperature_K: float,
) -> _Batch:
    """Lay the given systems out flat on the provider's device; energies and forces are still to be asked."""
    device = provider.device
    counts = [len(t.system.numbers) for t in tracks]

    def wide(values: np.ndarray | list[float]) -> Tensor:
        return torch.as_tensor(np.asarray(values), dtype=torch.float64, device=device)

    flat = np.concatenate(positions) if positions else np.zeros((0, 3))
    moving = np.concatenate(velocities) if velocities else np.zeros((0, 3))
    kT = np.repeat([units.kB * t.system.temperature_K for t in tracks], counts)
    limits = [0.5 * max(degrees_of_freedom(n), 1) * units.kB * max_temperature_K for n in counts]
    numbers = np.concatenate([t.system.numbers for t in tracks]) if tracks else np.zeros(0, dtype=int)
    return _Batch(
        tracks=tracks,
        forces_of=provider.bind([t.system.numbers for t in tracks]),
        system_idx=torch.as_tensor(np.repeat(np.arange(len(tracks)), counts), device=device),
        masses=wide(atomic_masses[numbers])[:, None],
        kT=wide(kT)[:, None],
        max_kinetic=wide(limits),
        x=wide(flat),
        v=wide(moving),
        energy=torch.full((len(tracks),), float("nan"), dtype=torch.float64, device=device),
        f=torch.full((len(numbers), 3), float("nan"), dtype=torch.float64, device=device),
    )


def _evaluated(batch: _Batch) -> _Batch:
    energy, forces = batch.forces_of(batch.x)
    for track in batch.tracks:
        track.n_force_calls += 1
    return replace(batch, energy=energy, f=forces)


def _run_segment(
    provider: ForceProvider,
    batch: _Batch,
    segment: Segment,
    start_fs: float,
    max_temperature_K: float,
    deadline: float | None,
    reporter: _Reporter,
) -> _Batch:
    """Move the batch through one segment; systems that fail leave at the next look (every `save_every` steps)."""
    if segment.friction_per_fs == 0.0:
        batch = replace(batch, v=_at_rest_overall(batch))
    dt = segment.timestep_fs * units.fs
    keep = float(np.exp(-segment.friction_per_fs * segment.timestep_fs))
    look_every = segment.save_every or 20
    failed_at = torch.zeros(len(batch.tracks), dtype=torch.int64, device=batch.x.device)
    if segment.save_every:
        _keep_frame(batch, segment.name, start_fs)
    for step in range(1, segment.n_steps + 1):
        batch, healthy = _step(batch, dt, keep)
        failed_at = torch.where((failed_at == 0) & ~healthy, step, failed_at)
        reporter.step(len(batch.tracks))
        if step % look_every and step != segment.n_steps:
            continue
        now_fs = start_fs + step * segment.timestep_fs
        if segment.save_every:
            _keep_frame(batch, segment.name, now_fs)
        steps = failed_at.cpu().numpy()
        if steps.any():
            _mark_failures(batch, steps, start_fs, segment.timestep_fs)
            batch = _survivors(provider, batch, max_temperature_K)
            failed_at = torch.zeros(len(batch.tracks), dtype=torch.int64, device=batch.x.device)
        if deadline is not None and time.monotonic() > deadline and batch.tracks:
            _censor(batch, now_fs)
            batch = _survivors(provider, batch, max_temperature_K)
        if not batch.tracks:
            break
    return batch


def _step(batch: _Batch, dt: float, keep: float) -> tuple[_Batch, Tensor]:
    """Take one BAOAB step; return the batch and which systems are healthy, (n_systems,), bool."""
    half = 0.5 * dt
    v = batch.v + half * batch.f / batch.masses
    if keep == 1.0:
        x = batch.x + dt * v
    else:
        x = batch.x + half * v
        noise = torch.as_tensor(
            np.concatenate([t.rng.standard_normal((len(t.system.numbers), 3)) for t in batch.tracks]),
            device=x.device,
        )
        v = keep * v + torch.sqrt((1.0 - keep * keep) * batch.kT / batch.masses) * noise
        x = x + half * v
    moved = _evaluated(replace(batch, x=x))
    v = v + half * moved.f / batch.masses
    moved = replace(moved, v=v)
    return moved, _healthy(moved)


def _healthy(batch: _Batch) -> Tensor:
    """Return which systems have everything finite and are not too hot; fails closed: NaN is not healthy."""
    kinetic = _sum_by_system(batch, 0.5 * batch.masses[:, 0] * (batch.v * batch.v).sum(-1))
    everything = kinetic + batch.energy + _sum_by_system(batch, (batch.f * batch.f).sum(-1) + (batch.x * batch.x).sum(-1))
    return torch.isfinite(everything) & (kinetic <= batch.max_kinetic)


def _sum_by_system(batch: _Batch, atoms: Tensor) -> Tensor:
    zero = torch.zeros(len(batch.tracks), dtype=atoms.dtype, device=atoms.device)
    return zero.index_add(0, batch.system_idx, atoms)


def _at_rest_overall(batch: _Batch) -> Tensor:
    masses = batch.split(batch.masses[:, 0])
    still = [
        without_overall_motion(x, v, m) if np.isfinite(x).all() and np.isfinite(v).all() else v
        for x, v, m in zip(batch.split(batch.x), batch.split(batch.v), masses, strict=True)
    ]
    return torch.as_tensor(np.concatenate(still), dtype=torch.float64, device=batch.x.device)


def _keep_frame(batch: _Batch, segment: str, time_fs: float) -> None:
    energies = batch.energy.cpu().numpy()
    parts = zip(batch.tracks, batch.split(batch.x), batch.split(batch.v), energies, batch.split(batch.f), strict=True)
    for track, x, v, energy, f in parts:
        track.kept.setdefault(segment, []).append((time_fs, x, v, float(energy), f))


def _mark_failures(batch: _Batch, failed_at: np.ndarray, start_fs: float, timestep_fs: float) -> None:
    for index, (track, step) in enumerate(zip(batch.tracks, failed_at, strict=True)):
        if step == 0:
            continue
        said = batch.forces_of.errors.get(index)
        track.stopped = "error" if said else "exploded"
        track.stopped_at_fs = start_fs + float(step) * timestep_fs
        track.reason = said or "an energy, force, position or velocity was not finite, or the temperature out of bounds"


def _censor(batch: _Batch, now_fs: float) -> None:
    for track in batch.tracks:
        track.stopped, track.stopped_at_fs = "censored", now_fs
        track.reason = "cut by the time limit"


def _survivors(provider: ForceProvider, batch: _Batch, max_temperature_K: float) -> _Batch:
    """Return the batch without the systems that have stopped; the others' numbers are untouched."""
    alive = [i for i, track in enumerate(batch.tracks) if track.stopped is None]
    xs, vs, fs = batch.split(batch.x), batch.split(batch.v), batch.split(batch.f)
    tracks = [batch.tracks[i] for i in alive]
    smaller = _assemble(provider, tracks, [xs[i] for i in alive], [vs[i] for i in alive], max_temperature_K)
    if not alive:
        return smaller
    chosen = torch.as_tensor(alive, device=batch.energy.device)
    forces = torch.as_tensor(np.concatenate([fs[i] for i in alive]), dtype=torch.float64, device=batch.f.device)
    return replace(smaller, energy=batch.energy[chosen], f=forces)


def _finished(track: _Track) -> Run:
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
