"""The command line as it is used: help without weight, tables for people, JSON for programs."""

import json
import subprocess
import sys

import pytest

from gmd26_md.cli import COMMANDS
from gmd26_md.records import read_records

HEAVY = {"torch", "numpy", "scipy", "ase", "rdkit", "rich", "schnetpack", "mace", "e3nn", "tblite"}
ESCAPE = "\x1b"


@pytest.mark.parametrize(
    "arguments", [["--help"], ["stability", "--help"], ["data", "generate", "--help"], ["--version"]]
)
def test_help_and_version_import_nothing_heavy(arguments):
    code = (
        "import sys\nfrom gmd26_md.cli import main\n"
        "try: main(sys.argv[1:])\nexcept SystemExit as end: print('EXIT', end.code, file=sys.stderr)\n"
        "print(*sorted({n.split('.')[0] for n in sys.modules}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    end, loaded = done.stderr.splitlines()[-2:]
    assert end == "EXIT 0"
    assert not set(loaded.split()) & HEAVY
    assert done.stdout


def test_help_names_every_command_in_whole_sentences(cli):
    code, out, err = cli("--help")
    assert (code, err) == (0, "")
    for name in COMMANDS:
        assert f"  {name} " in out
    assert "..." not in out.split("Commands:")[1]  # click cuts what is too long
    assert "gmd26-md stability --model checkpoints/deepset-moe-duplication.pt\n" in out


@pytest.mark.parametrize("arguments", [[], ["data"]])
def test_a_command_with_nothing_to_do_shows_its_help(cli, arguments):
    code, out, err = cli(*arguments)
    assert (code, err) == (0, "")
    assert "Commands:" in out


def test_the_lists_are_there_for_people_and_for_programs(cli):
    assert len(json.loads(cli("molecules", "--json")[1])) == 120
    assert len(cli("molecules", "--family", "alkanes")[1].splitlines()) == 12
    assert "duplication" in cli("tasks")[1]
    tasks = {t["name"]: t for t in json.loads(cli("tasks", "--json")[1])}
    assert tasks["fission"]["models_of"] == "duplication"
    families = json.loads(cli("families", "--json")[1])
    assert set(families["families"]) >= {"deepset-moe", "mace", "nequip", "painn", "schnet"}
    assert "gfn2-xtb" in families["calculators"]


def test_a_stability_run_prints_one_plain_table_when_piped(cli, short_run, tmp_path):
    code, out, err = cli(*short_run, "--out", tmp_path / "run")
    assert (code, err) == (0, "")
    assert ESCAPE not in out
    assert max(map(len, out.splitlines()[:-1])) <= 80  # the last is a path
    assert out.splitlines()[1] == "alive 2 of 2 runs; faithful 0 of 1 ID, 0 of 1 OOD; silent 2"
    for words in ("ID (1 molecule)", "OOD (1 molecule)", "force MAE, eV/Å", "runs silent", "1 of 1", "±"):
        assert words in out
    assert out.endswith(f"everything is in {tmp_path / 'run'}\n")
    files = {p.name for p in (tmp_path / "run").iterdir()}
    folders = {"trajectories", "labels", "static", "static-forces"}
    assert files == {"run.json", "records.jsonl", "summary.json", "table.txt", *folders}
    assert ESCAPE not in (tmp_path / "run" / "table.txt").read_text(encoding="utf-8")


def test_json_prints_json_and_nothing_else_and_quiet_prints_nothing(cli, short_run, tmp_path):
    code, out, err = cli(*short_run, "--json", "--out", tmp_path / "run")
    assert (code, err) == (0, "")
    summary = json.loads(out)
    assert out.count("\n") == 1
    assert summary == json.loads((tmp_path / "run" / "summary.json").read_text(encoding="utf-8"))
    (found,) = summary["splits"]["ood"]["stability"].values()
    assert found["verdicts"] == {"silent": 1}
    assert "cannot be identified" in summary["composition"]["words"]
    assert cli(*short_run, "--quiet", "--out", tmp_path / "run") == (0, "", "")


def test_static_errors_and_relaxation_have_tables_too(cli, tiny_model, frames_folder, tmp_path):
    asked = ("--model", tiny_model, "--frames", frames_folder, "--device", "cpu", "--only", "acetic acid")
    code, out, _ = cli("static-errors", *asked, "--out", tmp_path / "static")
    assert code == 0
    assert out.splitlines()[1].startswith("force MAE ")
    starts = ("--start", "reference-minimum", "--start", "structure", "--no-modes")
    code, out, _ = cli("relaxation", *asked, *starts, "--max-drop-meV-per-atom", 0.1, "--out", tmp_path / "relaxed")
    assert code == 0
    out = " ".join(out.split())  # whatever the width
    # hardly any force: the model calls any place a minimum, and only the reference, relaxing on, tells
    assert "relaxed from the reference-minimum, agrees 1 of 1 ID" in out
    assert "relaxed from the structure, agrees 0 of 1 ID" in out
    assert "strained" in out


def test_unsupported_molecules_are_recorded_and_stop_nothing(cli, tiny_model, frames_folder, tmp_path):
    code, out, _ = cli(
        *("stability", "--model", tiny_model, "--frames", frames_folder, "--device", "cpu", "--out", tmp_path / "run"),
        *("--task", "fusion-hinted", "--only", "ethanamine", "--only", "acetic acid", "--skip-unsupported"),
        *("--temperature-K", 1, "--thermalise-ps", 0, "--nve-ps", 0.005, "--save-every-fs", 1, "--n-label-frames", 2),
    )
    assert code == 0
    assert "alive 1 of 2 runs" in out
    verdicts = {r.molecule: r.verdict for r in read_records(tmp_path / "run" / "records.jsonl") if r.verdict}
    assert verdicts == {"ethanamine": "unsupported", "ethanoic acid": "silent"}


def test_every_setting_of_a_preset_can_be_overridden(cli, short_run, tmp_path):
    from dataclasses import fields

    from gmd26_md.protocols.stability import Settings

    code, out, _ = cli("stability", "--help")
    assert code == 0
    words = out.lower()
    for setting in fields(Settings):
        assert f"--{setting.name.replace('_', '-').lower()}" in words
    asked = {"friction-per-fs": 0.05, "timestep-fs": 0.25, "n-seeds": 2, "seed": 7, "max-force-ratio": 2.0}
    flags = [f for name, value in asked.items() for f in (f"--{name}", value)]
    assert cli(*short_run, *flags, "--quiet", "--out", tmp_path / "run")[0] == 0
    records = [r for r in read_records(tmp_path / "run" / "records.jsonl") if r.protocol == "stability"]
    assert {r.seed for r in records} == {7, 8}
    settings = records[0].settings
    assert (settings["friction_per_fs"], settings["timestep_fs"], settings["reference"]) == (0.05, 0.25, "gfn2-xtb")
    assert settings["thresholds"]["force_ratio_max"] == 2.0


def test_several_runs_become_one_table_with_the_published_rows(cli, short_run, tmp_path):
    assert cli(*short_run, "--quiet", "--out", tmp_path / "run")[0] == 0
    code, out, err = cli("table", tmp_path / "run", "--format", "markdown")
    assert (code, err) == (0, "")
    head, rule, ours, *published = out.splitlines()
    assert head.startswith("| model | F MAE, eV/Å, ID | F MAE, eV/Å, OOD | cos, ID |")
    assert rule.count("---") == ours.count(" | ") + 1 == 17
    assert ours.startswith("| tiny (deepset-moe) |")
    assert any(row.startswith("| MACE (arXiv 2605.08988") and "| 0.0028 | 0.0171 |" in row for row in published)
    code, out, _ = cli("table", tmp_path / "run" / "summary.json", "--format", "csv", "--no-published")
    assert (code, len(out.splitlines())) == (0, 2)


def test_more_seeds_join_a_folder_and_no_run_is_made_twice(cli, short_run, tmp_path):
    assert cli(*short_run, "--quiet", "--out", tmp_path / "run")[0] == 0
    before = (tmp_path / "run" / "records.jsonl").read_text()
    code, out, err = cli(*short_run, "--n-seeds", 2, "--json", "--out", tmp_path / "run")
    assert (code, err) == (0, "")
    after = (tmp_path / "run" / "records.jsonl").read_text()
    assert after.startswith(before)
    new = [json.loads(line) for line in after.removeprefix(before).splitlines()]
    assert [(r["protocol"], r["seed"]) for r in new] == [("stability", 1)] * 2
    assert json.loads(out)["n_records"] == 6


def test_a_run_that_was_killed_is_not_finished_by_all_that_it_was_asked_for(cli, short_run, tmp_path, monkeypatch):
    from gmd26_md.report.unfinished import unfinished

    run = tmp_path / "runs" / "killed"
    asked = (*short_run, "--temperature-K", 2, "--n-seeds", 2, "--quiet", "--out", run)
    assert cli(*asked) == (0, "", "")
    records = read_records(run / "records.jsonl")
    assert unfinished(run, records) == []
    lines = (run / "records.jsonl").read_text().splitlines(keepends=True)
    first = next(i for i, record in enumerate(records) if record.protocol == "stability")
    (run / "records.jsonl").write_text("".join(lines[: first + 1]))
    words = f"note: {run} is not finished: 1 of 8 runs have a record, and 1 of 2 molecules have none. "
    monkeypatch.chdir(tmp_path)
    assert cli("table", "--no-published")[2] == words + "The others are not counted.\n"  # all under runs/
    content = json.loads((run / "run.json").read_text())
    del content["asked"]["seed"], content["asked"]["n_seeds"]
    (run / "run.json").write_text(json.dumps(content))  # as it was before it said which seeds
    assert "1 of 4 runs" in unfinished(run, records[: first + 1])[0]
    assert cli(*asked) == (0, "", "")
    assert unfinished(run, read_records(run / "records.jsonl")) == []
    (run / "summary.json").unlink()
    assert "has no summary.json yet" in cli("table", "--no-published")[2]
