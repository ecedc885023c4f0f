"""Molecules outside the ten families: from a SMILES, or from a structure file."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import Any

from ase import Atoms

from gmd26_md import molecules
from gmd26_md.constitution import constitution
from gmd26_md.errors import UserError
from gmd26_md.molecules import FAMILIES, Geometry, Molecule, parsed
from gmd26_md.structure_files import read_structures

FAMILY = "user"
_LONGEST_NAME = 40  # of a SMILES that serves as a name; tables have to be read


def from_smiles(smiles: str, name: str | None = None, family: str | None = None) -> Molecule:
    """Return the molecule of a SMILES: its charge from the formal charges, its stereocentres as written.

    Parameters
    ----------
    smiles
        One whole molecule. Without name and family, one of the benchmark's is found to be that one, with its name and
        its data.
    name
        What to call it; the SMILES itself if None, the formula where that is long.
    family
        What to call its kind; "user" if None.

    Raises
    ------
    UserError
        If it does not parse, is not one whole molecule (a dot, an open end), has isotopes, or has the name of another
        molecule of the benchmark.
    """
    whole = _whole(smiles)
    n_unpaired = sum(atom.GetNumRadicalElectrons() for atom in whole.GetAtoms())
    found = Molecule(
        name=name or smiles,
        family=_family(family),
        n_carbon=sum(atom.GetAtomicNum() == 6 for atom in whole.GetAtoms()),
        smiles=smiles,
        charge=sum(atom.GetFormalCharge() for atom in whole.GetAtoms()),
        multiplicity=n_unpaired + 1,
    )
    twin = None if found.charge else _benchmark().get(constitution(found))
    known = None if name is None else _of_this_name(name)
    if known is not None and known != twin:
        raise UserError(f"{name!r} is {known.smiles} in the benchmark, not {smiles}; give it another name.")
    if twin is not None and family is None and (name is None or known is not None):
        return twin
    return _by_formula(found) if name is None and len(smiles) > _LONGEST_NAME else found


def from_file(path: Path, name: str | None = None, family: str | None = None) -> list[Molecule]:
    """Return the molecules of a structure file that ASE reads, one a frame, with the geometry of the file.

    Parameters
    ----------
    name
        What to call the molecule of a file with one frame; by default the frame's `name` entry, or the file's stem.
    family
        What to call their kind; "user" if None.

    Raises
    ------
    UserError
        For what `structure_files.read_structures` refuses, a name for several, the name of another molecule of the
        benchmark, or a spin that is no whole number.
    """
    frames = read_structures(path)
    if name is not None and len(frames) > 1:
        raise UserError(f"{path} has {len(frames)} frames, each a molecule, but one name; name them in the file.")
    kind = _family(family)
    found = [from_atoms(atoms, name or str(atoms.info["name"]), kind) for atoms in frames]
    for molecule in found:
        known = _of_this_name(molecule.name)
        if known is not None and constitution(known) != constitution(molecule):
            raise UserError(
                f"{path}: {molecule.name!r} is {known.formula}, {known.smiles}, in the benchmark, and this is another "
                f"molecule ({molecule.formula}); give it another name."
            )
    return found


def from_atoms(atoms: Atoms, name: str, family: str | None = None) -> Molecule:
    """Return the molecule of ASE atoms, positions to 1e-4 Å; charge and spin as `info` states them.

    Without a stated spin it is that of the initial magnetic moments, else the lowest that the electrons allow.

    Raises
    ------
    UserError
        If charge or spin is no whole number, or a magnetic moment is not finite.
    """
    places = atoms.positions.round(4) + 0.0  # + 0.0 turns -0.0 into 0.0
    symbols = atoms.get_chemical_symbols()
    charge = _stated(atoms, "charge", 0, name)
    lowest = 1 + (int(atoms.numbers.sum()) - charge) % 2
    moment = abs(float(atoms.get_initial_magnetic_moments().sum()))
    if not math.isfinite(moment):
        raise UserError(f"{name} has magnetic moments that are not finite. Correct them or remove them.")
    n_unpaired = round(moment)
    stated = _stated(atoms, "multiplicity", 0, name) or _stated(atoms, "spin", 0, name)
    spin = stated or (n_unpaired + 1 if n_unpaired else lowest)
    geometry = Geometry(tuple(symbols), tuple((float(x), float(y), float(z)) for x, y, z in places))
    return Molecule(name, _family(family), symbols.count("C"), "", charge, spin, geometry)


def _whole(smiles: str) -> Any:
    """Return RDKit's molecule of a SMILES, held to what one molecule is."""
    whole = parsed(smiles)
    if not whole.GetNumAtoms():
        raise UserError("a SMILES is empty; write it as for example 'OC(=O)CC'.")
    if any(atom.GetAtomicNum() == 0 for atom in whole.GetAtoms()):
        raise UserError(f"SMILES {smiles!r} has an open end (*); close it, a polymer's for example with H or C.")
    if "." in smiles:
        raise UserError(f"SMILES {smiles!r} is more than one molecule; write an entry for each.")
    if any(atom.GetIsotope() for atom in whole.GetAtoms()):
        raise UserError(f"SMILES {smiles!r} names isotopes, which no potential tells apart; leave the mass out.")
    return whole


def _family(given: str | None) -> str:
    if given in FAMILIES:
        raise UserError(f"family {given!r} is the benchmark's; give a molecule of your own another word, or none.")
    return given or FAMILY


def _by_formula(molecule: Molecule) -> Molecule:
    """Return the molecule under its formula and a hash of its SMILES."""
    return Molecule(
        f"{molecule.formula} {molecule.slug.rpartition('-')[2]}", molecule.family, molecule.n_carbon, molecule.smiles,
        molecule.charge, molecule.multiplicity,
    )  # fmt: skip


@cache
def _benchmark() -> dict[str, Molecule]:
    """Return the benchmark's molecules by their constitution; none of them has stereoisomers."""
    return {constitution(molecule): molecule for molecule in molecules.all_molecules()}


def _of_this_name(name: str) -> Molecule | None:
    try:
        return molecules.get(name)
    except UserError:
        return None


def _stated(atoms: Atoms, key: str, default: int, name: str) -> int:
    value = atoms.info.get(key, default)
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not number.is_integer():
        raise UserError(f"{name} has {key} {value!r}; allowed is a whole number. Correct it or remove it.")
    return int(number)
