"""RMSD between two geometries of one molecule, blind to rotation and to the exchange of equivalent atoms."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, permutations, product

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

Floats = NDArray[np.float64]
_MAX_AUTOMORPHISMS = 1000
_MIN_WIDTH_A = 0.2  # heavy atoms nearer to one line than this do not say how to turn about it


def kabsch(moving: Floats, target: Floats) -> Floats:
    """Return `moving` (n, 3) rotated and shifted onto `target` with the least RMSD; no mirror image.

    Kabsch, Acta Cryst. A32, 922 (1976).
    """
    return np.asarray((moving - moving.mean(0)) @ _rotation(moving, target) + target.mean(0))


def _rotation(moving: Floats, target: Floats) -> Floats:
    """Return the rotation, (3, 3), that lays `moving` (n, 3) over `target` when it stands on its right."""
    u, _, vt = np.linalg.svd((moving - moving.mean(0)).T @ (target - target.mean(0)))
    handed = np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt)) or 1.0])
    return np.asarray(u @ handed @ vt)


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
    Exact for the heavy atoms of the benchmark's chains. Where the heavy atoms stand in one line (or are fewer than
    three) they cannot be laid over each other in one way only: all exchanges of hydrogens are tried instead.
    """
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        return float("nan"), float("nan")
    numbers, bonds = np.asarray(numbers), np.asarray(bonds)
    heavy = np.flatnonzero(numbers > 1)
    order = best_labelling(numbers, bonds, first, second)
    all_atoms = _rms(kabsch(first[order], second) - second)
    if not len(heavy):
        return all_atoms, float("nan")
    images = _automorphisms(numbers, bonds, heavy)
    return all_atoms, min(_rms(kabsch(first[image], second[heavy]) - second[heavy]) for image in images)


def best_labelling(
    numbers: NDArray[np.integer], bonds: NDArray[np.integer], first: Floats, second: Floats
) -> NDArray[np.int64]:
    """Return which atom of `first` plays each atom of `second`, (n_atoms,), for the least RMSD over all atoms.

    Parameters and limits are those of `symmetric_rmsd`. Every atom plays itself if a position is not finite.
    """
    numbers, bonds = np.asarray(numbers), np.asarray(bonds)
    best, chosen = np.inf, np.arange(len(numbers))
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        return chosen
    heavy = np.flatnonzero(numbers > 1)
    for image in _automorphisms(numbers, bonds, heavy):
        for order in _labellings(numbers, bonds, heavy, image, first, second):
            found = _rms(kabsch(first[order], second) - second)
            if found < best:
                best, chosen = found, order
    return chosen


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
    if not len(heavy):
        return [np.zeros(0, dtype=np.int64)]
    matches = molecule.GetSubstructMatches(molecule, uniquify=False, maxMatches=_MAX_AUTOMORPHISMS)
    return [np.asarray(heavy[list(match)], dtype=np.int64) for match in matches]


def _labellings(
    numbers: NDArray[np.integer],
    bonds: NDArray[np.integer],
    heavy: NDArray[np.integer],
    image: NDArray[np.int64],
    first: Floats,
    second: Floats,
) -> Iterator[NDArray[np.int64]]:
    """Yield which atom of `first` may play each atom of `second`, (n_atoms,), with the heavy atoms as in `image`."""
    order = np.arange(len(numbers))
    order[heavy] = image
    homes: list[tuple[int, int]] = list(zip(heavy.tolist(), image.tolist(), strict=True)) or [(-1, -1)]
    groups = [(_hydrogens(numbers, bonds, to), _hydrogens(numbers, bonds, from_)) for to, from_ in homes]
    if min(_width(first[image]), _width(second[heavy])) > _MIN_WIDTH_A:
        turn = _rotation(first[image], second[heavy])
        laid = (first - first[image].mean(0)) @ turn + second[heavy].mean(0)
        for to, from_ in groups:
            if not to:
                continue
            cost = ((laid[from_][:, None] - second[to][None]) ** 2).sum(-1)
            rows, columns = linear_sum_assignment(cost)
            order[np.array(to)[columns]] = np.array(from_)[rows]
        yield order
        return
    for exchange in islice(product(*(permutations(from_) for _, from_ in groups)), _MAX_AUTOMORPHISMS):
        tried = order.copy()
        for (to, _), players in zip(groups, exchange, strict=True):
            tried[to] = players
        yield tried


def _width(positions: Floats) -> float:
    """Return how far positions (n, 3) spread away from their best line, Å; 0 for fewer than three."""
    if len(positions) < 3:
        return 0.0
    return float(np.linalg.svd(positions - positions.mean(0), compute_uv=False)[1])


def _hydrogens(numbers: NDArray[np.integer], bonds: NDArray[np.integer], atom: int) -> list[int]:
    """Return the hydrogens of a heavy atom; of none (-1), all hydrogens."""
    if atom < 0:
        return [i for i, z in enumerate(numbers) if z == 1]
    partners = [int(j if i == atom else i) for i, j in bonds if atom in (i, j)]
    return sorted(p for p in partners if numbers[p] == 1)
