"""The verdict of a run: made by the engine on springs, or by hand where it must go wrong."""

from dataclasses import replace

import numpy as np
import pytest

from gmd26_md.dynamics.engine import Noticed, Run
from gmd26_md.errors import UserError
from gmd26_md.observables.verdict import Thresholds
from gmd26_md.protocols import stability
from gmd26_md.protocols.stability import Order, Settings, frames_to_label, joined, preset
from gmd26_md.protocols.stability_analysis import analyse as analyse_order
from gmd26_md.reference.labels import Labels
from gmd26_md.trajectory import Trajectory

LIMITS = Thresholds()
SHORT = Settings(thermalise_ps=0.1, run_ps=0.2, save_every_fs=5.0, n_label_frames=11, temperature_K=100.0)


@pytest.fixture(scope="module")
def real_run(water, springs) -> Run:
    return next(stability.run(springs(), [Order(water, 0, SHORT)], LIMITS))


def analyse(case, run, labels, settings, thresholds):
    return analyse_order(Order(case, 0, settings), run, labels, thresholds)


def labels_of(run, label_with_springs, settings=SHORT, force_scale=1.0, energy_ramp=0.0):
    frames = run.frames["nve"]
    energies, forces = label_with_springs(frames.numbers, frames.positions[frames_to_label(run, settings)])
    return Labels(energies + energy_ramp * np.linspace(0, 1, len(energies)), force_scale * forces, {})


def made_by_hand(water, n_frames, n_bad, *, n_before=1, stopped=None, stopped_at_fs=None, every_fs=5.0):
    """A run at rest that has its first bad frame after the good ones."""

    def part(name, n, start_fs):
        return Trajectory(
            numbers=water.numbers,
            time_fs=start_fs + every_fs * np.arange(n),
            positions=np.repeat(water.minimum.positions, n, axis=0),
            velocities=np.full((n, 3, 3), 0.001),
            energies=np.full(n, -5.0),
            forces=np.full((n, 3, 3), 0.1),
            info={"segment": name},
        )

    frames = {"thermalise": part("thermalise", n_before, 0.0)}
    if n_frames:
        nve = part("nve", n_frames, every_fs * (n_before - 1))
        for array in (nve.positions, nve.velocities, nve.energies, nve.forces):
            array[n_frames - n_bad :] = np.nan
        frames["nve"] = nve
    return Run("water-seed0", frames, stopped, stopped_at_fs, None if stopped is None else "a reason", 1)


def perfect(run, settings):
    chosen = frames_to_label(run, settings)
    nve = run.frames["nve"]
    return Labels(nve.energies[chosen] - 2000.0, nve.forces[chosen], {})


def test_a_model_that_is_its_own_reference_is_faithful(water, real_run, label_with_springs):
    judged = analyse(water, real_run, labels_of(real_run, label_with_springs), SHORT, LIMITS)
    assert judged.verdict.name == "faithful", judged.verdict.reason
    assert judged.metrics["failed_at_ps"] is None
    assert judged.metrics["alive_ps"] == pytest.approx(0.3)
    assert judged.metrics["path_force_mae_eV_per_A"] < 1e-10
    assert len(judged.evidence["along"]["time_ps"]) == 11
    assert judged.evidence["along"]["time_ps"][0] == pytest.approx(0.1)
    assert judged.evidence["along"]["time_ps"][-1] == pytest.approx(0.3)
    assert max(judged.evidence["along"]["force_mae_eV_per_A"]) < 1e-10


@pytest.mark.parametrize("wrong", [{"force_scale": 1.5}, {"energy_ramp": 0.1}])
def test_wrong_forces_or_a_wandering_true_energy_are_silent(water, real_run, label_with_springs, wrong):
    labels = labels_of(real_run, label_with_springs, **wrong)
    assert analyse(water, real_run, labels, SHORT, LIMITS).verdict.name == "silent"


def test_a_constant_offset_of_the_reference_energy_is_no_fault(water, real_run, label_with_springs):
    labels = labels_of(real_run, label_with_springs)
    moved = Labels(labels.energies - 5000.0, labels.forces, {})
    assert analyse(water, real_run, moved, SHORT, LIMITS).verdict.name == "faithful"


