"""Checks of single geometries, for whoever looks between frames, and what was seen there put into the report.

A bond that breaks and heals between two frames, or a collision, is an event all the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from gmd26_md.observables.bonds import BondGraph, Floats, Ints, all_pairs, radii_sums
from gmd26_md.observables.topology import Event, Limits, TopologyReport, mobile_protons


@dataclass(frozen=True, eq=False)
class Watched:
    """Distances that can be looked at while a molecule moves: `at_least_A` <= d <= `at_most_A` of `pairs`, (n, 2)."""

    pairs: Ints
    at_least_A: Floats
    at_most_A: Floats


def watched(graph: BondGraph, limits: Limits | None = None) -> dict[str, Watched]:
    """Return the checks of single geometries, under the names of their events.

    Bonds of protons that may be transferred are left out: whether those are broken, only frames in a row can tell.
    """
    limits = limits or Limits()
    pairs = all_pairs(len(graph.numbers))
    stay = np.setdiff1d(np.arange(len(graph.bonds)), mobile_protons(graph)[:, 0])
    bonds, lengths = graph.bonds[stay], graph.lengths[stay]
    none, far = np.zeros(len(bonds)), limits.broken_radii * radii_sums(graph.numbers, bonds)
    near = limits.clash_radii * radii_sums(graph.numbers, pairs)
    return {
        "bond_broken": Watched(bonds, lengths - limits.bond_change_A, lengths + limits.bond_change_A),
        "bond_broken_by_radii": Watched(bonds, none, far),
        "clash": Watched(pairs, near, np.full(len(pairs), np.inf)),
    }


@dataclass(frozen=True)
class Sighting:
    """A check of `watched` that failed between two frames: its event's name, when, which atoms, how far apart in Å."""

    name: str
    at_ps: float
    atoms: tuple[int, int]
    distance_A: float


def with_sightings(
    report: TopologyReport, graph: BondGraph, seen: Iterable[Sighting], limits: Limits | None = None
) -> TopologyReport:
    """Return the report with the events that were seen earlier between frames than in them, or only there."""
    checks = watched(graph, limits)
    for one in seen:
        known: Event | None = getattr(report, one.name)
        if known is not None and known.at_ps <= one.at_ps:
            continue
        check = checks[one.name]
        row = int(np.flatnonzero((check.pairs == one.atoms).all(axis=1))[0])
        low, high = float(check.at_least_A[row]), float(check.at_most_A[row])
        value, limit = one.distance_A, (high if one.name == "bond_broken_by_radii" else low)
        if one.name == "bond_broken":
            value, limit = abs(one.distance_A - 0.5 * (low + high)), 0.5 * (high - low)
        event = Event(one.at_ps, -1, one.atoms, value, limit)
        report = replace(report, **{one.name: event})  # type: ignore[arg-type]
    return report
