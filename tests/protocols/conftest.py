"""Water on three springs: a molecule whose every number is known, as a case of a protocol."""

from collections.abc import Callable

import numpy as np
import pytest
from ase.build import molecule

from gmd26_md.calculators import load_calculator
from gmd26_md.dynamics.forces import AseForces
from gmd26_md.protocols.cases import Case
from gmd26_md.trajectory import Trajectory

BONDS = [[0, 1], [0, 2], [1, 2]]


@pytest.fixture(scope="session")
def water() -> Case:
    """Return water at rest, with five reference frames around it that the springs have labelled."""
    atoms = molecule("H2O")
    rest = atoms.positions[None]
    noise = 0.05 * np.random.default_rng(0).normal(size=(5, 3, 3))
    energies, forces = labelled(atoms.numbers, rest + noise)
    minimum = Trajectory(atoms.numbers, np.zeros(1), rest, None, np.zeros(1), np.zeros((1, 3, 3)))
    frames = Trajectory(atoms.numbers, np.arange(5.0), rest + noise, None, energies, forces)
    return Case("water", "water", "H2O", "id", atoms, minimum, frames)


def spring_calculator(k=30.0):
    lengths = [float(molecule("H2O").get_distance(i, j)) for i, j in BONDS]
    return load_calculator("harmonic", bonds=BONDS, k_eV_per_A2=k, r0_A=lengths)


def labelled(numbers, positions):
    """Return energies (n_frames,) and forces (n_frames, 3, 3) of the springs."""
    atoms = molecule("H2O")
    atoms.calc = spring_calculator()
    energies, forces = [], []
    for frame in positions:
        atoms.positions = frame
        energies.append(atoms.get_potential_energy())
        forces.append(atoms.get_forces())
    return np.array(energies), np.array(forces).reshape(len(positions), 3, 3)


@pytest.fixture(scope="session")
def label_with_springs() -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    return labelled


@pytest.fixture(scope="session")
def springs() -> Callable[..., AseForces]:
    """Return a maker of the model under test: the same springs, or others."""
    return lambda k=30.0: AseForces(lambda: spring_calculator(k))
