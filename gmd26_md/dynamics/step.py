"""The integrator: BAOAB Langevin dynamics (Leimkuhler and Matthews, Appl. Math. Res. Express 2013, 34),

    B  v += dt/2 f/m      A  x += dt/2 v      O  v = c v + sqrt((1 - c^2) kT/m) xi,  c = exp(-friction dt)
    A  x += dt/2 v        B  v += dt/2 f/m

which without friction (c = 1) is velocity Verlet. One force call a step. Every atom carries its system's own time step,
friction and temperature, so systems under different rules move in one batch, and what is done to one is the same
arithmetic whoever its neighbours are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from ase import units
from torch import Tensor

from gmd26_md.dynamics.state import Moving
from gmd26_md.dynamics.watch import Watch


@dataclass(frozen=True)
class Rules:
    """The constants of a batch, a column of atoms each, (n_atoms, 1), ASE units.

    Attributes
    ----------
    half
        Half the time step.
    kick
        The same over the mass.
    keep, spread
        c and sqrt((1 - c^2) kT/m); 1 and 0 at constant energy.
    masses
        amu.
    thermostat
        Whether any system has one.
    """

    half: Tensor
    kick: Tensor
    keep: Tensor
    spread: Tensor
    masses: Tensor
    thermostat: bool

    @staticmethod
    def of(moving: Moving) -> Rules:
        """Return the constants of the segments that the systems are in."""
        tracks, rows = moving.tracks, moving.rows
        mass = np.concatenate([t.masses for t in tracks])
        masses = torch.as_tensor(mass, dtype=torch.float64, device=moving.x.device)[:, None]
        half = rows.spread([0.5 * t.rule.timestep_fs * units.fs for t in tracks])
        keeps = [float(np.exp(-t.rule.friction_per_fs * t.rule.timestep_fs)) for t in tracks]
        keep, kT = rows.spread(keeps), rows.spread([units.kB * t.system.temperature_K for t in tracks])
        spread = torch.sqrt((1.0 - keep * keep) * kT / masses)
        return Rules(half, half / masses, keep, spread, masses, any(c != 1.0 for c in keeps))


@dataclass(frozen=True)
class Trace:
    """What was seen at each step of a stretch, on the CPU.

    Attributes
    ----------
    energy, kinetic, size
        (n_steps, n_systems): potential and kinetic energy, eV, and a sum of squares of all else that must be finite.
    bad
        Number of violations of each check of the watch, (n_steps, n_groups); -1 where it was not looked at.
    distances
        On the device, by step, for whoever wants to know which pair it was.
    """

    energy: np.ndarray
    kinetic: np.ndarray
    size: np.ndarray
    bad: np.ndarray
    distances: dict[int, Tensor]


def advance(
    moving: Moving, rules: Rules, noise: Tensor | None, n_steps: int, watch: Watch, tick: Callable[[int], None]
) -> tuple[Moving, Trace]:
    """Move all systems by some steps, on the device, and bring what was seen back in one go.

    Parameters
    ----------
    noise
        Normal random numbers, (n_steps, n_atoms, 3); None without a thermostat.
    watch
        What is looked at; at which of the steps is its own affair.
    tick
        Called after each step with the number of steps done.
    """
    weights = 0.5 * rules.masses
    scalars, bads, distances = [], [], {}
    for step in range(n_steps):
        moving = _step(moving, rules, None if noise is None else noise[step])
        squares = torch.cat(
            [weights * moving.v.square().sum(1, keepdim=True), moving.f.square() + moving.x.square()], dim=1
        )
        by_system = moving.rows.sums(squares)
        scalars.append(torch.stack([moving.energy, by_system[:, 0], by_system[:, 1:].sum(1)]))
        if watch.looks_at(step):
            distances[step] = watch.distances(moving.x)
            bads.append(watch.violations(distances[step]))
        tick(step + 1)
    seen = torch.stack(scalars).cpu().numpy()  # (n_steps, 3, n_systems)
    bad = np.full((n_steps, watch.n_groups), -1, dtype=np.int64)
    if bads:
        bad[list(distances)] = torch.stack(bads).cpu().numpy()
    return moving, Trace(seen[:, 0], seen[:, 1], seen[:, 2], bad, distances)


def _step(moving: Moving, rules: Rules, noise: Tensor | None) -> Moving:
    """Take one step; `noise` is (n_atoms, 3)."""
    v = moving.v + rules.kick * moving.f
    x = moving.x + rules.half * v
    if noise is not None:
        v = rules.keep * v + rules.spread * noise
    x = x + rules.half * v
    energy, f = moving.forces_of(x)
    return replace(moving, x=x, v=v + rules.kick * f, energy=energy, f=f)
