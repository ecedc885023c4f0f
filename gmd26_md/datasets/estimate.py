"""What reference data will cost, said before it is made: from a few steps of a few molecules."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gmd26_md.datasets import store
from gmd26_md.datasets.sample import SamplingSettings, masses_of, settings_of
from gmd26_md.molecules import Molecule
from gmd26_md.pace import duration

_N_TIMED = 4
_TIMED_STEPS = 15
_BYTES_PER_ATOM, _BYTES_PER_FRAME = 117.0, 90.0  # of extended XYZ with six numbers at full precision
_RELAXATION_STEPS = 30.0  # 7 to 57 L-BFGS steps for seven molecules of up to 38 atoms


@dataclass(frozen=True)
class GenerationEstimate:
    """What is still to be made, and its price.

    Attributes
    ----------
    n_molecules, n_frames
        Still to be made.
    core_s
        Of one core, s.
    wall_s
        With the workers asked for, s; at least that of the longest molecule.
    n_bytes
        On disk.
    """

    n_molecules: int
    n_frames: int
    core_s: float
    wall_s: float
    n_bytes: float

    @property
    def words(self) -> str:
        """One line for a person."""
        if not self.n_molecules:
            return "Nothing is left to make."
        return (
            f"To be made: {self.n_frames} frames of {self.n_molecules} molecules, about {self.core_s / 3600:.1f} "
            f"core hours ({duration(self.wall_s)} with these workers) and {self.n_bytes / 1e6:.0f} MB."
        )


def estimate(
    molecules: Sequence[Molecule], data: Path, level: str, settings: SamplingSettings, n_workers: int
) -> GenerationEstimate:
    """Return what the stages of these molecules that are not there yet will cost, from steps timed here and now.

    Up to four molecules, spread over the sizes, are moved for a few steps; between and beyond them the cost follows a
    power of the number of atoms.

    Raises
    ------
    UserError
        If data made with other settings is in the way.
    """
    steps, frames = [], []
    for molecule in molecules:
        n_steps, n_frames = _left(molecule, data, level, settings)
        steps.append(n_steps)
        frames.append(n_frames)
    todo = [i for i, n in enumerate(steps) if n]
    if not todo:
        return GenerationEstimate(0, 0, 0.0, 0.0, 0.0)
    sizes = np.array([len(molecules[i].symbols) for i in todo])
    each_s = np.array([steps[i] for i in todo]) * _step_s([molecules[i] for i in todo], sizes, level, settings)
    frames_of = np.array([frames[i] for i in todo])
    return GenerationEstimate(
        n_molecules=len(todo),
        n_frames=int(frames_of.sum()),
        core_s=float(each_s.sum()),
        wall_s=float(max(each_s.sum() / max(1, min(n_workers, len(todo))), each_s.max())),
        n_bytes=float((frames_of * (_BYTES_PER_FRAME + _BYTES_PER_ATOM * sizes)).sum()),
    )


def _left(molecule: Molecule, data: Path, level: str, settings: SamplingSettings) -> tuple[float, int]:
    """Return the steps and frames of the molecule that are not there yet."""
    folder = store.folder_of(data, level, molecule)
    done = {stage: store.is_done(folder, stage, settings_of(settings, stage)) for stage in store.STAGES}
    steps = 0.0 if done["minimum"] else _RELAXATION_STEPS
    n_frames = 0
    for stage, n in (("primary", settings.n_primary), ("secondary", settings.n_secondary)):
        if not done[stage]:
            steps += round(1000.0 * settings.equilibrate_ps / settings.timestep_fs)
            steps += n * round(settings.interval_fs / settings.timestep_fs)
            n_frames += n
    return steps, n_frames


def _step_s(molecules: Sequence[Molecule], sizes: np.ndarray, level: str, settings: SamplingSettings) -> np.ndarray:
    """Return the time of a step of each molecule, (n_molecules,), s."""
    order = np.argsort(sizes, kind="stable")
    chosen = np.unique(np.linspace(0, len(order) - 1, min(_N_TIMED, len(order))).round().astype(int))
    timed = [order[place] for place in chosen]
    seconds = np.array([_timed_step_s(molecules[i], level, settings) for i in timed])
    known = np.log(sizes[timed])
    if len(np.unique(known)) < 2:
        return np.full(len(sizes), seconds.mean())
    power, constant = np.polyfit(known, np.log(seconds), 1)
    return np.asarray(np.exp(constant + power * np.log(sizes)))


def _timed_step_s(molecule: Molecule, level: str, settings: SamplingSettings) -> float:
    """Return the time of one step, s."""
    from gmd26_md.calculators import load_calculator
    from gmd26_md.dynamics.engine import Segment, System, integrate
    from gmd26_md.dynamics.forces import AseForces

    atoms = molecule.atoms()
    forces = AseForces(lambda: load_calculator(level, accuracy=settings.accuracy, warm_start=True))
    masses = masses_of(atoms.numbers, settings)
    system = System("timed", atoms.numbers, atoms.positions, settings.seed, settings.temperature_K, masses=masses)

    def run(n_steps: int) -> float:
        began = time.perf_counter()
        integrate(forces, [system], [Segment("timed", n_steps, settings.timestep_fs, 0, settings.friction_per_fs)])
        return time.perf_counter() - began

    run(2)  # pays for what is paid once
    return run(_TIMED_STEPS) / _TIMED_STEPS
