"""Static beside dynamic on made-up records whose answer is known."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from gmd26_md.errors import UserError
from gmd26_md.records import Record, append_record
from gmd26_md.report.candidates import Column, first_given, namesakes, oriented, outcomes, predictors
from gmd26_md.report.leaderboard import leaderboard
from gmd26_md.report.leaderboard_table import board_notes
from gmd26_md.report.static_dynamic import static_beside_dynamic
from gmd26_md.report.static_dynamic_table import correlation_rows, model_rows
from gmd26_md.report.static_dynamic_words import sentences

ASKED = {"thermalise_ps": 0.5, "temperature_K": 300.0, "ensemble": "nve", "run_ps": 1.5, "timestep_fs": 0.5,
         "n_label_frames": 21, "reference": "gfn2-xtb"}  # fmt: skip
PATH = "path_force_mae_eV_per_A"


def record_of(protocol, molecule, metrics, *, model="one", split="id", seed=0, settings=None, **more):
    return Record(
        model=model, model_sha256=f"sha of {model}", family="toy", molecule=molecule, formula="C2H4O2", split=split,
        task="duplication", protocol=protocol, settings=settings or {}, seed=seed, metrics=metrics, **more,
    )  # fmt: skip


def run_of(molecule, verdict="faithful", *, failed_at_ps=None, settings=None, **more):
    metrics = {"failed_at_ps": failed_at_ps, "alive_ps": failed_at_ps or 2.0} | more.pop("metrics", {})
    return record_of("stability", molecule, metrics, settings=ASKED | (settings or {}), verdict=verdict, **more)


def static_of(molecule, error, **more):
    return record_of("static-errors", molecule, {"force_mae_eV_per_A": error}, **more)


def world(static, path, *, model="one", **more):
    """Return static errors and runs of one model with these errors, molecule by molecule."""
    found = []
    for i, (s, p) in enumerate(zip(static, path, strict=True)):
        split = "ood" if i % 2 else "id"
        found.append(static_of(f"m{i:02d}", s, model=model, split=split))
        found.append(run_of(f"m{i:02d}", model=model, split=split, metrics={PATH: p}, **more))
    return found


def pair(found, predictor, outcome, level):
    (row,) = [
        r
        for r in found["correlations"]
        if (r["predictor_metric"], r["outcome_metric"], r["level"]) == (predictor, outcome, level)
    ]
    return row


def test_a_static_error_that_predicts_is_found_and_said():
    errors = np.linspace(0.01, 0.1, 20)
    (found,) = static_beside_dynamic(world(errors, errors**2), {})
    row = pair(found, "force_mae_eV_per_A", PATH, "within one")
    assert (row["rho"], row["n"]) == (pytest.approx(1.0), 20)
    assert row["p_adjusted"] <= 0.001
    said = "\n".join(sentences(found))
    assert "Surest is force_mae_eV_per_A (static-errors): within one it goes with force error along the run" in said
    assert "- not to be told (one of them is constant): failed, not faithful, short life" in said


def test_noise_is_said_to_be_nothing():
    random = np.random.default_rng(1)
    records = world(random.random(24), random.random(24))
    for r in list(records):
        if r.protocol == "static-errors":
            noise = {f"noise{i}_A": random.random() for i in range(30)}
            records.append(record_of("relaxation", r.molecule, noise, settings={"start": "structure"}, reason="agrees"))
    (found,) = static_beside_dynamic(records, {})
    assert found["n_tried"] > 30
    assert min(r["p"] for r in found["correlations"] if r["rho"] is not None) < 0.05  # luck there is, among so many
    said = sentences(found)
    assert said[0].startswith("Which cheap number predicts trouble? None that can be told from luck")
    assert "- nothing tried predicts: force error along the run" in said
    assert any(line.startswith("The static force MAE says little, within one") for line in said)


def test_a_number_that_only_tells_the_splits_apart_is_said_to_be_no_better_than_the_split():
    split = np.arange(24) % 2
    random = np.random.default_rng(1)
    records = world(split + 0.1 * random.random(24), split * 1.0)
    (found,) = static_beside_dynamic(records, {})
    assert "no better than being OOD alone +1.00" in sentences(found)[0]
    assert "--split ood" in sentences(found)[0]
    (unseen,) = static_beside_dynamic(records, {}, split="ood")
    assert pair(unseen, "force_mae_eV_per_A", PATH, "within one")["rho"] is None  # constant among the unseen


def test_an_error_that_is_no_number_ranks_worst_and_is_counted():
    assert oriented("force_mae_eV_per_A", math.nan) == math.inf
    assert oriented("force_cosine", math.inf) == math.inf
    assert oriented("force_cosine", 0.9) == -0.9
    assert oriented("energy_drift_meV_per_atom_per_ps", -3.0) == 3.0
    assert oriented("force_mae_eV_per_A", None) is None
    static = [0.1, 0.2, 0.3, 0.4, 0.5, math.nan]
    (found,) = static_beside_dynamic(world(static, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), {})
    row = pair(found, "force_mae_eV_per_A", PATH, "within one")
    assert (row["rho"], row["n"], row["n_worst_predictor"]) == (pytest.approx(1.0), 6, 1)
    assert any(line.startswith("1 values are no numbers") for line in sentences(found))


def test_a_number_that_a_failed_run_lacks_ranks_worst_and_one_not_measured_is_missing():
    records = world([0.1, 0.2, 0.3, 0.4, 0.5], [1.0, 2.0, 3.0, 4.0, 5.0])
    records += [static_of("dead", 9.0), run_of("dead", "exploded", failed_at_ps=0.1)]
    records += [static_of("cut", 0.0), run_of("cut", "censored", metrics={"alive_ps": 0.3})]
    (found,) = static_beside_dynamic(records, {})
    row = pair(found, "force_mae_eV_per_A", PATH, "within one")
    assert (row["rho"], row["n"], row["n_worst_outcome"]) == (pytest.approx(1.0), 6, 1)  # dead counts, cut does not
    assert pair(found, "force_mae_eV_per_A", "failed", "within one")["n"] == 6  # nobody knows how the cut one ends
    assert pair(found, "force_mae_eV_per_A", "not_faithful", "within one")["n"] == 6


def test_what_the_reference_failed_to_say_is_missing_and_what_the_model_failed_to_do_is_worst():
    nan = {"relaxed_on_energy_drop_eV": math.nan, "heavy_rmsd_A": 0.1}
    records = [
        record_of("relaxation", "untold", nan, settings={"start": "structure"}, reason="unknown: no energy there"),
        record_of("relaxation", "blown", nan, settings={"start": "structure"}, reason="failed: not finite"),
        record_of("relaxation", "blown too", {}, settings={"start": "structure"}, reason="failed: RuntimeError"),
    ]
    columns = {c.metric: c for c in predictors(records)}
    drop = columns["relaxed_on_energy_drop_eV"]
    assert {name: values for (_, name), values in drop.values.items()} == {"blown": [math.inf], "blown too": [math.inf]}
    assert ("sha of one", "untold") in columns["heavy_rmsd_A"].values
    assert {name for _, name in columns["judged"].values} == {"blown", "blown too"}


def test_one_bad_seed_of_three_is_better_than_two():
    column = Column("x", "y", "words", {
        ("s", "fine"): [9.0, 9.0, 9.0], ("s", "one"): [1.0, 1.0, math.inf], ("s", "two"): [1.0, math.inf, math.inf],
    })  # fmt: skip
    cells = [[("s", name)] for name in ("fine", "one", "two", "absent")]
    merits = column.merits(cells)
    assert merits[0] < merits[1] < merits[2]
    assert math.isnan(merits[3])
    assert column.n_worst == 3


def test_models_are_joined_by_molecule_within_each_and_compared_over_models():
    random = np.random.default_rng(2)
    records = []
    for k in range(6):
        errors = random.random(12) + k
        records += world(errors, errors + 0.3 * random.random(12), model=f"model{k}")
    (found,) = static_beside_dynamic(records, {})
    assert [m["label"] for m in found["models"]] == [f"model{k}" for k in range(6)]
    each = pair(found, "force_mae_eV_per_A", PATH, "within each model")
    assert (each["n"], each["n_models"]) == (12, 6)
    over = pair(found, "force_mae_eV_per_A", PATH, "over models")
    assert (over["rho"], over["n"]) == (pytest.approx(1.0), 6)
    rows = model_rows(found)
    assert len(rows) == 7
    assert {len(row) for row in rows} == {len(rows[0])}


def test_relaxations_are_told_apart_by_their_start_and_dynamic_protocols_are_outcomes():
    records = [
        record_of("relaxation", "a", {"rmsd_A": 0.1}, settings={"start": "structure"}, reason="agrees: x"),
        record_of("relaxation", "a", {"rmsd_A": 0.2}, settings={"start": "reference-minimum"}, reason="strained: x"),
        record_of("distributions", "a", {"rmsd_A": 0.3}),
        run_of("a"),
    ]
    found = {(c.source, c.metric): c.values[("sha of one", "a")] for c in predictors(records)}
    assert found[("relaxed from the structure", "rmsd_A")] == [0.1]
    assert found[("relaxed from the reference-minimum", "judged")] == [1.0]
    assert found[("molecule", "n_atoms")] == [8.0]  # once, however many records
    assert not any(source == "distributions" for source, _ in found)
    assert [c.values[("sha of one", "a")] for c in outcomes(records) if c.metric == "rmsd_A"] == [[0.3]]


def test_neutral_judgements_are_missing_among_those_judged_otherwise():
    records = [
        record_of("scan", "a", {}, settings={"scan": "torsion"}, reason="nothing to scan: no bond"),
        record_of("scan", "b", {}, settings={"scan": "torsion"}, reason="strays: x"),
        record_of("distributions", "a", {}, settings={"temperature_K": 300.0}, reason="unsettled: x"),
        record_of("distributions", "b", {}, settings={"temperature_K": 300.0}, reason="within noise: x"),
    ]
    (scanned,) = [c for c in predictors(records) if c.metric == "judged"]
    assert scanned.values == {("sha of one", "b"): [1.0]}
    (compared,) = [c for c in outcomes(records) if c.metric == "judged"]
    assert compared.values == {("sha of one", "b"): [0.0]}


def test_a_failed_run_under_a_thermostat_lacks_drift_and_true_energy_as_every_other():
    for ensemble, has in (("nvt", False), ("nve", True)):
        found = outcomes([run_of("a", "exploded", failed_at_ps=0.1, settings={"ensemble": ensemble})])
        measured = {c.metric for c in found}
        assert PATH in measured
        assert ("energy_drift_meV_per_atom_per_ps" in measured) is has
        assert ("true_energy_change_max_meV_per_atom" in measured) is has


def test_errors_that_a_judged_record_lacks_because_it_failed_rank_worst():
    for protocol, settings, of, metric in (
        ("relaxation", {"start": "structure"}, predictors, "rmsd_A"),
        ("distributions", {"temperature_K": 300.0}, outcomes, "hr_mae_ratio"),
    ):
        records = [
            record_of(protocol, "dead", {metric: None}, settings=settings, reason="exploded: x"),
            record_of(protocol, "fine", {metric: 0.1}, settings=settings, reason="agrees: x"),
            record_of(protocol, "odd", {}, settings=settings, reason="off: x"),
            record_of(protocol, "unknown", {}, settings=settings, verdict="unsupported", reason="x"),
        ]
        (column,) = [c for c in of(records) if c.metric == metric]
        assert column.values == {("sha of one", "fine"): [0.1], ("sha of one", "dead"): [math.inf]}


def test_of_the_same_run_given_twice_the_first_counts_and_this_is_said():
    records = world([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], [0.5, 0.4, 0.6, 0.1, 0.2, 0.3])
    again = world([0.9] * 6, [0.5] * 6, settings={"timestep_fs": 1.0})
    kept, n_left_out = first_given([*records, *again])
    assert (kept, n_left_out) == (records, 12)
    (found,) = static_beside_dynamic([*records, *again], {})
    assert any("given twice" in line for line in sentences(found))


def test_two_molecules_of_a_user_s_that_share_a_name_both_count_and_it_is_said():
    (one,) = [r for r in world([0.1], [0.5]) if r.protocol == "stability"]
    first = replace(one, split="user", structure_sha256="a", settings={"reference": "gfn2-xtb"})
    other = replace(first, structure_sha256="b")
    by_another_reference = replace(first, structure_sha256="c", settings={"reference": "pbe-d3bj/def2-svp"})
    kept, n_left_out = first_given([first, other, first, other, by_another_reference])
    assert (kept, n_left_out) == ([first, other], 3)
    assert first_given([replace(first, split="ood"), replace(other, split="ood")])[1] == 1
    assert namesakes([first, replace(first, seed=1), by_another_reference]) == []
    words = f"{first.molecule} is the name of 2 structures"
    (found,) = static_beside_dynamic([first, other], {})
    assert sentences(found)[-1].startswith(words)
    assert any(note.startswith(words) for note in board_notes(leaderboard([first, other], {})))


def test_dynamics_alone_are_answered_too():
    runs = [r for r in world([0.1] * 8, np.arange(8.0)) if r.protocol == "stability"]
    (found,) = static_beside_dynamic(runs, {})
    said = sentences(found)
    assert said[0].startswith("Which cheap number predicts trouble? None was measured")
    assert any("no predictor and outcome of the same molecules" in line for line in said)
    (none,) = static_beside_dynamic(runs[:2], {}, split="ood")
    assert sentences(none)[0].startswith("Which cheap number predicts trouble? Nothing could be correlated")


def test_conditions_are_outcomes_of_their_own():
    errors = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    records = world(errors, errors)
    records += [r for r in world(errors, errors[::-1], settings={"temperature_K": 500.0}) if r.protocol == "stability"]
    (found,) = static_beside_dynamic(records, {})
    rhos = {r["outcome"]: r["rho"] for r in found["correlations"]
            if r["predictor_metric"] == "force_mae_eV_per_A" and r["outcome_metric"] == PATH}  # fmt: skip
    assert rhos["force error along the run (300 K, NVE, 1.5 ps)"] == pytest.approx(1.0)
    assert rhos["force error along the run (500 K, NVE, 1.5 ps)"] == pytest.approx(-1.0)
    assert len(model_rows(found)) == 3


def test_tasks_are_kept_apart_and_dynamics_must_be_there():
    records = world([0.1] * 5, [0.1] * 5)
    other = Record(**{**run_of("z").__dict__, "task": "mixing"})
    assert [f["task"] for f in static_beside_dynamic([*records, other], {})] == ["duplication", "mixing"]
    with pytest.raises(UserError, match="has a stability record"):
        static_beside_dynamic([static_of("a", 0.1)], {})


@pytest.fixture
def folders(tmp_path):
    """Return a folder with runs and one with static errors."""
    errors = np.linspace(0.01, 0.1, 12)
    for r in world(errors, errors**2):
        append_record(tmp_path / r.protocol / "records.jsonl", r)
    return [tmp_path / "stability", tmp_path / "static-errors"]


def test_the_command_joins_folders_and_writes_every_format(cli, folders):
    code, out, err = cli("correlate", *folders)
    assert (code, err) == (0, "")
    assert out.startswith("Static beside dynamic, duplication\n")
    assert "Surest is force_mae_eV_per_A" in out
    code, out, _ = cli("correlate", *folders, "--format", "markdown", "--top", 1)
    assert code == 0
    assert out.count("| within one |") == 1
    code, out, _ = cli("correlate", *folders, "--format", "csv")
    assert out.count("within one,") > 1
    code, out, _ = cli("correlate", *folders, "--json")
    (found,) = json.loads(out)
    assert found["n_tried"] == len(correlation_rows(found["correlations"])) - 1


def test_the_command_refuses_what_it_cannot_use(cli, folders, tmp_path):
    for arguments, word in (
        ([tmp_path / "nowhere"], "no records"),
        ([folders[1]], "stability"),
        ([*folders, "--format", "pdf"], "format"),
        ([*folders, "--split", "odd"], "ood"),
    ):
        code, out, err = cli("correlate", *arguments)
        assert (code, out) == (2, "")
        assert word in err
        assert len(err.splitlines()) == 1