def test_without_labels_nothing_is_faithful(water, real_run):
    judged = analyse(water, real_run, None, SHORT, LIMITS)
    assert judged.verdict.name == "censored"
    assert "along" not in judged.evidence
    unlabelled = Settings(**{**SHORT.__dict__, "n_label_frames": 0})
    assert frames_to_label(real_run, unlabelled).size == 0
    assert analyse(water, real_run, None, unlabelled, LIMITS).verdict.name == "censored"


def test_labels_that_the_reference_failed_to_give_are_not_passed_over(water, real_run, label_with_springs):
    labels = labels_of(real_run, label_with_springs)
    labels.energies[4], labels.forces[4] = np.nan, np.nan
    judged = analyse(water, real_run, labels, SHORT, LIMITS)
    assert judged.verdict.name == "silent"
    # but nobody can train on them
    assert judged.labelled.n_frames == 10
    assert np.isfinite(judged.labelled.energies).all()
    assert np.isfinite(judged.labelled.forces).all()
    labels.energies[:] = np.nan
    assert analyse(water, real_run, labels, SHORT, LIMITS).labelled is None


def test_fifty_good_and_fifty_nan_frames_are_not_stable(water):
    settings = Settings(thermalise_ps=0.0, run_ps=0.495, save_every_fs=5.0, n_label_frames=11)
    good, bad = made_by_hand(water, 100, 0), made_by_hand(water, 100, 50)
    assert analyse(water, good, perfect(good, settings), settings, LIMITS).verdict.name == "faithful"
    judged = analyse(water, bad, perfect(bad, settings), settings, LIMITS)
    assert judged.verdict.name == "exploded"
    assert judged.verdict.at_ps == judged.metrics["failed_at_ps"] == pytest.approx(0.25)
    assert frames_to_label(bad, settings).max() == 49  # the last whole frame


def test_an_explosion_between_frames_counts_though_no_frame_shows_it(water):
    settings = Settings(thermalise_ps=0.0, run_ps=0.495, save_every_fs=5.0, n_label_frames=11)
    run = made_by_hand(water, 60, 0, stopped="exploded", stopped_at_fs=297.5)
    judged = analyse(water, run, perfect(run, settings), settings, LIMITS)
    assert judged.verdict.name == "exploded"
    assert judged.metrics["failed_at_ps"] == pytest.approx(0.2975)


def test_an_explosion_during_thermalisation_counts(water):
    run = made_by_hand(water, 0, 0, n_before=10, stopped="exploded", stopped_at_fs=44.0)
    assert frames_to_label(run, SHORT).size == 0
    judged = analyse(water, run, None, SHORT, LIMITS)
    assert judged.verdict.name == "exploded"
    assert judged.metrics["failed_at_ps"] == pytest.approx(0.044)


def test_a_calculator_that_raised_is_an_error_with_its_words(water):
    run = made_by_hand(water, 10, 5, stopped="error", stopped_at_fs=22.0)
    judged = analyse(water, run, None, SHORT, LIMITS)
    assert (judged.verdict.name, judged.verdict.reason) == ("error", "a reason")
    assert judged.metrics["failed_at_ps"] == pytest.approx(0.022)
    nothing = Run("water-seed0", {}, "exploded", 0.5, None, 1)
    assert analyse(water, nothing, None, SHORT, LIMITS).verdict.name == "error"


def test_a_molecule_that_falls_apart_before_its_calculator_raises_is_broken(water):
    run = made_by_hand(water, 40, 10, stopped="error", stopped_at_fs=148.0)
    run.frames["nve"].positions[20:30, 1] += 3.0
    judged = analyse(water, run, perfect(run, SHORT), SHORT, LIMITS)
    assert judged.verdict.name == "broken"
    assert judged.verdict.reason.endswith("; then an error: a reason")
    assert judged.metrics["failed_at_ps"] == judged.evidence["where"]["at_ps"] == pytest.approx(0.1)
    assert judged.last.time_fs[-1] == pytest.approx(100.0)
    assert judged.labelled.time_fs[-1] == pytest.approx(145.0)
    run = made_by_hand(water, 40, 10, stopped="error", stopped_at_fs=148.0)
    run.noticed["bond_broken"] = Noticed("bond_broken", 122.5, (0, 1), 1.6)
    judged = analyse(water, run, None, SHORT, LIMITS)
    assert (judged.verdict.name, judged.metrics["failed_at_ps"]) == ("broken", 0.1225)
    run = made_by_hand(water, 40, 10, stopped="error", stopped_at_fs=148.0)
    run.frames["nve"].velocities[15:30] *= 3000.0
    assert analyse(water, run, None, SHORT, LIMITS).verdict.decided_by == "temperature_max_K"


