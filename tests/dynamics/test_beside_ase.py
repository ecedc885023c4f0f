"""A trained model through the engine and through ASE's own integrator: the same trajectory, to rounding."""

from pathlib import Path

import numpy as np
import pytest
import torch
from ase import units
from ase.md.verlet import VelocityVerlet

from gmd26_md import molecules
from gmd26_md.calculators import load_calculator, load_checkpoint
from gmd26_md.dynamics.engine import Segment, System, integrate
from gmd26_md.dynamics.forces import PotentialForces

CHECKPOINTS = Path(__file__).parents[2] / "checkpoints"


def difference(first, second, step):
    return np.abs(first[step] - second[step]).max()


@pytest.mark.slow
@pytest.mark.parametrize("family", ["schnet", "deepset-moe"])
def test_a_thousand_steps_beside_velocity_verlet_of_ase(family):
    path = CHECKPOINTS / f"{family}-duplication.pt"
    acids = [molecules.get(name).atoms() for name in ("ethanoic acid", "propanoic acid")]
    systems = [System(str(i), a.numbers, a.positions, seed=i, temperature_K=300.0) for i, a in enumerate(acids)]
    provider = PotentialForces(load_checkpoint(path).potential(torch.device("cpu"), "float64"))
    run = integrate(provider, systems, [Segment("nve", 1000, 0.5, 1)])[0].frames["nve"]
    atoms = acids[0].copy()
    atoms.positions = run.positions[0]
    atoms.set_velocities(run.velocities[0])
    atoms.calc = load_calculator(path, device="cpu", dtype="float64")
    there = []
    with VelocityVerlet(atoms, 0.5 * units.fs) as dynamics:
        dynamics.attach(lambda: there.append(atoms.positions.copy()))
        dynamics.run(1000)
    assert len(there) == 1001
    # rounding of one step is 1e-15 Å, and a molecule that vibrates lets it grow: 1e-13 Å after 1000 steps was measured
    assert difference(run.positions, there, 1) < 1e-14
    assert difference(run.positions, there, 100) < 1e-12
    assert difference(run.positions, there, 1000) < 1e-10
    assert np.abs(run.positions[1000] - run.positions[0]).max() > 0.1  # it did move
