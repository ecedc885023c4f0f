"""Phonons of a molecule: its normal modes at the minimum, by finite differences of the forces."""

import argparse
import tempfile

from ase.optimize import BFGS
from ase.vibrations import Vibrations

from gmd26_md import load_calculator, molecules

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--model", default="checkpoints/deepset-moe-duplication.pt")
parser.add_argument("--molecule", default="acetic acid")
parser.add_argument("--fmax", type=float, default=0.001, help="eV/Å")
given = parser.parse_args()

atoms = molecules.get(given.molecule).atoms()
atoms.calc = load_calculator(given.model, device="cpu")
BFGS(atoms, logfile=None).run(fmax=given.fmax, steps=500)

with tempfile.TemporaryDirectory() as folder:  # ASE keeps a file a displacement and would find them again
    vibrations = Vibrations(atoms, delta=0.005, name=folder)
    vibrations.run()
    modes = vibrations.get_vibrations()
per_cm = modes.get_frequencies()  # complex: an imaginary frequency is a direction downhill
internal = per_cm[6:]  # the first six move and turn the molecule as a whole
hills = int((abs(internal.imag) > 20).sum())
print("1/cm:", " ".join(f"{frequency.real:.0f}" for frequency in internal))
print(f"{len(internal)} modes, {hills} imaginary; zero-point energy {modes.get_zero_point_energy():.3f} eV")
