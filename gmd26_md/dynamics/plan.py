"""What is asked of the engine: systems, the stretches of dynamics that they go through, and what is looked at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


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


@dataclass(frozen=True, eq=False)
class PairCheck:
    """Distances that must stay within limits: bonds that hold, atoms that do not clash.

    Attributes
    ----------
    name
        What a violation is called: "bond_broken".
    pairs
        Atoms of the molecule, (n_pairs, 2).
    at_least_A, at_most_A
        (n_pairs,). Only the first violation of a run is noted.
    stops
        Whether a violation ends the run.
    """

    name: str
    pairs: np.ndarray
    at_least_A: np.ndarray
    at_most_A: np.ndarray
    stops: bool = False


@dataclass(frozen=True)
class Checks:
    """What is looked at while a system moves; everything fails closed, so NaN passes nothing.

    Attributes
    ----------
    max_temperature_K
        Looked at every step. A hotter system has exploded, as has one with a value that is not finite, and stops.
    pairs
        Looked at every `every` steps of the system's own count.
    every
        In steps; 5 steps of 0.5 fs see a quarter of a C-H stretch.
    """

    max_temperature_K: float = 1e4
    pairs: tuple[PairCheck, ...] = ()
    every: int = 5


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
    segments
        Its own stretches of dynamics, with a time step of their own; those of the call where None.
    checks
        What is looked at.
    masses
        (n_atoms,), u; the elements' own where None. Others move through the same places in other times.
    """

    key: str
    numbers: np.ndarray
    positions: np.ndarray
    seed: int
    temperature_K: float
    velocities: np.ndarray | None = None
    segments: tuple[Segment, ...] | None = None
    checks: Checks = Checks()
    masses: np.ndarray | None = None
