"""Scans: does the energy follow the reference where a bond is turned or stretched, and is it smooth?

From the reference minimum, one side of a bond is moved as a rigid body: turned about the bonds that join a functional
group, and moved out along bonds of every kind. The model answers for all geometries of a molecule in batches, the
reference for all turns and for some of the stretches. Docs: `docs/protocols/scan.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gmd26_md.dynamics.forces import ForceProvider
from gmd26_md.dynamics.predict import predict
from gmd26_md.observables.bonds import BondGraph, Floats, Ints, bond_graph
from gmd26_md.observables.scans import Bond, outward, side_of, stretched, stretched_bonds, turned, turned_bonds
from gmd26_md.protocols.cases import Case
from gmd26_md.protocols.scan_settings import Settings
from gmd26_md.reference.labels import Frames, label
from gmd26_md.trajectory import Trajectory

KINDS = ("torsion", "stretch")


@dataclass(frozen=True, eq=False)
class Scan:
    """One bond turned or stretched.

    Attributes
    ----------
    kind
        "torsion" or "stretch".
    bond
        Its atoms.
    side
        The atoms that move.
    length_A
        The bond's length in the reference minimum.
    moved
        By how much the side is turned, degrees, or moved out, Å; (n_points,), one of them 0.
    positions
        (n_points, n_atoms, 3), Å.
    asked
        The points at which the reference is asked, ascending.
    """

    kind: str
    bond: Bond
    side: Ints
    length_A: float
    moved: Floats
    positions: Floats
    asked: Ints


@dataclass(frozen=True, eq=False)
class Answers:
    """What was said of a scan.

    Attributes
    ----------
    energies, forces
        The model's, (n_points,), eV, and (n_points, n_atoms, 3), eV/Å.
    reference_energies, reference_forces
        The reference's; NaN where it was not asked or failed.
    """

    energies: Floats
    forces: Floats
    reference_energies: Floats
    reference_forces: Floats


def scans_of(case: Case, settings: Settings) -> list[Scan]:
    """Return the scans of a case: torsions, then stretches. None for a molecule without bonds outside rings.

    Raises
    ------
    ValueError
        If the case has no reference minimum.
    """
    if case.minimum is None:
        raise ValueError(f"{case.name} has no reference minimum")
    return scans_at(case.numbers, case.minimum.positions[0], settings)


def scans_at(numbers: Ints, rest: Floats, settings: Settings) -> list[Scan]:
    """Return the scans from a geometry, (n_atoms, 3), Å, of these atomic numbers."""
    graph = bond_graph(numbers, rest)
    torsions = [_torsion(graph, rest, bond, settings) for bond in turned_bonds(graph, rest)]
    return torsions + [_stretch(graph, rest, bond, settings) for bond in stretched_bonds(graph, rest, settings.bonds)]


def _torsion(graph: BondGraph, rest: Floats, bond: Bond, settings: Settings) -> Scan:
    angles: Floats = np.linspace(0.0, 360.0, settings.n_torsion_points, endpoint=False, dtype=np.float64)
    side = _side(graph, bond)
    length = float(np.linalg.norm(rest[bond[1]] - rest[bond[0]]))
    asked = np.arange(len(angles), dtype=np.int64)
    return Scan("torsion", bond, side, length, angles, turned(rest, bond, side, angles), asked)


def _stretch(graph: BondGraph, rest: Floats, bond: Bond, settings: Settings) -> Scan:
    length, step = float(np.linalg.norm(rest[bond[1]] - rest[bond[0]])), settings.stretch_step_A
    # the grid passes through the minimum; 1e-9: a whole number of steps stays one
    first = int(np.ceil((settings.stretch_from_ratio - 1.0) * length / step - 1e-9))
    last = int(np.floor((settings.stretch_to_ratio - 1.0) * length / step + 1e-9))
    steps = np.arange(first, last + 1)
    by_A = np.asarray(steps * step, dtype=np.float64)
    side = _side(graph, bond)
    asked = (steps % settings.label_every == 0) | (steps == first) | (steps == last)
    frames = stretched(rest, bond, side, by_A)
    return Scan("stretch", bond, side, length, by_A, frames, np.flatnonzero(asked).astype(np.int64))


def _side(graph: BondGraph, bond: Bond) -> Ints:
    side = side_of(graph, bond)
    if side is None:
        raise ValueError(f"bond {bond} is in a ring")
    return side


def run(provider: ForceProvider, case: Case, scans: Sequence[Scan]) -> list[Answers]:
    """Return the model's answers at every point of every scan of a case; the reference's are NaN."""
    positions = np.concatenate([s.positions for s in scans])
    nothing = np.zeros(len(positions))
    frames = Trajectory(case.numbers, nothing, positions, None, nothing, np.zeros_like(positions))
    energies, forces = predict(provider, frames)
    ends = np.cumsum([len(s.moved) for s in scans])[:-1]
    return [
        Answers(e, f, np.full_like(e, np.nan), np.full_like(f, np.nan))
        for e, f in zip(np.split(energies, ends), np.split(forces, ends), strict=True)
    ]


def ask_reference(
    cases: Sequence[Case],
    scans: Sequence[Sequence[Scan]],
    answers: Sequence[Sequence[Answers]],
    reference: str,
    on_progress: Callable[[float], None] = lambda fraction: None,
) -> list[list[Answers]]:
    """Return the answers of many cases with those of the reference put in, a worker process a case."""
    jobs = [
        Frames(case.numbers, np.concatenate([s.positions[s.asked] for s in mine]))
        for case, mine in zip(cases, scans, strict=True)
    ]
    found = []
    for labels, mine, said in zip(label(jobs, reference, on_progress=on_progress), scans, answers, strict=True):
        ends = np.cumsum([len(s.asked) for s in mine])[:-1]
        parts = zip(mine, said, np.split(labels.energies, ends), np.split(labels.forces, ends), strict=True)
        found.append([_with_reference(s, a, energies, forces) for s, a, energies, forces in parts])
    return found


def _with_reference(scan: Scan, answers: Answers, energies: Floats, forces: Floats) -> Answers:
    all_energies = np.full(len(scan.moved), np.nan)
    all_forces = np.full(scan.positions.shape, np.nan)
    all_energies[scan.asked], all_forces[scan.asked] = energies, forces
    return replace(answers, reference_energies=all_energies, reference_forces=all_forces)


def slopes(scan: Scan, forces: Floats) -> Floats:
    """Return dE/dr of a stretch from forces, (n_points,), eV/Å: the side moves along one line."""
    along = outward(scan.positions[0], scan.bond, scan.side)
    return np.asarray(-forces[:, scan.side].sum(axis=1) @ along)
