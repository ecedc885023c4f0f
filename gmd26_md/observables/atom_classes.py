"""Classes of atoms that errors are broken down by: element, bonds from the new fragment, length of the force."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from ase.data import chemical_symbols

from gmd26_md.observables.atom_forces import AtomForces
from gmd26_md.observables.bonds import BondGraph, Bools, Floats
from gmd26_md.observables.fragments import bonds_to_groups, bonds_to_middle, functional_groups

Key = tuple[float | str, ...]
"""What names a class and sorts it."""

Origin = Callable[[BondGraph], Floats]
"""From what bonds are counted: the graph to bonds away, (n_atoms,)."""

FAR = 6
"""From so many bonds on, atoms are one class: in carboxylic acids nothing of a fragment is felt there."""

EDGES_eV_PER_A = (0.5, 1.0, 2.0, 4.0)
"""Between the bins of the reference force's length; at 500 K the mean is 1.6 eV/Å."""


def origin_of(graphs: list[BondGraph]) -> tuple[Origin, str]:
    """Return from where bonds are counted, and what it is called.

    The nearest functional group; the middle of the chain where none of these molecules, the unseen ones, has a group.
    """
    if any(functional_groups(graph) for graph in graphs):
        return bonds_to_groups, "the nearest functional group"
    return bonds_to_middle, "the middle of the chain"


def by_element(forces: AtomForces, origin: Origin) -> dict[Key, Bools]:
    """Return the atoms of each element, (n_atoms,)."""
    return {(symbol,): _symbols(forces) == symbol for symbol in sorted(set(_symbols(forces).tolist()))}


def by_bonds(forces: AtomForces, origin: Origin) -> dict[Key, Bools]:
    """Return the atoms at each distance in bonds, (n_atoms,); from `FAR` on they are one class."""
    away = _away(forces, origin)
    return {(float(n),): away == n for n in np.unique(away)}


def by_element_and_bonds(forces: AtomForces, origin: Origin) -> dict[Key, Bools]:
    """Return the atoms of each element at each distance in bonds, (n_atoms,)."""
    symbols, away = _symbols(forces), _away(forces, origin)
    places = sorted(set(zip(symbols.tolist(), away.tolist(), strict=True)))
    return {(symbol, n): (symbols == symbol) & (away == n) for symbol, n in places}


def by_magnitude(forces: AtomForces, origin: Origin) -> dict[Key, Bools]:
    """Return the atoms whose reference force is of each length, (n_frames, n_atoms)."""
    bins = np.digitize(forces.reference_lengths, EDGES_eV_PER_A)
    return {(float(n),): bins == n for n in np.unique(bins)}


def by_atom(forces: AtomForces, origin: Origin) -> dict[Key, Bools]:
    """Return every atom by itself, (n_atoms,), with its element and its distance in bonds."""
    symbols, away = _symbols(forces), _away(forces, origin)
    n_atoms = len(symbols)
    return {(float(i), str(symbols[i]), float(away[i])): np.arange(n_atoms) == i for i in range(n_atoms)}


def bonds_words(n: float) -> str:
    """Return "0", "6 or more", or "no group" where there is none to be away from."""
    if not np.isfinite(n):
        return "no group"
    return f"{n:g} or more" if n == FAR else f"{n:g}"


def magnitude_words(n: float) -> str:
    """Return the bin of a force's length: "below 0.5", "1 to 2", "4 and more"."""
    i = int(n)
    if i == 0:
        return f"below {EDGES_eV_PER_A[0]:g}"
    if i == len(EDGES_eV_PER_A):
        return f"{EDGES_eV_PER_A[-1]:g} and more"
    return f"{EDGES_eV_PER_A[i - 1]:g} to {EDGES_eV_PER_A[i]:g}"


def _symbols(forces: AtomForces) -> np.ndarray:
    return np.array([chemical_symbols[z] for z in forces.graph.numbers])


def _away(forces: AtomForces, origin: Origin) -> Floats:
    away = origin(forces.graph)
    return np.where(np.isfinite(away), np.minimum(away, FAR), away)
