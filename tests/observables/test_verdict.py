import dataclasses
from dataclasses import replace

import numpy as np
import pytest

from gmd26_md.observables.topology import Event, TopologyReport
from gmd26_md.observables.verdict import Evidence, Failure, Thresholds, judge
from gmd26_md.records import VERDICTS

INTACT = TopologyReport(None, None, None, None, None, (), (), ())
EVENT = Event(at_ps=0.3, frame=30, atoms=(1, 4), value=2.6, limit=2.28)
GOOD = Evidence(
    asked_ps=1.0,
    reached_ps=1.0,
    finite=True,
    target_temperature_K=300.0,
    temperature_max_K=420.0,
    topology=INTACT,
    energy_drift_meV_per_atom_per_ps=0.1,
    energy_rms_meV_per_atom=0.2,
    energy_change_max_meV_per_atom=0.5,
    energy_rms_relative_ratio=0.02,
    force_ratio=0.05,
    true_energy_change_max_meV_per_atom=2.0,
    n_reference_labels=50,
)
CUT = replace(GOOD, cut=True, reached_ps=0.4)
NUMBERS = [
    "asked_ps",
    "reached_ps",
    "target_temperature_K",
    "temperature_max_K",
    "energy_drift_meV_per_atom_per_ps",
    "energy_rms_meV_per_atom",
    "energy_change_max_meV_per_atom",
    "energy_rms_relative_ratio",
    "force_ratio",
    "true_energy_change_max_meV_per_atom",
]


def with_event(**events):
    return replace(GOOD, topology=replace(INTACT, **events))


def test_alive_conserved_and_true_is_faithful():
    verdict = judge(GOOD)
    assert verdict.name == "faithful"
    assert (verdict.value, verdict.limit) == (0.05, 0.2)


@pytest.mark.parametrize(
    ("evidence", "name", "decided_by"),
    [
        (Evidence(unsupported="has Si"), "unsupported", "unsupported"),
        (Evidence(error="reference failed"), "error", "error"),
        (replace(GOOD, finite=False, nonfinite=Failure("forces", 0.2)), "exploded", "nonfinite"),
        (replace(GOOD, temperature_max_K=1501.0), "exploded", "temperature_max_K"),
        (with_event(bond_broken=EVENT), "broken", "bond_broken"),
        (with_event(bond_broken_by_radii=EVENT), "broken", "bond_broken_by_radii"),
        (with_event(clash=EVENT), "broken", "clash"),
        (with_event(new_bond=EVENT), "reacted", "new_bond"),
        (with_event(transfers=(EVENT,)), "reacted", "transfer"),
        (with_event(inversion=EVENT), "reacted", "inversion"),
        (with_event(lost=((0, 1),)), "reacted", "end_graph"),
        (replace(GOOD, energy_drift_meV_per_atom_per_ps=-5.1), "drifting", "energy_drift"),
        (replace(GOOD, energy_rms_meV_per_atom=5.1), "drifting", "energy_rms"),
        (replace(GOOD, energy_change_max_meV_per_atom=20.1), "drifting", "energy_change_max"),
        (replace(GOOD, energy_rms_relative_ratio=0.51), "drifting", "energy_rms_relative"),
        (replace(GOOD, force_ratio=0.21), "silent", "force_ratio"),
        (replace(GOOD, true_energy_change_max_meV_per_atom=10.1), "silent", "true_energy_change_max"),
        (CUT, "censored", "reached_ps"),
        (replace(GOOD, n_reference_labels=0), "censored", "n_reference_labels"),
        (replace(GOOD, reached_ps=0.4), "error", "reached_ps"),
    ],
)
def test_each_outcome_has_its_cause(evidence, name, decided_by):
    verdict = judge(evidence)
    assert (verdict.name, verdict.decided_by) == (name, decided_by)
    assert verdict.name in VERDICTS
    assert verdict.reason


@pytest.mark.parametrize("name", [*NUMBERS, "topology", "finite"])
def test_missing_evidence_never_passes(name):
    assert judge(replace(GOOD, **{name: None})).name == "error"


@pytest.mark.parametrize("name", NUMBERS)
def test_nan_never_passes(name):
    assert judge(replace(GOOD, **{name: np.nan})).name not in ("faithful", "censored")


@pytest.mark.parametrize("name", [name for name in NUMBERS if "max" in name or "energy" in name or "ratio" in name])
def test_infinity_never_passes(name):
    assert judge(replace(GOOD, **{name: -np.inf if "drift" in name else np.inf})).name not in ("faithful", "censored")


def test_no_evidence_at_all_is_an_error():
    assert judge(Evidence()).name == "error"


def test_every_field_of_the_evidence_is_looked_at_by_these_tests():
    others = {
        "n_dof",
        "unsupported",
        "error",
        "cut",
        "finite",
        "nonfinite",
        "too_hot_at_ps",
        "topology",
        "n_reference_labels",
        "constant_energy",
    }
    assert {field.name for field in dataclasses.fields(Evidence)} == {*NUMBERS, *others}


