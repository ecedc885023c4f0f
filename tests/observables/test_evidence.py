from dataclasses import replace

import numpy as np
import pytest
from ase.build import molecule
from ase.units import kB

from gmd26_md.observables.bonds import bond_graph
from gmd26_md.observables.evidence import EveryStep, Labels, examine, first_nonfinite, internal_degrees_of_freedom
from gmd26_md.observables.verdict import judge
from gmd26_md.records import unit_of
from gmd26_md.trajectory import Trajectory, kinetic_energy

N_FRAMES = 100
EVERY_TENTH = np.arange(0, N_FRAMES, 10)


def good_run():
    """A toy that is at rest but for a constant small velocity: total energy constant, forces given."""
    random = np.random.default_rng(0)
    atoms = molecule("CH3CH2OH")
    shape = (N_FRAMES, len(atoms), 3)
    return Trajectory(
        numbers=atoms.numbers,
        time_fs=10.0 * np.arange(N_FRAMES),
        positions=np.repeat(atoms.positions[None], N_FRAMES, axis=0),
        velocities=np.full(shape, 0.004),
        energies=np.full(N_FRAMES, -300.0),
        forces=random.normal(size=shape),
    )


def labels_of(run, force_scale=1.0, energies=0.0):
    return Labels(EVERY_TENTH, np.full(10, -5000.0) + energies, force_scale * run.forces[EVERY_TENTH])


def verdict_of(run, labels="true", **options):
    atoms = molecule("CH3CH2OH")
    graph = bond_graph(atoms.numbers, atoms.positions)
    labels = labels_of(run) if labels == "true" else labels
    evidence, metrics = examine(
        run, graph, **{"asked_ps": 0.99, "target_temperature_K": 300.0, "labels": labels, **options}
    )
    return judge(evidence), metrics


def test_a_run_that_does_all_right_is_faithful():
    verdict, metrics = verdict_of(good_run())
    assert verdict.name == "faithful"
    assert metrics["failed_at_ps"] is None
    assert metrics["alive_ps"] == pytest.approx(0.99)
    assert metrics["path_force_mae_eV_per_A"] == 0.0
    for key in metrics:
        assert unit_of(key)


def test_an_energy_that_is_always_the_same_is_not_conserved_though_it_is_below_every_other_limit():
    run = good_run()
    swing = 1.0 + 0.3 * np.sin(0.1 * run.time_fs)
    run = replace(run, velocities=3.0 * run.velocities * np.sqrt(swing)[:, None, None])
    kinetic = kinetic_energy(run)
    exchanging = replace(run, energies=run.energies - kinetic)
    labels = Labels(EVERY_TENTH, -5000.0 - kinetic[EVERY_TENTH], run.forces[EVERY_TENTH])
    assert verdict_of(exchanging, labels)[0].name == "faithful"
    verdict, metrics = verdict_of(run, labels)
    assert (verdict.name, verdict.decided_by, verdict.limit) == ("drifting", "energy_rms_relative", 0.5)
    assert metrics["energy_rms_meV_per_atom"] < 5.0
    assert verdict.reason.endswith("of the spread of the kinetic energy, limit 0.5")


def test_fifty_good_and_fifty_nan_frames_are_not_stable():
    run = good_run()
    for array in (run.positions, run.velocities, run.forces):
        array[50:] = np.nan
    run.energies[50:] = np.nan
    for labels in ("true", None):
        verdict, metrics = verdict_of(run, labels)
        assert verdict.name == "exploded"
        assert verdict.at_ps == metrics["nonfinite_at_ps"] == metrics["failed_at_ps"] == metrics["alive_ps"] == 0.5
        assert np.isnan(metrics["energy_drift_meV_per_atom_per_ps"])


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize(
    ("array", "index", "what"),
    [
        ("energies", 73, "energy"),
        ("velocities", (73, 4, 1), "velocities"),
        ("forces", (73, 8, 2), "forces"),
        ("positions", (73, 0, 0), "positions"),
        ("energies", 99, "energy"),
        ("velocities", (0, 0, 0), "velocities"),
    ],
)
def test_one_planted_number_that_is_none_fails_the_run(array, index, what, value):
    run = good_run()
    getattr(run, array)[index] = value
    labels = Labels(EVERY_TENTH, np.full(10, -5000.0), good_run().forces[EVERY_TENTH])
    verdict, _ = verdict_of(run, labels)
    assert verdict.name == "exploded"
    assert verdict.reason.startswith(what)
    frame = index if isinstance(index, int) else index[0]
    assert verdict.at_ps == pytest.approx(0.01 * frame)


