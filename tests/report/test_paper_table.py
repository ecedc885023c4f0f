"""The published table with ours beside it, in every form."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path

import pytest
from click.testing import CliRunner

from gmd26_md.commands.table import command
from gmd26_md.errors import UserError
from gmd26_md.report.paper_table import PaperRow, paper_rows, paper_written
from gmd26_md.report.published import STATIC_ERRORS
from gmd26_md.report.static_results import measured
from tests.report.static_summaries import summary


def rows() -> list[PaperRow]:
    given = [
        summary("duplication", "mace", (0.02, 0.05), model="my_mace"),
        summary("duplication", "deepset-moe", (0.01, 0.04), error=math.nan),
        summary("duplication", "gemnet, direct forces", (0.01, 0.02)),
        summary("fusion", "schnet", (0.01, 0.02)),
    ]
    return paper_rows("duplication", measured(given))


def written_as(form: str, width: int = 140) -> str:
    return paper_written(rows(), form, task="duplication", level_of_theory="gfn2-xtb", width=width)


def test_ours_stand_under_the_published_row_of_their_family() -> None:
    found = [(row.family, row.published) for row in rows()]
    assert found[:2] == [("SchNet", True), ("SchNet", False)]
    place = found.index(("MACE", True))
    assert found[place + 1] == ("MACE", False)
    assert [family for family, _ in found[-2:]] == ["DeepSet-MoE", "GemNet, direct forces"]


def test_a_family_that_was_not_run_says_so() -> None:
    assert [row.source for row in rows() if row.family == "SchNet" and not row.published] == ["ours: not run"]


@pytest.mark.parametrize(("n", "said"), [((12, 12), ""), ((12, 7), "12 of 12 ID, 7 of 12 OOD")])
def test_a_row_of_fewer_molecules_than_the_task_has_says_so(n: tuple[int, int], said: str) -> None:
    given = summary("duplication", "mace", (0.02, 0.05), model="mine")
    for count, split in zip(n, given["splits"].values(), strict=True):
        for spread in split["static_errors"].values():
            spread["n_molecules"] = count
    (row,) = [row for row in paper_rows("duplication", measured([given])) if row.source.startswith("mine")]
    assert row.source == (f"mine ({said})" if said else "mine")


def test_the_published_numbers_are_as_published() -> None:
    text = written_as("markdown")
    for values in STATIC_ERRORS["duplication"].values():
        for pair in values:
            for number in pair:
                assert f" {number:.4f} " in text or f" {number:.2f} " in text


def test_csv_gives_numbers_apart_from_their_errors() -> None:
    lines = list(csv.DictReader(io.StringIO(written_as("csv"))))
    (mace,) = [line for line in lines if line["source"] == "my_mace"]
    assert float(mace["force_mae_eV_per_A_ood"]) == 0.05
    assert float(mace["force_mae_eV_per_A_ood_standard_error"]) == pytest.approx(0.0005)
    assert float(mace["force_mae_eV_per_A_ood_over_id_ratio"]) == pytest.approx(2.5)
    assert mace["training"] == "1,000 steps, 2 min"
    assert all(line["force_mae_eV_per_A_id"] == "" for line in lines if line["source"] == "ours: not run")
    assert {line["force_mae_eV_per_A_id_standard_error"] for line in lines if line["published"] == "1"} == {""}


def test_latex_has_the_paper_s_columns_and_escapes_names() -> None:
    text = written_as("latex")
    body = [line for line in text.splitlines() if line.endswith(r"\\") and ("$" in line or "--" in line)]
    assert all(line.count("&") == 8 for line in body)
    assert r"my\_mace" in text
    assert "my_mace" not in text
    assert text.count(r"\mathbf") == 4  # the least OOD error of each column


def test_text_fits_the_terminal_and_cuts_no_number() -> None:
    for width in (80, 100, 140):
        text = written_as("text", width)
        assert max(map(len, text.splitlines())) <= width
        assert "0.0500(5)" in text
        assert "…" not in text


def test_a_summary_that_is_none_is_named() -> None:
    broken = summary("duplication", "mace", (0.02, 0.05))
    del broken["splits"]["id"]["static_errors"]["force_mae_eV_per_A"]["standard_error"]
    with pytest.raises(UserError, match=r"mace-duplication.*standard_error"):
        measured([broken])


def test_the_command_takes_the_runs_of_the_task_and_the_findings_of_all(tmp_path: Path) -> None:
    paths = []
    for task in ("duplication", "fusion", "fission"):
        folder = tmp_path / "runs" / task
        folder.mkdir(parents=True)
        (folder / "summary.json").write_text(json.dumps(summary(task, "mace", (0.01, 0.2))), encoding="utf-8")
        (folder / "run.json").write_text("{}", encoding="utf-8")
        paths.append(str(folder))
    result = CliRunner().invoke(command, ["--task", "duplication", "--format", "markdown", *paths])
    assert result.exit_code == 0, result.output
    assert "mace-duplication" in result.output
    assert "mace-fusion" not in result.output
    assert "| fission fails as fusion does | confirmed |" in result.output


def test_without_a_run_the_published_table_stands_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(command, ["--task", "duplication"])
    assert result.exit_code == 0, result.output
    assert result.output.count("not tested") == 9
    with pytest.raises(UserError, match="static-errors --task fusion"):
        CliRunner().invoke(command, ["--task", "fusion"], catch_exceptions=False, standalone_mode=False)
    with pytest.raises(UserError, match="Did you mean 'latex'"):
        CliRunner().invoke(command, ["--format", "latx"], catch_exceptions=False, standalone_mode=False)
