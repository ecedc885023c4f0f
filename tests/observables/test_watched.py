"""Checks of single geometries agree with what frames say, and sightings go into the report."""

import numpy as np
import pytest
from ase.build import molecule

from gmd26_md.observables.bonds import bond_graph
from gmd26_md.observables.topology import Limits, examine_topology
from gmd26_md.observables.watched import Sighting, watched, with_sightings


@pytest.fixture
def acid():
    atoms = molecule("CH3COOH")
    return bond_graph(atoms.numbers, atoms.positions), atoms.positions


def outside(check, positions):
    d = np.linalg.norm(positions[check.pairs[:, 0]] - positions[check.pairs[:, 1]], axis=1)
    return ~((d >= check.at_least_A) & (d <= check.at_most_A))


def test_a_molecule_at_rest_is_within_all_limits(acid):
    graph, positions = acid
    for check in watched(graph).values():
        assert len(check.pairs) > 0
        assert not outside(check, positions).any()


def test_what_is_outside_is_an_event_of_the_frames(acid):
    graph, positions = acid
    rng = np.random.default_rng(0)
    agreed = set()
    for scale in (0.1, 0.25, 0.4):
        for _ in range(40):
            shaken = positions + rng.normal(scale=scale, size=positions.shape)
            report = examine_topology(graph, shaken[None], np.zeros(1))
            for name, check in watched(graph).items():
                found = outside(check, shaken)
                event = getattr(report, name)
                if found.any():
                    assert event is not None
                    agreed.add(name)
                elif event is not None:  # only the proton of the acid, of which frames decide
                    assert {graph.numbers[i] for i in event.atoms} == {1, 8}
                    assert name != "clash"
    assert agreed == {"bond_broken", "bond_broken_by_radii", "clash"}


def test_the_acidic_proton_is_left_to_the_frames(acid):
    graph, _ = acid
    bonds = {tuple(pair) for pair in graph.bonds.tolist()}
    kept = {tuple(pair) for pair in watched(graph)["bond_broken"].pairs.tolist()}
    (left_out,) = bonds - kept
    assert {int(graph.numbers[i]) for i in left_out} == {1, 8}


def test_an_earlier_sighting_goes_before_the_frames_and_a_later_one_does_not(acid):
    graph, positions = acid
    bond = tuple(watched(graph)["bond_broken"].pairs[0].tolist())
    length = float(np.linalg.norm(positions[bond[0]] - positions[bond[1]]))
    calm = examine_topology(graph, positions[None], np.zeros(1))
    seen = with_sightings(calm, graph, [Sighting("bond_broken", 0.25, bond, length + 0.7)])
    assert seen.bond_broken.at_ps == 0.25
    assert seen.bond_broken.value == pytest.approx(0.7)
    assert seen.bond_broken.limit == pytest.approx(Limits().bond_change_A)
    assert (calm.bond_broken, seen.clash) == (None, None)
    later = with_sightings(seen, graph, [Sighting("bond_broken", 0.3, bond, 9.0)])
    assert later.bond_broken == seen.bond_broken
    earlier = with_sightings(seen, graph, [Sighting("bond_broken", 0.2, bond, 9.0)])
    assert earlier.bond_broken.at_ps == 0.2


def test_values_and_limits_are_those_of_the_check(acid):
    graph, positions = acid
    report = examine_topology(graph, positions[None], np.zeros(1))
    checks = watched(graph)
    far, near = checks["bond_broken_by_radii"], checks["clash"]
    seen = with_sightings(
        report,
        graph,
        [
            Sighting("bond_broken_by_radii", 0.1, tuple(far.pairs[1].tolist()), 3.0),
            Sighting("clash", 0.2, tuple(near.pairs[4].tolist()), 0.3),
        ],
    )
    assert (seen.bond_broken_by_radii.value, seen.bond_broken_by_radii.limit) == (3.0, far.at_most_A[1])
    assert (seen.clash.value, seen.clash.limit) == (0.3, near.at_least_A[4])
