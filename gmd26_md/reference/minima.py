"""Reference minima: where a molecule comes to rest under the reference."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import as_completed

import numpy as np
from ase import Atoms
from ase.calculators.calculator import BaseCalculator, CalculatorError

from gmd26_md import host
from gmd26_md.errors import UnsupportedElementError, UserError
from gmd26_md.reference.pool import WorkerDiedError, one_thread_workers
from gmd26_md.trajectory import Trajectory

MAX_STEPS = 2000


def relaxed(atoms: Atoms, calculator: BaseCalculator, fmax: float, max_steps: int = MAX_STEPS) -> Trajectory | None:
    """Return the minimum next to a structure, one frame.

    None if L-BFGS does not reach `fmax` (eV/Å), or an energy or force is not finite.
    """
    from ase.optimize import LBFGS

    moving = Atoms(numbers=atoms.numbers, positions=atoms.positions)
    moving.calc = calculator
    try:
        if not LBFGS(moving, logfile=None).run(fmax=fmax, steps=max_steps):
            return None
        energy, forces = moving.get_potential_energy(), moving.get_forces()
    except (CalculatorError, RuntimeError, UnsupportedElementError):
        return None
    except UserError:
        if np.isfinite(moving.positions).all():
            raise
        return None  # forces that are none moved the atoms nowhere
    if not (np.isfinite(energy) and np.isfinite(forces).all()):
        return None
    return Trajectory(
        numbers=moving.numbers,
        time_fs=np.zeros(1),
        positions=moving.positions[None],
        velocities=None,
        energies=np.array([energy]),
        forces=forces[None],
        info={"name": atoms.info.get("name", atoms.get_chemical_formula())},
    )


def minima(
    structures: Sequence[Atoms],
    reference: str = "gfn2-xtb",
    *,
    fmax: float = 0.01,
    n_workers: int | None = None,
    on_progress: Callable[[float], None] = lambda fraction: None,
) -> list[Trajectory | None]:
    """Relax many structures with the reference, in worker processes.

    None where it does not converge, and where a worker dies on a structure twice, the second time with nothing beside
    it. What else the dead one's pool had not finished is given to a new one.

    Raises
    ------
    WorkerDiedError
        If workers die that have nothing to do.
    """
    if not structures:
        return []
    workers = min(n_workers or host.n_cores(), len(structures))
    found: dict[int, Trajectory | None] = {}
    while left := [i for i in range(len(structures)) if i not in found]:
        try:
            with one_thread_workers(workers) as pool:
                futures = {pool.submit(_one, structures[i], reference, fmax): i for i in left}
                for future in as_completed(futures):
                    found[futures[future]] = future.result()
                    on_progress(len(found) / len(structures))
        except WorkerDiedError:
            suspects = [i for i in left if i not in found][:workers]  # begun in order: it died on one of these
            found |= {i: _alone(structures[i], reference, fmax) for i in suspects}
            on_progress(len(found) / len(structures))
    return [found[i] for i in range(len(structures))]


def _alone(atoms: Atoms, reference: str, fmax: float) -> Trajectory | None:
    """Relax a structure in a worker process of its own; None if that dies of it."""
    try:
        with one_thread_workers(1) as pool:
            return pool.submit(_one, atoms, reference, fmax).result()
    except WorkerDiedError:
        with one_thread_workers(1) as pool:
            pool.submit(os.getpid).result()  # dies too where it was not the structure
        return None


def _one(atoms: Atoms, reference: str, fmax: float) -> Trajectory | None:
    from gmd26_md.calculators import load_calculator

    return relaxed(atoms, load_calculator(reference), fmax)
