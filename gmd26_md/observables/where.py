"""Where a run went wrong: the first event, its atoms, and how many bonds they are from a functional group."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase.data import atomic_masses, chemical_symbols

from gmd26_md.observables.bonds import BondGraph
from gmd26_md.observables.fragments import bonds_to_groups
from gmd26_md.observables.topology import Event, TopologyReport
from gmd26_md.trajectory import Trajectory

_N_BEFORE = 20  # frames kept before an event: 200 fs of the way there at the default spacing


@dataclass(frozen=True)
class Where:
    """The first thing that went wrong.

    Attributes
    ----------
    event
        "bond_broken", "clash", ..., as in `topology.TopologyReport`; "too_hot" or "nonfinite" where no bond or distance
        went first, with the hottest atom or the atoms that are no numbers; "end_graph" where nothing happened but that
        the last frame has other bonds, with their atoms.
    atoms, elements
        Which atoms, by index and by symbol.
    bonds_from_group
        How many bonds the nearest of them is from a functional group; None where the molecule has none.
    at_ps
        When.
    """

    event: str
    atoms: tuple[int, ...]
    elements: tuple[str, ...]
    bonds_from_group: int | None
    at_ps: float


def first_place(
    graph: BondGraph,
    topology: TopologyReport,
    trajectory: Trajectory,
    *,
    nonfinite_at_ps: float | None,
    too_hot_at_ps: float | None,
) -> Where | None:
    """Return where a run first went wrong; None where it did not.

    A bond goes before the heat that follows from it: of events at one time a distance names the place.
    """
    named: dict[str, Event | None] = {
        name: getattr(topology, name)
        for name in ("bond_broken", "bond_broken_by_radii", "clash", "new_bond", "transfer", "inversion")
    }
    found = [(event.at_ps, 0, name, event.atoms) for name, event in named.items() if event is not None]
    for name, at_ps in (("too_hot", too_hot_at_ps), ("nonfinite", nonfinite_at_ps)):
        if at_ps is not None:
            found.append((at_ps, 1, name, _wildest_atoms(trajectory, at_ps)))
    if not found and topology.graph_changed:
        moved = tuple(sorted({i for pair in (*topology.lost, *topology.gained) for i in pair}))
        found.append((float(trajectory.time_fs[-1]) / 1000.0, 0, "end_graph", moved))
    if not found:
        return None
    at_ps, _, name, atoms = min(found)
    away = bonds_to_groups(graph)[list(atoms)]
    nearest = float(away.min()) if away.size else np.inf
    return Where(
        event=name,
        atoms=tuple(int(i) for i in atoms),
        elements=tuple(chemical_symbols[graph.numbers[i]] for i in atoms),
        bonds_from_group=int(nearest) if np.isfinite(nearest) else None,
        at_ps=float(at_ps),
    )


def _wildest_atoms(trajectory: Trajectory, at_ps: float) -> tuple[int, ...]:
    """Return the atoms that are no numbers in the last frame up to a time, or the one that moves with most energy.

    The engine may meet the event between frames: then the frame before it is looked at.
    """
    frame = max(int(np.searchsorted(trajectory.time_fs, 1000.0 * at_ps + 1e-6, side="right")) - 1, 0)
    arrays = [trajectory.positions[frame], trajectory.forces[frame]]
    if trajectory.velocities is not None:
        arrays.append(trajectory.velocities[frame])
    lost = ~np.isfinite(np.concatenate(arrays, axis=1)).all(axis=1)
    if lost.any():
        return tuple(np.flatnonzero(lost).tolist())
    if trajectory.velocities is None:
        return ()
    energy = atomic_masses[trajectory.numbers] * (trajectory.velocities[frame] ** 2).sum(axis=1)
    return (int(np.argmax(energy)),)


def last_frames(trajectory: Trajectory, at_ps: float) -> Trajectory | None:
    """Return up to 20 frames before an event and the first one at or after it, those with finite positions.

    They are what a run saw on its way out of what the model knows: fit to be labelled and put into training. None where
    no frame is whole.
    """
    after = int(np.searchsorted(trajectory.time_fs, 1000.0 * at_ps - 1e-6, side="left"))
    chosen = np.arange(max(after - _N_BEFORE, 0), min(after + 1, trajectory.n_frames))
    chosen = chosen[np.isfinite(trajectory.positions[chosen]).all(axis=(1, 2))]
    return trajectory.part(chosen) if chosen.size else None
