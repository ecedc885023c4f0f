"""The functional groups of a molecule, and how many bonds every atom is away from them.

The unseen thing about an OOD molecule of these tasks is which groups it carries, and how far apart. Every error that is
resolved "by distance from the new fragment" counts bonds to the nearest functional group, in ID molecules too, so that
like is compared with like. In duplication either carboxyl group is the new one, as seen from the other; in fusion and
fission it is the one group that the molecule has; in combination both are, as each is new to the other.

An alkane has no group. What a longer alkane adds to a shorter one is links in the middle of the chain: whoever stands
near an end has seen the same neighbours in training, as far as the training chains reach. There bonds are counted from
the middle of the chain.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gmd26_md.observables.bonds import BondGraph, Floats

_CARBON, _HYDROGEN = 6, 1
_SATURATED = 4  # neighbours of a carbon without multiple bonds


def functional_groups(graph: BondGraph) -> tuple[tuple[int, ...], ...]:
    """Return the atoms of each functional group, ascending; none for an alkane.

    A group is made of atoms that are neither C nor H, unsaturated carbons bonded to one of them, and the hydrogens of
    both, connected by other bonds than C-C: -COOH, -CHO, -OH, -NH2, -CONH2. The two carboxyl groups of oxalic acid
    are two.
    """
    neighbours = neighbours_of(graph)
    numbers = graph.numbers
    hetero = {i for i, z in enumerate(numbers.tolist()) if z not in (_CARBON, _HYDROGEN)}
    carbons = {
        i
        for i, z in enumerate(numbers.tolist())
        if z == _CARBON and len(neighbours[i]) < _SATURATED and hetero & set(neighbours[i])
    }
    heavy = hetero | carbons
    members = heavy | {j for i in heavy for j in neighbours[i] if numbers[j] == _HYDROGEN}
    groups, left = [], set(members)
    while left:
        group, waiting = set(), [min(left)]
        while waiting:
            atom = waiting.pop()
            group.add(atom)
            left.discard(atom)
            waiting += [j for j in neighbours[atom] if j in left and not (atom in carbons and j in carbons)]
        groups.append(tuple(sorted(group)))
    return tuple(groups)


def bonds_to_groups(graph: BondGraph) -> Floats:
    """Return how many bonds each atom is away from the nearest functional group, (n_atoms,).

    0 in a group; infinite where there is no group to reach.
    """
    groups = functional_groups(graph)
    return bonds_away(graph, [i for group in groups for i in group])


def chain_middle(graph: BondGraph) -> tuple[int, ...]:
    """Return the atoms in the middle of a molecule, ascending: one or two in a chain.

    The heavy atoms whose farthest heavy atom is nearest (the centre of the graph); all atoms count where none is heavy.
    """
    heavy = np.flatnonzero(graph.numbers != _HYDROGEN)
    atoms = heavy if heavy.size else np.arange(len(graph.numbers))
    farthest = np.array([bonds_away(graph, [int(i)])[atoms].max() for i in atoms])
    return tuple(int(i) for i in atoms[farthest == farthest.min()])


def bonds_to_middle(graph: BondGraph) -> Floats:
    """Return how many bonds each atom is away from the middle of the chain, (n_atoms,)."""
    return bonds_away(graph, list(chain_middle(graph)))


def bonds_away(graph: BondGraph, sources: NDArray[np.integer] | list[int]) -> Floats:
    """Return the number of bonds from each atom to the nearest of some atoms, (n_atoms,); infinite where none."""
    neighbours = neighbours_of(graph)
    distance = np.full(len(graph.numbers), np.inf)
    edge = [int(i) for i in sources]
    distance[edge] = 0.0
    while edge:
        following = []
        for i in edge:
            for j in neighbours[i]:
                if distance[j] == np.inf:
                    distance[j] = distance[i] + 1.0
                    following.append(j)
        edge = following
    return distance


def neighbours_of(graph: BondGraph) -> list[list[int]]:
    """Return the bonded neighbours of each atom, ascending."""
    found: list[list[int]] = [[] for _ in range(len(graph.numbers))]
    for i, j in graph.bonds.tolist():
        found[i].append(j)
        found[j].append(i)
    return [sorted(f) for f in found]