def test_a_calculator_that_raises_at_once_is_an_error(water):
    run = made_by_hand(water, 2, 2, n_before=1, stopped="error", stopped_at_fs=0.5)
    run.frames["thermalise"].forces[:] = np.nan
    assert frames_to_label(run, SHORT).size == 0
    assert analyse(water, run, None, SHORT, LIMITS).verdict.name == "error"


def test_a_run_cut_by_the_clock_is_censored_and_one_that_failed_before_is_not(water):
    settings = Settings(thermalise_ps=0.0, run_ps=5.0, save_every_fs=5.0, n_label_frames=11)
    cut = made_by_hand(water, 60, 0, stopped="censored", stopped_at_fs=295.0)
    assert analyse(water, cut, perfect(cut, settings), settings, LIMITS).verdict.name == "censored"
    failed = made_by_hand(water, 60, 5, stopped="censored", stopped_at_fs=295.0)
    assert analyse(water, failed, perfect(failed, settings), settings, LIMITS).verdict.name == "exploded"
    early = made_by_hand(water, 0, 0, n_before=10, stopped="censored", stopped_at_fs=45.0)
    assert analyse(water, early, None, settings, LIMITS).verdict.name == "censored"


def test_a_run_that_ended_early_without_a_word_is_an_error(water):
    settings = Settings(thermalise_ps=0.0, run_ps=5.0, save_every_fs=5.0, n_label_frames=11)
    run = made_by_hand(water, 60, 0)
    assert analyse(water, run, perfect(run, settings), settings, LIMITS).verdict.name == "error"


def test_energy_that_is_not_conserved_is_drifting(water):
    settings = Settings(thermalise_ps=0.0, run_ps=0.495, save_every_fs=5.0, n_label_frames=11)
    run = made_by_hand(water, 100, 0)
    run.frames["nve"].energies[:] += np.linspace(0.0, 0.3, 100)  # 100 meV/atom
    assert analyse(water, run, perfect(run, settings), settings, LIMITS).verdict.name == "drifting"


def test_heat_and_jumps_between_frames_are_seen_at_their_time(water, real_run, label_with_springs):
    labels = labels_of(real_run, label_with_springs)
    seen = real_run.observed["nve"]
    hot = replace(seen, kinetic_max_eV=seen.kinetic_max_eV + 1.0, kinetic_max_step=101)
    run = replace(real_run, observed=real_run.observed | {"nve": hot})
    judged = analyse(water, run, labels, SHORT, LIMITS)
    assert judged.verdict.decided_by == "temperature_max_K"
    assert judged.evidence["where"]["at_ps"] == judged.metrics["failed_at_ps"] == pytest.approx(0.1505)
    jump = replace(seen, total_max_eV=seen.total_max_eV + 0.2)
    run = replace(real_run, observed=real_run.observed | {"nve": jump})
    assert analyse(water, run, labels, SHORT, LIMITS).verdict.decided_by == "energy_change_max"
    # runs of which it was not kept are judged by their frames
    unseen = replace(real_run, observed={})
    assert analyse(water, unseen, labels, SHORT, LIMITS).verdict.name == "faithful"
    old = replace(hot, kinetic_max_step=0)
    judged = analyse(water, replace(real_run, observed={"nve": old}), labels, SHORT, LIMITS)
    assert judged.metrics["too_hot_at_ps"] == pytest.approx(0.3)


def test_energy_need_not_be_conserved_in_the_thermalisation(water):
    settings = Settings(thermalise_ps=0.1, run_ps=0.495, save_every_fs=5.0, n_label_frames=11)
    run = made_by_hand(water, 100, 0, n_before=21)
    run.frames["thermalise"].energies[:20] += 5.0
    assert analyse(water, run, perfect(run, settings), settings, LIMITS).verdict.name == "faithful"


