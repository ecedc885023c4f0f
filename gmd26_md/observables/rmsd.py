"""RMSD between two geometries of one molecule, blind to rotation and to the exchange of equivalent atoms."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

Floats = NDArray[np.float64]
_MAX_AUTOMORPHISMS = 1000


def kabsch(moving: Floats, target: Floats) -> Floats:
    """Return `moving` (n, 3) rotated and shifted onto `target` with the least RMSD; no mirror image.

    Kabsch, Acta Cryst. A32, 922 (1976).
    """
    a, b = moving - moving.mean(0), target - target.mean(0)
    u, _, vt = np.linalg.svd(a.T @ b)
    handed = np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt)) or 1.0])
    return np.asarray(a @ u @ handed @ vt + target.mean(0))


def symmetric_rmsd(
    numbers: NDArray[np.integer], bonds: NDArray[np.integer], first: Floats, second: Floats
) -> tuple[float, float]:
    """Return the RMSD over all atoms and over heavy atoms, Å, the least over equivalent labellings.

    Heavy atoms are exchanged along the automorphisms of the heavy-atom graph; hydrogens among those of the same heavy
    atom, by the best assignment after the heavy atoms are laid over each other. NaN if a position is not finite.

    Parameters
    ----------
    numbers, bonds
        Atomic numbers (n_atoms,) and bonded pairs (n_bonds, 2) of the molecule.
    first, second
        Positions, (n_atoms, 3), Å.

    Notes
    -----
    Exact for the heavy atoms of the benchmark's chains. With fewer than three heavy atoms the hydrogens take part in the
    first alignment in the order given.
    """
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        return float("nan"), float("nan")
    numbers = np.asarray(numbers)
    heavy = np.flatnonzero(numbers > 1)
    best_all, best_heavy = np.inf, np.inf
    for image in _automorphisms(numbers, np.asarray(bonds), heavy):
        order = _labelling(numbers, np.asarray(bonds), heavy, image, first, second)
        best_all = min(best_all, _rms(kabsch(first[order], second) - second))
        if len(heavy):
            best_heavy = min(best_heavy, _rms(kabsch(first[image], second[heavy]) - second[heavy]))
    return float(best_all), float(best_heavy) if len(heavy) else float("nan")


def _rms(difference: Floats) -> float:
    return float(np.sqrt((difference**2).sum(-1).mean()))


def _automorphisms(
    numbers: NDArray[np.integer], bonds: NDArray[np.integer], heavy: NDArray[np.integer]
) -> list[NDArray[np.int64]]:
    """Return relabellings of the heavy atoms that keep elements, bonds and hydrogen counts."""
    from rdkit import Chem

    index = {int(atom): i for i, atom in enumerate(heavy)}
    molecule = Chem.RWMol()
    for atom in heavy:
        entry = Chem.Atom(int(numbers[atom]))
        entry.SetNoImplicit(True)
        n_hydrogen = sum(1 for i, j in bonds if (i == atom and numbers[j] == 1) or (j == atom and numbers[i] == 1))
        entry.SetNumExplicitHs(n_hydrogen)
        entry.SetIsotope(n_hydrogen + 1)  # so that the match tells CH3 from CH2
        molecule.AddAtom(entry)
    for i, j in bonds:
        if int(i) in index and int(j) in index:
            molecule.AddBond(index[int(i)], index[int(j)], Chem.BondType.SINGLE)
    matches = molecule.GetSubstructMatches(molecule, uniquify=False, maxMatches=_MAX_AUTOMORPHISMS)
    return [heavy[list(match)] for match in matches] or [heavy]


def _labelling(
    numbers: NDArray[np.integer],
    bonds: NDArray[np.integer],
    heavy: NDArray[np.integer],
    image: NDArray[np.int64],
    first: Floats,
    second: Floats,
) -> NDArray[np.int64]:
    """Return which atom of `first` plays each atom of `second`, (n_atoms,)."""
    order = np.arange(len(numbers))
    order[heavy] = image
    if len(heavy) < 3:
        laid = kabsch(first, second)
    else:
        a, b = first[image], second[heavy]
        u, _, vt = np.linalg.svd((a - a.mean(0)).T @ (b - b.mean(0)))
        handed = np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt)) or 1.0])
        laid = (first - a.mean(0)) @ u @ handed @ vt + b.mean(0)
    for theirs, ours in zip(heavy, image, strict=True):
        to, from_ = _hydrogens(numbers, bonds, theirs), _hydrogens(numbers, bonds, ours)
        if not to or len(to) != len(from_):
            continue
        cost = ((laid[from_][:, None] - second[to][None]) ** 2).sum(-1)
        rows, columns = linear_sum_assignment(cost)
        order[np.array(to)[columns]] = np.array(from_)[rows]
    return order


def _hydrogens(numbers: NDArray[np.integer], bonds: NDArray[np.integer], atom: int) -> list[int]:
    partners = [int(j if i == atom else i) for i, j in bonds if atom in (i, j)]
    return sorted(p for p in partners if numbers[p] == 1)
