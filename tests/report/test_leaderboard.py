"""The leaderboard: who is first and why, ties as ties, and what may not be compared is said."""

import csv
import io
import json

import pytest

from gmd26_md.errors import UserError
from gmd26_md.records import Record, append_record
from gmd26_md.report.leaderboard import leaderboard
from gmd26_md.report.leaderboard_table import DIRECT, SEVERAL, leaderboard_written

SETTINGS = {"temperature_K": 300.0, "ensemble": "nve", "run_ps": 10.0, "thermalise_ps": 1.0, "timestep_fs": 0.5}


def runs(model, n_faithful, *, n=20, task="duplication", family="painn", path=0.02, split="ood", seed=0, **settings):
    """Return runs of `n` molecules, of which so many are faithful."""
    return [
        Record(
            model=f"{model}-{task}", model_sha256=f"{model} {task}", family=family, molecule=f"molecule {i:02d}",
            formula="CH4", split=split, task=task, protocol="stability", settings=SETTINGS | settings, seed=seed,
            verdict="faithful" if i < n_faithful else "silent", metrics={"path_force_mae_eV_per_A": path},
        )
        for i in range(n)
    ]  # fmt: skip


def board_of(*groups, **options):
    return leaderboard([record for group in groups for record in group], {}, **options)


def places(board, task="duplication"):
    """Return place, best and worst rank of each model, in the order of the rows."""
    found = {row["model"]: row["results"].get(task) for row in board["rows"]}
    return {m: (r["place"], r["rank_best"], r["rank_worst"]) for m, r in found.items() if r}


def test_the_larger_faithful_share_is_first_and_far_apart_models_have_one_rank_each():
    board = board_of(runs("bad", 1), runs("good", 19), runs("middle", 10))
    assert list(places(board).items()) == [("good", (1, 1, 1)), ("middle", (2, 2, 2)), ("bad", (3, 3, 3))]
    assert board["rows"][1]["results"]["duplication"]["faithful_fraction"]["value"] == 0.5


def test_models_whose_intervals_overlap_share_a_range_of_ranks():
    board = board_of(runs("a", 12), runs("b", 11), runs("c", 1))
    assert places(board) == {"a": (1, 1, 2), "b": (2, 1, 2), "c": (3, 3, 3)}
    text = leaderboard_written(board, "text")
    assert text.splitlines()[1].split()[2:5] == ["1", "to", "2"]
    assert "not told apart" in text


def test_of_equal_shares_the_smaller_force_error_along_the_run_is_first_and_equals_are_equal():
    board = board_of(
        runs("c", 10, path=0.3), runs("b", 10, path=0.1), runs("a", 10, path=0.3), runs("d", 10, path=None)
    )
    assert places(board) == {"b": (1, 1, 4), "a": (2, 1, 4), "c": (2, 1, 4), "d": (4, 1, 4)}


def test_all_or_nothing_keeps_the_interval_that_counting_allows():
    # 3 of 3 molecules allow any share down to 0.05^(1/3) = 0.37, so they are not better than 18 of 20
    board = board_of(runs("few", 3, n=3), runs("many", 18))
    assert places(board) == {"few": (1, 1, 2), "many": (2, 1, 2)}
    assert board["tasks"][0]["not_alike"] == ["molecules"]
    assert "not tried alike, so compare with care: molecules differ" in leaderboard_written(board, "text")


def test_runs_that_could_not_be_made_count_against_a_model():
    broken = [*runs("a", 10, n=10)]
    unsupported = [
        Record(**{**r.__dict__, "molecule": f"more {i}", "verdict": "unsupported", "metrics": {}})
        for i, r in enumerate(runs("a", 0, n=10))
    ]
    board = board_of([*broken, *unsupported])
    assert board["rows"][0]["results"]["duplication"]["faithful_fraction"]["value"] == 0.5


def test_tasks_stand_side_by_side_and_one_that_was_not_run_counts_as_nothing():
    both = [*runs("both", 12), *runs("both", 12, task="fusion")]
    board = board_of(runs("one", 20), both)
    assert [task["task"] for task in board["tasks"]] == ["duplication", "fusion"]
    assert [row["model"] for row in board["rows"]] == ["both", "one"]  # 0.6 against 0.5
    assert places(board)["one"][0] == 1
    assert places(board, "fusion") == {"both": (1, 1, 1)}
    text = leaderboard_written(board, "text", width=100)
    assert SEVERAL[:40] in text
    assert max(map(len, text.splitlines())) <= 100
    assert leaderboard_written(board, "markdown").splitlines()[3].endswith("| - | - | - | - | - | - |")


