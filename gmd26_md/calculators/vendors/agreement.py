"""Whether two evaluations of one model are one: energies and forces on geometries that try all of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gmd26_md.calculators.batch import Batch, Layout
from gmd26_md.calculators.potential import Potential, energy_and_forces
from gmd26_md.errors import UserError

Answer = tuple[Tensor, Tensor]
"""Total energies, (n_systems,), eV, and forces, (n_atoms, 3), eV/Å; both float64."""


def test_batch(elements: Sequence[int], cutoff: float) -> Batch:
    """Return systems that meet everything a pair potential with messages can depend on.

    A lone atom and a dimer of every element (beyond 20, of 20 of them for the dimers), and clusters of random elements
    from dense (0.9 Å) to beyond the cutoff. Random, but the same every time.
    """
    stream = np.random.default_rng(26)
    known = np.array(sorted(elements))
    some = known if len(known) <= 20 else stream.choice(known, 20, replace=False)
    systems: list[tuple[np.ndarray, np.ndarray]] = [(np.array([z]), np.zeros((1, 3))) for z in known]
    for z in some:
        for other in {int(z), int(known[0]), int(known[-1])}:
            distance = stream.uniform(0.9, cutoff)
            systems.append((np.array([z, other]), np.array([[0.0, 0.0, 0.0], _direction(stream) * distance])))
    for n_atoms, spread in ((3, 1.2), (6, 1.5), (12, 2.5), (12, cutoff)):
        systems.append((stream.choice(known, n_atoms), _apart(stream, n_atoms, spread)))
    layout = Layout.of([numbers for numbers, _ in systems])
    return layout.batch(torch.as_tensor(np.concatenate([at for _, at in systems])), cutoff)


def answer_of(potential: Potential, batch: Batch) -> Answer:
    """Return what a potential says of a batch, the energies of elements among it."""
    energies, forces = energy_and_forces(potential, batch)
    return energies.double() + potential.reference_energy(batch), forces.double()


def check_finite(answer: Answer, path: Path, words: str) -> None:
    """Raise unless energies and forces of an original are numbers.

    Raises
    ------
    UserError
        They are not: its weights are damaged, or its training diverged.
    """
    if not all(bool(torch.isfinite(values).all()) for values in answer):
        raise UserError(
            f"{path} is {words} whose own energies or forces are not finite; training diverged: give an earlier one."
        )


def difference(got: Answer, wanted: Answer, batch: Batch, tolerance: float) -> str:
    """Say how two answers differ by more than a tolerance; nothing where they do not.

    Parameters
    ----------
    tolerance
        Largest difference, eV an atom and eV/Å; and relative to the largest force.
    """
    counts = torch.bincount(batch.system_idx, minlength=batch.n_systems)
    by_energy = float(((got[0] - wanted[0]).abs() / counts).max())
    by_force = float((got[1] - wanted[1]).abs().max())
    allowed = tolerance * max(1.0, float(wanted[1].abs().max()))
    if by_energy <= allowed and by_force <= allowed:  # NaN is not
        return ""
    return f"energies differ by {by_energy:.1e} eV an atom, forces by {by_force:.1e} eV/Å, allowed is {allowed:.1e}"


def tolerance_of(dtype: torch.dtype) -> float:
    """Return the tolerance for weights that were stored in this precision, compared in float64.

    Constants of the vendor's modules (frequencies, couplings, cutoffs) are stored with the weights, ours are exact.
    """
    return 1e-9 if dtype == torch.float64 else 1e-5


def complaint(build: Callable[[], Potential], wanted: Answer, batch: Batch, tolerance: float) -> str:
    """Return why a potential is not the original, in words: it does not build, or says something else."""
    try:
        found = answer_of(build(), batch)
    except UserError as problem:
        return str(problem)
    return difference(found, wanted, batch, tolerance)


def _direction(stream: np.random.Generator) -> np.ndarray:
    vector = stream.normal(size=3)
    return np.asarray(vector / np.linalg.norm(vector))


def _apart(stream: np.random.Generator, n_atoms: int, spread: float) -> np.ndarray:
    """Return positions of standard deviation `spread`, Å, no two of them closer than 0.9 Å."""
    chosen: list[np.ndarray] = []
    while len(chosen) < n_atoms:
        at = stream.normal(scale=spread, size=3)
        if all(np.linalg.norm(at - other) > 0.9 for other in chosen):
            chosen.append(at)
    return np.array(chosen)
