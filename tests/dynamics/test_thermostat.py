"""BAOAB in harmonic wells, where its stationary distribution is known to the last term."""

import numpy as np
import pytest
import torch
from ase import units
from ase.data import atomic_masses
from torch import nn

from gmd26_md.calculators.batch import Batch
from gmd26_md.calculators.potential import Potential
from gmd26_md.dynamics.engine import Segment, System, integrate
from gmd26_md.dynamics.forces import PotentialForces

K_EV_PER_A2 = 3.0
TEMPERATURE_K = 300.0
N_ATOMS, N_SYSTEMS = 50, 10


class Wells(nn.Module):
    """Every atom in its own well about the origin, E = k/2 x^2; atoms do not see each other."""

    def __init__(self) -> None:
        super().__init__()
        self.k = nn.Parameter(torch.tensor(K_EV_PER_A2, dtype=torch.float64))

    def forward(self, batch: Batch) -> torch.Tensor:
        return 0.5 * self.k * (batch.positions**2).sum(-1)


@pytest.mark.parametrize(("timestep_fs", "mass"), [(1.0, atomic_masses[1]), (3.0, atomic_masses[1]), (4.0, 4.0)])
def test_langevin_dynamics_has_its_temperature_at_every_time_step_and_mass(timestep_fs, mass):
    numbers, masses = np.ones(N_ATOMS, dtype=int), np.full(N_ATOMS, mass)
    kT = units.kB * TEMPERATURE_K
    start = np.random.default_rng(1).normal(scale=np.sqrt(kT / K_EV_PER_A2), size=(N_SYSTEMS, N_ATOMS, 3))
    systems = [System(str(i), numbers, start[i], i, TEMPERATURE_K, masses=masses) for i in range(N_SYSTEMS)]
    provider = PotentialForces(Potential(Wells(), cutoff=0.01, element_energies={1: 0.0}))
    segments = [Segment("warm", 60, timestep_fs, 0, 0.1), Segment("sample", 400, timestep_fs, 10, 0.1)]
    frames = [run.frames["sample"] for run in integrate(provider, systems, segments)]
    configurational = K_EV_PER_A2 * np.mean([f.positions**2 for f in frames]) / kT
    kinetic = mass * np.mean([f.velocities**2 for f in frames]) / kT
    omega_dt = np.sqrt(K_EV_PER_A2 / mass) * timestep_fs * units.fs
    # 1500 coordinates, at least 10 decorrelation times (2 / friction = 20 fs) each: sqrt(2 / 15000) = 1.2 %; three of
    # them. Positions are exact at any step, momenta low by (omega dt)^2 / 4 (Leimkuhler and Matthews 2013): 0.7, 6.5 %
    assert configurational == pytest.approx(1.0, abs=0.035)
    assert kinetic == pytest.approx(1.0 - omega_dt**2 / 4, abs=0.035)