def test_all_arrays_that_fail_in_the_first_bad_frame_are_named():
    run = good_run()
    run.energies[3], run.forces[3, 0, 0], run.positions[9] = np.nan, np.inf, np.nan
    assert first_nonfinite(run).what == "energy and forces"
    assert first_nonfinite(good_run()) is None


def test_halves_pulled_apart_are_broken():
    run = good_run()
    carbon = int(np.flatnonzero(run.numbers == 6)[0])
    run.positions[60:, carbon] += [10.0, 0.0, 0.0]
    verdict, metrics = verdict_of(run)
    assert verdict.name == "broken"
    assert verdict.at_ps == metrics["bond_broken_at_ps"] == 0.6


def test_a_hot_frame_explodes_with_its_time():
    run = good_run()
    run.velocities[40:42] *= 60.0  # 4000 K
    verdict, metrics = verdict_of(run)
    assert (verdict.name, verdict.decided_by) == ("exploded", "temperature_max_K")
    assert verdict.at_ps == metrics["too_hot_at_ps"] == 0.4


def test_what_is_seen_between_frames_counts_as_in_them():
    run = good_run()
    kinetic = float(kinetic_energy(run).max())
    total = run.energies[0] + kinetic
    calm = EveryStep(True, kinetic, 0.5, total, total)
    (verdict, metrics), (same, as_before) = verdict_of(run), verdict_of(run, every_step=[calm])
    assert verdict == same
    assert metrics == pytest.approx(as_before, nan_ok=True)

    jump = replace(calm, total_min_eV=total - 0.3)
    verdict, metrics = verdict_of(run, every_step=[calm, jump])
    assert (verdict.name, verdict.decided_by) == ("drifting", "energy_change_max")
    assert metrics["energy_change_max_meV_per_atom"] == pytest.approx(300.0 / run.n_atoms)
    # a thermostat, before the run or throughout, may change the energy
    assert verdict_of(run, every_step=[replace(jump, proper=False)])[0].name == "faithful"
    assert verdict_of(run, every_step=[jump], constant_energy=False)[0].name == "faithful"

    for proper, n_dof in ((True, 21), (False, 27)):
        hot = EveryStep(proper, 0.5 * n_dof * kB * 1600.0, 0.4375, total, total)
        verdict, metrics = verdict_of(run, every_step=[hot])
        assert (verdict.name, verdict.at_ps) == ("exploded", 0.4375)
        assert metrics["temperature_max_K"] == pytest.approx(1600.0)
        assert metrics["failed_at_ps"] == metrics["too_hot_at_ps"] == 0.4375


def test_an_energy_that_climbs_is_drifting():
    run = good_run()
    run.energies[:] += 6e-3 * 9 * run.time_fs / 1000.0
    verdict, metrics = verdict_of(run)
    assert verdict.name == "drifting"
    assert metrics["energy_drift_meV_per_atom_per_ps"] == pytest.approx(6.0, abs=1e-8)


def test_stable_but_wrong_is_silent():
    run = good_run()
    verdict, metrics = verdict_of(run, labels_of(run, force_scale=0.5))
    assert (verdict.name, verdict.decided_by) == ("silent", "force_ratio")
    assert metrics["path_force_mae_relative_ratio"] == pytest.approx(1.0)
    verdict, _ = verdict_of(run, labels_of(run, energies=np.linspace(0.0, 0.011 * 9, 10)))
    assert (verdict.name, verdict.decided_by) == ("silent", "true_energy_change_max")


def test_a_constant_offset_of_the_energy_is_not_held_against_the_run():
    run = good_run()
    assert verdict_of(run, labels_of(run, energies=40.0))[0].name == "faithful"


def test_a_label_that_failed_is_never_skipped():
    run = good_run()
    for name in ("energies", "forces"):
        labels = labels_of(run)
        getattr(labels, name)[4] = np.nan
        assert verdict_of(run, labels)[0].name == "silent"


def test_without_labels_the_truth_is_not_examined():
    verdict, metrics = verdict_of(good_run(), None)
    assert verdict.name == "censored"
    assert metrics["path_force_mae_eV_per_A"] is None


def test_without_velocities_nothing_is_shown():
    run = good_run()
    still = Trajectory(run.numbers, run.time_fs, run.positions, None, run.energies, run.forces)
    assert verdict_of(still)[0].name == "error"


