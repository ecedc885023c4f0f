"""Nudged elastic band: the barrier of turning the hydroxyl of an acid, from syn to anti."""

import argparse

import numpy as np
from ase.mep import NEB
from ase.optimize import BFGS

from gmd26_md import load_calculator, molecules

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--model", default="checkpoints/gemnet-duplication.pt")
parser.add_argument("--n-images", type=int, default=7, help="with both ends")
parser.add_argument("--fmax", type=float, default=0.03, help="eV/Å")
given = parser.parse_args()
calculator = load_calculator(given.model, device="cpu")

start = molecules.get("acetic acid").atoms()
symbols = np.array(start.get_chemical_symbols())
oxygens = np.flatnonzero(symbols == "O")
hydroxyl = oxygens[np.argmin([start.get_distances(o, symbols == "H").min() for o in oxygens])]
proton = np.flatnonzero(symbols == "H")[np.argmin(start.get_distances(hydroxyl, symbols == "H"))]
carbonyl = next(o for o in oxygens if o != hydroxyl)
carboxyl = np.flatnonzero(symbols == "C")[np.argmin(start.get_distances(carbonyl, symbols == "C"))]
torsion = (proton, hydroxyl, carboxyl, carbonyl)

# A straight line from end to end would push the proton through the oxygen: turn it.
images = []
for angle in np.linspace(0, 180, given.n_images):
    image = start.copy()
    image.calc = calculator
    image.set_dihedral(*torsion, angle, indices=[proton])
    images.append(image)
for end in (images[0], images[-1]):
    BFGS(end, logfile=None).run(fmax=given.fmax, steps=200)

band = NEB(images, climb=True, method="improvedtangent", allow_shared_calculator=True)
BFGS(band, logfile=None).run(fmax=given.fmax, steps=200)
energies = np.array([image.get_potential_energy() for image in images])
top = int(energies.argmax())
print("torsion, °      " + " ".join(f"{image.get_dihedral(*torsion):7.0f}" for image in images))
print("energy, meV     " + " ".join(f"{1000 * (e - energies[0]):7.0f}" for e in energies))
print(f"barrier {energies[top] - energies[0]:.3f} eV, anti above syn by {energies[-1] - energies[0]:.3f} eV")
