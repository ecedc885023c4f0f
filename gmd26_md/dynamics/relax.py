"""Batched geometry optimisation: every molecule walks to its own minimum, all of them together.

FIRE (Bitzek et al., Phys. Rev. Lett. 97, 170201, 2006) in its second form (Guénolé et al., Comput. Mater. Sci. 175,
109584, 2020): semi-implicit Euler, and half a step back when a molecule goes uphill. Each molecule has its own
time step and mixing, so none depends on its neighbours in the batch; one that has come to rest leaves, and the next
takes its place.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np
import torch
from torch import Tensor

from gmd26_md.dynamics.capacity import is_out_of_memory
from gmd26_md.dynamics.forces import BoundForces, ForceProvider
from gmd26_md.dynamics.rows import Rows
from gmd26_md.dynamics.waiting import WaitingLine
from gmd26_md.trajectory import Trajectory

log = logging.getLogger(__name__)

# Bitzek's parameters in ASE's units for unit masses.
_DT_START, _DT_MAX, _DT_MIN = 0.1, 1.0, 0.002
_GROW, _SHRINK, _ALPHA_START, _ALPHA_SHRINK, _N_WAIT = 1.1, 0.5, 0.25, 0.99, 5
_MAX_MOVE_A = 0.1  # of any atom in a step
_KEEP_EVERY = 20  # steps between frames of the path
_LOOK_EVERY = 5  # steps between looks at who is at rest; a divisor of it


@dataclass(frozen=True)
class Relaxation:
    """What became of one molecule's relaxation.

    Attributes
    ----------
    path
        Frames every few steps, first the start, last the end; its clock counts steps, not fs.
    converged
        Whether the largest force on an atom fell below fmax.
    n_steps
        Steps taken; also the number of force calls less one.
    fmax_eV_per_A
        Largest force on an atom at the end.
    error
        What the calculator said when it failed, or None.
    """

    path: Trajectory
    converged: bool
    n_steps: int
    fmax_eV_per_A: float
    error: str | None


def relax(
    provider: ForceProvider,
    numbers: Sequence[np.ndarray],
    positions: Sequence[np.ndarray],
    *,
    fmax: float = 0.01,
    max_steps: int = 2000,
    max_cost: float = float("inf"),
    on_progress: Callable[[int, int], None] = lambda n_steps, n_left: None,
) -> list[Relaxation]:
    """Relax every molecule until the largest force on an atom is below `fmax`, eV/Å.

    Parameters
    ----------
    provider
        Where forces come from.
    numbers, positions
        Of each molecule, (n_atoms,) and (n_atoms, 3), Å.
    max_steps
        After these a molecule counts as not converged.
    max_cost
        Upper limit of the summed `provider.cost` of a batch; by default what memory allows.
    on_progress
        Called with the steps taken by the batch and how many molecules are not at rest yet.

    Notes
    -----
    A molecule with a value that is not finite stops where it is, not converged. Out of memory, the batch is
    halved and goes on.
    """
    walkers = [
        _Walker(i, z, np.asarray(x, dtype=np.float64)) for i, (z, x) in enumerate(zip(numbers, positions, strict=True))
    ]
    hill = _Hill(provider, fmax, max_steps)
    capacity = min(provider.capacity(), max_cost) if walkers else 0.0
    line = WaitingLine([(w, provider.cost(w.numbers, w.positions)) for w in walkers], capacity)
    found: dict[int, Relaxation] = {}
    batch, n_steps = hill.empty(), 0
    while batch.walkers or len(line):
        try:
            chosen = line.next(sum(cost for _, cost in batch.walkers))
            batch = hill.entered(batch, chosen)
            batch = hill.walked(batch)
        except Exception as problem:
            if not is_out_of_memory(problem):
                raise
            batch = _fewer(batch, chosen, line, found)
            continue
        n_steps += _LOOK_EVERY
        batch = hill.let_go(batch, found)
        on_progress(n_steps, len(batch.walkers) + len(line))
    return [found[i] for i in range(len(walkers))]


@dataclass(eq=False)
class _Walker:
    """One molecule on its way; `parked` is where it stood when it left the batch for want of memory."""

    index: int
    numbers: np.ndarray
    positions: np.ndarray
    kept: list[tuple[int, np.ndarray, float, np.ndarray]] = field(default_factory=list)
    parked: _Batch | None = None


@dataclass(frozen=True)
class _Batch:
    """Molecules that walk together, flat, float64, on the provider's device."""

    walkers: tuple[tuple[_Walker, float], ...]  # with their costs
    rows: Rows
    forces_of: BoundForces
    x: Tensor  # (n_atoms, 3)
    v: Tensor  # (n_atoms, 3)
    f: Tensor  # (n_atoms, 3)
    energy: Tensor  # (n_systems,), as all that follow
    dt: Tensor
    alpha: Tensor
    n_downhill: Tensor
    n_steps: Tensor

    def fmax(self) -> Tensor:
        """Return the largest force on an atom of each molecule, (n_systems,), eV/Å; NaN stays NaN."""
        return self.rows.largest(self.f.norm(dim=-1))

    def only(self, chosen: Sequence[int]) -> _Batch:
        """Return some of the molecules."""
        atoms = self.rows.atoms_of(chosen)
        which = torch.as_tensor(list(chosen), dtype=torch.int64, device=self.x.device)
        rows = Rows.of([self.rows.counts[i] for i in chosen], self.x.device)
        tensors = [getattr(self, n)[atoms] for n in ("x", "v", "f")] + [getattr(self, n)[which] for n in _BY_SYSTEM]
        return _Batch(tuple(self.walkers[i] for i in chosen), rows, self.forces_of.only(chosen), *tensors)

    def joined(self, other: _Batch) -> _Batch:
        """Return these molecules and then the other's."""
        rows = Rows.of(self.rows.counts + other.rows.counts, self.x.device)
        tensors = [torch.cat([getattr(self, f.name), getattr(other, f.name)]) for f in fields(self)[3:]]
        return _Batch(self.walkers + other.walkers, rows, self.forces_of.joined(other.forces_of), *tensors)


