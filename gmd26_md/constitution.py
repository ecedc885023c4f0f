"""What makes two molecules the same: the covalent graph with all its hydrogens, whatever they are called.

Bond orders and formal charges are left out: with every hydrogen in the graph they follow from it, up to the ways of
drawing one molecule (the two of a nitro group). So a SMILES and a structure file can be compared. RDKit puts the graph
into its canonical form.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from gmd26_md.molecules import Molecule, parsed
from gmd26_md.observables.bonds import bond_graph


@cache
def constitution(molecule: Molecule) -> str:
    """Return the canonical text of a molecule's covalent graph: equal texts, equal graphs.

    Stereoisomers and conformers are alike. From a geometry the bonds are those of `observables.bonds`.

    Raises
    ------
    UserError
        If its SMILES does not parse.
    """
    return _canonical(*_graph(molecule))


def again(text: str) -> str:
    """Return a `constitution` that another version of RDKit may have written, as this one writes it."""
    found = _read(text)
    if found is None:
        return text
    pairs = [(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()) for bond in found.GetBonds()]
    return _canonical([atom.GetAtomicNum() for atom in found.GetAtoms()], pairs)


def numbers_in(text: str) -> list[int]:
    """Return the atomic numbers of all atoms in a `constitution`; none if it is no such text."""
    found = _read(text)
    return [] if found is None else [atom.GetAtomicNum() for atom in found.GetAtoms()]


def _read(text: str) -> Any:
    """Return the graph that a `constitution` says, or None."""
    from rdkit import Chem, rdBase

    with rdBase.BlockLogs():
        return Chem.MolFromSmiles(text, sanitize=False)


@cache
def skeleton(molecule: Molecule) -> str:
    """Return the canonical text of the graph without hydrogens, and how many there are of these.

    Tautomers have it in common, and whatever else differs only in where hydrogens sit.
    """
    numbers, bonds = _graph(molecule)
    kept = [i for i, z in enumerate(numbers) if z != 1]
    place = {old: new for new, old in enumerate(kept)}
    heavy = [(place[i], place[j]) for i, j in bonds if i in place and j in place]
    return f"{_canonical([numbers[i] for i in kept], heavy)} {numbers.count(1)} H"


@cache
def stereo(molecule: Molecule) -> str | None:
    """Return the canonical SMILES with stereocentres; None for a geometry, whose handedness is not read."""
    from rdkit import Chem

    return None if molecule.geometry is not None else str(Chem.MolToSmiles(parsed(molecule.smiles)))


@cache
def drawing(molecule: Molecule) -> str | None:
    """Return the canonical SMILES without stereocentres, by which two of one graph may still differ; or None, as above.

    Of one molecule drawn in two ways, as N=[N+]=[N-] and [N-][N+]#N, there are two.
    """
    from rdkit import Chem

    if molecule.geometry is not None:
        return None
    return str(Chem.MolToSmiles(parsed(molecule.smiles), isomericSmiles=False))


def elements(molecule: Molecule) -> frozenset[int]:
    """Return the atomic numbers that occur, without building the 3D structure of a SMILES."""
    return frozenset(_graph(molecule)[0])


def n_open_stereocentres(molecule: Molecule) -> int:
    """Return how many stereocentres and stereobonds a SMILES leaves open; its 3D structure then has one of each."""
    from rdkit import Chem

    if molecule.geometry is not None:
        return 0
    found = Chem.FindPotentialStereo(parsed(molecule.smiles))
    return sum(entry.specified == Chem.StereoSpecified.Unspecified for entry in found)


def _graph(molecule: Molecule) -> tuple[list[int], list[tuple[int, int]]]:
    """Return atomic numbers and bonded pairs, hydrogens among them."""
    if molecule.geometry is not None:
        atoms = molecule.atoms()
        bonds = bond_graph(atoms.numbers, atoms.positions).bonds
        return atoms.numbers.tolist(), [(int(i), int(j)) for i, j in bonds]
    from rdkit import Chem

    whole = Chem.AddHs(parsed(molecule.smiles))
    pairs = [(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()) for bond in whole.GetBonds()]
    return [atom.GetAtomicNum() for atom in whole.GetAtoms()], pairs


def _canonical(numbers: Iterable[int], bonds: Iterable[tuple[int, int]]) -> str:
    from rdkit import Chem

    graph = Chem.RWMol()
    for number in numbers:
        atom = Chem.Atom(number)
        atom.SetNoImplicit(True)
        graph.AddAtom(atom)
    for i, j in bonds:
        graph.AddBond(i, j, Chem.BondType.SINGLE)
    graph.UpdatePropertyCache(strict=False)
    Chem.FastFindRings(graph)
    return str(Chem.MolToSmiles(graph))
