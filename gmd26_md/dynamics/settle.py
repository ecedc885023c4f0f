"""The last stretch of a relaxation: limited-memory BFGS for many molecules together, each with its own memory.

FIRE comes down quickly from anywhere but creeps along soft torsions: a chain that it brings to 0.05 eV/Å in fifty steps
takes it thousands more to 0.001, and there is where a minimum can be told from a shoulder. BFGS learns the soft
directions (Liu and Nocedal, Math. Program. 45, 503, 1989) and takes some hundred. No line search: a step is cut at
`_MAX_MOVE_A` instead, as in ASE.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import torch

from gmd26_md.dynamics.capacity import is_out_of_memory
from gmd26_md.dynamics.forces import ForceProvider
from gmd26_md.dynamics.relax import Relaxation
from gmd26_md.trajectory import Trajectory

_STIFFNESS = 70.0  # eV/Å^2, the curvature that is expected of a direction not seen yet; ASE's choice
_MEMORY = 60  # steps remembered: about the number of degrees of freedom of a molecule here
_MAX_MOVE_A = 0.1  # of any atom in a step, as in FIRE
_KEEP_EVERY = 20  # steps between frames of the path


def settle(
    provider: ForceProvider,
    relaxations: Sequence[Relaxation],
    *,
    fmax: float,
    max_steps: int,
    on_progress: Callable[[int, int], None] = lambda n_steps, n_left: None,
) -> list[Relaxation]:
    """Take relaxations that have converged on, until the largest force on an atom is below `fmax`, eV/Å.

    Parameters
    ----------
    relaxations
        As `relax` returned them; those that did not converge are returned as they are.
    max_steps
        After so many steps, those of the relaxation so far included, a molecule counts as not converged.
    on_progress
        Called with the steps taken and how many molecules are not at rest yet.
    """
    moving = [_Settler(i, r) for i, r in enumerate(relaxations) if r.converged and not r.fmax_eV_per_A < fmax]
    found = dict(enumerate(relaxations))
    for group in _groups(provider, moving):
        for settler in _together(provider, group, fmax, max_steps, on_progress):
            found[settler.index] = settler.finished(fmax)
    return [found[i] for i in range(len(relaxations))]


class _Frame(NamedTuple):
    step: int
    positions: np.ndarray  # (n_atoms, 3)
    energy: float
    forces: np.ndarray  # (n_atoms, 3)


@dataclass(eq=False)
class _Settler:
    """One molecule on its way, from the last frame of its relaxation on."""

    index: int
    begun: Relaxation
    kept: list[_Frame] = field(default_factory=list)
    memory: deque[tuple[np.ndarray, np.ndarray]] = field(default_factory=lambda: deque(maxlen=_MEMORY))
    error: str | None = None

    def __post_init__(self) -> None:
        path = self.begun.path
        self.now = _Frame(self.begun.n_steps, path.positions[-1], float(path.energies[-1]), path.forces[-1])

    @property
    def fmax(self) -> float:
        return float(np.linalg.norm(self.now.forces, axis=-1).max())

    def next_positions(self) -> np.ndarray:
        """Return where the next step leads, (n_atoms, 3)."""
        step = self._direction()
        if not (step * self.now.forces).sum() > 0.0:  # uphill: what it remembers is of no use here
            self.memory.clear()
            step = self.now.forces / _STIFFNESS
        longest = float(np.linalg.norm(step, axis=-1).max())
        return np.asarray(self.now.positions + step * min(1.0, _MAX_MOVE_A / max(longest, 1e-300)))

    def _direction(self) -> np.ndarray:
        q = -self.now.forces.ravel()
        used = []
        for moved, changed in reversed(self.memory):
            a = moved @ q / (moved @ changed)
            q = q - a * changed
            used.append(a)
        r = q / _STIFFNESS
        for (moved, changed), a in zip(self.memory, reversed(used), strict=True):
            r = r + moved * (a - changed @ r / (moved @ changed))
        return np.asarray(-r.reshape(self.now.forces.shape))

    def arrive(self, positions: np.ndarray, energy: float, forces: np.ndarray, error: str | None) -> None:
        """Take a step that was evaluated."""
        moved, changed = (positions - self.now.positions).ravel(), (self.now.forces - forces).ravel()
        if moved @ changed > 0.0:  # only then does the memory stay positive definite
            self.memory.append((moved, changed))
        self.now = _Frame(self.now.step + 1, positions, energy, forces)
        self.error = error
        if self.now.step % _KEEP_EVERY == 0:
            self.kept.append(self.now)

    def finished(self, fmax: float) -> Relaxation:
        """Return the whole relaxation, its first stretch included."""
        frames = [*self.kept, *([] if self.kept and self.kept[-1] is self.now else [self.now])]
        frames = [f for f in frames if f.step > self.begun.n_steps]
        largest = self.fmax
        return replace(
            self.begun,
            path=_longer(self.begun.path, frames),
            converged=bool(largest < fmax and self.error is None),
            n_steps=self.now.step,
            fmax_eV_per_A=largest,
            error=self.error,
        )


def _longer(path: Trajectory, frames: Sequence[_Frame]) -> Trajectory:
    if not frames:
        return path
    return Trajectory(
        path.numbers,
        np.concatenate([path.time_fs, [float(f.step) for f in frames]]),
        np.concatenate([path.positions, [f.positions for f in frames]]),
        None,
        np.concatenate([path.energies, [f.energy for f in frames]]),
        np.concatenate([path.forces, [f.forces for f in frames]]),
        dict(path.info),
    )


def _groups(provider: ForceProvider, moving: Sequence[_Settler]) -> list[list[_Settler]]:
    """Return the molecules in batches that fit the provider."""
    groups: list[list[_Settler]] = []
    capacity, filled = provider.capacity() if moving else 0.0, 0.0
    for settler in moving:
        cost = provider.cost(settler.begun.path.numbers, settler.now.positions)
        if not groups or filled + cost > capacity:
            groups.append([])
            filled = 0.0
        groups[-1].append(settler)
        filled += cost
    return groups


def _together(
    provider: ForceProvider,
    group: list[_Settler],
    fmax: float,
    max_steps: int,
    on_progress: Callable[[int, int], None],
) -> list[_Settler]:
    """Move a batch until all are at rest; out of memory, each half goes on by itself from where it is."""
    try:
        _move(provider, group, fmax, max_steps, on_progress)
    except Exception as problem:
        if not is_out_of_memory(problem) or len(group) < 2:
            raise
    else:
        return group
    middle = len(group) // 2
    return [
        *_together(provider, group[:middle], fmax, max_steps, on_progress),
        *_together(provider, group[middle:], fmax, max_steps, on_progress),
    ]


def _move(
    provider: ForceProvider,
    group: Sequence[_Settler],
    fmax: float,
    max_steps: int,
    on_progress: Callable[[int, int], None],
) -> None:
    """Step the molecules together; one that is at rest, lost or out of steps leaves the batch."""

    def goes_on(s: _Settler) -> bool:
        usable = np.isfinite(s.fmax) and np.isfinite(s.now.energy) and s.error is None
        return usable and s.fmax >= fmax and s.now.step < max_steps

    moving = [s for s in group if goes_on(s)]
    bound = provider.bind([s.begun.path.numbers for s in moving])
    n_steps = 0
    while moving:
        places = [s.next_positions() for s in moving]
        flat = torch.as_tensor(np.concatenate(places), dtype=torch.float64, device=provider.device)
        energies, forces = bound(flat)
        ends = np.cumsum([len(p) for p in places])[:-1]
        parts, values = np.split(forces.cpu().numpy(), ends), energies.tolist()
        for i, settler in enumerate(moving):
            settler.arrive(places[i], values[i], parts[i], bound.errors.get(i))
        n_steps += 1
        staying = [i for i, s in enumerate(moving) if goes_on(s)]
        if len(staying) < len(moving):
            bound, moving = bound.only(staying), [moving[i] for i in staying]
        on_progress(n_steps, len(moving))
