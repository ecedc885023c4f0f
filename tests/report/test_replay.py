"""A run made again: what agrees, and what does not."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from gmd26_md.commands.replay import command
from gmd26_md.errors import UserError
from gmd26_md.records import Record, append_record, read_records
from gmd26_md.report.replay import compared, in_words

THEN = Record(
    model="m", model_sha256="0", family="f", molecule="water", formula="H2O", split="user", task="user",
    protocol="stability", settings={"temperature_K": 300.0}, seed=0, verdict="faithful", versions={"numpy": "2.0"},
    metrics={"alive_ps": 1.0, "failed_at_ps": None, "energy_rms_meV_per_atom": math.nan},
)  # fmt: skip


def test_the_same_record_is_the_same_also_in_what_did_not_happen_and_is_no_number() -> None:
    found = compared(THEN, THEN)
    assert (found.same_verdict, found.n_same, found.worst_relative, found.changed) == (True, 3, 0.0, [])


def test_a_difference_is_relative_to_the_larger_and_what_happened_once_is_infinitely_far() -> None:
    now = replace(THEN, verdict="broken", metrics={**THEN.metrics, "alive_ps": 0.5}, versions={"numpy": "2.1"})
    found = compared(THEN, now)
    assert not found.same_verdict
    assert found.metrics["alive_ps"] == (1.0, 0.5, 0.5)
    assert found.changed == [("numpy", "2.0", "2.1")]
    assert "broken, before faithful" in in_words(found)
    assert compared(THEN, replace(THEN, metrics={**THEN.metrics, "failed_at_ps": 0.5})).worst_relative == math.inf
    assert compared(THEN, replace(THEN, metrics={**THEN.metrics, "alive_ps": math.nan})).worst_relative == math.inf


def test_settings_that_differ_are_told_those_within_others_too() -> None:
    then = replace(THEN, settings={"temperature_K": 300.0, "thresholds": {"force_ratio_max": 0.2}})
    now = replace(THEN, settings={"temperature_K": 301.0, "thresholds": {"force_ratio_max": 0.3}, "ensemble": "nve"})
    found = compared(then, now)
    assert found.changed == [
        ("temperature_K", "300.0", "301.0"),
        ("force_ratio_max", "0.2", "0.3"),
        ("ensemble", "none", "nve"),
    ]
    assert "temperature_K: 300.0, now 301.0\n" in in_words(found)


def test_a_folder_that_is_there_is_not_compared_with_in_place_of_a_new_run(tmp_path: Path) -> None:
    append_record(tmp_path / "again" / "records.jsonl", THEN)
    for out in (tmp_path / "again", tmp_path / "again" / "records.jsonl"):
        with pytest.raises(UserError, match="give --out a new folder"):
            CliRunner().invoke(command, [str(tmp_path / "again"), "--out", str(out)], catch_exceptions=False)


def test_a_run_is_made_again_to_the_last_bit_and_a_forged_record_is_seen(cli, short_run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    run = tmp_path / "run"
    assert cli(*short_run, "--out", run)[0] == 0
    records = read_records(run / "records.jsonl")
    one = next(r for r in records if r.protocol == "stability")
    done = CliRunner().invoke(command, [str(run), one.molecule, "--json"])
    told = json.loads(done.output)
    assert done.exit_code == 0, done.output
    assert told["same_verdict"]
    assert not {name for name, *_ in told["changed"]} & {*one.settings, *one.settings["thresholds"]}
    # it was one of a batch of two, and now runs alone: 1e-6 over these few steps, were it only rounding
    assert told["worst_relative_ratio"] < 1e-6

    forged = tmp_path / "forged"
    forged.mkdir()
    (forged / "run.json").write_bytes((run / "run.json").read_bytes())
    append_record(forged / "records.jsonl", replace(one, verdict="broken"))
    assert cli("replay", forged, "--key", one.key[:8], "--json")[0] == 1


def test_what_cannot_be_made_again_says_so(tmp_path: Path) -> None:
    append_record(tmp_path / "records.jsonl", THEN)
    append_record(tmp_path / "records.jsonl", replace(THEN, seed=1))
    for given, words in (
        (["water"], "2 runs fit"),
        (["water", "--seed", "7"], "no run fits"),
        (["glacial acetic acid"], "no run fits"),
        (["water", "--seed", "1"], "does not say where m lies"),
    ):
        with pytest.raises(UserError, match=words):
            CliRunner().invoke(command, [str(tmp_path), *given], catch_exceptions=False)


@pytest.mark.parametrize("name", ["oxalic acid", "ethanedioic acid", "Ethanedioic-Acid"])
def test_a_run_is_found_by_any_name_of_its_molecule(tmp_path: Path, name: str) -> None:
    append_record(tmp_path / "records.jsonl", replace(THEN, molecule="ethanedioic acid"))
    append_record(tmp_path / "records.jsonl", THEN)
    with pytest.raises(UserError, match="does not say where m lies"):  # found, and that is all a bare record allows
        CliRunner().invoke(command, [str(tmp_path), name], catch_exceptions=False)
