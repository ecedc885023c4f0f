"""What the engine holds while molecules move: the systems that still run, laid out flat, and each one's own things."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from ase import units
from ase.data import atomic_masses
from torch import Tensor

from gmd26_md.dynamics.forces import BoundForces, ForceProvider
from gmd26_md.dynamics.motion import maxwell_boltzmann, without_overall_motion

Frame = tuple[float, np.ndarray, np.ndarray, float, np.ndarray]  # time fs, positions, velocities, energy, forces


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


@dataclass
class Track:
    """One system's own things: its random stream, its frames, its end."""

    system: System
    rng: np.random.Generator
    kept: dict[str, list[Frame]] = field(default_factory=dict)
    stopped: str | None = None
    stopped_at_fs: float | None = None
    reason: str | None = None
    n_force_calls: int = 0

    @staticmethod
    def of(system: System) -> Track:
        """Return the track of a system that has not moved yet."""
        return Track(system, np.random.default_rng(system.seed))

    @property
    def n_atoms(self) -> int:
        """Number of atoms."""
        return len(self.system.numbers)


@dataclass(frozen=True)
class BatchState:
    """The systems that still run, flat, float64, on the provider's device.

    Attributes
    ----------
    tracks
        The systems, in order.
    forces_of
        Their bound forces.
    system_idx
        (n_atoms,).
    masses
        (n_atoms, 1), amu.
    kT
        (n_atoms, 1), eV.
    max_kinetic
        (n_systems,), eV: a system above it has exploded.
    x, v
        (n_atoms, 3), Å and ASE units.
    energy
        (n_systems,), eV.
    f
        (n_atoms, 3), eV/Å.
    """

    tracks: list[Track]
    forces_of: BoundForces
    system_idx: Tensor
    masses: Tensor
    kT: Tensor
    max_kinetic: Tensor
    x: Tensor
    v: Tensor
    energy: Tensor
    f: Tensor

    def split(self, flat: Tensor) -> list[np.ndarray]:
        """Cut a flat (n_atoms, ...) tensor into one array a system."""
        ends = np.cumsum([t.n_atoms for t in self.tracks])[:-1]
        return list(np.split(flat.detach().cpu().numpy().copy(), ends))

    def sum_by_system(self, atoms: Tensor) -> Tensor:
        """Sum (n_atoms,) over each system, (n_systems,)."""
        return torch.zeros_like(self.max_kinetic).index_add(0, self.system_idx, atoms)

    def evaluated(self) -> BatchState:
        """Return the state with energies and forces of its positions."""
        energy, forces = self.forces_of(self.x)
        for track in self.tracks:
            track.n_force_calls += 1
        return replace(self, energy=energy, f=forces)

    def still(self) -> BatchState:
        """Return the state with overall translation and rotation taken out of the velocities."""
        masses = self.split(self.masses[:, 0])
        still = [
            without_overall_motion(x, v, m) if np.isfinite(x).all() and np.isfinite(v).all() else v
            for x, v, m in zip(self.split(self.x), self.split(self.v), masses, strict=True)
        ]
        return replace(self, v=torch.as_tensor(np.concatenate(still), dtype=torch.float64, device=self.x.device))

    def healthy(self) -> Tensor:
        """Return which systems have everything finite and are not too hot, (n_systems,); fails closed."""
        kinetic = self.sum_by_system(0.5 * self.masses[:, 0] * (self.v * self.v).sum(-1))
        size = self.sum_by_system((self.f * self.f).sum(-1) + (self.x * self.x).sum(-1))
        return torch.isfinite(kinetic + self.energy + size) & (kinetic <= self.max_kinetic)

    def keep_frame(self, segment: str, time_fs: float) -> None:
        """Add the present frame to each system's track."""
        energies = self.energy.cpu().numpy()
        xs, vs, fs = self.split(self.x), self.split(self.v), self.split(self.f)
        for track, x, v, energy, f in zip(self.tracks, xs, vs, energies, fs, strict=True):
            track.kept.setdefault(segment, []).append((time_fs, x, v, float(energy), f))


def begin(provider: ForceProvider, tracks: list[Track], max_temperature_K: float) -> BatchState:
    """Centre the systems, draw initial velocities where none are given, and evaluate the first forces."""
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
    return assemble(provider, tracks, positions, velocities, max_temperature_K).evaluated()


def assemble(
    provider: ForceProvider,
    tracks: list[Track],
    positions: Sequence[np.ndarray],
    velocities: Sequence[np.ndarray],
    max_temperature_K: float,
    forces_of: BoundForces | None = None,
) -> BatchState:
    """Lay systems out flat on the provider's device; energies and forces are NaN until asked for.

    `forces_of` are their bound forces where there are some already.
    """
    device = provider.device
    counts = [t.n_atoms for t in tracks]

    def wide(values: np.ndarray | list[float]) -> Tensor:
        return torch.as_tensor(np.asarray(values), dtype=torch.float64, device=device)

    flat = np.concatenate(positions) if positions else np.zeros((0, 3))
    moving = np.concatenate(velocities) if velocities else np.zeros((0, 3))
    kT = np.repeat([units.kB * t.system.temperature_K for t in tracks], counts)
    limits = [0.5 * 3 * n * units.kB * max_temperature_K for n in counts]  # a thermostat heats all 3N
    numbers = np.concatenate([t.system.numbers for t in tracks]) if tracks else np.zeros(0, dtype=int)
    return BatchState(
        tracks=tracks,
        forces_of=provider.bind([t.system.numbers for t in tracks]) if forces_of is None else forces_of,
        system_idx=torch.as_tensor(np.repeat(np.arange(len(tracks)), counts), device=device),
        masses=wide(atomic_masses[numbers])[:, None],
        kT=wide(kT)[:, None],
        max_kinetic=wide(limits),
        x=wide(flat),
        v=wide(moving),
        energy=torch.full((len(tracks),), float("nan"), dtype=torch.float64, device=device),
        f=torch.full((len(numbers), 3), float("nan"), dtype=torch.float64, device=device),
    )


def survivors(provider: ForceProvider, state: BatchState, max_temperature_K: float) -> BatchState:
    """Return the state without the systems that have stopped; the others' numbers are untouched."""
    alive = [i for i, track in enumerate(state.tracks) if track.stopped is None]
    xs, vs, fs = state.split(state.x), state.split(state.v), state.split(state.f)
    tracks = [state.tracks[i] for i in alive]
    bound = state.forces_of.only(alive)
    smaller = assemble(provider, tracks, [xs[i] for i in alive], [vs[i] for i in alive], max_temperature_K, bound)
    if not alive:
        return smaller
    chosen = torch.as_tensor(alive, device=state.energy.device)
    forces = torch.as_tensor(np.concatenate([fs[i] for i in alive]), dtype=torch.float64, device=state.f.device)
    return replace(smaller, energy=state.energy[chosen], f=forces)
