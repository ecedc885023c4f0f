"""What can be told from the frames of a trajectory alone: whole, each frame once, the molecule still itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from gmd26_md.datasets.faults import LENGTH_UNITS, Fault, and_more, likely_unit
from gmd26_md.molecules import Molecule
from gmd26_md.observables.bonds import BondGraph, all_pairs, bond_graph, pair_distances, radii_sums
from gmd26_md.observables.topology import Event, Limits, examine_topology
from gmd26_md.trajectory import Trajectory

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SAME_POSITION_A = 1e-6
"""Frames with no coordinate farther apart are one: far below a step of dynamics, far above a file's last digit."""

_SAME_SHAPE = 1e-5  # of sums over pairs: a copy with eight decimals is off by 1e-6
_LEAST_ATOMS = 4

_RIGHT_LENGTHS = (0.8, 1.25)  # a minimum against the force field's structure: 1.02 at most; Bohr for Å would be 1.89


def not_finite(frames: Trajectory) -> list[Fault]:
    """Return what is NaN or infinite, an entry for each of positions, energies and forces."""
    faults = []
    for name in ("positions", "energies", "forces"):
        values = getattr(frames, name).reshape(frames.n_frames, -1)
        bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
        if bad.size:
            words = f"{name} that are not finite{and_more(bad.size)}"
            faults.append(Fault("not finite", words, int(bad[0])))
    return faults


def not_the_molecule(frames: Trajectory, molecule: Molecule) -> list[Fault]:
    """Return a fault if the frames are of another molecule, have atoms in another order, or lengths in another unit.

    The first frame decides: that the bonds of the others are its bonds is for `changed_graph`.
    """
    built = molecule.atoms()
    if sorted(built.numbers.tolist()) != sorted(frames.numbers.tolist()):
        from ase import Atoms

        found = Atoms(frames.numbers).get_chemical_formula(mode="hill")
        return [Fault("molecule", f"holds {found}, and {molecule.name} is {molecule.formula}: another molecule's file")]
    if not np.array_equal(built.numbers, frames.numbers):
        return [Fault("molecule", f"the atoms are not in the order of {molecule.name} in this program")]
    graph = bond_graph(built.numbers, built.positions)
    if not len(graph.bonds):  # an atom alone
        return []
    lengths = pair_distances(frames.positions[:1], graph.bonds)[0]
    scale = float(np.median(lengths / graph.lengths))
    if not _RIGHT_LENGTHS[0] <= scale <= _RIGHT_LENGTHS[1]:
        unit = likely_unit(scale, LENGTH_UNITS, 0.15)
        if unit is not None:
            words = f"bonds are {scale:.3g} times their length: positions are likely in {unit}; they must be in Å"
            return [Fault("unit", words, 0, scale, _RIGHT_LENGTHS[1])]
    return []


def wrong_minimum_graph(minimum: Trajectory, molecule: Molecule) -> list[Fault]:
    """Return a fault if the minimum's bonds are not those of the molecule's SMILES: an isomer, or a reaction."""
    built = molecule.atoms()
    wanted = bond_graph(built.numbers, built.positions).pairs
    found = bond_graph(minimum.numbers, minimum.positions[0]).pairs
    if found == wanted:
        return []
    lost, gained = len(wanted - found), len(found - wanted)
    words = f"its bonds are not those of {molecule.name} ({lost} of {len(wanted)} missing, {gained} others): an isomer?"
    return [Fault("molecule", words, 0)]


def changed_graph(frames: Trajectory, graph: BondGraph) -> list[Fault]:
    """Return a fault for each way in which a frame is no longer the molecule of `graph`.

    The definitions are those of the stability runs (`observables.topology`), but that one frame with a new bond
    suffices. A proton that visits another atom for less than 100 fs is no fault, one that stays is. Thermal stretching
    at 500 K reached 1.30 times the sum of covalent radii in 300,000 frames; broken is 1.5 times, or 0.5 Å more.
    """
    found = examine_topology(graph, frames.positions, frames.time_fs)
    pressed = examine_topology(graph, frames.positions, frames.time_fs, Limits(lasting_fs=0.0)).new_bond
    faults = []
    if found.bond_broken is not None:
        words = f"bond {_names(graph, found.bond_broken)} is broken: {found.bond_broken.value:.2f} Å off, allowed"
        faults.append(_event("graph", words, found.bond_broken))
    elif found.bond_broken_by_radii is not None:
        event = found.bond_broken_by_radii
        faults.append(
            _event("graph", f"bond {_names(graph, event)} is broken: {event.value:.2f} Å long, allowed", event)
        )
    if found.clash is not None:
        words = f"{_names(graph, found.clash)} clash: {found.clash.value:.2f} Å apart, allowed from"
        faults.append(_event("clash", words, found.clash))
    if pressed is not None:
        words = f"{_names(graph, pressed)} have bonded: {pressed.value:.2f} Å apart, allowed from"
        faults.append(_event("graph", words, pressed))
    if found.transfer is not None:
        words = f"a proton has moved, {_names(graph, found.transfer)}: {found.transfer.value:.2f} Å, allowed from"
        faults.append(_event("graph", words, found.transfer))
    return faults


