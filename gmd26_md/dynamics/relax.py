"""Batched geometry optimisation: every molecule walks to its own minimum, all of them together.

FIRE (Bitzek et al., Phys. Rev. Lett. 97, 170201, 2006) in its second form (Guénolé et al., Comput. Mater. Sci. 175,
109584, 2020): semi-implicit Euler, and half a step back when a molecule goes uphill. Each molecule has its own
time step and mixing, so none depends on its neighbours in the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gmd26_md.dynamics.forces import BoundForces, ForceProvider
from gmd26_md.trajectory import Trajectory

# Bitzek's parameters in ASE's units for unit masses.
_DT_START, _DT_MAX, _DT_MIN = 0.1, 1.0, 0.002
_GROW, _SHRINK, _ALPHA_START, _ALPHA_SHRINK, _N_WAIT = 1.1, 0.5, 0.25, 0.99, 5
_MAX_MOVE_A = 0.1  # of any atom in a step
_KEEP_EVERY = 20  # steps between frames of the path


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
    on_progress
        Called with the step and how many molecules still move.

    Notes
    -----
    A molecule with a value that is not finite stops where it is, not converged.
    """
    state = _start(provider, numbers, positions, fmax)
    # one binding for the whole call: molecules at rest are asked again, which costs less than it is to code around
    for step in range(1, max_steps + 1):
        moving = state.moving()
        if not moving.any():
            break
        _advance(state, moving)
        if step % _KEEP_EVERY == 0:
            _keep(state, moving, step)
            on_progress(step, int(moving.sum()))
    return [_finished(state, i, fmax_of, fmax) for i, fmax_of in enumerate(state.fmax().tolist())]


@dataclass
class _State:
    forces_of: BoundForces
    numbers: list[np.ndarray]
    idx: Tensor  # (n_atoms,) system of each atom
    x: Tensor  # (n_atoms, 3)
    v: Tensor  # (n_atoms, 3)
    f: Tensor  # (n_atoms, 3)
    energy: Tensor  # (n_systems,)
    dt: Tensor  # (n_systems,)
    alpha: Tensor  # (n_systems,)
    n_downhill: Tensor  # (n_systems,)
    n_steps: Tensor  # (n_systems,)
    kept: list[list[tuple[int, np.ndarray, float, np.ndarray]]]
    target: float  # eV/Å

    def sums(self, atoms: Tensor) -> Tensor:
        """Sum (n_atoms,) over each system."""
        return torch.zeros_like(self.dt).index_add(0, self.idx, atoms)

    def largest(self, atoms: Tensor) -> Tensor:
        """Return the largest of (n_atoms,), none negative, in each system, (n_systems,); NaN stays NaN."""
        return torch.zeros_like(self.dt).scatter_reduce(0, self.idx, atoms, "amax")

    def fmax(self) -> Tensor:
        """Return the largest force on an atom of each system, (n_systems,), eV/Å; NaN stays NaN."""
        size = self.f.norm(dim=-1)
        return self.largest(size)

    def moving(self) -> Tensor:
        """Return which systems still move: not converged and all finite."""
        fmax = self.fmax()
        return (fmax >= self.target) & torch.isfinite(fmax + self.energy)

    def split(self, flat: Tensor) -> list[np.ndarray]:
        ends = np.cumsum([len(z) for z in self.numbers])[:-1]
        return list(np.split(flat.detach().cpu().numpy().copy(), ends))


def _start(
    provider: ForceProvider, numbers: Sequence[np.ndarray], positions: Sequence[np.ndarray], fmax: float
) -> _State:
    device, n = provider.device, len(numbers)
    bound = provider.bind(numbers)
    x = torch.as_tensor(np.concatenate(positions), dtype=torch.float64, device=device)
    energy, forces = bound(x)
    zeros = torch.zeros(n, dtype=torch.float64, device=device)
    idx = torch.as_tensor(np.repeat(np.arange(n), [len(z) for z in numbers]), device=device)
    state = _State(
        bound, list(numbers), idx, x, torch.zeros_like(x), forces, energy,
        dt=zeros + _DT_START, alpha=zeros + _ALPHA_START, n_downhill=zeros.clone(), n_steps=zeros.clone(),
        kept=[[] for _ in numbers], target=fmax,
    )  # fmt: skip
    _keep(state, torch.ones(n, dtype=torch.bool), 0)
    return state


def _advance(state: _State, moving: Tensor) -> None:
    """Take one FIRE step of the systems that move; the others stay as they are."""
    power = state.sums((state.f * state.v).sum(-1))
    uphill = power <= 0.0
    started = state.n_steps > 0
    # downhill long enough: longer steps, less steering
    state.n_downhill = torch.where(uphill, 0.0, state.n_downhill + 1)
    faster = ~uphill & (state.n_downhill > _N_WAIT)
    state.dt = torch.where(faster, (state.dt * _GROW).clamp(max=_DT_MAX), state.dt)
    state.alpha = torch.where(faster, state.alpha * _ALPHA_SHRINK, state.alpha)
    # uphill: half a step back, stop, shorter steps
    turned = uphill & started
    state.dt = torch.where(turned, (state.dt * _SHRINK).clamp(min=_DT_MIN), state.dt)
    state.alpha = torch.where(uphill, _ALPHA_START, state.alpha)
    back = torch.where(turned & moving, 0.5 * state.dt, 0.0)[state.idx, None]
    x = state.x - back * state.v
    v = torch.where(uphill[state.idx, None], 0.0, state.v)
    # semi-implicit Euler with the velocity steered towards the force
    dt = state.dt[state.idx, None]
    v = v + dt * state.f
    size_v, size_f = state.sums((v * v).sum(-1)).sqrt(), state.sums((state.f * state.f).sum(-1)).sqrt()
    alpha = state.alpha
    steer = (alpha * size_v / size_f.clamp(min=1e-30))[state.idx, None]
    v = (1.0 - alpha)[state.idx, None] * v + steer * state.f
    move = dt * v
    longest = state.largest(move.norm(dim=-1))
    scale = (_MAX_MOVE_A / longest.clamp(min=1e-30)).clamp(max=1.0)[state.idx, None]
    on = moving[state.idx, None]
    state.x = torch.where(on, x + scale * move, state.x)
    state.v = torch.where(on, v, 0.0)
    energy, forces = state.forces_of(state.x)
    state.energy = torch.where(moving, energy, state.energy)
    state.f = torch.where(on, forces, state.f)
    state.n_steps = state.n_steps + moving


def _keep(state: _State, which: Tensor, step: int) -> None:
    energies = state.energy.tolist()
    for i, (x, f) in enumerate(zip(state.split(state.x), state.split(state.f), strict=True)):
        if which[i]:
            state.kept[i].append((step, x, energies[i], f))


def _finished(state: _State, index: int, fmax_of: float, fmax: float) -> Relaxation:
    n_steps = int(state.n_steps[index])
    kept = state.kept[index]
    if kept[-1][0] != n_steps:
        x, f = state.split(state.x)[index], state.split(state.f)[index]
        kept.append((n_steps, x, float(state.energy[index]), f))
    steps, xs, energies, fs = zip(*kept, strict=True)
    path = Trajectory(
        numbers=state.numbers[index],
        time_fs=np.array(steps, dtype=float),
        positions=np.stack(xs),
        velocities=None,
        energies=np.array(energies),
        forces=np.stack(fs),
        info={"clock": "steps"},
    )
    error = state.forces_of.errors.get(index)
    return Relaxation(path, bool(fmax_of < fmax and error is None), n_steps, fmax_of, error)
