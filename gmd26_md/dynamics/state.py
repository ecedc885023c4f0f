"""What the engine holds while molecules move: the systems, laid out flat, and each one's own things."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from ase.data import atomic_masses
from torch import Tensor

from gmd26_md.dynamics.forces import BoundForces, ForceProvider
from gmd26_md.dynamics.frames import FrameLog
from gmd26_md.dynamics.motion import maxwell_boltzmann, without_overall_motion
from gmd26_md.dynamics.plan import Segment, System
from gmd26_md.dynamics.rows import Rows

_LOOK_EVERY = 20  # steps between a system's looks at itself in a segment that keeps no frames


@dataclass(frozen=True)
class Noticed:
    """The first violation of a pair check: when, which atoms, and how far apart they were (NaN fails as well)."""

    name: str
    at_fs: float
    atoms: tuple[int, int]
    distance_A: float


@dataclass(frozen=True)
class Observed:
    """What was seen at every step of a segment, frames or not; NaN where a value was not finite.

    Attributes
    ----------
    n_steps
        Steps taken.
    kinetic_sum_eV, kinetic_max_eV
        Sum over the steps, and largest, of the kinetic energy.
    total_first_eV, total_min_eV, total_max_eV
        Kinetic plus potential energy after the first step, and its range.
    kinetic_max_step
        After which step it was largest, the first being 1; 0 where that was not kept, as in older snapshots.
    """

    n_steps: int
    kinetic_sum_eV: float
    kinetic_max_eV: float
    total_first_eV: float
    total_min_eV: float
    total_max_eV: float
    kinetic_max_step: int = 0

    def with_steps(self, kinetic: np.ndarray, total: np.ndarray) -> Observed:
        """Return what was seen after more steps, both (n_steps,), eV."""
        if len(kinetic) == 0:
            return self
        seen = self.n_steps > 0
        hottest = int(np.argmax(kinetic))
        hotter = not kinetic[hottest] <= self.kinetic_max_eV
        return Observed(
            self.n_steps + len(kinetic),
            self.kinetic_sum_eV + float(kinetic.sum()),
            float(np.maximum(self.kinetic_max_eV, kinetic.max())),
            self.total_first_eV if seen else float(total[0]),
            float(np.minimum(self.total_min_eV, total.min()) if seen else total.min()),
            float(np.maximum(self.total_max_eV, total.max()) if seen else total.max()),
            self.n_steps + hottest + 1 if hotter else self.kinetic_max_step,
        )


NOTHING_OBSERVED = Observed(0, 0.0, 0.0, float("nan"), float("nan"), float("nan"))


@dataclass
class Track:
    """One system's own things: where it is in its segments, its random stream, its frames, its end.

    `n_done` steps of segment number `segment` are done. `finished` says that it takes no further step.
    """

    system: System
    segments: tuple[Segment, ...]
    rng: np.random.Generator
    log: FrameLog
    cost: float = 0.0
    segment: int = 0
    n_done: int = 0
    stopped: str | None = None
    stopped_at_fs: float | None = None
    reason: str | None = None
    n_force_calls: int = 0
    wall_s: float = 0.0
    n_together: int = 0
    noticed: dict[str, Noticed] = field(default_factory=dict)
    observed: dict[str, Observed] = field(default_factory=dict)
    parked: dict[str, np.ndarray] | None = None
    finished: bool = False

    @property
    def n_atoms(self) -> int:
        """Number of atoms."""
        return len(self.system.numbers)

    @property
    def masses(self) -> np.ndarray:
        """(n_atoms,), u."""
        own = self.system.masses
        return np.asarray(atomic_masses[self.system.numbers] if own is None else own, dtype=np.float64)

    @property
    def rule(self) -> Segment:
        """The segment that it is in; the last one when it has come to its end."""
        return self.segments[min(self.segment, len(self.segments) - 1)]

    @property
    def ended(self) -> bool:
        """Whether all segments are done."""
        return self.segment >= len(self.segments)

    @property
    def begun_fs(self) -> float:
        """When the present segment began, fs."""
        return sum(s.n_steps * s.timestep_fs for s in self.segments[: self.segment])

    @property
    def now_fs(self) -> float:
        """The clock: 0 at the beginning of the first segment."""
        return self.begun_fs + self.n_done * self.rule.timestep_fs

    @property
    def n_steps(self) -> int:
        """Steps of all segments."""
        return sum(s.n_steps for s in self.segments)

    @property
    def n_steps_done(self) -> int:
        """Steps taken in all segments."""
        return sum(s.n_steps for s in self.segments[: self.segment]) + self.n_done

    def steps_to_look(self) -> int:
        """Return how many steps it is to this system's next frame, look or end of segment.

        It depends on the system alone: a look is where it may leave the batch, so neighbours do not change when.
        """
        every = self.rule.save_every or _LOOK_EVERY
        return min(every - self.n_done % every, self.rule.n_steps - self.n_done)

    @property
    def looks_now(self) -> bool:
        """Whether it stands at a frame, a look or the end of its segment."""
        every = self.rule.save_every or _LOOK_EVERY
        return self.n_done % every == 0 or self.n_done == self.rule.n_steps


@dataclass(frozen=True)
class Moving:
    """The systems that move together, flat, float64, on the provider's device.

    Attributes
    ----------
    tracks
        The systems, in order.
    rows
        Which atoms are whose.
    forces_of
        Their bound forces.
    x, v
        (n_atoms, 3), Å and ASE units.
    energy
        Potential energy, (n_systems,), eV.
    f
        (n_atoms, 3), eV/Å.
    """

    tracks: tuple[Track, ...]
    rows: Rows
    forces_of: BoundForces
    x: Tensor
    v: Tensor
    energy: Tensor
    f: Tensor

    def only(self, chosen: Sequence[int]) -> Moving:
        """Return the state of some of the systems; their numbers are untouched."""
        atoms = self.rows.atoms_of(chosen)
        which = torch.as_tensor(list(chosen), dtype=torch.int64, device=self.x.device)
        return Moving(
            tuple(self.tracks[i] for i in chosen),
            Rows.of([self.rows.counts[i] for i in chosen], self.x.device),
            self.forces_of.only(chosen),
            self.x[atoms],
            self.v[atoms],
            self.energy[which],
            self.f[atoms],
        )

    def joined(self, other: Moving) -> Moving:
        """Return these systems and then the other's."""
        return Moving(
            self.tracks + other.tracks,
            Rows.of(self.rows.counts + other.rows.counts, self.x.device),
            self.forces_of.joined(other.forces_of),
            *(torch.cat([getattr(self, n), getattr(other, n)]) for n in ("x", "v", "energy", "f")),
        )

    def arrays(self) -> list[dict[str, np.ndarray]]:
        """Return each system's x, v, f (n_atoms, 3) and energy (), of their own memory."""
        energies = self.energy.cpu().numpy()
        parts = (self.rows.split(flat) for flat in (self.x, self.v, self.f))
        return [
            {"x": x, "v": v, "f": f, "energy": np.array(energy)}
            for x, v, f, energy in zip(*parts, energies, strict=True)
        ]


