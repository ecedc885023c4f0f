"""Small files in the shapes that a published set may have; the tests run this file for what it makes."""

import ase.db
import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import Trajectory as AseTrajectory
from ase.io import write

from gmd26_md import molecules
from gmd26_md.observables.bonds import bond_graph
from gmd26_md.trajectory import Trajectory

ETHANE = molecules.get("ethane")
ACID = molecules.get("acetic acid")
ATOM_ENERGIES = {1: -16.22, 6: -1036.11, 7: -1489.11, 8: -2046.00}  # eV, as PBE has them within 0.1 %
STIFFNESS = 29.0  # eV/Å², a C-H bond's


def labelled(molecule, n_frames, seed, order=None):
    """Frames of a molecule whose bonds are springs: right in kind, sign and unit, at no cost."""
    atoms = molecule.atoms()
    random = np.random.default_rng(seed)
    positions = atoms.positions + 0.03 * random.normal(size=(n_frames, len(atoms), 3))
    bonds = bond_graph(atoms.numbers, atoms.positions)
    vectors = positions[:, bonds.bonds[:, 0]] - positions[:, bonds.bonds[:, 1]]
    lengths = np.linalg.norm(vectors, axis=2)
    pulls = -STIFFNESS * (lengths - bonds.lengths)[..., None] * vectors / lengths[..., None]
    forces = np.zeros_like(positions)
    for index, (i, j) in enumerate(bonds.bonds):
        forces[:, i] += pulls[:, index]
        forces[:, j] -= pulls[:, index]
    energies = sum(ATOM_ENERGIES[z] for z in atoms.numbers) + 0.5 * STIFFNESS * ((lengths - bonds.lengths) ** 2).sum(1)
    order = np.arange(len(atoms)) if order is None else np.asarray(order)
    return Trajectory(atoms.numbers[order], np.arange(n_frames), positions[:, order], None, energies, forces[:, order])


def reversed_order(molecule):
    return np.arange(len(molecule.atoms()))[::-1]


def ase_frames(*trajectories):
    return [
        with_labels(t.numbers, t.positions[i], t.energies[i], t.forces[i])
        for t in trajectories
        for i in range(t.n_frames)
    ]


def with_labels(numbers, positions, energy, forces):
    atoms = Atoms(numbers, positions + 30.0, cell=[60, 60, 60])  # in a box, as the authors' generator puts them
    atoms.positions -= 30.0
    atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
    return atoms


def write_traj(path, *trajectories):
    path.parent.mkdir(parents=True, exist_ok=True)
    with AseTrajectory(path, "w") as file:
        for atoms in ase_frames(*trajectories):
            file.write(atoms)


def write_extxyz(path, *trajectories):
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, ase_frames(*trajectories), format="extxyz")


def write_db(path, *trajectories):
    path.parent.mkdir(parents=True, exist_ok=True)
    with ase.db.connect(path, type="db") as database:
        for atoms in ase_frames(*trajectories):
            database.write(atoms)


def write_npz(path, trajectory, **more):
    path.parent.mkdir(parents=True, exist_ok=True)
    t = trajectory
    np.savez(path, **({"z": t.numbers, "R": t.positions, "E": t.energies, "F": t.forces} | more))


EV = {"energy": "eV", "length": "Å", "force": "eV/Å"}
WRITERS = {"ase-traj": write_traj, "extxyz": write_extxyz, "ase-db": write_db, "npz": write_npz}
ENDINGS = {"ase-traj": "traj", "extxyz": "xyz", "ase-db": "db", "npz": "npz"}


def put(folder, molecule=ACID, kind="ase-traj", n_primary=8, n_secondary=6, order=None):
    """Write a molecule in the layout of the authors' generator, its stage in the name."""
    where = folder / "data" / "Any_Family" / f"{molecule.n_carbon}_{molecule.smiles}"
    for stage, n, seed in (("primary", n_primary, 1), ("secondary", n_secondary, 2)):
        WRITERS[kind](where / f"{stage}.{ENDINGS[kind]}", labelled(molecule, n, seed, order))
    return where
