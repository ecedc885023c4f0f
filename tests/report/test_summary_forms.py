"""The table of a run folder in every form, and `gmd26-md summary`."""

import csv
import io
import json

import pytest

from gmd26_md.records import Record, append_record
from gmd26_md.report.summary import summarise
from gmd26_md.report.summary_forms import summaries_written

SETTINGS = {
    "temperature_K": 300.0, "run_ps": 2.0, "thermalise_ps": 0.5, "timestep_fs": 0.5, "n_label_frames": 3,
    "reference": "gfn2-xtb",
}  # fmt: skip
WHO = {"model": "pa_inn", "model_sha256": "ab", "family": "painn", "formula": "X", "task": "duplication"}


def records():
    made = [
        Record(
            **WHO, molecule=f"acid {i}", split=split, protocol="stability", settings=SETTINGS, seed=0, device="cpu",
            verdict=verdict, reason=f"{verdict}: 5 % & more", metrics={"temperature_mean_K": 300.0 + i},
        )
        for i, (split, verdict) in enumerate([("id", "faithful"), ("id", "faithful"), ("ood", "silent")])
    ]  # fmt: skip
    scan = Record(
        **WHO, molecule="acid 0", split="id", protocol="scan", settings={"scan": "torsion"}, seed=0, verdict=None,
        reason="follows: fine", metrics={"torsion_rms_meV": 3.25},
    )  # fmt: skip
    return [*made, scan]


def lines_of(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_csv_has_every_number_with_its_spread_and_nothing_where_there_is_none():
    lines = {
        (x["part"], x["quantity"], x["split"]): x
        for x in lines_of(summaries_written([summarise(records(), {})], "csv"))
    }
    part = "stability, 300 K, NVE, 2 ps"
    assert lines[part, "n_runs", "id"]["value"] == "2"
    assert lines[part, "n_runs", "id"]["standard_error"] == ""
    assert lines[part, "verdicts.silent", "ood"]["value"] == "1"
    temperature = lines[part, "metrics.temperature_mean_K", "id"]
    assert float(temperature["value"]) == 300.5
    assert float(temperature["low"]) == 300.0
    assert temperature["n_molecules"] == "2"
    assert float(lines["torsion scans", "metrics.torsion_rms_meV", "id"]["value"]) == 3.25
    assert lines["torsion scans", "judgements.follows", "id"]["value"] == "1"
    assert {x["model"] for x in lines.values()} == {"pa_inn"}


def test_several_summaries_are_one_csv():
    summary = summarise(records(), {})
    text = summaries_written([summary, summary | {"model": "other"}], "csv")
    assert {line["model"] for line in lines_of(text)} == {"pa_inn", "other"}
    assert text.count("standard_error") == 1


def test_markdown_and_latex_have_every_cell_of_the_text():
    summary = summarise(records(), {})
    plain = summaries_written([summary], "text", width=200)
    marked = summaries_written([summary], "markdown")
    latex = summaries_written([summary], "latex")
    for words in ("100 (from 22)", "mean temperature, K", "energy along the turn, RMS error, meV", "acid 2"):
        assert words in plain
        assert words in marked
        assert words in latex
    assert "### Stability, 300 K, NVE, 2 ps" in marked
    assert "5 % & more" in marked
    assert r"5 \% \& more" in latex
    assert latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}") == 3
    outside = [line for line in latex.splitlines() if line and not line.startswith(("%", "\\")) and "\\\\" not in line]
    assert not outside  # all else is a comment or a row


def test_no_records_is_said_in_every_form():
    for form in ("text", "markdown", "latex"):
        assert summaries_written([summarise([], {})], form) == "no records yet\n"
    assert len(summaries_written([summarise([], {})], "csv").splitlines()) == 1


@pytest.fixture
def folder(tmp_path):
    for record in records():
        append_record(tmp_path / "run" / "records.jsonl", record)
    return tmp_path / "run"


def test_the_command_reads_a_folder_that_is_still_at_work(cli, folder):
    code, out, err = cli("summary", folder)
    assert (code, err) == (0, "")
    assert out.splitlines()[1].startswith("alive 3 of 3 runs; faithful 2 of 2 ID, 0 of 1 OOD; silent 1")
    assert json.loads(cli("summary", folder, "--json")[1])["n_records"] == 4
    assert len(json.loads(cli("summary", folder, folder, "--json")[1])) == 2
    assert not (folder / "summary.json").exists()  # nothing is written


def test_runs_that_have_no_record_yet_are_said_by_summary_and_table(cli, folder):
    asked = {"protocol": "stability", "molecules": {f"acid-{i}": {} for i in range(5)}, "settings": {"stability": [{}]}}
    (folder / "run.json").write_text(json.dumps(asked), encoding="utf-8")
    told = "3 of 5 runs have a record, and 2 of 5 molecules have none"
    words = f"note: {folder} is not finished: {told}. The others are not counted.\n"
    assert cli("summary", folder)[2] == words
    (folder / "summary.json").write_text(json.dumps(summarise(records(), {})), encoding="utf-8")
    assert cli("table", folder)[2] == words


def test_a_share_that_all_have_is_tabled_with_what_counting_allows(cli, folder):
    (folder / "summary.json").write_text(json.dumps(summarise(records(), {})), encoding="utf-8")
    out = cli("table", folder, "--format", "markdown", "--no-published")[1]
    row = dict(
        zip(*[[c.strip() for c in line.split("|")] for line in (out.splitlines()[0], out.splitlines()[2])], strict=True)
    )
    assert row["alive, %, ID"] == "100 (from 22)"  # two of two: 0.05 ** (1/2)
    assert row["faithful, %, OOD"] == "0 (to 95)"


def test_the_command_keeps_what_only_the_finished_summary_knows_and_counts_the_records_anew(cli, folder):
    old = summarise(records()[:1], {}) | {"level_of_theory": "gfn2-xtb", "composition": {"words": "rank 2 of 3"}}
    (folder / "summary.json").write_text(json.dumps(old), encoding="utf-8")
    found = json.loads(cli("summary", folder, "--json")[1])
    assert (found["n_records"], found["level_of_theory"]) == (4, "gfn2-xtb")
    assert found["composition"] == {"words": "rank 2 of 3"}
    assert json.loads(cli("summary", folder / "summary.json", "--json")[1])["n_records"] == 1


def test_what_is_no_run_folder_is_refused_in_one_line(cli, tmp_path):
    for path in (tmp_path, tmp_path / "none"):
        code, out, err = cli("summary", path)
        assert (code, out, err.count("\n")) == (2, "", 1)