@pytest.mark.parametrize(
    ("failed", "name"),
    [
        (replace(CUT, finite=False, nonfinite=Failure("energy", 0.2)), "exploded"),
        (replace(CUT, topology=replace(INTACT, clash=EVENT)), "broken"),
        (replace(CUT, topology=replace(INTACT, transfers=(EVENT,))), "reacted"),
        (replace(CUT, energy_drift_meV_per_atom_per_ps=50.0), "drifting"),
        (replace(CUT, force_ratio=0.5), "silent"),
    ],
)
def test_a_failure_before_the_cut_stays_a_failure(failed, name):
    assert judge(failed).name == name


@pytest.mark.parametrize("value", [None, np.nan])
def test_a_run_cut_before_its_drift_could_be_measured_is_censored_and_not_failed(value):
    unmeasured = dict.fromkeys([name for name in NUMBERS if name.startswith("energy")], value)
    assert judge(replace(CUT, reached_ps=0.0, n_reference_labels=0, **unmeasured)).name == "censored"


@pytest.mark.parametrize("value", [None, np.nan])
def test_a_cut_that_came_after_the_whole_run_excuses_nothing(value):
    assert judge(replace(GOOD, cut=True)).name == "faithful"
    assert judge(replace(GOOD, cut=True, energy_rms_meV_per_atom=value)).name in ("error", "drifting")


def test_without_labels_a_run_is_never_faithful_and_says_why():
    verdict = judge(replace(GOOD, n_reference_labels=0, force_ratio=None, true_energy_change_max_meV_per_atom=None))
    assert verdict.name == "censored"
    assert "truth not examined" in verdict.reason


def test_the_worse_failure_decides():
    everything = replace(
        GOOD,
        finite=False,
        nonfinite=Failure("forces", 0.9),
        topology=replace(INTACT, bond_broken=EVENT, new_bond=EVENT),
        energy_drift_meV_per_atom_per_ps=100.0,
        force_ratio=2.0,
    )
    assert judge(everything).name == "exploded"
    assert judge(replace(everything, finite=True)).name == "broken"
    assert judge(replace(everything, finite=True, topology=replace(INTACT, new_bond=EVENT))).name == "reacted"
    assert judge(replace(everything, finite=True, topology=INTACT)).name == "drifting"


def test_the_verdict_carries_time_number_limit_and_atoms():
    later = replace(EVENT, at_ps=0.5, value=3.0)
    verdict = judge(with_event(bond_broken_by_radii=EVENT, clash=later))
    assert (verdict.at_ps, verdict.value, verdict.limit) == (0.3, 2.6, 2.28)
    assert "atoms 1-4" in verdict.reason
    assert "0.300 ps" in verdict.reason


def test_thresholds_are_settings():
    assert judge(replace(GOOD, force_ratio=0.3), Thresholds(force_ratio_max=0.4)).name == "faithful"
    assert judge(GOOD, Thresholds(drift_max_meV_per_atom_per_ps=0.05)).name == "drifting"
    assert judge(GOOD, Thresholds(temperature_max_ratio=1.0, temperature_floor_K=0.0)).name == "exploded"


def test_a_cold_run_may_warm_up_to_the_floor():
    assert Thresholds().temperature_limit_K(10.0) == 1000.0
    assert Thresholds().temperature_limit_K(300.0) == 1500.0


def test_values_at_the_limit_pass():
    at_limit = replace(GOOD, force_ratio=0.2, energy_drift_meV_per_atom_per_ps=-5.0, temperature_max_K=1500.0)
    assert judge(at_limit).name == "faithful"


def test_few_degrees_of_freedom_may_swing_further():
    limits = Thresholds()
    # six standard deviations of chi-squared: 1 + 6 sqrt(2 / n_dof) of the target, where that is above five times
    assert limits.temperature_limit_K(300.0, 1) == pytest.approx(300.0 * (1.0 + 6.0 * 2.0**0.5))
    assert limits.temperature_limit_K(300.0, 18) == 1500.0


def test_under_a_thermostat_energies_are_not_asked_for_and_forces_are():
    nothing = dict.fromkeys(
        (
            "energy_drift_meV_per_atom_per_ps",
            "energy_rms_meV_per_atom",
            "energy_change_max_meV_per_atom",
            "true_energy_change_max_meV_per_atom",
        )
    )
    kept_warm = replace(GOOD, constant_energy=False, **nothing)
    assert judge(kept_warm).name == "faithful"
    assert "conserved" not in judge(kept_warm).reason
    assert judge(replace(kept_warm, force_ratio=0.3)).name == "silent"
    assert judge(replace(kept_warm, force_ratio=float("nan"))).name == "silent"
    assert judge(replace(GOOD, **nothing)).name == "error", "at constant energy what is missing is an error"
