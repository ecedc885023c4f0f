"""Records as columns: what is written comes back, null apart from NaN, filtered and counted."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from gmd26_md import records_frame
from gmd26_md.commands.records import command
from gmd26_md.errors import UserError
from gmd26_md.record_columns import write_parquet
from gmd26_md.records import Record, append_record

pytest.importorskip("pyarrow")

ONE = Record(
    model="mace", model_sha256="ab", family="mace", molecule="water", formula="H2O", split="ood", task="user",
    protocol="stability", settings={"temperature_K": 300.0, "ensemble": "nve"}, seed=0, verdict="faithful",
    metrics={"path_force_mae_eV_per_A": 0.25, "failed_at_ps": None}, cost={"wall_s": 2.0},
)  # fmt: skip


def folder(path: Path, *records: Record) -> Path:
    for record in records:
        append_record(path / "records.jsonl", record)
    return path


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    nan = replace(ONE, seed=1, verdict="exploded", metrics={"path_force_mae_eV_per_A": math.nan, "failed_at_ps": 0.5})
    folder(tmp_path / "a" / "run1", ONE, nan)
    folder(tmp_path / "a" / "run2", replace(ONE, model="painn", verdict=None, protocol="static-errors", metrics={}))
    return tmp_path / "a"


@pytest.mark.parametrize("through_parquet", [False, True])
def test_what_did_not_happen_is_null_and_what_is_no_number_is_nan(runs: Path, through_parquet: bool) -> None:
    source: Path = runs
    if through_parquet:
        source = runs.parent / "all.parquet"
        assert write_parquet([runs], source) == 3
    frame = records_frame(source)
    assert list(frame["seed"]) == [0, 1, 0]
    happened = frame["failed_at_ps"]
    assert [happened.isna().iloc[i] for i in range(3)] == [True, False, True]
    error = frame["path_force_mae_eV_per_A"]
    assert error.iloc[0] == 0.25
    assert not error.isna().iloc[1]
    assert math.isnan(error.iloc[1])
    assert error.isna().iloc[2]
    assert frame["key"].iloc[0] == ONE.key
    assert json.loads(frame["settings"].iloc[0]) == ONE.settings
    assert list(frame["run"]) == ["run1", "run1", "run2"]


def test_filters_and_columns_are_the_same_from_lines_and_from_parquet(runs: Path) -> None:
    parquet = runs.parent / "all.parquet"
    write_parquet([runs], parquet)
    for source in (runs, parquet):
        frame = records_frame(source, columns=["model", "seed"], where={"verdict": ["exploded", "broken"]})
        assert frame.values.tolist() == [["mace", 1]]
        with pytest.raises(UserError, match=r"modle.*model"):
            records_frame(source, where={"modle": "mace"})


def test_a_torn_last_line_is_left_out_and_a_torn_middle_one_is_named(runs: Path) -> None:
    path = runs / "run1" / "records.jsonl"
    with path.open("a", encoding="utf-8") as handle:
        handle.write('{"model": "ma')
    assert len(records_frame(runs / "run1")) == 2
    path.write_text("{torn\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(UserError, match="line 1 of"):
        records_frame(runs / "run1")


def test_a_metric_of_a_newer_version_is_kept(tmp_path: Path) -> None:
    run = folder(tmp_path / "run", replace(ONE, metrics={"something_new_eV": 1.5}))
    assert json.loads(records_frame(run)["other_metrics"].iloc[0]) == {"something_new_eV": 1.5}


def test_a_campaign_s_units_are_not_counted_beside_its_runs(tmp_path: Path) -> None:
    folder(tmp_path / "units" / "key", ONE)
    folder(tmp_path / "runs" / "mine", ONE)
    assert len(records_frame(tmp_path)) == 1


def test_a_folder_of_campaigns_counts_each_record_once_and_none_at_work(tmp_path: Path) -> None:
    for name in ("one", "two"):
        folder(tmp_path / name / "units" / "k", replace(ONE, model=name))
        folder(tmp_path / name / "at-work" / "k-host-1-0", replace(ONE, model="unfinished"))
    folder(tmp_path / "one" / "runs" / "stability-one-user", replace(ONE, model="one"))
    assert list(records_frame(tmp_path)["model"]) == ["one", "two"]
    assert list(records_frame(tmp_path / "one")["model"]) == ["one"]
    assert list(records_frame(tmp_path / "two")["model"]) == ["two"]  # nothing is gathered yet


@pytest.mark.parametrize("through_parquet", [False, True])
@pytest.mark.parametrize(
    ("where", "n"),
    [
        ("verdict=", 1),  # what did not happen
        ("verdict=,faithful", 2),  # or that
        ("seed=1", 1),
        ("temperature_K=300", 4),
        ("molecule=007", 1),  # text stays text
        ("molecule=7", 0),
        ("model=12e5", 1),
    ],
)
def test_a_condition_is_read_as_its_column_s_type(runs: Path, where: str, n: int, through_parquet: bool) -> None:
    folder(runs / "run3", replace(ONE, molecule="007", model="12e5", seed=5, verdict="silent"))
    folder(runs / "run3", replace(ONE, model="m", settings={"temperature_K": 500.0}, seed=6, verdict="silent"))
    folder(runs / "run1", replace(ONE, settings={"temperature_K": 500.0}, seed=7, verdict="silent"))
    source = runs.parent / "all.parquet" if through_parquet else runs
    if through_parquet:
        write_parquet([runs], source)
    name, _, values = where.partition("=")
    assert len(records_frame(source, where={name: [v or None for v in values.split(",")]})) == n


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--where", "seed=x"], "seed holds numbers, whole ones"), (["--where", "seed=0.5"], "whole"),
     (["--where", "temperature_K=warm"], "temperature_K holds numbers"), (["--metric", "verdict"], "has no mean"),
     (["--where", "seed=inf"], "whole"), (["--by", ","], "names no column; write --by model")],
)  # fmt: skip
def test_what_no_column_can_be_is_said(runs: Path, arguments: list[str], words: str) -> None:
    told = CliRunner().invoke(command, [str(runs), *arguments])
    assert isinstance(told.exception, UserError)
    assert words in str(told.exception)


def test_a_value_that_no_record_has_is_said(runs: Path) -> None:
    told = CliRunner().invoke(command, [str(runs), "--where", "verdict=faithfull", "--json"])
    assert (told.exit_code, json.loads(told.stdout), told.stderr) == (0, [], "note: no record fits.\n")


def test_the_command_counts_verdicts_and_exports(runs: Path) -> None:
    counted = CliRunner().invoke(command, [str(runs), "--by", "model", "--json"])
    assert json.loads(counted.output) == [
        {"model": "mace", "n_records": 2, "exploded": 1, "faithful": 1},
        {"model": "painn", "n_records": 1, "exploded": None, "faithful": None},
    ]
    out = runs.parent / "silent.csv"
    result = CliRunner().invoke(
        command, [str(runs), "--where", "verdict=faithful", "--columns", "model,seed", "--out", str(out)]
    )
    assert result.exit_code == 0, result.output
    assert out.read_text(encoding="utf-8") == "model,seed\nmace,0\n"
    for given, words in ((["--out", "x.xls"], "parquet"), (["--where", "verdict"], "COLUMN=VALUE")):
        with pytest.raises(UserError, match=words):
            CliRunner().invoke(command, [str(runs), *given], catch_exceptions=False)
    with pytest.raises(UserError, match="no records"):
        records_frame(runs.parent / "nothing")


def test_lines_keep_every_digit_and_what_is_no_number_and_so_does_json(runs: Path) -> None:
    third = replace(
        ONE, seed=2, verdict="silent", metrics={"path_force_mae_eV_per_A": 1 / 3, "hr_mae_ratio": -math.inf}
    )
    folder(runs / "run1", third)
    out = runs.parent / "some.jsonl"
    columns = "seed,path_force_mae_eV_per_A,hr_mae_ratio,verdict"
    told = CliRunner().invoke(command, [str(runs), "--columns", columns, "--out", str(out)])
    assert told.exit_code == 0, told.output
    lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [list(line.values()) for line in lines] == [
        [0, 0.25, None, "faithful"],
        [1, "NaN", None, "exploded"],
        [2, 1 / 3, "-Infinity", "silent"],
        [0, None, None, None],
    ]
    arguments = [str(runs), "--by", "seed", "--metric", "path_force_mae_eV_per_A", "--where", "verdict=silent"]
    (row,) = json.loads(CliRunner().invoke(command, [*arguments, "--json"]).stdout)
    assert row["mean path_force_mae_eV_per_A"] == 1 / 3


def test_a_last_line_torn_within_a_letter_and_an_empty_one_are_left_out(tmp_path: Path) -> None:
    path = folder(tmp_path / "run", ONE) / "records.jsonl"
    with path.open("ab") as handle:
        handle.write(b"\n" + '{"model": "é'.encode()[:-1])
    assert len(records_frame(tmp_path / "run")) == 1


@pytest.mark.parametrize(
    ("line", "words"), [("5", "no object"), ('{"a": 1}', "no 'protocol'"), ('{"metrics": 5}', "is no record")]
)
def test_a_line_that_is_json_and_no_record_is_named(tmp_path: Path, line: str, words: str) -> None:
    path = folder(tmp_path / "run", ONE) / "records.jsonl"
    path.write_text(f"{path.read_text(encoding='utf-8')}{line}\n", encoding="utf-8")
    with pytest.raises(UserError, match=rf"line 2 of .*records.jsonl .*{words}"):
        records_frame(path)


def test_a_parquet_file_that_lacks_a_column_or_is_none_is_named(runs: Path) -> None:
    cut, junk = runs.parent / "cut.parquet", runs.parent / "junk.parquet"
    CliRunner().invoke(command, [str(runs), "--columns", "model,seed", "--out", str(cut)])
    junk.write_text("x")
    assert records_frame(cut, columns=["seed"])["seed"].tolist() == [0, 1, 0]
    for given, words in (
        ([cut], "has no column task, as it was cut by --columns to model, seed"),
        ([cut, runs, "--out", "x.csv"], "do not have the same columns"),
        ([junk], "is no Parquet file"),
        ([runs.parent / "none.parquet"], "cannot read"),
    ):
        with pytest.raises(UserError, match=words):
            CliRunner().invoke(command, [str(word) for word in given], catch_exceptions=False)
