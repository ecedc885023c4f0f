"""Label frames with the reference: energies and forces of geometries that somebody else made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from gmd26_md import host
from gmd26_md.reference.pool import one_thread_workers

if TYPE_CHECKING:
    from gmd26_md.dynamics.ase_forces import BoundAse

# Below this many frames the workers' start (a second or two) costs more than they save.
WORTH_A_POOL = 100


@dataclass(frozen=True)
class Frames:
    """Geometries of one molecule to be labelled.

    Attributes
    ----------
    numbers
        (n_atoms,).
    positions
        (n_frames, n_atoms, 3), Å.
    """

    numbers: np.ndarray
    positions: np.ndarray


@dataclass(frozen=True)
class Labels:
    """The reference's answer.

    Attributes
    ----------
    energies
        (n_frames,), eV; NaN where the reference failed.
    forces
        (n_frames, n_atoms, 3), eV/Å; NaN where the reference failed.
    problems
        What the reference said, by frame.
    """

    energies: np.ndarray
    forces: np.ndarray
    problems: dict[int, str]


def label(
    jobs: Sequence[Frames],
    reference: str = "gfn2-xtb",
    *,
    n_workers: int | None = None,
    on_progress: Callable[[float], None] = lambda fraction: None,
) -> list[Labels]:
    """Label the frames of many molecules, in worker processes where it pays.

    Parameters
    ----------
    jobs
        One entry a molecule or trajectory.
    reference
        What `load_calculator` opens: "gfn2-xtb", or another.
    n_workers
        Processes; all cores if None.
    on_progress
        Called with the fraction of the frames done.

    Returns
    -------
    One `Labels` a job, in order. A frame that the reference cannot do is NaN with its reason, never left out.
    """
    n_frames = sum(len(job.positions) for job in jobs)
    workers = min(n_workers or host.n_cores(), len(jobs))
    if n_frames < WORTH_A_POOL or workers < 2:
        return _label_here(jobs, reference, n_frames, on_progress)
    answers: dict[int, Labels] = {}
    done = 0
    with one_thread_workers(workers) as pool:
        futures = {pool.submit(label_frames, job, reference): index for index, job in enumerate(jobs)}
        for future in as_completed(futures):
            index = futures[future]
            answers[index] = future.result()
            done += len(jobs[index].positions)
            on_progress(done / n_frames)
    return [answers[index] for index in range(len(jobs))]


def _label_here(
    jobs: Sequence[Frames], reference: str, n_frames: int, on_progress: Callable[[float], None]
) -> list[Labels]:
    answers = []
    for job in jobs:
        answers.append(label_frames(job, reference))
        on_progress(sum(len(a.energies) for a in answers) / max(n_frames, 1))
    return answers


def label_in_worker(frames: Frames, reference: str) -> Labels:
    """Label the frames of one molecule with a calculator that this worker process keeps for the next time."""
    return label_frames(frames, reference, _bound(reference, frames.numbers.astype(np.int64).tobytes()))


def label_frames(frames: Frames, reference: str, bound: BoundAse | None = None) -> Labels:
    """Label the frames of one molecule, here and now; `bound` is its calculator, if there is one already."""
    import torch

    bound = bound or _bind(reference, frames.numbers)
    energies, forces, problems = [], [], {}
    for index, positions in enumerate(frames.positions):
        bound.errors.clear()
        energy, force = bound(torch.as_tensor(positions, dtype=torch.float64))
        energies.append(float(energy[0]))
        forces.append(force.numpy())
        if not (np.isfinite(energies[-1]) and np.isfinite(forces[-1]).all()):
            problems[index] = bound.errors.get(0, "the geometry or the answer is not finite")
    return Labels(np.array(energies), np.array(forces).reshape(frames.positions.shape), problems)


def _bind(reference: str, numbers: np.ndarray) -> BoundAse:
    from gmd26_md.calculators import load_calculator
    from gmd26_md.dynamics.ase_forces import AseForces

    return AseForces(lambda: load_calculator(reference)).bind([numbers])


@lru_cache(maxsize=16)
def _bound(reference: str, numbers: bytes) -> BoundAse:
    """Return a molecule's own calculator: to make one may mean to read a checkpoint.

    For worker processes, which end without taking their memory apart: the libraries would be gone before it.
    """
    return _bind(reference, np.frombuffer(numbers, dtype=np.int64))
