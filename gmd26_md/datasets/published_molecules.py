"""Which of our molecules a geometry is, by its covalent graph, and its atoms in our order. Names play no part."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from gmd26_md.molecules import Molecule, all_molecules
from gmd26_md.observables.bonds import Bools, Floats, Ints, bond_graph, pair_distances, radii_sums

_BROKEN_RADII = 1.5  # of `observables.topology.Limits`: a bond beyond this times the sum of radii is none


def identify(numbers: Ints, positions: Floats) -> tuple[Molecule, Ints] | None:
    """Return the molecule that a geometry is, and the order that puts its atoms as in `Molecule.atoms`.

    `numbers[order]` are the atomic numbers of `Molecule.atoms()`. Among atoms that the graph does not tell apart (the
    hydrogens of a methyl group) the choice is arbitrary, and the same for the same bonds.

    Parameters
    ----------
    numbers
        (n_atoms,).
    positions
        (n_atoms, 3), Å.

    Returns
    -------
    None for a geometry that is none of the 120.
    """
    if not np.isfinite(positions).all() or not set(numbers.tolist()) <= {1, 6, 7, 8}:
        return None
    return _of_graph(tuple(numbers.tolist()), bond_graph(numbers, positions).pairs)


def is_intact(numbers: Ints, seed: Floats, positions: Floats) -> Bools:
    """Tell in which frames the bonds of one geometry are still there, (n_frames,).

    A frame with positions that are not finite counts as intact: it is this molecule's, and is complained about later.

    Parameters
    ----------
    numbers
        (n_atoms,).
    seed
        The geometry with the bonds, (n_atoms, 3), Å.
    positions
        (n_frames, n_atoms, 3), Å.
    """
    bonds = bond_graph(numbers, seed).bonds
    limits = _BROKEN_RADII * radii_sums(numbers, bonds)
    broken: Bools = np.asarray(pair_distances(positions, bonds) > limits)
    return np.logical_not(broken.any(axis=1))


@cache
def _of_graph(numbers: tuple[int, ...], pairs: frozenset[tuple[int, int]]) -> tuple[Molecule, Ints] | None:
    found = _skeleton(numbers, pairs)
    entry = _known().get(_key(found))
    if entry is None:
        return None
    molecule, ours = entry
    return molecule, np.array(found.GetSubstructMatch(ours), dtype=np.int64)


@cache
def _known() -> dict[str, tuple[Molecule, Any]]:
    """Return our molecules by the key of their graph, with the graph."""
    from rdkit import Chem

    known = {}
    for molecule in all_molecules():
        full = Chem.AddHs(Chem.MolFromSmiles(molecule.smiles))  # the order of atoms of `structure_from_smiles`
        numbers = tuple(atom.GetAtomicNum() for atom in full.GetAtoms())
        pairs = frozenset((bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()) for bond in full.GetBonds())
        graph = _skeleton(numbers, pairs)
        known[_key(graph)] = (molecule, graph)
    return known


def _skeleton(numbers: tuple[int, ...], pairs: frozenset[tuple[int, int]]) -> Any:
    """Return a molecule with every atom written out and every bond single: distances tell no bond orders."""
    from rdkit import Chem

    molecule = Chem.RWMol()
    for number in numbers:
        atom = Chem.Atom(number)
        atom.SetNoImplicit(True)
        molecule.AddAtom(atom)
    for i, j in sorted(pairs):
        molecule.AddBond(i, j, Chem.BondType.SINGLE)
    molecule.UpdatePropertyCache(strict=False)
    Chem.FastFindRings(molecule)
    return molecule.GetMol()


def _key(skeleton: Any) -> str:
    from rdkit import Chem

    return str(Chem.MolToSmiles(skeleton))
