"""A committee of springs on runs whose every number is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gmd26_md import strict_json
from gmd26_md.dynamics.committee_forces import CommitteeForces
from gmd26_md.errors import UserError
from gmd26_md.protocols.committee import PastRun, Settings, run
from gmd26_md.protocols.committee_analysis import analyse
from gmd26_md.trajectory import Trajectory

MEMBERS = ("soft", "stiff")  # springs of 20 and of 40 eV/Å²; their mean is one of 30, as forces are linear in k


@pytest.fixture
def committee(springs):
    return CommitteeForces([springs(20.0), springs(40.0)])


@pytest.fixture
def past_run(water, label_with_springs):
    """Return a maker of runs that stray ever further from rest: `size` Å in the last frame."""
    numbers = np.asarray(water.numbers)
    direction = np.random.default_rng(4).normal(size=(3, 3))

    def make(name="a", split="id", size=0.1, k=30.0, made_by="other", failed_at_ps=None, n_frames=11, saved=True):
        time_fs = 100.0 * np.arange(n_frames)
        stray = np.linspace(0.0, size, n_frames)[:, None, None] * direction
        positions = water.minimum.positions[0] + stray
        energies, forces = label_with_springs(numbers, positions)
        frames = Trajectory(numbers, time_fs, positions, None, k / 30.0 * energies, k / 30.0 * forces)
        labelled = frames.part(slice(0, None, 2))
        return PastRun(
            name, f"molecule {name}", split, 0, "faithful", failed_at_ps, made_by, labelled, frames if saved else None
        )

    return make


def test_where_the_truth_is_one_member_the_error_is_the_spread_over_root_two(committee, past_run):
    # members at +x and -x of their mean, the truth at one of them: error x, standard deviation sqrt(2) x, atom by atom
    found = analyse(run(committee, [past_run(k=20.0, made_by="soft")]), MEMBERS, Settings())
    told = found["calibration"]["committee"]["id"]
    assert told["error_over_spread_ratio"]["value"] == pytest.approx(np.sqrt(0.5), rel=1e-9)
    assert told["force_error_eV_per_A"] == pytest.approx(np.sqrt(0.5) * told["force_spread_eV_per_A"], rel=1e-9)
    assert told["sigma_scaled_by_ratio"] == pytest.approx(np.sqrt(0.5), rel=1e-9)
    # 6 labelled frames; at rest, the first, both are rounding errors, which have no rank to speak of
    assert told["rank_correlation_within_runs_ratio"]["value"] == pytest.approx(1.0)
    own = found["calibration"]["model"]["id"]
    assert own["force_error_eV_per_A"] == pytest.approx(0.0, abs=1e-12), "if this fails, the wrong member was asked"
    by_stiff = analyse(run(committee, [past_run(k=20.0, made_by="stiff")]), MEMBERS, Settings())
    ratio = by_stiff["calibration"]["model"]["id"]["error_over_spread_ratio"]["value"]
    assert ratio == pytest.approx(np.sqrt(2.0), rel=1e-9)


def test_a_model_that_is_no_member_is_held_against_nothing_of_its_own(committee, past_run):
    found = analyse(run(committee, [past_run()]), MEMBERS, Settings())
    assert found["calibration"]["model"] == {}
    assert found["warnings"]["id"]["error_of_model"]["n_runs"] == 0


def test_the_mean_is_right_and_the_spread_is_not_zero(committee, past_run):
    found = analyse(run(committee, [past_run(k=30.0)]), MEMBERS, Settings())
    told = found["calibration"]["committee"]["id"]
    assert told["force_error_eV_per_A"] < 1e-12 < told["force_spread_eV_per_A"]
    assert told["n_frames_above_limit"] == 0


def test_the_energy_of_the_mean_is_compared_by_its_change(committee, past_run):
    past = past_run(k=20.0)
    shifted = replace(past.labelled, energies=past.labelled.energies - 800.0)  # another offset, the same physics
    found = analyse(run(committee, [replace(past, labelled=shifted)]), MEMBERS, Settings())
    along = found["runs"][0]["along"]
    change = np.array(past.labelled.energies) - past.labelled.energies[0]
    # the truth is k = 20, the mean k = 30: half as much again, over three atoms; members k = 20, 40: a standard
    # deviation of sqrt(2) x 10
    assert along["energy_change_error_meV_per_atom"] == pytest.approx(500.0 / 3 * change, abs=1e-6)
    assert along["energy_change_spread_meV_per_atom"] == pytest.approx(1000.0 / 3 * np.sqrt(0.5) * change, abs=1e-6)
    assert found["energy"]["id"]["error_over_spread_ratio"] == pytest.approx(np.sqrt(0.5))


def test_it_warns_of_an_unseen_molecule_before_it_fails_by_a_threshold_from_known_ones(committee, past_run):
    known = [past_run("a", size=0.1), past_run("b", size=0.1)]
    unseen = [
        past_run("c", "ood", size=0.4, failed_at_ps=0.75),  # passes a size of 0.1 Å after a quarter of its time
        past_run("d", "ood", size=0.4, failed_at_ps=0.25),
        past_run("e", "ood", size=0.05, failed_at_ps=0.5),
        past_run("f", "ood", size=0.4),
        past_run("g", "ood", size=0.05),
    ]
    found = analyse(run(committee, [*known, *unseen]), MEMBERS, Settings(percentile=100.0))
    lines = {line["name"]: line for line in found["runs"]}
    assert lines["c"]["warned_at_ps"] == pytest.approx(0.3)
    assert lines["c"]["lead_ps"] == pytest.approx(0.45)
    outcomes = {name: line["outcome"] for name, line in lines.items()}
    assert outcomes == {
        "a": "quiet", "b": "quiet", "c": "before", "d": "late", "e": "never", "f": "false alarm", "g": "quiet"
    }  # fmt: skip
    told = found["warnings"]["ood"]["failure"]
    assert told["warned_before_fraction"]["value"] == pytest.approx(1 / 3)
    assert told["false_alarm_fraction"]["value"] == 0.5
    assert found["chosen_from"] == {"limit": "id", "threshold": "id"}


def test_what_happens_in_an_unseen_run_does_not_move_threshold_and_limit(committee, past_run):
    known = [past_run("a"), past_run("b")]
    one = analyse(run(committee, [*known, past_run("c", "ood", size=0.2)]), MEMBERS, Settings())
    other = analyse(run(committee, [*known, past_run("c", "ood", size=2.0, k=90.0)]), MEMBERS, Settings())
    for name in ("threshold_eV_per_A", "limit_eV_per_A"):
        assert one[name] == other[name]
    known_of = [strict_json.dumps(found["calibration"]["committee"]["id"]) for found in (one, other)]
    assert known_of[0] == known_of[1]


def test_a_known_run_that_failed_gives_the_threshold_what_was_before_only(committee, past_run):
    whole = analyse(run(committee, [past_run("a")]), MEMBERS, Settings(percentile=100.0))
    failed = analyse(run(committee, [past_run("a", failed_at_ps=0.51)]), MEMBERS, Settings(percentile=100.0))
    # springs stretched to 0.5 of the way pull with about half the force; the spread follows
    assert failed["threshold_eV_per_A"] == pytest.approx(0.5 * whole["threshold_eV_per_A"], rel=0.1)


def test_a_wrong_frame_is_one_whose_error_passes_the_share_of_the_known_force(committee, past_run):
    # the truth k = 20, the mean 30: an error of half the force. Above 0.2 of the RMS force of the run: frames whose own
    # force is above 0.4 of it, that is about 0.4 x 0.6 of the way (the RMS of a ramp of six is 0.61 of its end).
    found = analyse(run(committee, [past_run(k=20.0)]), MEMBERS, Settings(max_force_ratio=0.2))
    assert found["runs"][0]["wrong_at_ps"] == pytest.approx(0.4)  # labelled at 0, 0.2, 0.4 of 1 ps
    assert found["calibration"]["committee"]["id"]["n_frames_above_limit"] == 4
    assert (
        analyse(run(committee, [past_run(k=20.0)]), MEMBERS, Settings(limit_eV_per_A=1e3))["runs"][0]["wrong_at_ps"]
        is None
    )


def test_a_member_that_says_nan_warns_and_is_wrong(committee, past_run):
    past = past_run("c", "ood", size=0.05)
    broken = past.saved.positions.copy()
    broken[4] = np.nan
    past = replace(
        past,
        saved=replace(past.saved, positions=broken),
        labelled=replace(past.labelled, positions=broken[::2]),
    )
    found = analyse(run(committee, [past_run("a"), past]), MEMBERS, Settings())
    line = found["runs"][1]
    assert line["warned_at_ps"] == pytest.approx(0.4)
    assert line["wrong_at_ps"] == pytest.approx(0.4)
    assert line["outcome"] == "false alarm"
    assert np.isnan(line["force_spread_largest_eV_per_A"])
    assert np.isnan(found["calibration"]["committee"]["ood"]["error_over_spread_ratio"]["value"])


def test_a_run_that_failed_before_any_label_still_counts_among_the_failures(committee, past_run):
    early = replace(past_run("c", "ood", size=0.4, failed_at_ps=0.9), labelled=None)
    found = analyse(run(committee, [past_run("a"), early]), MEMBERS, Settings())
    assert found["warnings"]["ood"]["failure"]["n_before"] == 1
    assert found["warnings"]["ood"]["error_of_committee"]["n_runs"] == 0
    assert "ood" not in found["calibration"]["committee"]


def test_without_saved_frames_the_labelled_ones_are_watched(committee, past_run):
    found = analyse(run(committee, [past_run(saved=False)]), MEMBERS, Settings())
    assert found["runs"][0]["watched_frames"] == "labelled"
    assert found["threshold_eV_per_A"] > 0
    gone = replace(past_run(), labelled=None, saved=None)
    assert run(committee, [gone]) == []


def test_without_known_runs_there_is_no_threshold_unless_one_is_named(committee, past_run):
    said = run(committee, [past_run(split="user", size=0.4)])
    found = analyse(said, MEMBERS, Settings())
    assert found["threshold_eV_per_A"] is None
    assert found["warnings"] == {}
    assert found["chosen_from"] == {"limit": "all runs", "threshold": None}
    named = analyse(said, MEMBERS, Settings(threshold_eV_per_A=1e-6))
    assert named["runs"][0]["warned_at_ps"] == pytest.approx(0.1)  # nothing is apart at rest
    assert named["chosen_from"]["threshold"] == "settings"


def test_without_any_label_there_is_nothing_to_calibrate_with(committee, past_run):
    with pytest.raises(UserError, match="--n-label-frames above 0"):
        analyse(run(committee, [replace(past_run(), labelled=None)]), MEMBERS, Settings())


@pytest.mark.parametrize(
    "wrong",
    [{"percentile": 0.0}, {"percentile": 101.0}, {"max_force_ratio": float("nan")}, {"threshold_eV_per_A": -1.0}],
)
def test_settings_that_cannot_be_are_refused(wrong):
    with pytest.raises(UserError, match=next(iter(wrong))):
        Settings(**wrong)
