"""Springs, whose motion is known: period, order of the integrator, momenta, and ASE's own integrator beside it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from ase import Atoms, units
from ase.data import atomic_masses
from ase.md.verlet import VelocityVerlet

from gmd26_md.calculators import load_calculator
from gmd26_md.calculators.harmonic import dimer_period_fs
from gmd26_md.dynamics.engine import Segment, System, integrate
from gmd26_md.dynamics.forces import AseForces
from gmd26_md.trajectory import kinetic_energy, temperature_K

OH = np.array([8, 1])
FOUR = np.array([6, 1, 8, 1])
ALL_PAIRS = [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]


def ase_springs(bonds, k=30.0, r0=1.0):
    return AseForces(lambda: load_calculator("harmonic", bonds=bonds, k_eV_per_A2=k, r0_A=r0))


def total_energy(frames):
    return frames.energies + kinetic_energy(frames)


def still_dimer():
    return System(
        "OH", OH, np.array([[0.0, 0, 0], [0, 0, 1.02]]), seed=1, temperature_K=300.0, velocities=np.zeros((2, 3))
    )


@pytest.mark.parametrize("road", ["batched", "ase"])
def test_a_dimer_vibrates_with_its_period(road, springs):
    provider = springs() if road == "batched" else ase_springs([[0, 1]])
    run = integrate(provider, [still_dimer()], [Segment("nve", 400, 0.25, 1)])[0].frames["nve"]
    stretch = np.linalg.norm(run.positions[:, 1] - run.positions[:, 0], axis=-1) - 1.0
    at = np.flatnonzero(stretch[:-1] * stretch[1:] < 0)
    crossings = run.time_fs[at] + 0.25 * stretch[at] / (stretch[at] - stretch[at + 1])
    period = 2.0 * np.diff(crossings).mean()
    # velocity Verlet runs (omega dt)^2 / 24 = 8e-4 fast at this step; interpolation between frames adds less
    assert period == pytest.approx(dimer_period_fs(*atomic_masses[OH], 30.0), rel=1.2e-3)


def test_other_masses_vibrate_with_their_own_period(springs):
    heavy = replace(still_dimer(), masses=np.array([16.0, 4.0]))
    run = integrate(springs(), [heavy], [Segment("nve", 400, 0.25, 1)])[0].frames["nve"]
    stretch = np.linalg.norm(run.positions[:, 1] - run.positions[:, 0], axis=-1) - 1.0
    at = np.flatnonzero(stretch[:-1] * stretch[1:] < 0)
    assert 2.0 * np.diff(run.time_fs[at]).mean() == pytest.approx(dimer_period_fs(16.0, 4.0, 30.0), rel=0.01)
    moving = 0.5 * np.array([16.0, 4.0]) * (run.velocities**2).sum(-1)
    total = run.energies + moving.sum(-1)
    assert np.ptp(total) < 0.02 * np.ptp(run.energies)  # conserved with these masses, and with no others


def test_the_batched_and_the_ase_road_give_the_same_run(springs, tetrahedron):
    system = System("four", FOUR, tetrahedron, seed=3, temperature_K=300.0)
    segments = [Segment("nvt", 60, 0.5, 20, friction_per_fs=0.02), Segment("nve", 60, 0.5, 20)]
    one = integrate(springs(), [system], segments)[0]
    other = integrate(ase_springs(ALL_PAIRS), [system], segments)[0]
    for name in ("nvt", "nve"):
        # sums in another order: rounding alone, which 120 steps of a stiff but regular motion hardly grow
        assert np.abs(one.frames[name].positions - other.frames[name].positions).max() < 1e-10
        assert np.abs(one.frames[name].forces - other.frames[name].forces).max() < 1e-9
        interaction = one.frames[name].energies - (-1000.0 - 2000.0 - 2 * 13.0)
        assert np.abs(interaction - other.frames[name].energies).max() < 1e-9


def test_the_engine_agrees_with_velocity_verlet_of_ase(springs, tetrahedron):
    system = System("four", FOUR, tetrahedron, seed=4, temperature_K=300.0)
    run = integrate(springs(), [system], [Segment("nve", 300, 0.5, 100)])[0].frames["nve"]
    atoms = Atoms(numbers=FOUR, positions=run.positions[0], velocities=run.velocities[0])
    atoms.calc = load_calculator("harmonic", bonds=ALL_PAIRS, k_eV_per_A2=30.0, r0_A=1.0)
    with VelocityVerlet(atoms, timestep=0.5 * units.fs) as dynamics:
        dynamics.run(300)
    # the same sum in another order: 300 steps of rounding
    assert np.abs(atoms.positions - run.positions[-1]).max() < 1e-10
    assert np.abs(atoms.get_velocities() - run.velocities[-1]).max() < 1e-10


def test_the_energy_error_falls_with_the_square_of_the_time_step(springs, tetrahedron):
    errors = []
    for timestep_fs in (1.0, 0.5, 0.25):
        system = System("four", FOUR, tetrahedron, seed=4, temperature_K=300.0)
        segment = Segment("nve", round(100 / timestep_fs), timestep_fs, 1)
        energy = total_energy(integrate(springs(), [system], [segment])[0].frames["nve"])
        errors.append(np.abs(energy - energy[0]).max())
    orders = np.log2(np.array(errors[:-1]) / np.array(errors[1:]))
    # the next term of the error is a few hundredths at omega dt = 0.5
    assert orders == pytest.approx([2.0, 2.0], abs=0.2)


def test_constant_energy_starts_without_momenta_and_keeps_it_so(springs, tetrahedron):
    pushed = np.random.default_rng(0).normal(scale=0.05, size=(4, 3)) + np.array([0.1, 0, 0])
    system = System("four", FOUR, tetrahedron + 5.0, seed=1, temperature_K=300.0, velocities=pushed)
    run = integrate(springs(), [system], [Segment("nve", 200, 0.5, 10)])[0].frames["nve"]
    momentum = atomic_masses[FOUR][:, None] * run.velocities  # (n_frames, n_atoms, 3)
    # typical terms are 16 * 0.05 = 0.8 and their sum cancels to rounding; forces are equal and opposite
    assert np.abs(momentum.sum(1)).max() < 1e-12
    assert np.abs(np.cross(run.positions, momentum).sum(1)).max() < 1e-12
    assert np.abs(run.velocities[0]).max() > 0.01


def test_a_float32_potential_moves_float64_positions(springs, tetrahedron):
    system = System("four", FOUR, tetrahedron, seed=4, temperature_K=300.0)
    segments = [Segment("nve", 100, 0.5, 50)]
    narrow = integrate(springs(dtype=torch.float32), [system], segments)[0].frames["nve"]
    wide = integrate(springs(), [system], segments)[0].frames["nve"]
    assert narrow.positions.dtype == np.float64
    assert (narrow.positions[-1] != narrow.positions[-1].astype(np.float32)).any()
    # forces of a few eV/Å rounded to 1e-7, for 50 fs: far under 1e-4 Å
    assert 0 < np.abs(narrow.positions - wide.positions).max() < 1e-4


def test_initial_velocities_have_the_temperature_asked_for(springs, tetrahedron):
    systems = [System(str(i), FOUR, tetrahedron, seed=i, temperature_K=300.0) for i in range(300)]
    runs = integrate(springs(), systems, [Segment("nve", 1, 0.5, 1)])
    temperatures = [temperature_K(run.frames["nve"])[0] for run in runs]
    # 6 degrees of freedom each: 300 K sqrt(2 / (6 * 300)) = 10 K is the error of the mean; four of them
    assert np.mean(temperatures) == pytest.approx(300.0, abs=40.0)
    assert len(set(temperatures)) == 300


def test_the_clock_runs_through_the_segments(springs, tetrahedron):
    system = System("four", FOUR, tetrahedron, seed=4, temperature_K=300.0)
    segments = [Segment("warm", 7, 0.5, 0, 0.02), Segment("nvt", 10, 1.0, 4, 0.02), Segment("nve", 4, 0.5, 2)]
    run = integrate(springs(), [system], segments)[0]
    assert "warm" not in run.frames
    assert run.frames["nvt"].time_fs.tolist() == [3.5, 7.5, 11.5, 13.5]
    assert run.frames["nve"].time_fs.tolist() == [13.5, 14.5, 15.5]
    assert run.stopped is None
    assert run.n_force_calls == 1 + 7 + 10 + 4
