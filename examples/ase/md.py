"""Molecular dynamics: warm a molecule up, then let it run at constant energy and see whether the energy stays."""

import argparse

import numpy as np
from ase import units
from ase.constraints import FixCom
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import thermalize_momenta
from ase.md.verlet import VelocityVerlet

from gmd26_md import load_calculator, molecules

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--model", default="checkpoints/deepset-moe-duplication.pt")
parser.add_argument("--molecule", default="propanoic acid")
parser.add_argument("--warm-steps", type=int, default=400)
parser.add_argument("--steps", type=int, default=400)
given = parser.parse_args()

atoms = molecules.get(given.molecule).atoms()
atoms.calc = load_calculator(given.model, device="cpu")
atoms.set_constraint(FixCom())
rng = np.random.default_rng(1)
thermalize_momenta(atoms, temperature_K=300, rng=rng)

timestep = 0.5 * units.fs
Langevin(atoms, timestep, temperature_K=300, friction=0.01 / units.fs, fixcm=False, rng=rng).run(given.warm_steps)

energies = []
dynamics = VelocityVerlet(atoms, timestep)
dynamics.attach(lambda: energies.append(atoms.get_total_energy()))
dynamics.run(given.steps)
off = 1000 * (np.array(energies) - energies[0]) / len(atoms)
print(
    f"{given.steps * 0.5:g} fs at {atoms.get_temperature():.0f} K; energy off its start by up to "
    f"{np.abs(off).max():.3f} meV/atom"
)
