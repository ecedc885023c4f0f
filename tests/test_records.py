import json
import math
from dataclasses import replace

import numpy as np
import pytest

from gmd26_md.errors import UserError
from gmd26_md.metrics import METRICS, UNIT_ENDINGS, unit_of
from gmd26_md.records import VERDICTS, Record, append_record, read_records, structure_sha256

RECORD = Record(
    model="painn-duplication.pt",
    model_sha256="ab" * 32,
    family="painn",
    molecule='pentanedioic acid "é"',
    formula="C5H8O4",
    split="ood",
    task="duplication",
    protocol="stability",
    settings={"timestep_fs": 0.5, "limit": math.inf, "nested": {"list": [1, 2]}},
    seed=1,
    verdict="broken",
    reason="bond stretched",
    metrics={"alive_ps": 0.25, "energy_drift_meV_per_atom_per_ps": math.nan, "clash_at_ps": None},
    cost={"wall_s": 3.5, "n_energy_calls": 100},
    versions={"ase": "3.29.0"},
    device="cpu",
    trajectory="trajectories/x.extxyz",
    structure_sha256="cd" * 32,
)


def same(first, second):
    return repr(first) == repr(second)  # repr, as NaN is not equal to itself


def test_a_record_comes_back_as_it_was_with_nan_infinity_and_none_apart(tmp_path):
    append_record(tmp_path / "records.jsonl", RECORD)
    (again,) = read_records(tmp_path / "records.jsonl")
    assert same(again, RECORD)
    assert math.isnan(again.metrics["energy_drift_meV_per_atom_per_ps"])
    assert again.metrics["clash_at_ps"] is None
    assert again.settings["limit"] == math.inf


def test_a_line_is_strict_json(tmp_path):
    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    append_record(tmp_path / "records.jsonl", RECORD)
    content = json.loads((tmp_path / "records.jsonl").read_text(encoding="utf-8"), parse_constant=refuse)
    assert content["metrics"]["energy_drift_meV_per_atom_per_ps"] == "NaN"


def test_a_kill_at_any_byte_of_the_last_line_loses_that_line_at_most_and_nothing_else(tmp_path):
    path = tmp_path / "records.jsonl"
    append_record(path, RECORD)
    n_first = path.stat().st_size
    append_record(path, replace(RECORD, seed=2))
    whole = path.read_bytes()
    for n_bytes in range(n_first, len(whole) + 1, 7):
        path.write_bytes(whole[:n_bytes])
        seeds = [record.seed for record in read_records(path)]
        assert seeds in ([1], [1, 2])
        append_record(path, replace(RECORD, seed=3))
        assert [record.seed for record in read_records(path)] == [*seeds, 3]


def test_only_the_line_break_missing_keeps_the_last_record(tmp_path):
    path = tmp_path / "records.jsonl"
    append_record(path, RECORD)
    path.write_bytes(path.read_bytes()[:-1])
    assert len(read_records(path)) == 1
    append_record(path, RECORD)
    assert len(read_records(path)) == 2


def test_no_file_has_no_records(tmp_path):
    assert read_records(tmp_path / "none.jsonl") == []


@pytest.mark.parametrize("line", ["{broken", "[1, 2]", '{"model": "x"}', '{"novel_field": 1}'])
def test_a_bad_line_in_the_middle_is_named(tmp_path, line):
    path = tmp_path / "records.jsonl"
    append_record(path, RECORD)
    with path.open("a") as handle:
        handle.write(line + "\n")
    append_record(path, RECORD)
    with pytest.raises(UserError, match="line 2 of"):
        read_records(path)


@pytest.mark.parametrize(
    "change",
    [
        {"protocol": "relaxation"},
        {"model_sha256": "00" * 32},
        {"molecule": "ethanol"},
        {"structure_sha256": "00" * 32},
        {"settings": {"timestep_fs": 0.25}},
        {"seed": 2},
    ],
)
def test_the_key_changes_with_every_part_of_the_question(change):
    assert replace(RECORD, **change).key != RECORD.key


def test_the_key_does_not_change_with_the_answer_or_by_a_trip_through_the_file(tmp_path):
    assert replace(RECORD, verdict="faithful", metrics={}, cost={}, device="cuda").key == RECORD.key
    append_record(tmp_path / "records.jsonl", RECORD)
    assert read_records(tmp_path / "records.jsonl")[0].key == RECORD.key


def test_a_structure_hash_sees_atoms_and_positions_but_not_the_last_bits():
    numbers, positions = [8, 1, 1], np.array([[0.0, 0.0, 0.1], [0.0, 0.7, -0.4], [0.0, -0.7, -0.4]])
    first = structure_sha256(numbers, positions)
    assert structure_sha256(numbers, positions + 1e-9) == first
    assert structure_sha256(numbers, np.where(positions == 0.0, -0.0, positions)) == first
    assert structure_sha256([8, 1, 9], positions) != first
    assert structure_sha256(numbers, positions + np.eye(3)) != first


def test_every_metric_ends_with_its_unit():
    assert METRICS
    for key, metric in METRICS.items():
        if key.startswith("n_"):
            assert metric.unit == "count", key
            continue
        endings = [
            ending for ending, unit in UNIT_ENDINGS.items() if key.endswith(f"_{ending}") and unit == metric.unit
        ]
        assert endings, f"{key} does not end with {metric.unit}"


def test_the_longest_ending_names_the_unit():
    assert unit_of("force_mae_eV_per_A") == "eV/Å"
    assert unit_of("energy_drift_meV_per_atom_per_ps") == "meV/atom/ps"
    assert unit_of("energy_rms_meV_per_atom") == "meV/atom"
    assert unit_of("broke_at_ps") == "ps"


@pytest.mark.parametrize("change", [{"metrics": {"drift": 1.0}}, {"split": "test"}, {"verdict": "fine"}])
def test_a_metric_without_a_unit_and_an_unknown_split_or_verdict_are_refused(change):
    with pytest.raises(ValueError, match="allowed"):
        replace(RECORD, **change)


def test_there_are_nine_verdicts():
    assert len(set(VERDICTS)) == 9
