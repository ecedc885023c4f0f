"""Sample one molecule with the reference: relax, equilibrate, Langevin dynamics, a frame every so often."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from ase.calculators.calculator import BaseCalculator
from ase.data import atomic_masses

from gmd26_md.datasets import store
from gmd26_md.dynamics.engine import Progress, Run, Segment, System, integrate
from gmd26_md.dynamics.forces import AseForces
from gmd26_md.errors import UserError
from gmd26_md.molecules import Molecule
from gmd26_md.reference.minima import relaxed
from gmd26_md.seeds import seed_of
from gmd26_md.trajectory import Trajectory


@dataclass(frozen=True)
class SamplingSettings:
    """How reference trajectories are made.

    Attributes
    ----------
    temperature_K
        Of the Langevin thermostat. 500 K, above the 300 K of the stability runs, so that a model is not asked beyond
        what it saw by heat alone.
    timestep_fs, friction_per_fs
        2.5 fs resolves the fastest vibration, O-H of heavy hydrogen, with seven points, as 1 fs that of the usual mass
        with nine. Bonds are stretched as often as Boltzmann's law says, to five standard deviations
        (`benchmarks/stretched_bonds.py`); 3.33 fs breaks them. Friction 0.01/fs.
    hydrogen_mass_u
        Masses do not enter the distribution of positions, and these make the fast vibrations slow enough for a step
        twice as long as hydrogen's own 1.008 u would allow. Time along such a trajectory is not the molecule's.
    equilibrate_ps
        Left out at the start of each trajectory: ten times what the friction needs.
    interval_fs
        Between kept frames.
    n_primary, n_secondary
        Frames, the published numbers rounded.
    fmax_eV_per_A
        Largest force left at the reference minimum.
    accuracy
        Of tblite's self-consistent field. 1.0 is its own default and leaves up to 5e-4 eV/Å in the forces, a hundredth
        of what the models here err; each step starts from the last one's density.
    seed
        Of everything random, together with the molecule's name and the trajectory's.
    """

    temperature_K: float = 500.0
    timestep_fs: float = 2.5
    friction_per_fs: float = 0.01
    hydrogen_mass_u: float = 4.0
    equilibrate_ps: float = 1.0
    interval_fs: float = 10.0
    n_primary: int = 2000
    n_secondary: int = 500
    fmax_eV_per_A: float = 0.01
    accuracy: float = 1.0
    seed: int = 26

    def __post_init__(self) -> None:
        above_zero = ("temperature_K", "timestep_fs", "friction_per_fs", "hydrogen_mass_u", "interval_fs")
        for name in (*above_zero, "fmax_eV_per_A", "accuracy"):
            if not 0 < getattr(self, name) < float("inf"):
                raise UserError(f"{name} is {getattr(self, name)}; it must be a number above 0.")
        for name in ("equilibrate_ps", "seed"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise UserError(f"{name} is {getattr(self, name)}; it must be 0 or more.")
        for name in ("n_primary", "n_secondary"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}; it must be 1 or more.")
        if round(self.interval_fs / self.timestep_fs) < 1:
            raise UserError(f"interval_fs {self.interval_fs} is shorter than timestep_fs {self.timestep_fs}.")
        n_steps = round(self.interval_fs / self.timestep_fs)
        if not math.isclose(n_steps * self.timestep_fs, self.interval_fs, rel_tol=1e-6):
            raise UserError(
                f"interval_fs {self.interval_fs:g} is not a whole number of steps of timestep_fs "
                f"{self.timestep_fs:g}; {n_steps * self.timestep_fs:g} is."
            )


def sample_molecule(
    molecule: Molecule,
    folder: Path,
    level: str,
    make_calculator: Callable[[], BaseCalculator],
    settings: SamplingSettings,
    command: str,
    on_progress: Callable[[float], None] = lambda fraction: None,
) -> dict[str, str]:
    """Make what is missing of a molecule's minimum, primary and secondary; return the status of each.

    A stage that is done is not computed again; one that was interrupted is redone from its seed.

    Parameters
    ----------
    folder
        Where the molecule's files go.
    level
        The level of theory, for the provenance.
    make_calculator
        Gives the reference as an ASE calculator.
    on_progress
        Called with the fraction of this molecule's steps that are done.
    """
    made_by = {"settings": settings_of(settings, "minimum"), "command": command, **_provenance(level)}
    if store.is_done(folder, "minimum", made_by["settings"]):
        minimum = store.read_frames(folder / "minimum.extxyz", molecule, level)
    else:
        found = relaxed(molecule.atoms(), make_calculator(), settings.fmax_eV_per_A)
        if found is None:
            store.write_failure(folder, "minimum", "the relaxation did not converge", made_by)
            return {"minimum": "failed"}
        minimum = found
        store.write_stage(folder, "minimum", minimum, made_by)
    statuses = {"minimum": "done"}
    total = settings.n_primary + settings.n_secondary
    before = 0
    for stage, n_frames in (("primary", settings.n_primary), ("secondary", settings.n_secondary)):
        wanted = settings_of(settings, stage)
        if not store.is_done(folder, stage, wanted):

            def report(p: Progress, start: int = before, n: int = n_frames) -> None:
                on_progress((start + n * p.n_steps_done / p.n_steps) / total)

            seed = seed_of(settings.seed, molecule.slug, stage)
            run = _trajectory(minimum, make_calculator, settings, n_frames, seed, report)
            made = made_by | {"settings": wanted, "stream_seed": seed}
            if run.stopped is None:
                frames = _kept(run.frames["sample"], n_frames)
                store.write_stage(folder, stage, replace(frames, velocities=None), made)
            else:
                store.write_failure(folder, stage, f"{run.stopped} at {run.stopped_at_fs} fs: {run.reason}", made)
        statuses[stage] = str(store.read_provenance(folder)[stage]["status"])
        before += n_frames
        on_progress(before / total)
    return statuses


def _trajectory(
    minimum: Trajectory,
    make_calculator: Callable[[], BaseCalculator],
    settings: SamplingSettings,
    n_frames: int,
    seed: int,
    report: Callable[[Progress], None],
) -> Run:
    """Equilibrate, then sample `n_frames`, from the minimum and velocities of the seed."""
    per_frame = round(settings.interval_fs / settings.timestep_fs)
    warm_up = round(1000.0 * settings.equilibrate_ps / settings.timestep_fs)
    step, friction = settings.timestep_fs, settings.friction_per_fs
    segments = [
        Segment("equilibrate", warm_up, step, 0, friction),
        Segment("sample", n_frames * per_frame, step, per_frame, friction),
    ]
    system = System(
        "sample",
        minimum.numbers,
        minimum.positions[0],
        seed,
        settings.temperature_K,
        masses=masses_of(minimum.numbers, settings),
    )
    return integrate(AseForces(make_calculator), [system], segments, on_progress=report)[0]


def masses_of(numbers: np.ndarray, settings: SamplingSettings) -> np.ndarray:
    """Return the masses that move in the sampling, (n_atoms,), u."""
    return np.where(numbers == 1, settings.hydrogen_mass_u, atomic_masses[numbers])


def _kept(frames: Trajectory, n_frames: int) -> Trajectory:
    """Leave out the first frame, which belongs to the equilibration, and start the clock at 0."""
    return Trajectory(
        numbers=frames.numbers,
        time_fs=frames.time_fs[-n_frames:] - frames.time_fs[-n_frames],
        positions=frames.positions[-n_frames:],
        velocities=None,
        energies=frames.energies[-n_frames:],
        forces=frames.forces[-n_frames:],
        info=frames.info,
    )


def settings_of(settings: SamplingSettings, stage: str) -> dict[str, Any]:
    """Return the settings that a stage depends on, so that a longer primary leaves the secondary as it is."""
    everything = asdict(settings)
    counts = {name: everything.pop(name) for name in ("n_primary", "n_secondary")}
    if stage == "minimum":
        return {"fmax_eV_per_A": settings.fmax_eV_per_A, "accuracy": settings.accuracy}
    return everything | {"n_frames": counts[f"n_{stage}"]}


def _provenance(level: str) -> dict[str, Any]:
    packages = ("gmd26-md", "ase", "tblite", "rdkit", "numpy")
    return {
        "level_of_theory": level,
        "integrator": "BAOAB Langevin",
        "units": {"energies": "eV", "forces": "eV/Å", "positions": "Å", "time": "fs"},
        "versions": {name: version(name) for name in packages} | {"python": sys.version.split()[0]},
    }