@pytest.mark.parametrize("n_label_frames", [2, 3, 10, 100])
def test_the_first_and_the_last_frame_are_labelled(water, n_label_frames):
    run = made_by_hand(water, 41, 0)
    chosen = frames_to_label(run, Settings(n_label_frames=n_label_frames))
    assert (chosen[0], chosen[-1]) == (0, 40)
    assert len(chosen) == min(n_label_frames, 41)
    assert np.ptp(np.diff(chosen)) <= 1


@pytest.mark.parametrize("run_ps", [0.2, 0.2015])
def test_the_frames_to_label_are_announced_while_the_run_goes_on(water, springs, run_ps):
    settings = Settings(**{**SHORT.__dict__, "run_ps": run_ps})
    seen = []
    runs = stability.run(springs(), [Order(water, 0, settings)], LIMITS, on_label_frame=lambda *one: seen.append(one))
    run = next(runs)
    assert [one[1] for one in seen] == frames_to_label(run, settings).tolist()
    assert {one[0] for one in seen} == {"water-100K-nve-seed0"}
    for _, index, numbers, positions in seen:
        assert np.array_equal(numbers, water.numbers)
        assert np.array_equal(positions, run.frames["nve"].positions[index])


def test_a_bond_that_breaks_and_heals_between_frames_is_broken(water):
    settings = Settings(thermalise_ps=0.0, run_ps=0.495, save_every_fs=5.0, n_label_frames=11)
    run = made_by_hand(water, 100, 0)
    assert analyse(water, run, perfect(run, settings), settings, LIMITS).verdict.name == "faithful"
    run.noticed["bond_broken"] = Noticed("bond_broken", 122.5, (0, 1), 1.6)
    judged = analyse(water, run, perfect(run, settings), settings, LIMITS)
    assert judged.verdict.name == "broken"
    assert judged.verdict.at_ps == judged.metrics["bond_broken_at_ps"] == judged.metrics["failed_at_ps"] == 0.1225
    assert "bond changed by 0." in judged.verdict.reason


def test_a_run_that_never_began_is_censored(water):
    run = Run("water-seed0", {}, "censored", 0.0, "cut by the time limit", 0)
    judged = analyse(water, run, None, SHORT, LIMITS)
    assert judged.verdict.name == "censored"
    assert "not begun" in judged.verdict.reason


def test_a_joined_run_has_all_frames_in_order(water):
    run = made_by_hand(water, 7, 2, n_before=4)
    whole = joined(run)
    assert whole.n_frames == 11
    assert (np.diff(whole.time_fs) >= 0).all()
    assert whole.info["n_frames_by_segment"] == {"thermalise": 4, "nve": 7}
    assert whole.velocities.shape == (11, 3, 3)


def test_every_seed_is_another_run_and_the_same_seed_the_same(water, springs):
    runs = list(stability.run(springs(), [Order(water, 0, SHORT), Order(water, 1, SHORT)], LIMITS))
    again = next(stability.run(springs(), [Order(water, 1, SHORT)], LIMITS))
    assert [run.key for run in runs] == ["water-100K-nve-seed0", "water-100K-nve-seed1"]
    assert not np.array_equal(runs[0].frames["nve"].positions, runs[1].frames["nve"].positions)
    assert np.array_equal(runs[1].frames["nve"].positions, again.frames["nve"].positions)
    assert runs[0].frames["nve"].time_fs[-1] == pytest.approx(1000 * stability.asked_ps(SHORT))


def test_a_preset_takes_what_is_changed_and_leaves_none_as_it_is():
    changed = preset("standard", temperature_K=500.0, n_seeds=None)
    assert changed.temperature_K == 500.0
    assert changed.n_seeds == preset("standard").n_seeds == 3
    assert preset("quick") == Settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature_K", 0.0),
        ("timestep_fs", -0.5),
        ("run_ps", float("nan")),
        ("run_ps", float("inf")),
        ("save_every_fs", 0.1),
        ("save_every_fs", 51.0),
        ("run_ps", 1e-4),
        ("timestep_fs", 1e-320),
        ("thermalise_ps", -1.0),
        ("friction_per_fs", 0.0),
        ("n_seeds", 0),
        ("seed", -1),
        ("n_label_frames", -1),
        ("n_label_frames", 1),
    ],
)
def test_settings_that_cannot_be_are_one_line(name, value):
    with pytest.raises(UserError, match=name) as caught:
        preset("quick", **{name: value})
    assert "\n" not in str(caught.value)


