"""What happened to the bonds of a molecule along a trajectory, when, and to which atoms.

Fails closed: an intact bond must show `value <= limit`, a pair apart must show `value >= limit`, so that NaN fails.
`None` means that an event did not happen. A bond of hydrogen to N, O, F, S or Cl that gives its proton to another such
atom of the molecule is a *transfer* and does not count as broken while the proton sits there, or is on its way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gmd26_md.observables.bonds import (
    BOND_TOLERANCE,
    BondGraph,
    Bools,
    Floats,
    Ints,
    all_pairs,
    bond_graph,
    pair_distances,
    radii_sums,
)
from gmd26_md.observables.double_bonds import PLANAR, double_bonds, sides
from gmd26_md.observables.handedness import FLAT, centres, handedness

ELECTRONEGATIVE = (7, 8, 9, 16, 17)
"""Elements whose protons are acidic enough to hop: N, O, F, S, Cl."""
FLIGHT_FS = 50.0
"""From the first to the last frame in which no atom holds a proton that changes its owner. A jump takes 10 to 30 fs."""


@dataclass(frozen=True)
class Limits:
    """The limits of the checks; every one stands in the record.

    Attributes
    ----------
    bond_change_A
        A bond is broken when its length differs from the reference by more: 0.5 Å, as Fu et al. 2023 (arXiv
        2210.07237), so that results compare.
    broken_radii
        A bond is also broken beyond this times the sum of covalent radii: 1.5, the element-aware twin.
    clash_radii
        Two atoms clash under this times the sum: 0.7; a C=O double bond is at 0.85, a C-C triple bond at 0.79.
    new_bond_radii
        A pair that was not bonded counts as bonded under this times the sum, 1.2, when it lasts.
    lasting_fs
        How long a new bond, a transferred proton or an inverted centre must last without a gap: 100 fs, ten stretches
        of a C-H bond, so that a collision is not a reaction.
    bonded_radii
        Bonded, in the graph at the end and for a proton on its acceptor: `BOND_TOLERANCE`.
    """

    bond_change_A: float = 0.5
    broken_radii: float = 1.5
    clash_radii: float = 0.7
    new_bond_radii: float = 1.2
    lasting_fs: float = 100.0
    bonded_radii: float = BOND_TOLERANCE


@dataclass(frozen=True)
class Event:
    """Something that happened first at `at_ps` (the trajectory's clock), in `frame`, to `atoms` (indices).

    `frame` is -1 for what was seen between frames.

    `value` and `limit` are what decided, in Å: a distance, or for `bond_broken` a change of length. For `inversion`
    the handedness of its one atom (`observables.handedness`), or the cosine of the torsion about a double bond of two
    (`observables.double_bonds`), negative where it is not that of the start.
    """

    at_ps: float
    frame: int
    atoms: tuple[int, ...]
    value: float
    limit: float


@dataclass(frozen=True)
class TopologyReport:
    """The first event of each kind, None where it did not happen, and how the graph ended.

    `transfers` are all lasting ones in order of time, atoms (donor, hydrogen, acceptor); `lost` and `gained` are
    the bonds by which the graph of the last frame differs from the start's. `inversion` is of an atom with four bonds
    that turned inside out: a stereocentre, or two neighbours that changed places; or of a double bond that turned over,
    from cis to trans. All bonds are then as they were.
    """

    nonfinite: Event | None
    bond_broken: Event | None
    bond_broken_by_radii: Event | None
    clash: Event | None
    new_bond: Event | None
    transfers: tuple[Event, ...]
    lost: tuple[tuple[int, int], ...]
    gained: tuple[tuple[int, int], ...]
    inversion: Event | None = None

    @property
    def transfer(self) -> Event | None:
        """The first lasting proton transfer."""
        return self.transfers[0] if self.transfers else None

    @property
    def graph_changed(self) -> bool:
        """Whether the covalent graph of the last frame differs from the start's."""
        return bool(self.lost or self.gained)

    @property
    def intact(self) -> bool:
        """Whether nothing happened at all."""
        happened = self.nonfinite is not None or any(at_ps is not None for at_ps in self.metrics().values())
        return not happened and not self.graph_changed

    def metrics(self) -> dict[str, float | None]:
        """Return the times of the events under the names of `metrics.METRICS`; None: did not happen."""
        named = {
            "bond_broken_at_ps": self.bond_broken,
            "bond_broken_by_radii_at_ps": self.bond_broken_by_radii,
            "clash_at_ps": self.clash,
            "new_bond_at_ps": self.new_bond,
            "transfer_at_ps": self.transfer,
            "inversion_at_ps": self.inversion,
        }
        return {key: None if event is None else event.at_ps for key, event in named.items()}


def examine_topology(
    graph: BondGraph, positions: Floats, time_fs: Floats, limits: Limits | None = None
) -> TopologyReport:
    """Return what happened to the bonds of `graph` along a trajectory.

    Parameters
    ----------
    graph
        The start's bonds with their reference lengths, best from the reference minimum.
    positions
        (n_frames, n_atoms, 3), Å.
    time_fs
        (n_frames,).

    Limits: only the given frames are seen, so sample every 10 fs or denser. A proton that visits another atom for less
    than `lasting_fs` and goes home is no event. A turning methyl group changes nothing, as no bond does.
    """
    limits = limits or Limits()
    positions, time_fs = np.asarray(positions, dtype=np.float64), np.asarray(time_fs, dtype=np.float64)
    n_atoms = len(graph.numbers)
    if positions.shape != (len(time_fs), n_atoms, 3) or len(time_fs) == 0:
        raise ValueError(f"positions: want {(len(time_fs), n_atoms, 3)} with a frame at least, got {positions.shape}")
    pairs = all_pairs(n_atoms)
    scene = _Scene(graph, pairs, radii_sums(graph.numbers, pairs), pair_distances(positions, pairs), time_fs, limits)
    mobile = mobile_protons(graph)
    away = _protons_away(scene, mobile)
    end = bond_graph(graph.numbers, positions[-1], limits.bonded_radii).pairs
    return TopologyReport(
        nonfinite=_first_nonfinite(positions, time_fs),
        bond_broken=_broken_by_change(scene, away),
        bond_broken_by_radii=_broken_by_radii(scene, away),
        clash=_clash(scene),
        new_bond=_new_bond(scene, mobile),
        transfers=_transfers(scene, mobile),
        lost=tuple(sorted(graph.pairs - end)),
        gained=tuple(sorted(end - graph.pairs)),
        inversion=_inversion(scene, positions),
    )


@dataclass(frozen=True, eq=False)
class _Scene:
    """All pair distances of a trajectory, and what they are judged by."""

    graph: BondGraph
    pairs: Ints  # (n_pairs, 2)
    sums: Floats  # (n_pairs,)
    distances: Floats  # (n_frames, n_pairs)
    time_fs: Floats  # (n_frames,)
    limits: Limits

    def columns(self, pairs: Ints) -> Ints:
        """Return where pairs (n, 2), in any order of their atoms, stand in `self.pairs`."""
        first, second = pairs.min(axis=1), pairs.max(axis=1)
        n = len(self.graph.numbers)
        return np.asarray(first * n - first * (first + 1) // 2 + second - first - 1, dtype=np.int64)

    def lasts(self, start: int, stop: int) -> bool:
        """Tell whether two frames are `lasting_fs` apart; 1e-6 fs is allowed for rounding of the times."""
        return bool(self.time_fs[stop] - self.time_fs[start] >= self.limits.lasting_fs - 1e-6)

    def event(self, frame: int, atoms: tuple[int, ...], value: float, limit: float) -> Event:
        """Return an event of a frame."""
        return Event(float(self.time_fs[frame]) / 1000.0, int(frame), atoms, float(value), float(limit))

    def first(
        self, failed: Bools, values: Floats, limits: Floats, columns: Ints, badness: Floats | None = None
    ) -> Event | None:
        """Return the first frame in which a check failed, with its worst pair.

        All of `failed`, `values` and `badness` (by default value over limit; NaN is worst) are (n_frames, n); `limits`
        and `columns` (which pair each is) are (n,).
        """
        frames = np.flatnonzero(failed.any(axis=1))
        if frames.size == 0:
            return None
        frame = int(frames[0])
        rank = (values / limits if badness is None else badness)[frame]
        worst = int(np.argmax(np.where(failed[frame], rank, -np.inf)))
        atoms = (int(self.pairs[columns[worst], 0]), int(self.pairs[columns[worst], 1]))
        return self.event(frame, atoms, values[frame, worst], limits[worst])


def _first_nonfinite(positions: Floats, time_fs: Floats) -> Event | None:
    """Return the first frame with a position that is not finite, with all such atoms."""
    bad: Bools = np.logical_not(np.isfinite(positions).all(axis=2))  # (n_frames, n_atoms)
    if not bad.any():
        return None
    frame = int(np.argmax(bad.any(axis=1)))
    atoms = tuple(np.flatnonzero(bad[frame]).tolist())
    return Event(float(time_fs[frame]) / 1000.0, frame, atoms, float("nan"), float("inf"))


def _broken_by_change(scene: _Scene, away: Bools) -> Event | None:
    """Return the first bond with |l - l_ref| > `bond_change_A`; the event's value is that change."""
    columns = scene.columns(scene.graph.bonds)
    change = np.abs(scene.distances[:, columns] - scene.graph.lengths)
    limits = np.full(len(columns), scene.limits.bond_change_A)
    return scene.first(~(change <= limits) & ~away, change, limits, columns)


def _broken_by_radii(scene: _Scene, away: Bools) -> Event | None:
    """Return the first bond longer than `broken_radii` times the sum of covalent radii."""
    columns = scene.columns(scene.graph.bonds)
    limits = scene.limits.broken_radii * scene.sums[columns]
    lengths = scene.distances[:, columns]
    return scene.first(~(lengths <= limits) & ~away, lengths, limits, columns)


def _clash(scene: _Scene) -> Event | None:
    """Return the first pair, bonded or not, closer than `clash_radii` times the sum of covalent radii."""
    limits = scene.limits.clash_radii * scene.sums
    failed = ~(scene.distances >= limits)
    return scene.first(failed, scene.distances, limits, np.arange(len(scene.pairs)), -scene.distances / limits)


def mobile_protons(graph: BondGraph) -> Ints:
    """Return (bond, donor, hydrogen, acceptor) for every acidic proton and every atom that could take it, (n, 4)."""
    rich = np.isin(graph.numbers, ELECTRONEGATIVE)
    rows = []
    for index, (i, j) in enumerate(graph.bonds.tolist()):
        for donor, hydrogen in ((i, j), (j, i)):
            if rich[donor] and graph.numbers[hydrogen] == 1:
                rows += [(index, donor, hydrogen, a) for a in np.flatnonzero(rich).tolist() if a != donor]
    return np.array(rows, dtype=np.int64).reshape(-1, 4)


def _protons_away(scene: _Scene, mobile: Ints) -> Bools:
    """Tell for each bond whether another atom that can hold its proton does, or is left or reached by it right then.

    (n_frames, n_bonds).
    """
    away = np.zeros((len(scene.time_fs), len(scene.graph.bonds)), dtype=bool)
    columns = scene.columns(mobile[:, 2:])
    held = scene.distances[:, columns] <= scene.limits.bonded_radii * scene.sums[columns]
    for row, bond in enumerate(mobile[:, 0].tolist()):
        away[:, bond] |= held[:, row]
    for bond in np.unique(mobile[:, 0]).tolist():
        column = int(scene.columns(scene.graph.bonds[[bond]])[0])
        away[:, bond] |= _flying(scene, column, away[:, bond])
    return away


def _flying(scene: _Scene, column: int, away: Bools) -> Bools:
    """Tell in which frames the proton of a bond is between two atoms, (n_frames,).

    No atom holds it then, for up to `FLIGHT_FS`, but in the frames before and after one does: another than its own
    before, or after, or both. A proton that leaves its atom and comes back without having been taken is no such case.
    """
    length = scene.distances[:, column]
    at_home = length <= scene.limits.bonded_radii * scene.sums[column]
    flying = np.zeros(len(away), dtype=bool)
    for start, stop in spans(~(at_home | away)).tolist():
        between = start > 0 and stop < len(away) - 1 and bool(np.isfinite(length[start : stop + 1]).all())
        short = scene.time_fs[stop] - scene.time_fs[start] <= FLIGHT_FS + 1e-6
        if between and short and (away[start - 1] or away[stop + 1]):
            flying[start : stop + 1] = True
    return flying


def _transfers(scene: _Scene, mobile: Ints) -> tuple[Event, ...]:
    """Return the lasting stays of protons with new owners, and the stays that the trajectory ends in.

    The owner is the atom that is closer in units of its bond; it must also be within `new_bond_radii`.
    """
    old, new = scene.columns(mobile[:, 1:3]), scene.columns(mobile[:, 2:])
    limits = scene.limits.new_bond_radii * scene.sums[new]
    taken = scene.distances[:, new] <= limits
    taken &= scene.distances[:, new] / scene.sums[new] < scene.distances[:, old] / scene.sums[old]
    events = []
    for row in np.flatnonzero(taken.any(axis=0)).tolist():
        stays = spans(taken[:, row])
        for start, stop in stays.tolist():
            if stop == len(taken) - 1 or scene.lasts(start, stop):
                _, donor, hydrogen, acceptor = mobile[row].tolist()
                value = scene.distances[start, new[row]]
                events.append(scene.event(start, (donor, hydrogen, acceptor), value, limits[row]))
    return tuple(sorted(events, key=lambda event: (event.at_ps, event.atoms)))


def _new_bond(scene: _Scene, mobile: Ints) -> Event | None:
    """Return the first lasting contact of a pair that was not bonded; protons on new owners are transfers instead.

    The event begins when the contact does. NaN is no contact: the other checks fail on it.
    """
    candidates = np.ones(len(scene.pairs), dtype=bool)
    candidates[scene.columns(scene.graph.bonds)] = False
    candidates[scene.columns(mobile[:, 2:])] = False
    limits = scene.limits.new_bond_radii * scene.sums
    close = (scene.distances < limits) & candidates
    lasting: list[Event] = []
    for column in np.flatnonzero(close.any(axis=0)).tolist():
        for start, stop in spans(close[:, column]).tolist():
            if scene.lasts(start, stop):
                atoms = (int(scene.pairs[column, 0]), int(scene.pairs[column, 1]))
                lasting.append(scene.event(start, atoms, scene.distances[start, column], limits[column]))
    return min(lasting, key=lambda event: event.at_ps, default=None)


def _inversion(scene: _Scene, positions: Floats) -> Event | None:
    """Return the first lasting inversion of an atom with four bonds, or double bond that turned over; or a last one.

    The first frame says which way round is right. Only frames count in which all the bonds that matter hold; NaN is no
    inversion, as the other checks fail on it.
    """
    found = []
    for centre in centres(scene.graph):
        bonds = np.stack([np.full(4, centre[0]), centre[1:]], axis=1)
        found += _turned(scene, handedness(positions, centre), FLAT, bonds, (int(centre[0]),))
    for bond in double_bonds(scene.graph):
        atoms = (int(bond[1]), int(bond[2]))
        found += _turned(scene, sides(positions, bond), PLANAR, np.stack([bond[:-1], bond[1:]], axis=1), atoms)
    return min(found, key=lambda event: event.at_ps, default=None)


def _turned(scene: _Scene, values: Floats, least: float, bonds: Ints, atoms: tuple[int, ...]) -> list[Event]:
    """Return the lasting stays of a signed number beyond zero, and the stay that the trajectory ends in.

    None where it is less than `least` in the first frame, and so says nothing.
    """
    if not abs(values[0]) >= least:
        return []
    values = values * np.sign(values[0])
    columns = scene.columns(bonds)
    hold = (scene.distances[:, columns] <= scene.limits.broken_radii * scene.sums[columns]).all(axis=1)
    return [
        scene.event(first, atoms, values[first : last + 1].min(), 0.0)
        for first, last in spans((values < 0.0) & hold).tolist()
        if last == len(values) - 1 or scene.lasts(first, last)
    ]


def spans(flags: NDArray[np.bool_]) -> Ints:
    """Return first and last index of each run of True, (n_runs, 2)."""
    edges = np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8))
    return np.stack([np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) - 1], axis=1).astype(np.int64)