def longest_bond(frames: Trajectory, graph: BondGraph) -> float:
    """Return the longest bond of `graph` in all frames, in units of the sum of its covalent radii; 0 without a bond."""
    distances = pair_distances(frames.positions, graph.bonds)
    return float((distances / radii_sums(graph.numbers, graph.bonds)).max(initial=0.0))


def repeated(frames: Trajectory) -> list[Fault]:
    """Return a fault if a frame stands there twice, or two different frames carry the same label to the last bit."""
    faults = []
    twins = twins_before(frames.positions)
    second = np.flatnonzero(twins >= 0)
    n = second.size
    if n:
        words = f"the same positions as frame {twins[second[0]]}{and_more(n)}: a duplicate frame"
        faults.append(Fault("duplicate", words, int(second[0])))
    moved = moved_twins_before(frames.numbers, frames.positions)
    copies = np.flatnonzero((moved >= 0) & (twins < 0))
    if copies.size:
        words = f"the shape of frame {moved[copies[0]]}, moved or turned{and_more(copies.size)}: a duplicate frame"
        faults.append(Fault("duplicate", words, int(copies[0])))
    first, place, n_labels = _first_repeat([forces.tobytes() for forces in frames.forces])
    if n_labels > n and frames.n_atoms > 1:  # on an atom alone there is no force
        words = f"the same forces to the last bit as frame {first}{and_more(n_labels)}: a label that was not computed"
        faults.append(Fault("duplicate", words, place))
    return faults


def wrong_clock(frames: Trajectory, interval_fs: float) -> list[Fault]:
    """Return a fault if the frames do not stand `interval_fs` apart, from 0 on; 1e-6 fs is allowed for rounding."""
    wrong = np.flatnonzero(~(np.abs(frames.time_fs - interval_fs * np.arange(frames.n_frames)) <= 1e-6))
    if not wrong.size:
        return []
    frame = int(wrong[0])
    words = f"at {frames.time_fs[frame]:g} fs, want {frame * interval_fs:g} fs{and_more(wrong.size)}"
    return [Fault("clock", words, frame, float(frames.time_fs[frame]), frame * interval_fs)]


def twins_before(positions: Floats) -> Ints:
    """Return for each frame the first one before it at the same positions, (n_frames,); -1 where there is none.

    Parameters
    ----------
    positions
        (n_frames, n_atoms, 3), Å; the same are those within `SAME_POSITION_A` in every coordinate.
    """
    n = len(positions)
    seen: dict[bytes, int] = {}
    first = np.array([seen.setdefault(one.tobytes(), place) for place, one in enumerate(positions)], dtype=np.int64)
    distinct = np.array(list(seen.values()), dtype=np.int64)  # of copies to the last bit there may be very many
    if distinct.size < 2:
        return np.where(first < np.arange(n), first, -1)
    tree = cKDTree(positions[distinct].reshape(distinct.size, -1))
    pairs = distinct[tree.query_pairs(SAME_POSITION_A, p=np.inf, output_type="ndarray")]
    found = np.where(first < np.arange(n), first, n)
    np.minimum.at(found, pairs[:, 1], pairs[:, 0])
    found = np.minimum(found, found[first])  # what is near the first copy is near the others
    return np.where(found < n, found, -1)


def moved_twins_before(numbers: Ints, positions: Floats) -> Ints:
    """Return for each frame the first one before it of the same shape, wherever it lies, (n_frames,); -1 for none.

    Shapes are told by sums over all pairs of atoms that do not change when a molecule is moved, turned or mirrored, or
    atoms of one element change places. Two or three atoms have too few distances to tell a copy from chance: -1.

    Parameters
    ----------
    numbers
        (n_atoms,).
    positions
        (n_frames, n_atoms, 3), Å.
    """
    n = len(positions)
    if len(numbers) < _LEAST_ATOMS or n < 2:
        return np.full(n, -1, dtype=np.int64)
    pairs = all_pairs(len(numbers))
    weights = numbers[pairs].prod(axis=1)
    distances = pair_distances(positions, pairs)
    sums = (distances, distances**2, weights * distances, weights / (1.0 + distances))
    shapes = np.stack([one.sum(axis=1) for one in sums], axis=1)
    near = cKDTree(shapes).query_pairs(_SAME_SHAPE, p=np.inf, output_type="ndarray")
    found = np.full(n, n, dtype=np.int64)
    np.minimum.at(found, near.max(axis=1, initial=0), near.min(axis=1, initial=n))
    return np.where(found < n, found, -1)


def _first_repeat(keys: list[bytes]) -> tuple[int, int, int]:
    """Return the first key's place, that of its first repeat, and how many repeats there are in all."""
    seen: dict[bytes, int] = {}
    found, n = (-1, -1), 0
    for place, key in enumerate(keys):
        if key in seen:
            found = (seen[key], place) if n == 0 else found
            n += 1
        else:
            seen[key] = place
    return *found, n


def _event(kind: str, words: str, event: Event) -> Fault:
    return Fault(kind, f"{words} {event.limit:.2f}", event.frame, event.value, event.limit)


def _names(graph: BondGraph, event: Event) -> str:
    from ase.data import chemical_symbols

    return "-".join(f"{chemical_symbols[graph.numbers[atom]]}{atom}" for atom in event.atoms)
