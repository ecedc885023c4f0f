"""Molecules, and the ten families of GMD-26: linear chains of 2 to 13 carbon atoms, by name, SMILES and 3D structure.

A molecule outside the families is made by `own_molecules`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from typing import Any

from ase import Atoms

from gmd26_md import strict_json
from gmd26_md.errors import UserError, unknown_name

MIN_CARBON, MAX_CARBON = 2, 13
EMBEDDING_SEED = 26
_LONGEST_SLUG = 80  # of the name in a file name; a hash, and what a run adds, come behind it

_STEMS = {
    2: "eth", 3: "prop", 4: "but", 5: "pent", 6: "hex", 7: "hept", 8: "oct", 9: "non", 10: "dec", 11: "undec",
    12: "dodec", 13: "tridec",
}  # fmt: skip


@dataclass(frozen=True)
class _Family:
    """How a family's members are named and written for n carbon atoms."""

    name: Callable[[int], str]
    smiles: Callable[[int], str]


def _stem(n_carbon: int) -> str:
    return _STEMS[n_carbon]


def _located(n_carbon: int, suffix: str) -> str:
    """Name a chain with one group at its end: the locant is left out where ethane leaves no choice."""
    return f"{_stem(n_carbon)}an{suffix}" if n_carbon == 2 else f"{_stem(n_carbon)}an-1-{suffix}"


_FAMILIES: dict[str, _Family] = {
    "alkanes": _Family(lambda n: f"{_stem(n)}ane", lambda n: "C" * n),
    "alcohols": _Family(lambda n: _located(n, "ol"), lambda n: "O" + "C" * n),
    "aldehydes": _Family(lambda n: f"{_stem(n)}anal", lambda n: "O=C" + "C" * (n - 1)),
    "hydroxyaldehydes": _Family(lambda n: f"{n}-hydroxy{_stem(n)}anal", lambda n: "O=C" + "C" * (n - 1) + "O"),
    "carboxylic-acids": _Family(lambda n: f"{_stem(n)}anoic acid", lambda n: "OC(=O)" + "C" * (n - 1)),
    "dicarboxylic-acids": _Family(lambda n: f"{_stem(n)}anedioic acid", lambda n: "OC(=O)" + "C" * (n - 2) + "C(=O)O"),
    "amines": _Family(lambda n: _located(n, "amine"), lambda n: "N" + "C" * n),
    "diamines": _Family(lambda n: f"{_stem(n)}ane-1,{n}-diamine", lambda n: "N" + "C" * n + "N"),
    "amino-acids": _Family(lambda n: f"{n}-amino{_stem(n)}anoic acid", lambda n: "N" + "C" * (n - 1) + "C(=O)O"),
    "amides": _Family(lambda n: f"{_stem(n)}anamide", lambda n: "NC(=O)" + "C" * (n - 1)),
}

FAMILIES: tuple[str, ...] = tuple(_FAMILIES)

# Everyday names of members, for finding them; the systematic name is what is written.
_ALIASES = {
    "acetic acid": "ethanoic acid",
    "propionic acid": "propanoic acid",
    "butyric acid": "butanoic acid",
    "valeric acid": "pentanoic acid",
    "oxalic acid": "ethanedioic acid",
    "malonic acid": "propanedioic acid",
    "succinic acid": "butanedioic acid",
    "glutaric acid": "pentanedioic acid",
    "adipic acid": "hexanedioic acid",
    "pimelic acid": "heptanedioic acid",
    "suberic acid": "octanedioic acid",
    "azelaic acid": "nonanedioic acid",
    "sebacic acid": "decanedioic acid",
    "brassylic acid": "tridecanedioic acid",
    "glycine": "2-aminoethanoic acid",
    "beta-alanine": "3-aminopropanoic acid",
    "gaba": "4-aminobutanoic acid",
    "acetaldehyde": "ethanal",
    "glycolaldehyde": "2-hydroxyethanal",
    "acetamide": "ethanamide",
    "ethylamine": "ethanamine",
    "ethylenediamine": "ethane-1,2-diamine",
}


@dataclass(frozen=True)
class Geometry:
    """Atoms of a structure file, such that a molecule that has them can be hashed and sent to other processes.

    Attributes
    ----------
    symbols
        Elements.
    positions
        Å, of each atom.
    """

    symbols: tuple[str, ...]
    positions: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True)
