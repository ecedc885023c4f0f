"""What ends a run, how long runs lived, ID against OOD, and conditions that are never averaged together."""

import math

import pytest

from gmd26_md.records import Record
from gmd26_md.report.comparison import compare
from gmd26_md.report.lives import condition_of, length_ps, life_of
from gmd26_md.report.path_errors import BY_BONDS, path_errors, path_over_static
from gmd26_md.report.summary import summarise
from gmd26_md.report.survival import first_failures, survival_of
from gmd26_md.report.tables import render

MODEL = {"model": "painn", "model_sha256": "ab", "family": "painn", "formula": "X", "task": "duplication"}
ASKED = {"thermalise_ps": 0.5, "temperature_K": 300.0, "ensemble": "nve", "run_ps": 1.5, "timestep_fs": 0.5}
LABELS = {"n_label_frames": 21, "reference": "gfn2-xtb"}


def run_of(molecule, verdict, split="id", *, seed=0, evidence=None, settings=None, **metrics):
    return Record(
        **MODEL, molecule=molecule, split=split, protocol="stability", settings=ASKED | LABELS | (settings or {}),
        seed=seed, verdict=verdict, metrics=metrics, evidence=evidence or {},
    )  # fmt: skip


def died(molecule, at_ps, split="id", **more):
    return run_of(molecule, "broken", split, failed_at_ps=at_ps, alive_ps=at_ps, bond_broken_at_ps=at_ps, **more)


def lived(molecule, split="id", verdict="faithful", **more):
    return run_of(molecule, verdict, split, failed_at_ps=None, alive_ps=2.0, **more)


def static_of(molecule, error, split="id"):
    return Record(
        **MODEL, molecule=molecule, split=split, protocol="static-errors", settings={}, seed=0,
        metrics={"force_mae_eV_per_A": error},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("record", "time_ps", "failed", "made"),
    [
        (died("a", 0.25), 0.25, True, True),
        (lived("a"), 2.0, False, True),
        (lived("a", verdict="drifting"), 2.0, False, True),
        (run_of("a", "censored", failed_at_ps=None, alive_ps=0.7), 0.7, False, True),
        (run_of("a", "reacted", failed_at_ps=None, alive_ps=2.0, transfer_at_ps=0.4), 0.4, True, True),
        (run_of("a", "broken", failed_at_ps=0.9, alive_ps=0.9, transfer_at_ps=0.4), 0.4, True, True),
        (run_of("a", "reacted", failed_at_ps=None, alive_ps=2.0), 2.0, True, True),  # another graph at the end
        (run_of("a", "error", failed_at_ps=None, alive_ps=2.0), 2.0, False, True),  # only the reference failed
        (run_of("a", "error", failed_at_ps=0.1), 0.1, True, True),  # the calculator raised
        (run_of("a", "unsupported"), 0.0, True, False),
        (run_of("a", "exploded", failed_at_ps=math.nan, alive_ps=math.nan), 0.0, True, False),
    ],
)
def test_what_counts_as_a_failure_and_when(record, time_ps, failed, made):
    life = life_of(record)
    assert (life.time_ps, life.failed, life.made) == (time_ps, failed, made)


def test_a_run_of_whole_steps_is_as_long_as_it_was_asked_to_be():
    asked = ASKED | {"timestep_fs": 0.7, "thermalise_ps": 0.0, "run_ps": 1.0}  # 1429 steps
    assert length_ps([lived("a", settings=asked)]) == pytest.approx(1.0003, abs=1e-9)
    assert length_ps([lived("a")]) == 2.0


def test_survival_counts_runs_that_could_not_be_made_and_a_cut_run_is_no_failure():
    records = [died("a", 1.0), lived("b"), run_of("c", "unsupported"), run_of("d", "censored", alive_ps=0.5)]
    found = survival_of(records)
    # 4 at risk at 0 ps, one fails; the cut run leaves; 2 at risk at 1 ps, one fails: 3/4 * 1/2
    assert found["survival"]["value"] == pytest.approx(0.375)
    assert found["at_ps"] == 2.0
    assert found["restricted_mean_ps"]["value"] == pytest.approx(0.75 * 1.0 + 0.375 * 1.0)
    assert (found["n_failed"], found["n_not_made"]) == (2, 1)


