"""The last stretch of a relaxation: springs and soft directions whose minimum is known."""

import numpy as np
import pytest
from ase.calculators.calculator import Calculator, all_changes

from gmd26_md.calculators import load_calculator
from gmd26_md.dynamics.forces import AseForces
from gmd26_md.dynamics.relax import relax
from gmd26_md.dynamics.settle import settle

NUMBERS = np.array([6, 6, 8])
SOFT, STIFF = 0.02, 40.0  # eV/Å^2: a torsion's and a stretch's


class Valley(Calculator):
    """E = 1/2 sum of k x^2 over all coordinates: one is soft, the others stiff; at rest in `shape`."""

    implemented_properties = ("energy", "forces")
    shape = np.array([[0.0, 0, 0], [1.5, 0, 0], [2.2, 1.2, 0]])

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        k = np.full((3, 3), STIFF)
        k[2, 2] = SOFT
        x = self.atoms.positions - self.shape
        self.results = {"energy": float(0.5 * (k * x**2).sum()), "forces": -k * x}


class Hills(Calculator):
    """E = cos(x) of one atom: hills at 0, where its curvature is negative, and a valley at pi."""

    implemented_properties = ("energy", "forces")

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        x = self.atoms.positions
        forces = -30.0 * x
        forces[:, 0] = np.sin(x[:, 0])
        self.results = {"energy": float(np.cos(x[0, 0]) + 15.0 * (x[:, 1:] ** 2).sum()), "forces": forces}


def begun(provider, numbers, positions, fmax=0.05):
    found = relax(provider, numbers, positions, fmax=fmax)
    assert all(r.converged for r in found)
    return found


def test_a_soft_direction_is_followed_to_its_end_in_a_few_steps():
    provider = AseForces(Valley)
    start = Valley.shape + np.array([[0.1, 0, 0], [0, 0.1, 0], [0, 0, 1.5]])
    steep = begun(provider, [NUMBERS], [start])
    assert abs(steep[0].path.positions[-1, 2, 2]) > 1.0  # FIRE calls this converged: 0.02 eV/Å^2 over 1.5 Å
    (end,) = settle(provider, steep, fmax=1e-4, max_steps=500)
    assert end.converged
    assert end.fmax_eV_per_A < 1e-4
    assert end.path.positions[-1] == pytest.approx(Valley.shape, abs=1e-4 / SOFT)
    # a step is cut at 0.1 Å: 15 of them at least, and few more
    assert 15 <= end.n_steps - steep[0].n_steps <= 40
    assert end.path.time_fs[-1] == end.n_steps
    assert (np.diff(end.path.time_fs) > 0).all()
    assert end.path.positions[0] == pytest.approx(start)


def test_it_goes_down_where_the_curvature_is_negative():
    provider = AseForces(Hills)
    steep = begun(provider, [np.array([6])], [np.array([[0.04, 0.01, 0]])])
    (end,) = settle(provider, steep, fmax=1e-4, max_steps=500)
    assert end.converged
    assert end.path.positions[-1, 0, 0] == pytest.approx(np.pi, abs=1e-3)


def test_neighbours_in_the_batch_change_nothing():
    provider = AseForces(Valley)
    starts = [Valley.shape + 0.02 * np.random.default_rng(i).normal(size=(3, 3)) + [0, 0, 0.1 * i] for i in range(3)]
    steep = begun(provider, [NUMBERS] * 3, starts)
    together = settle(provider, steep, fmax=1e-5, max_steps=500)
    alone = [settle(provider, [r], fmax=1e-5, max_steps=500)[0] for r in steep]
    assert len({r.n_steps for r in together}) > 1  # they leave one by one
    for a, b in zip(together, alone, strict=True):
        assert a.n_steps == b.n_steps
        assert np.array_equal(a.path.positions, b.path.positions)


def test_what_is_at_rest_or_lost_already_is_left_alone():
    provider = AseForces(lambda: load_calculator("harmonic"))
    dimer = np.array([[0, 0, 0], [0, 0, 0.97]])
    resting = relax(provider, [np.array([8, 1])], [dimer], fmax=0.05)[0]
    lost = relax(provider, [np.array([8, 1])], [np.full((2, 3), np.nan)], fmax=0.05)[0]
    assert settle(provider, [resting, lost], fmax=1e-6, max_steps=10) == [resting, lost]
    assert settle(provider, [], fmax=1e-6, max_steps=10) == []


def test_steps_that_run_out_are_not_convergence():
    provider = AseForces(Valley)
    steep = begun(provider, [NUMBERS], [Valley.shape + np.array([[0, 0, 0], [0, 0, 0], [0, 0, 1.5]])])
    (end,) = settle(provider, steep, fmax=1e-6, max_steps=steep[0].n_steps + 3)
    assert not end.converged
    assert end.n_steps == steep[0].n_steps + 3


class SmallMemory(AseForces):
    """Has room for two molecules at once."""

    def bind(self, numbers):
        if len(numbers) > 2:
            raise MemoryError
        return super().bind(numbers)


def test_out_of_memory_each_half_goes_on_by_itself():
    starts = [Valley.shape + 0.02 * np.random.default_rng(i).normal(size=(3, 3)) for i in range(5)]
    steep = begun(AseForces(Valley), [NUMBERS] * 5, starts)
    found = settle(SmallMemory(Valley), steep, fmax=1e-5, max_steps=500)
    whole = settle(AseForces(Valley), steep, fmax=1e-5, max_steps=500)
    assert [r.n_steps for r in found] == [r.n_steps for r in whole]
    assert all(r.converged for r in found)


class GivesUp(Valley):
    """Fails from its fifth answer on."""

    calls = 0

    def calculate(self, *arguments, **rest):
        self.calls += 1
        if self.calls > 5:
            raise RuntimeError("no more")
        super().calculate(*arguments, **rest)


def test_a_calculator_that_fails_on_the_way_is_told():
    steep = begun(AseForces(Valley), [NUMBERS], [Valley.shape + np.array([[0, 0, 0], [0, 0, 0], [0, 0, 1.5]])])
    (end,) = settle(AseForces(GivesUp), steep, fmax=1e-6, max_steps=500)
    assert not end.converged
    assert "no more" in end.error