def test_a_cut_run_is_censored_and_one_cut_after_one_frame_too():
    for n_frames in (40, 1):
        run = good_run().part(slice(0, n_frames))
        verdict, metrics = verdict_of(run, None, cut=True)
        assert verdict.name == "censored"
        assert metrics["alive_ps"] == pytest.approx(0.01 * (n_frames - 1))


def test_a_run_that_stopped_early_without_a_cut_is_an_error():
    run = good_run().part(slice(0, 40))
    assert verdict_of(run, None)[0].name == "error"


def test_thermalisation_may_change_the_energy_and_fail_the_run():
    run = good_run()
    run.energies[:50] += np.linspace(-2.0, 0.0, 50)
    labels = Labels(np.array([50, 70, 90]), np.zeros(3), run.forces[[50, 70, 90]])
    assert verdict_of(run, labels)[0].name == "drifting"
    assert verdict_of(run, labels, constant_energy_from=50)[0].name == "faithful"
    run.forces[3] = np.nan
    assert verdict_of(run, labels, constant_energy_from=50)[0].name == "exploded"


def test_a_run_cut_before_constant_energy_began_is_censored_and_one_not_cut_is_no_success():
    run = good_run().part(slice(0, 40))
    assert verdict_of(run, None, constant_energy_from=40, cut=True)[0].name == "censored"
    assert verdict_of(run, None, constant_energy_from=40, asked_ps=0.39)[0].name == "error"


def test_an_explosion_between_frames_fails_the_run_at_its_own_time():
    verdict, metrics = verdict_of(good_run(), exploded_at_ps=0.9873)
    assert verdict.name == "exploded"
    assert verdict.at_ps == metrics["failed_at_ps"] == 0.9873
    run = good_run()
    run.forces[99] = np.nan
    verdict, _ = verdict_of(run, labels_of(good_run()), exploded_at_ps=0.9873)
    assert verdict.reason.startswith("forces")
    assert verdict.at_ps == 0.9873


def test_the_thermostat_heats_all_degrees_of_freedom_and_the_free_run_only_the_internal_ones():
    atoms = molecule("H2O")
    random = np.random.default_rng(1)
    n, kT = 4000, 300.0 * kB
    # by hand: all 9 degrees of freedom share 300 K in the first half, the energy of 3 at 300 K in the second
    thermal = random.standard_normal((n, 3, 3)) * np.sqrt(kT / atoms.get_masses())[:, None]
    calm = thermal * np.sqrt(3.0 / 9.0)
    run = Trajectory(
        numbers=atoms.numbers,
        time_fs=10.0 * np.arange(2 * n),
        positions=np.repeat(atoms.positions[None], 2 * n, axis=0),
        velocities=np.concatenate([thermal, calm]),
        energies=np.zeros(2 * n),
        forces=np.zeros((2 * n, 3, 3)),
    )
    graph = bond_graph(atoms.numbers, atoms.positions)
    evidence, metrics = examine(run, graph, asked_ps=1.0, target_temperature_K=300.0, constant_energy_from=n)
    # standard error sqrt(2 / 9 / 4000) of 300 K: 2.2 K
    assert metrics["temperature_mean_K"] == pytest.approx(300.0, abs=9.0)
    _, before = examine(run.part(slice(0, n)), graph, asked_ps=1.0, target_temperature_K=300.0, constant_energy_from=n)
    assert before["temperature_mean_K"] is None
    assert evidence.n_dof == 3


@pytest.mark.parametrize(("name", "n_dof"), [("H2", 1), ("CO2", 4), ("H2O", 3), ("CH3CH2OH", 21)])
def test_linear_molecules_have_one_more_degree_of_freedom(name, n_dof):
    atoms = molecule(name)
    at_rest = np.zeros((1, len(atoms), 3))
    run = Trajectory(atoms.numbers, np.zeros(1), atoms.positions[None], at_rest, np.zeros(1), at_rest)
    assert internal_degrees_of_freedom(run) == n_dof


def test_heat_between_frames_is_called_heat_where_the_frames_show_it():
    run = good_run()
    run.velocities[-1] *= 100.0
    verdict, metrics = verdict_of(run, exploded_at_ps=0.985)
    assert verdict.name == "exploded"
    assert verdict.decided_by == "temperature_max_K"
    assert metrics["too_hot_at_ps"] == 0.985
    assert metrics["nonfinite_at_ps"] is None