def test_first_failures_are_told_by_kind():
    found = first_failures([died("a", 0.2), died("b", 0.4), lived("c"), run_of("d", "broken", clash_at_ps=0.1)])
    assert found == {
        "bond_broken_at_ps": {"n_runs": 2, "earliest_ps": 0.2, "median_ps": pytest.approx(0.3)},
        "clash_at_ps": {"n_runs": 1, "earliest_ps": 0.1, "median_ps": 0.1},
    }


def test_unseen_molecules_that_die_sooner_are_told_from_those_that_do_not():
    known, unseen = "abcdefgh", "ABCDEFGH"
    worse = [lived(m) for m in known] + [died(m, 0.1 * i + 0.1, "ood") for i, m in enumerate(unseen)]
    test = summarise(worse, {})["log_rank"]["300 K, NVE, 1.5 ps"]
    assert test["observed"] == (0.0, 8.0)
    assert test["p_permuted"] < 0.001
    same = [died(m, 0.1 * i + 0.1) for i, m in enumerate(known)]
    same += [died(m, 0.1 * i + 0.15, "ood") for i, m in enumerate(unseen)]
    assert summarise(same, {})["log_rank"]["300 K, NVE, 1.5 ps"]["p_permuted"] > 0.2
    text = " ".join(render(summarise(worse, {})).split())
    assert "8 OOD runs failed, " in text
    assert "log-rank p under 0.001" in text
    assert "0.100, median 0.450 (8 runs)" in text


def test_conditions_stand_beside_each_other_and_are_not_averaged():
    hot = {"temperature_K": 500.0}
    nvt = {"ensemble": "nvt"}
    records = [lived("a"), lived("b"), died("a", 0.5, settings=hot), lived("b", settings=hot), lived("a", settings=nvt)]
    summary = summarise(records, {})
    found = summary["splits"]["id"]["stability"]
    assert list(found) == ["300 K, NVE, 1.5 ps", "300 K, NVT, 1.5 ps", "500 K, NVE, 1.5 ps"]
    assert [part["alive_fraction"]["value"] for part in found.values()] == [1.0, 1.0, 0.5]
    assert "500 K, NVE, 1.5 ps: alive 1 of 2 runs" in summary["answer"]
    text = render(summary)
    assert text.count("alive as far as run, %") == 3
    assert "under the thermostat" in " ".join(text.split())
    rows = compare([summary], published=False)
    assert [row[0].split("), ")[1] for row in rows[1:]] == list(found)


def test_records_and_summaries_from_before_conditions_are_read():
    assert condition_of({"temperature_K": 300.0, "nve_ps": 2.0}) == "300 K, NVE, 2 ps"
    assert condition_of({}) == "NVE"
    bare = Record(**MODEL, molecule="a", split="id", protocol="stability", settings={}, seed=0, verdict="broken",
                  metrics={"failed_at_ps": 0.3})  # fmt: skip
    assert survival_of([bare])["at_ps"] == pytest.approx(0.3)
    old = summarise([lived("a")], {})
    (part,) = old["splits"]["id"]["stability"].values()
    old["splits"]["id"]["stability"] = part  # as it was written before
    heading, row = compare([old], published=False)
    assert dict(zip(heading, row, strict=True))["alive, %, ID"].startswith("100")


def test_the_force_error_along_the_run_stands_beside_the_static_one_of_the_same_molecule():
    path = {"path_force_mae_eV_per_A": 0.3}
    records = [static_of("a", 0.1), static_of("b", 0.2), lived("a", **path), lived("a", seed=1), lived("c", **path)]
    assert path_over_static(records) == {"a": [pytest.approx(3.0)]}
    assert path_errors(records)["path_over_static_ratio"]["value"] == pytest.approx(3.0)
    assert math.isnan(path_over_static([static_of("a", 0.0), lived("a", **path)])["a"][0])


def test_force_errors_by_bonds_are_means_over_molecules():
    near = {BY_BONDS: {"0": 0.2, "1": 0.1}}
    far = {BY_BONDS: {"0": 0.4}}
    records = [lived("a", evidence=near), lived("a", seed=1, evidence=near), lived("b", evidence=far), lived("c")]
    found = path_errors(records)[BY_BONDS]
    assert found["0"]["value"] == pytest.approx(0.3)  # of two molecules, though one has two seeds
    assert found["1"]["value"] == pytest.approx(0.1)
    assert "the same, in a group, eV/Å" in render(summarise(records, {}))
    assert path_errors([lived("a")]) == {}