def test_two_models_of_one_name_on_a_task_are_two_rows_told_apart_by_their_hash():
    other = [Record(**{**r.__dict__, "model_sha256": "0123456789"}) for r in runs("a", 5)]
    board = board_of(runs("a", 10), other)
    assert [row["model"] for row in board["rows"]] == ["a-duplication a duplic", "a-duplication 01234567"]


def test_direct_forces_are_marked():
    board = board_of(runs("a", 10), runs("b", 20, family="equiformer-v2, direct forces"))
    lines = leaderboard_written(board, "text").splitlines()
    assert "(equiformer-v2, direct forces) *" in lines[1]
    assert "*" not in lines[2]
    assert DIRECT in leaderboard_written(board, "markdown")
    assert DIRECT not in leaderboard_written(board_of(runs("a", 10)), "markdown")


def test_what_most_models_were_run_under_is_ranked_and_the_rest_is_named():
    hot = runs("a", 0, temperature_K=500.0)
    board = board_of(runs("a", 10), hot, runs("b", 9))
    assert board["tasks"][0]["condition"] == "300 K, NVE, 10 ps"
    assert "was also run at 500 K, NVE, 10 ps (1 model)" in leaderboard_written(board, "text")
    assert places(board_of(runs("a", 10), hot, runs("b", 9), condition="500 K, NVE, 10 ps")) == {"a": (1, 1, 1)}
    with pytest.raises(UserError, match="Did you mean '500 K, NVE, 10 ps'"):
        board_of(runs("a", 10), hot, condition="500 K, NVE")


def test_a_record_given_twice_counts_once_and_id_runs_are_beside():
    given = [*runs("a", 10), *runs("a", 20, split="id", seed=1)]
    result = board_of(given, given)["rows"][0]["results"]["duplication"]
    assert result["n_runs"] == 20
    assert result["faithful_fraction"]["value"] == 0.5
    assert result["faithful_id_fraction"]["value"] == 1.0


def test_nothing_to_rank_is_said():
    with pytest.raises(UserError, match="stability runs on unseen"):
        board_of(runs("a", 3, split="id"))


def test_the_command_takes_a_folder_of_folders_and_writes_every_form(cli, tmp_path):
    for name, n in (("good", 18), ("bad", 2)):
        for record in runs(name, n):
            append_record(tmp_path / "runs" / name / "records.jsonl", record)
    code, out, err = cli("leaderboard", tmp_path / "runs")
    assert (code, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()[1:3]] == ["good", "bad"]
    lines = list(csv.DictReader(io.StringIO(cli("leaderboard", tmp_path / "runs", "--format", "csv")[1])))
    assert [(line["row"], line["place"], line["rank_worst"]) for line in lines] == [
        ("good", "1", "1"),
        ("bad", "2", "2"),
    ]
    assert float(lines[0]["faithful_fraction"]) == 0.9
    assert float(lines[0]["path_force_mae_eV_per_A"]) == pytest.approx(0.02)
    assert lines[0]["static_force_mae_eV_per_A"] == ""
    assert r"\begin{tabular}{lrrrrrr}" in cli("leaderboard", tmp_path / "runs", "--format", "latex")[1]
    board = json.loads(cli("leaderboard", tmp_path / "runs", "--json")[1])
    assert board["rows"][0]["model"] == "good"
    assert board["notes"][0].startswith("Ranked by")
    code, out, err = cli("leaderboard", tmp_path / "runs", "--task", "duplicaton")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "Did you mean 'duplication'" in err
    assert cli("leaderboard", tmp_path / "none")[0] == 2


def test_runs_that_are_still_to_come_are_said_since_no_share_counts_them(cli, tmp_path):
    for record in runs("killed", 3):
        append_record(tmp_path / "killed" / "records.jsonl", record)
    molecules = {record.slug: "" for record in runs("killed", 3)}
    settings = {"stability": {"temperature_K": [300.0], "ensemble": ["nve"]}}
    asked = {"protocol": "stability", "molecules": molecules, "settings": settings, "asked": {"seed": 0, "n_seeds": 9}}
    (tmp_path / "killed" / "run.json").write_text(json.dumps(asked))
    code, out, err = cli("leaderboard", tmp_path / "killed", "--json")
    assert code == 0
    assert json.loads(out)["rows"]
    assert "is not finished: 20 of 180 runs have a record. The" in err
