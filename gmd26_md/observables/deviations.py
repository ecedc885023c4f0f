"""How far the bonds, angles and torsions of one geometry are from another's, and where most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gmd26_md.observables.bonds import BondGraph, Floats, Ints, pair_distances
from gmd26_md.observables.fragments import neighbours_of
from gmd26_md.observables.internal import angle_values_deg, angles_of, torsion_values_deg, torsions_of, turned_deg

UNITS = {"bond": "A", "angle": "deg", "torsion": "deg"}
"""What is compared, and the unit of its deviations."""

_STRAIGHT_deg = 170.0  # beyond it an angle is as good as straight, and a torsion over it has no direction


@dataclass(frozen=True)
class Deviation:
    """Of all bonds, or all angles, or all torsions: Å or degrees.

    Attributes
    ----------
    mean, largest
        Of the sizes of the deviations; NaN if a position is not finite.
    atoms
        Where the largest is.
    """

    mean: float
    largest: float
    atoms: tuple[int, ...]


def deviations(graph: BondGraph, positions: Floats, target: Floats) -> dict[str, Deviation | None]:
    """Return how far a geometry's bonds, angles and torsions are from a target's; None where it has none.

    Torsions are `conformation_torsions`, the short way round.

    Parameters
    ----------
    graph
        Whose bonds count, in both geometries.
    positions, target
        (n_atoms, 3), Å, with equivalent atoms already in the same places (`rmsd.best_labelling`).
    """
    both = np.stack([positions, target])
    angles, torsions = angles_of(graph), _with_direction(both, conformation_torsions(graph))
    bonds = pair_distances(both, graph.bonds)
    bent, turned = angle_values_deg(both, angles), torsion_values_deg(both, torsions)
    return {
        "bond": _deviation(graph.bonds, bonds[0] - bonds[1]),
        "angle": _deviation(angles, bent[0] - bent[1]),
        "torsion": _deviation(torsions, turned_deg(turned[0] - turned[1])),
    }


def conformation_torsions(graph: BondGraph) -> Ints:
    """Return the torsions that say which conformer it is, (n_torsions, 4).

    Both ends are heavy, or the only hydrogen of their atom: the backbone, and which way a hydroxyl group points. The
    hydrogens of a methyl, methylene or amino group can be told apart by their numbers only, and are left out.
    """
    n_hydrogen = [sum(int(graph.numbers[j] == 1) for j in partners) for partners in neighbours_of(graph)]
    telling = np.array(
        [
            all(graph.numbers[end] > 1 or n_hydrogen[root] == 1 for end, root in ((i, j), (last, k)))
            for i, j, k, last in torsions_of(graph).tolist()
        ],
        dtype=bool,
    )
    return torsions_of(graph)[telling]


def _with_direction(both: Floats, torsions: Ints) -> Ints:
    """Return the torsions without those over an angle that is straight in either geometry."""
    bent = np.maximum(angle_values_deg(both, torsions[:, :3]), angle_values_deg(both, torsions[:, 1:]))
    return torsions[~(bent > _STRAIGHT_deg).any(axis=0)]


def _deviation(atoms: Ints, difference: Floats) -> Deviation | None:
    size = np.abs(difference)
    if not size.size:
        return None
    return Deviation(float(size.mean()), float(size.max()), tuple(int(i) for i in atoms[int(size.argmax())]))
