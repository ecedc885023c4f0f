"""FIRE in a batch: known minima, independence, and failures that are told."""

import numpy as np
from ase.calculators.calculator import Calculator, all_changes

from gmd26_md.dynamics.forces import AseForces
from gmd26_md.dynamics.relax import relax

FOUR = np.array([6, 1, 8, 1])
OH = np.array([8, 1])


def dimer(distance):
    return np.array([[0.0, 0, 0], [0, 0, distance]])


def distances(positions):
    return np.linalg.norm(positions[:, None] - positions[None], axis=-1)[np.triu_indices(len(positions), 1)]


class GivesUp(Calculator):
    """Pulls every atom one way, so that it never comes to rest; raises at its fifth calculation."""

    implemented_properties = ("energy", "forces")
    left = 5

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.left -= 1
        if self.left <= 0:
            raise RuntimeError("the field did not converge")
        self.results = {"energy": 0.0, "forces": np.ones((len(atoms), 3))}


def test_molecules_reach_their_known_minima(springs, tetrahedron):
    found = relax(springs(), [FOUR, OH, OH], [tetrahedron * 1.2, dimer(0.8), dimer(2.0)], fmax=0.001)
    assert all(one.converged and one.error is None for one in found)
    for one in found:
        # stiffness 30 eV/Å^2 or more against a force of 0.001 eV/Å
        assert np.abs(distances(one.path.positions[-1]) - 1.0).max() < 1e-4
        assert one.fmax_eV_per_A < 0.001
        assert np.linalg.norm(one.path.forces[-1], axis=-1).max() == one.fmax_eV_per_A
        assert one.path.time_fs[0] == 0
        assert one.path.time_fs[-1] == one.n_steps


def test_the_path_of_a_molecule_does_not_depend_on_its_neighbours(springs, tetrahedron):
    numbers, positions = [FOUR, OH, OH], [tetrahedron * 1.2, dimer(0.8), dimer(2.0)]
    together = relax(springs(), numbers, positions, fmax=0.001)
    turned = relax(springs(), numbers[::-1], positions[::-1], fmax=0.001)[::-1]
    alone = [relax(springs(), [z], [x], fmax=0.001)[0] for z, x in zip(numbers, positions, strict=True)]
    for one, other, lone in zip(together, turned, alone, strict=True):
        assert one.n_steps == other.n_steps == lone.n_steps
        assert np.array_equal(one.path.positions, other.path.positions)
        assert np.array_equal(one.path.positions, lone.path.positions)


def test_a_molecule_at_its_minimum_takes_no_step(springs):
    resting, moving = relax(springs(), [OH, OH], [dimer(1.0), dimer(1.3)])
    assert (resting.converged, resting.n_steps, resting.path.n_frames) == (True, 0, 1)
    assert moving.n_steps > 0


def test_too_few_steps_are_not_converged(springs, tetrahedron):
    short, done = relax(springs(), [FOUR, OH], [tetrahedron * 2.0, dimer(1.0)], max_steps=3)
    assert not short.converged
    assert short.n_steps == 3
    assert short.fmax_eV_per_A > 0.01
    assert done.converged


def test_a_nan_stops_its_molecule_and_no_other(springs):
    provider = springs(nan_beyond=1.5)
    broken, whole = relax(provider, [OH, OH], [dimer(2.0), dimer(1.3)])
    assert not broken.converged
    assert np.isnan(broken.fmax_eV_per_A)
    assert broken.n_steps == 0
    assert whole.converged
    assert np.array_equal(whole.path.positions, relax(provider, [OH], [dimer(1.3)])[0].path.positions)


def test_a_calculator_that_raises_is_told():
    found = relax(AseForces(GivesUp), [OH], [dimer(1.0)])[0]
    assert not found.converged
    assert found.error == "RuntimeError: the field did not converge"
    assert found.n_steps == 4
    assert np.isnan(found.path.energies[-1])


def test_a_start_that_is_no_number_has_not_converged(springs):
    broken, whole = relax(springs(), [OH, OH], [dimer(np.nan), dimer(1.3)])
    assert not broken.converged
    assert np.isnan(broken.fmax_eV_per_A)
    assert whole.converged