def entered(provider: ForceProvider, tracks: Sequence[Track]) -> Moving:
    """Return a state of systems that come into the batch: those that were parked, and then those at their beginning.

    Forces are computed only for those that have none yet.
    """
    parked = [t for t in tracks if t.parked is not None]
    fresh = [t for t in tracks if t.parked is None]
    old = laid_out(provider, parked, [t.parked for t in parked if t.parked is not None])
    if not fresh:
        return old
    new = laid_out(provider, fresh, [_beginning(t) for t in fresh])
    energy, f = new.forces_of(new.x)
    for track in fresh:
        track.n_force_calls += 1
    new = replace(new, energy=energy, f=f)
    return old.joined(new) if parked else new


def laid_out(provider: ForceProvider, tracks: Sequence[Track], arrays: Sequence[dict[str, np.ndarray]]) -> Moving:
    """Lay systems out flat on the provider's device, from x, v, f and energy of each."""

    def flat(name: str, empty: np.ndarray) -> Tensor:
        values = np.concatenate([np.asarray(a[name], dtype=np.float64) for a in arrays]) if arrays else empty
        return torch.as_tensor(values, dtype=torch.float64, device=provider.device)

    energies = [float(a["energy"]) for a in arrays]
    return Moving(
        tuple(tracks),
        Rows.of([t.n_atoms for t in tracks], provider.device),
        provider.bind([t.system.numbers for t in tracks]),
        flat("x", np.zeros((0, 3))),
        flat("v", np.zeros((0, 3))),
        torch.as_tensor(energies, dtype=torch.float64, device=provider.device),
        flat("f", np.zeros((0, 3))),
    )


def _beginning(track: Track) -> dict[str, np.ndarray]:
    """Centre a system and draw initial velocities where none are given; energy and forces are not known yet."""
    system, masses = track.system, track.masses
    drawn = system.velocities
    if drawn is None:
        drawn = maxwell_boltzmann(masses, system.temperature_K, track.rng)
        drawn = without_overall_motion(system.positions, drawn, masses)
    x = system.positions - masses @ system.positions / masses.sum()
    return {"x": x, "v": drawn, "f": np.full(x.shape, np.nan), "energy": np.array(np.nan)}
