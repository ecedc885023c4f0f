"""Double bonds that turn over: cis becomes trans, all bond lengths stay, and it is no longer the molecule asked for."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from gmd26_md.observables.bonds import bond_graph
from gmd26_md.observables.double_bonds import double_bonds, sides
from gmd26_md.observables.evidence import examine
from gmd26_md.observables.topology import examine_topology
from gmd26_md.observables.verdict import judge
from gmd26_md.observables.where import first_place
from gmd26_md.trajectory import Trajectory

ETHENE = molecule("C2H4")
GRAPH = bond_graph(ETHENE.numbers, ETHENE.positions)
BACK = [*np.linspace(0.0, 180.0, 11), *np.linspace(180.0, 0.0, 11)]


def turned(degrees):
    """Return ethene with one methylene turned about the double bond, a frame every 10 fs."""
    (bond,) = double_bonds(GRAPH)
    one_end = [bond[1], *(k for k in range(6) if (min(k, bond[1]), max(k, bond[1])) in GRAPH.pairs and k != bond[2])]
    frames = []
    for angle in degrees:
        frame = ETHENE.copy()
        axis = ETHENE.positions[bond[2]] - ETHENE.positions[bond[1]]
        part = Atoms(frame.numbers[one_end], frame.positions[one_end])
        part.rotate(angle, axis, center=ETHENE.positions[bond[1]])
        frame.positions[one_end] = part.positions
        frames.append(frame.positions)
    return np.array(frames), 10.0 * np.arange(len(degrees))


@pytest.mark.parametrize("before", [20, 2])
def test_a_double_bond_that_turns_over_and_stays_so_has_reacted(before):
    positions, time_fs = turned([*[0.0] * before, *np.linspace(0.0, 180.0, 11), *[180.0] * 20])
    report = examine_topology(GRAPH, positions, time_fs)
    assert (report.bond_broken, report.new_bond, report.graph_changed) == (None, None, False)
    assert report.inversion.atoms == (0, 1)
    assert report.inversion.frame == before + 6  # past a quarter turn
    assert report.inversion.value == pytest.approx(-1.0)
    velocities, energies = np.full(positions.shape, 1e-3), np.zeros(len(time_fs))
    run = Trajectory(ETHENE.numbers, time_fs, positions, velocities, energies, 0.0 * positions)
    evidence, metrics = examine(run, GRAPH, asked_ps=time_fs[-1] / 1000, target_temperature_K=300.0)
    verdict = judge(evidence)
    assert (verdict.name, verdict.decided_by) == ("reacted", "inversion")
    assert verdict.reason.startswith("double bond turned over, cosine of its torsion -1.00 where the start's counts")
    assert verdict.reason.endswith("atoms 0-1")
    assert metrics["failed_at_ps"] == metrics["inversion_at_ps"] == pytest.approx(0.01 * (before + 6))
    assert first_place(GRAPH, evidence.topology, run, nonfinite_at_ps=None, too_hot_at_ps=None).atoms == (0, 1)


@pytest.mark.parametrize("degrees", [[0.0] * 5 + BACK[:8] + BACK[-8:] + [0.0] * 5, [0.0, 60.0, 80.0, -80.0, 0.0] * 6])
def test_one_that_turns_back_or_only_swings_has_not(degrees):
    positions, time_fs = turned(degrees)
    assert examine_topology(GRAPH, positions, time_fs).inversion is None


@pytest.mark.parametrize(
    ("name", "n_double"),
    [("C2H4", 1), ("C3H6_Cs", 1), ("isobutene", 1), ("trans-butane", 0), ("CH3COOH", 0), ("C2H2", 0), ("CH3CN", 0),
     ("C6H6", 0), ("CH3CONH2", 0), ("H2CO", 0), ("HCN", 0), ("C3H4_C2v", 1), ("C3H4_D2d", 0), ("CH2NHCH2", 0)],
)  # fmt: skip
def test_double_bonds_with_two_sides_are_found_and_no_others(name, n_double):
    atoms = molecule(name)
    assert len(double_bonds(bond_graph(atoms.numbers, atoms.positions))) == n_double


def test_cis_is_one_and_trans_minus_one_and_nothing_else_is_a_number():
    (bond,) = double_bonds(GRAPH)
    positions, _ = turned([0.0, 90.0, 180.0, 0.0])
    positions[3, bond[0]] = np.nan
    found = sides(positions, bond)
    assert found[:3] * np.sign(found[0]) == pytest.approx([1.0, 0.0, -1.0], abs=1e-6)
    assert np.isnan(found[3])