class Molecule:
    """One molecule, of the benchmark or of one's own.

    Attributes
    ----------
    name
        Systematic name, "pentanedioic acid"; of one's own as it was given.
    family
        One of `FAMILIES`; any other word means that the molecule is none of the benchmark's.
    n_carbon
        Number of carbon atoms.
    smiles
        Its connectivity, and stereocentres where it has some; empty with a geometry.
    charge
        Net charge, e. Zero throughout the families: the amino acids are in their neutral form, as in the gas phase.
    multiplicity
        2 S + 1.
    geometry
        Where it came from a structure file.
    """

    name: str
    family: str
    n_carbon: int
    smiles: str
    charge: int = 0
    multiplicity: int = 1
    geometry: Geometry | None = None

    @property
    def slug(self) -> str:
        """The name as it stands in file names, "pentanedioic-acid".

        One outside the families carries a hash of what it is, "dimer-1b2c3d4e": two tasks may each have a dimer, and
        neither may get the other's data.
        """
        plain = self.name.replace(" ", "-").replace(",", "_")
        if self.family in _FAMILIES:
            return plain
        safe = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in plain).strip("-.")
        return f"{safe[:_LONGEST_SLUG] or 'molecule'}-{self._content_hash}"

    def atoms(self) -> Atoms:
        """Return a deterministic 3D structure (see `structure_from_smiles`), or the file's; a copy each time."""
        atoms = self._structure.copy()
        atoms.info["name"] = self.name
        atoms.info |= {"charge": self.charge} if self.charge else {}
        atoms.info |= {"multiplicity": self.multiplicity} if self.multiplicity != 1 else {}
        return atoms

    @property
    def formula(self) -> str:
        """Chemical formula in Hill order, "C5H8O4"."""
        return str(Atoms(list(self.symbols)).get_chemical_formula(mode="hill"))

    @cached_property
    def symbols(self) -> tuple[str, ...]:
        """Elements in the order of `atoms()`, hydrogens among them; known without building the structure."""
        if self.geometry is not None:
            return self.geometry.symbols
        from rdkit import Chem

        return tuple(atom.GetSymbol() for atom in Chem.AddHs(parsed(self.smiles)).GetAtoms())

    @cached_property
    def _structure(self) -> Atoms:
        if self.geometry is not None:
            return Atoms(list(self.geometry.symbols), self.geometry.positions)
        return structure_from_smiles(self.smiles)

    @cached_property
    def _content_hash(self) -> str:
        geometry = None if self.geometry is None else asdict(self.geometry)
        content = strict_json.canonical([self.smiles, geometry, self.charge, self.multiplicity])
        return hashlib.sha256(content.encode()).hexdigest()[:8]


def parsed(smiles: str) -> Any:
    """Return RDKit's molecule of a SMILES, without atom maps.

    Raises
    ------
    UserError
        If it does not parse.
    """
    from rdkit import Chem, rdBase

    with rdBase.BlockLogs():  # the message says it
        molecule = Chem.MolFromSmiles(smiles)
    if molecule is None:
        raise UserError(f"SMILES {smiles!r} does not parse; write it as for example 'OC(=O)CC'.")
    for atom in molecule.GetAtoms():
        atom.SetAtomMapNum(0)
    return molecule


def structure_from_smiles(smiles: str, *, seed: int = EMBEDDING_SEED, n_conformers: int = 8) -> Atoms:
    """Return a 3D structure with hydrogens: the lowest of a few ETKDGv3 conformers by MMFF94, or by UFF without it.

    Deterministic for one RDKit version: fixed embedding seed, one thread. Positions are rounded to 1e-4 Å, so that
    the last bits of a minimiser on another processor do not show.

    Raises
    ------
    UserError
        If the SMILES does not parse or cannot be embedded.
    """
    from rdkit import Chem, rdBase
    from rdkit.Chem import rdDistGeom

    molecule = Chem.AddHs(parsed(smiles))
    settings: Any = rdDistGeom.ETKDGv3()  # its stubs do not know its attributes
    settings.randomSeed = seed
    settings.numThreads = 1
    conformers = list(rdDistGeom.EmbedMultipleConfs(molecule, n_conformers, settings))
    if not conformers:
        settings.useRandomCoords = True  # RDKit's own advice for what is large or crowded
        conformers = list(rdDistGeom.EmbedMultipleConfs(molecule, n_conformers, settings))
    if not conformers:
        raise UserError(f"SMILES {smiles!r} has no 3D embedding; give a structure file instead.")
    with rdBase.BlockLogs():  # atoms that a force field does not know
        energies = _minimised_energies(molecule)
    best = conformers[energies.index(min(energies))]
    positions = molecule.GetConformer(best).GetPositions().round(4)
    return Atoms([atom.GetSymbol() for atom in molecule.GetAtoms()], positions)


def _minimised_energies(molecule: Any) -> list[float]:
    """Minimise the conformers in place, and return their energies, kcal/mol; all alike where no force field fits."""
    from rdkit.Chem import rdForceFieldHelpers

    if rdForceFieldHelpers.MMFFHasAllMoleculeParams(molecule):
        minimised = rdForceFieldHelpers.MMFFOptimizeMoleculeConfs(molecule, numThreads=1, maxIters=2000)
    elif rdForceFieldHelpers.UFFHasAllMoleculeParams(molecule):
        minimised = rdForceFieldHelpers.UFFOptimizeMoleculeConfs(molecule, numThreads=1, maxIters=2000)
    else:
        return [0.0] * molecule.GetNumConformers()
    # an unconverged one is the last choice
    return [energy if converged == 0 else energy + 1e3 for converged, energy in minimised]


@cache
def family_members(family: str) -> tuple[Molecule, ...]:
    """Return a family's molecules, n = 2 to 13, in order of length.

    Raises
    ------
    UserError
        If there is no such family.
    """
    key = family.replace(" ", "-")
    if key not in _FAMILIES:
        raise unknown_name("family of molecules", family, _FAMILIES)
    entry = _FAMILIES[key]
    lengths = range(MIN_CARBON, MAX_CARBON + 1)
    return tuple(Molecule(entry.name(n), key, n, entry.smiles(n)) for n in lengths)


@cache
def all_molecules() -> tuple[Molecule, ...]:
    """Return all 120 molecules, family by family."""
    return tuple(molecule for family in FAMILIES for molecule in family_members(family))


def get(name: str) -> Molecule:
    """Return the molecule of this systematic name, slug or everyday name ("glutaric acid").

    Raises
    ------
    UserError
        If there is none.
    """
    wanted = _ALIASES.get(name.lower(), name.lower())
    for molecule in all_molecules():
        if wanted in (molecule.name, molecule.slug):
            return molecule
    raise unknown_name("molecule", name, [molecule.name for molecule in all_molecules()], listed="gmd26-md molecules")
