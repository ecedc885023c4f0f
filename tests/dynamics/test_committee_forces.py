"""A committee moves as its mean does, on the batched road and on ASE's."""

import numpy as np
import pytest
import torch
from ase.calculators.emt import EMT

from gmd26_md.dynamics.committee_forces import CommitteeForces, predict_members
from gmd26_md.dynamics.engine import System, integrate
from gmd26_md.dynamics.forces import AseForces
from gmd26_md.dynamics.plan import Segment
from gmd26_md.trajectory import Trajectory

CARBON_4, CARBON_2 = np.full(4, 6), np.full(2, 6)


def flat(*positions: np.ndarray) -> torch.Tensor:
    return torch.as_tensor(np.concatenate(positions))


def test_springs_of_two_strengths_together_are_a_spring_of_the_mean_strength(springs, tetrahedron):
    # springs are linear in k, so the committee of k = 20 and k = 40 is the spring of k = 30, for every geometry
    committee = CommitteeForces([springs(k=20.0), springs(k=40.0)])
    energies, forces = committee.bind([CARBON_4, CARBON_2])(flat(tetrahedron, tetrahedron[:2]))
    wanted_energies, wanted_forces = springs(k=30.0).bind([CARBON_4, CARBON_2])(flat(tetrahedron, tetrahedron[:2]))
    assert energies.numpy() == pytest.approx(wanted_energies.numpy(), rel=1e-14)
    assert forces.numpy() == pytest.approx(wanted_forces.numpy(), abs=1e-12)


def test_its_dynamics_are_those_of_the_mean(springs, tetrahedron):
    systems = [System("a", CARBON_4, tetrahedron, seed=1, temperature_K=300.0)]
    segments = [Segment("nve", 100, 0.5, 10)]
    (one,) = integrate(CommitteeForces([springs(k=20.0), springs(k=40.0)]), systems, segments)
    (wanted,) = integrate(springs(k=30.0), systems, segments)
    # a hundred steps, each with a rounding error of 1e-16: far under 1e-10 Å
    assert one.frames["nve"].positions == pytest.approx(wanted.frames["nve"].positions, abs=1e-10)
    assert one.stopped is None


def test_equal_members_are_the_member_to_the_last_bit_and_only_and_joined_keep_the_order(springs, tetrahedron):
    committee, alone = CommitteeForces([springs(), springs()]), springs()
    bound = committee.bind([CARBON_4, CARBON_2]).only([1]).joined(committee.bind([CARBON_4]))
    energies, forces = bound(flat(tetrahedron[:2], tetrahedron))
    wanted = alone.bind([CARBON_2, CARBON_4])(flat(tetrahedron[:2], tetrahedron))
    assert torch.equal(energies, wanted[0])
    assert torch.equal(forces, wanted[1])


def test_one_member_that_says_nan_makes_its_system_nan_and_no_other(springs, tetrahedron):
    committee = CommitteeForces([springs(), springs(nan_beyond=1.5)])
    energies, forces = committee.bind([CARBON_4, CARBON_4])(flat(2.0 * tetrahedron, tetrahedron))
    assert energies.isnan().tolist() == [True, False]
    assert forces[:4].isnan().all()
    assert forces[4:].isfinite().all()


def test_what_a_member_says_when_it_fails_is_kept_and_goes_with_its_system():
    committee = CommitteeForces([AseForces(EMT), AseForces(EMT)])
    bound = committee.bind([np.array([6, 6]), np.array([92, 92])])  # EMT has no uranium
    pair = np.array([[0.0, 0, 0], [1.4, 0, 0]])
    energies, _ = bound(flat(pair, pair))
    assert energies.isfinite().tolist() == [True, False]
    assert "NotImplementedError" in bound.errors[1]
    assert "NotImplementedError" in bound.only([1]).errors[0]


def test_what_each_member_says_of_many_frames(springs, tetrahedron):
    positions = tetrahedron + 0.05 * np.random.default_rng(2).standard_normal((7, 4, 3))
    zeros = np.zeros((7, 4, 3))
    frames = Trajectory(CARBON_4, np.arange(7.0), positions, None, np.zeros(7), zeros)
    energies, forces = predict_members(CommitteeForces([springs(k=20.0), springs(k=40.0)]), frames)
    assert energies.shape == (2, 7)
    assert forces.shape == (2, 7, 4, 3)
    assert forces[1] == pytest.approx(2.0 * forces[0], rel=1e-9, abs=1e-12)  # twice the spring, twice the force


def test_a_batch_costs_what_its_members_cost_and_fits_into_the_smallest(springs):
    one = springs()
    committee = CommitteeForces([one, springs(), AseForces(EMT)])
    positions = np.zeros((4, 3))
    assert committee.cost(CARBON_4, positions) == 2 * one.cost(CARBON_4, positions) + 4.0
    assert committee.capacity() == one.capacity()


def test_one_member_is_no_committee(springs):
    with pytest.raises(ValueError, match="two members or more"):
        CommitteeForces([springs()])