def test_an_unknown_preset_is_answered_with_the_one_meant():
    with pytest.raises(UserError, match="Did you mean 'thorough'"):
        preset("through")


def test_a_reference_that_fails_is_an_error_and_no_fault_of_the_model(water, real_run, label_with_springs):
    good = labels_of(real_run, label_with_springs)
    energies, forces = good.energies.copy(), good.forces.copy()
    energies[3], forces[3] = np.nan, np.nan
    judged = analyse(water, real_run, Labels(energies, forces, {3: "SCF not converged"}), SHORT, LIMITS)
    assert judged.verdict.name == "error"
    assert "1 of 11 frames: SCF not converged" in judged.verdict.reason


def test_frames_that_fall_between_steps_are_refused():
    with pytest.raises(UserError, match=r"no multiple of timestep_fs 0.5; make it 2"):
        Settings(save_every_fs=2.2)


def test_a_run_under_a_thermostat_is_judged_by_what_such_a_run_can_show(water, springs, label_with_springs):
    settings = Settings(**{**SHORT.__dict__, "ensemble": "nvt"})
    run = next(stability.run(springs(), [Order(water, 0, settings)], LIMITS))
    assert list(run.frames) == ["thermalise", "nvt"]
    frames = run.frames["nvt"]
    energies, forces = label_with_springs(frames.numbers, frames.positions[frames_to_label(run, settings)])
    judged = analyse(water, run, Labels(energies, forces, {}), settings, LIMITS)
    assert judged.verdict.name == "faithful", judged.verdict.reason
    assert judged.metrics["energy_drift_meV_per_atom_per_ps"] is None
    assert judged.metrics["true_energy_change_max_meV_per_atom"] is None
    assert analyse(water, run, Labels(energies, 1.5 * forces, {}), settings, LIMITS).verdict.name == "silent"


def test_temperatures_and_ensembles_share_a_batch_and_keep_their_names(water, springs):
    both = [
        Order(water, 0, Settings(**{**SHORT.__dict__, "temperature_K": kelvin, "ensemble": ensemble}))
        for kelvin in (50.0, 200.0)
        for ensemble in ("nve", "nvt")
    ]
    runs = list(stability.run(springs(), both, LIMITS))
    assert sorted(run.key for run in runs) == [
        "water-200K-nve-seed0", "water-200K-nvt-seed0", "water-50K-nve-seed0", "water-50K-nvt-seed0",
    ]  # fmt: skip
    alone = next(stability.run(springs(), both[2:3], LIMITS))
    together = next(run for run in runs if run.key == alone.key)
    assert np.array_equal(alone.frames["nve"].positions, together.frames["nve"].positions)


def test_labelled_frames_carry_the_references_forces_and_can_train(water, real_run, label_with_springs):
    labels = labels_of(real_run, label_with_springs, force_scale=1.1)
    judged = analyse(water, real_run, labels, SHORT, LIMITS)
    assert np.array_equal(judged.labelled.forces, labels.forces)
    assert np.array_equal(judged.labelled.energies, labels.energies)
    chosen = frames_to_label(real_run, SHORT)
    assert np.array_equal(judged.labelled.positions, real_run.frames["nve"].positions[chosen])
    by_atom = np.array(judged.evidence["force_mae_by_atom_eV_per_A"])
    assert by_atom.mean() == pytest.approx(judged.metrics["path_force_mae_eV_per_A"])
    assert judged.last is None
    assert judged.evidence["where"] is None


def test_a_run_that_broke_keeps_its_last_frames_and_its_place(water):
    settings = Settings(thermalise_ps=0.0, run_ps=0.495, save_every_fs=5.0, n_label_frames=11)
    run = made_by_hand(water, 100, 0)
    run.frames["nve"].positions[60:, 1] += 3.0
    judged = analyse(water, run, perfect(run, settings), settings, LIMITS)
    assert judged.verdict.name == "broken"
    assert judged.evidence["where"]["event"] == "bond_broken"
    assert judged.evidence["decided"]["by"] in ("bond_broken", "bond_broken_by_radii")
    assert judged.last.time_fs[-1] == 300.0
    assert judged.last.n_frames == 21
