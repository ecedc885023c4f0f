"""Reference minima: where a molecule comes to rest under the reference."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import as_completed

import numpy as np
from ase import Atoms
from ase.calculators.calculator import BaseCalculator, CalculatorError

from gmd26_md.errors import UnsupportedElementError
from gmd26_md.reference.pool import one_thread_workers
from gmd26_md.trajectory import Trajectory

MAX_STEPS = 2000


def relaxed(atoms: Atoms, calculator: BaseCalculator, fmax: float, max_steps: int = MAX_STEPS) -> Trajectory | None:
    """Return the minimum next to a structure, one frame, or None if L-BFGS does not reach `fmax` (eV/Å)."""
    from ase.optimize import LBFGS

    moving = Atoms(numbers=atoms.numbers, positions=atoms.positions)
    moving.calc = calculator
    try:
        if not LBFGS(moving, logfile=None).run(fmax=fmax, steps=max_steps):
            return None
        energy, forces = moving.get_potential_energy(), moving.get_forces()
    except (CalculatorError, RuntimeError, UnsupportedElementError):
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
    """Relax many structures with the reference, in worker processes; None where it does not converge."""
    if not structures:
        return []
    workers = min(n_workers or os.cpu_count() or 1, len(structures))
    found: dict[int, Trajectory | None] = {}
    with one_thread_workers(workers) as pool:
        futures = {pool.submit(_one, atoms, reference, fmax): i for i, atoms in enumerate(structures)}
        for future in as_completed(futures):
            found[futures[future]] = future.result()
            on_progress(len(found) / len(structures))
    return [found[i] for i in range(len(structures))]


def _one(atoms: Atoms, reference: str, fmax: float) -> Trajectory | None:
    from gmd26_md.calculators import load_calculator

    return relaxed(atoms, load_calculator(reference), fmax)
