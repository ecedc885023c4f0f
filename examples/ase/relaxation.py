"""Relaxation: a molecule to the model's minimum, and from there on with the reference; how far apart are the two?"""

import argparse

from ase.build import minimize_rotation_and_translation
from ase.optimize import BFGS

from gmd26_md import load_calculator, molecules

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--model", default="checkpoints/deepset-moe-duplication.pt")
parser.add_argument("--molecule", default="propanedioic acid")
parser.add_argument("--fmax", type=float, default=0.01, help="eV/Å")
given = parser.parse_args()

atoms = molecules.get(given.molecule).atoms()
atoms.calc = load_calculator(given.model, device="cpu")
relaxation = BFGS(atoms, logfile=None)
relaxation.run(fmax=given.fmax, steps=300)
print(f"{given.model} rests after {relaxation.nsteps} steps at {atoms.get_potential_energy():.3f} eV")

on = atoms.copy()
on.calc = load_calculator("gfn2-xtb")
before = on.get_potential_energy()
relaxation = BFGS(on, logfile=None)
relaxation.run(fmax=given.fmax, steps=300)
minimize_rotation_and_translation(atoms, on)
rmsd = ((on.positions - atoms.positions) ** 2).sum(axis=1).mean() ** 0.5
print(f"GFN2-xTB goes on by {rmsd:.3f} Å, {1000 * (before - on.get_potential_energy()):.1f} meV down")