_BY_SYSTEM = ("energy", "dt", "alpha", "n_downhill", "n_steps")


@dataclass(frozen=True)
class _Hill:
    """Where molecules walk, and when they are at rest."""

    provider: ForceProvider
    fmax: float
    max_steps: int

    def empty(self) -> _Batch:
        """Return a batch of nobody."""
        return self._laid_out([])

    def _laid_out(self, chosen: Sequence[tuple[_Walker, float]]) -> _Batch:
        device, n = self.provider.device, len(chosen)
        x = np.concatenate([w.positions for w, _ in chosen]) if chosen else np.zeros((0, 3))
        at = torch.as_tensor(x, dtype=torch.float64, device=device)
        zeros = torch.zeros(n, dtype=torch.float64, device=device)
        return _Batch(
            tuple(chosen), Rows.of([len(w.numbers) for w, _ in chosen], device),
            self.provider.bind([w.numbers for w, _ in chosen]), at, torch.zeros_like(at), torch.zeros_like(at),
            energy=zeros, dt=zeros + _DT_START, alpha=zeros + _ALPHA_START, n_downhill=zeros, n_steps=zeros,
        )  # fmt: skip

    def entered(self, batch: _Batch, chosen: Sequence[tuple[_Walker, float]]) -> _Batch:
        """Return the batch with newcomers: as they were parked, or at their start with their first forces."""
        for walker, _ in chosen:
            if walker.parked is not None:
                batch = batch.joined(walker.parked)
        fresh = [(w, cost) for w, cost in chosen if w.parked is None]
        if fresh:
            new = self._laid_out(fresh)
            energy, forces = new.forces_of(new.x)
            new = replace(new, energy=energy, f=forces)
            _keep(new, range(len(fresh)))
            batch = batch.joined(new) if batch.walkers else new
        for walker, _ in chosen:
            walker.parked = None
        return batch

    def moving(self, batch: _Batch) -> Tensor:
        """Return which molecules still walk: not converged, all finite, with steps left."""
        fmax = batch.fmax()
        return (fmax >= self.fmax) & torch.isfinite(fmax + batch.energy) & (batch.n_steps < self.max_steps)

    def walked(self, batch: _Batch) -> _Batch:
        """Return the batch some steps later; a molecule that comes to rest between looks stays where it is."""
        for _ in range(_LOOK_EVERY):
            batch = _advanced(batch, self.moving(batch))
        return batch

    def let_go(self, batch: _Batch, found: dict[int, Relaxation]) -> _Batch:
        """Keep the frames that are due, and return the batch without those that are at rest; they are found."""
        moving = self.moving(batch).tolist()
        steps = batch.n_steps.tolist()
        _keep(batch, [i for i, m in enumerate(moving) if m and steps[i] % _KEEP_EVERY == 0])
        leaving = [i for i, m in enumerate(moving) if not m]
        for i, fmax_of in zip(leaving, batch.fmax()[leaving].tolist(), strict=True):
            found[batch.walkers[i][0].index] = _finished(batch, i, fmax_of, self.fmax)
        return batch.only([i for i, m in enumerate(moving) if m]) if leaving else batch


