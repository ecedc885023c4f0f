"""Where relaxations begin: at the reference minimum, near it, as built, or at conformers that RDKit embeds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gmd26_md.observables.bonds import bond_graph
from gmd26_md.protocols.cases import Case
from gmd26_md.seeds import seed_of
from gmd26_md.trajectory import Trajectory

_MAX_BOND_ORDER_TRIES = 100_000  # some seconds; without a limit a large conjugated molecule would take for ever


class NoStartError(Exception):
    """A start that this molecule does not have; its words are the record's reason."""


@dataclass(frozen=True, eq=False)
class Start:
    """One relaxation to be made.

    Attributes
    ----------
    case
        Of which molecule.
    kind
        One of `STARTS`.
    seed
        Which of several of its kind; 0 for a kind of one.
    positions
        (n_atoms, 3), Å.
    """

    case: Case
    kind: str
    seed: int
    positions: np.ndarray


def begin(case: Case, kind: str, seed: int, perturbation_A: float) -> Start:
    """Return a case's start of some kind.

    Raises
    ------
    NoStartError
        If RDKit cannot tell the bond orders of the molecule, or finds no geometry for it.
    ValueError
        If the case has no reference minimum.
    """
    return Start(case, kind, seed, STARTS[kind](case, seed, perturbation_A))


def reference_minimum(case: Case) -> Trajectory:
    """Return the case's reference minimum; ValueError if it has none."""
    if case.minimum is None:
        raise ValueError(f"{case.name} has no reference minimum")
    return case.minimum


def _at_minimum(case: Case, seed: int, perturbation_A: float) -> np.ndarray:
    return reference_minimum(case).positions[0]


def _perturbed(case: Case, seed: int, perturbation_A: float) -> np.ndarray:
    """Return the reference minimum with a Gaussian displacement of every coordinate."""
    stream = np.random.default_rng(seed_of(seed, "perturbed-minimum", case.slug))
    return reference_minimum(case).positions[0] + perturbation_A * stream.standard_normal((len(case.numbers), 3))


def _as_built(case: Case, seed: int, perturbation_A: float) -> np.ndarray:
    return np.asarray(case.structure.positions)


def _embedded(case: Case, seed: int, perturbation_A: float) -> np.ndarray:
    """Return an ETKDGv3 embedding, as it comes: no force field has touched it.

    The molecule is read from its reference minimum: our covalent graph, RDKit's bond orders, and the handedness of its
    stereocentres, which an embedding from the graph alone would throw dice for.
    """
    from rdkit import rdBase
    from rdkit.Chem import rdDistGeom

    settings: Any = rdDistGeom.ETKDGv3()  # its stubs do not know its attributes
    settings.randomSeed = seed_of(seed, "rdkit-conformer", case.slug) % (2**31 - 1)
    settings.numThreads = 1
    with rdBase.BlockLogs():  # what it has to say is in the record
        molecule = _perceived(case)
        if rdDistGeom.EmbedMolecule(molecule, settings) < 0:
            raise NoStartError("RDKit finds no geometry for this molecule")
    return np.asarray(molecule.GetConformer().GetPositions(), dtype=np.float64).round(4)


def _perceived(case: Case) -> Any:
    """Return the case as an RDKit molecule with bond orders and stereocentres, atoms in our order."""
    from rdkit import Chem
    from rdkit.Chem import rdDetermineBonds
    from rdkit.Geometry import Point3D

    positions = reference_minimum(case).positions[0]
    molecule = Chem.RWMol()
    shape = Chem.Conformer(len(case.numbers))
    for index, (number, place) in enumerate(zip(case.numbers.tolist(), positions.tolist(), strict=True)):
        atom = Chem.Atom(number)
        atom.SetNoImplicit(True)
        molecule.AddAtom(atom)
        shape.SetAtomPosition(index, Point3D(*place))
    for i, j in bond_graph(case.numbers, positions).bonds.tolist():
        molecule.AddBond(i, j, Chem.BondType.SINGLE)
    molecule.AddConformer(shape)
    try:
        rdDetermineBonds.DetermineBondOrders(molecule, charge=0, maxIterations=_MAX_BOND_ORDER_TRIES)
        Chem.SanitizeMol(molecule)
    except (ValueError, RuntimeError) as problem:
        said = " ".join(str(problem).split())
        raise NoStartError(f"RDKit cannot tell the bond orders of this molecule ({said})") from problem
    return molecule


STARTS: dict[str, Callable[[Case, int, float], np.ndarray]] = {
    "reference-minimum": _at_minimum,
    "perturbed-minimum": _perturbed,
    "structure": _as_built,
    "rdkit-conformer": _embedded,
}
"""Every kind of start; of the second and the last there are several a molecule, which their seeds tell apart."""