def _fewer(
    batch: _Batch,
    chosen: Sequence[tuple[_Walker, float]],
    line: WaitingLine[_Walker],
    found: dict[int, Relaxation],
) -> _Batch:
    """Return the batch as it goes on after it ran out of memory: without newcomers, else its first half.

    One that does not fit by itself is found, not converged.
    """
    if batch.x.device.type == "cuda":
        torch.cuda.empty_cache()
    here = {w.index for w, _ in batch.walkers}
    newcomers = [(w, cost) for w, cost in chosen if w.index not in here]
    if newcomers and (batch.walkers or len(newcomers) > 1):
        line.capacity = sum(cost for _, cost in batch.walkers) or sum(cost for _, cost in newcomers) / 2
        line.back(newcomers)
        return batch
    n = len(batch.walkers)
    if n > 1:
        for i in range(n // 2, n):
            batch.walkers[i][0].parked = batch.only([i])
        leaving = batch.walkers[n // 2 :]
        batch = batch.only(range(n // 2))
        line.capacity = sum(cost for _, cost in batch.walkers)
        line.back(leaving)
        log.info("out of memory: %d molecules relax together, not %d", n // 2, n)
        return batch
    walker = (*newcomers, *batch.walkers)[0][0]
    why = f"out of memory: {len(walker.numbers)} atoms do not fit on {batch.x.device} by themselves"
    nowhere = np.full(walker.positions.shape, np.nan)
    frames = walker.kept or [(0, walker.positions, float("nan"), nowhere)]
    found[walker.index] = Relaxation(_path(walker.numbers, frames), False, frames[-1][0], float("nan"), why)
    return batch.only([])


def _advanced(state: _Batch, moving: Tensor) -> _Batch:
    """Return the batch after one FIRE step of the molecules that move; the others stay as they are."""
    rows = state.rows
    uphill = rows.sums((state.f * state.v).sum(-1)) <= 0.0
    # downhill long enough: longer steps, less steering
    n_downhill = torch.where(uphill, 0.0, state.n_downhill + 1)
    faster = ~uphill & (n_downhill > _N_WAIT)
    dt = torch.where(faster, (state.dt * _GROW).clamp(max=_DT_MAX), state.dt)
    alpha = torch.where(faster, state.alpha * _ALPHA_SHRINK, state.alpha)
    # uphill: half a step back, stop, shorter steps
    turned = uphill & (state.n_steps > 0)
    dt = torch.where(turned, (dt * _SHRINK).clamp(min=_DT_MIN), dt)
    alpha = torch.where(uphill, _ALPHA_START, alpha)
    back = rows.to_atoms(torch.where(turned & moving, 0.5 * dt, 0.0))[:, None]
    x = state.x - back * state.v
    v = torch.where(rows.to_atoms(uphill)[:, None], 0.0, state.v)
    # semi-implicit Euler with the velocity steered towards the force
    step = rows.to_atoms(dt)[:, None]
    v = v + step * state.f
    size_v, size_f = rows.sums((v * v).sum(-1)).sqrt(), rows.sums((state.f * state.f).sum(-1)).sqrt()
    steer = rows.to_atoms(alpha * size_v / size_f.clamp(min=1e-30))[:, None]
    v = rows.to_atoms(1.0 - alpha)[:, None] * v + steer * state.f
    move = step * v
    longest = rows.largest(move.norm(dim=-1))
    scale = rows.to_atoms((_MAX_MOVE_A / longest.clamp(min=1e-30)).clamp(max=1.0))[:, None]
    on = rows.to_atoms(moving)[:, None]
    x = torch.where(on, x + scale * move, state.x)
    energy, forces = state.forces_of(x)
    return replace(
        state,
        x=x,
        v=torch.where(on, v, 0.0),
        f=torch.where(on, forces, state.f),
        energy=torch.where(moving, energy, state.energy),
        dt=torch.where(moving, dt, state.dt),
        alpha=torch.where(moving, alpha, state.alpha),
        n_downhill=torch.where(moving, n_downhill, state.n_downhill),
        n_steps=state.n_steps + moving,
    )


def _keep(batch: _Batch, which: Sequence[int]) -> None:
    if not which:
        return
    energies, steps = batch.energy.tolist(), batch.n_steps.tolist()
    xs, fs = batch.rows.split(batch.x), batch.rows.split(batch.f)
    for i in which:
        batch.walkers[i][0].kept.append((int(steps[i]), xs[i], energies[i], fs[i]))


def _finished(batch: _Batch, index: int, fmax_of: float, fmax: float) -> Relaxation:
    walker, n_steps = batch.walkers[index][0], int(batch.n_steps[index])
    if walker.kept[-1][0] != n_steps:
        _keep(batch, [index])
    error = batch.forces_of.errors.get(index)
    return Relaxation(
        _path(walker.numbers, walker.kept), bool(fmax_of < fmax and error is None), n_steps, fmax_of, error
    )


def _path(numbers: np.ndarray, kept: Sequence[tuple[int, np.ndarray, float, np.ndarray]]) -> Trajectory:
    steps, xs, energies, fs = zip(*kept, strict=True)
    return Trajectory(
        numbers=numbers,
        time_fs=np.array(steps, dtype=float),
        positions=np.stack(xs),
        velocities=None,
        energies=np.array(energies),
        forces=np.stack(fs),
        info={"clock": "steps"},
    )
