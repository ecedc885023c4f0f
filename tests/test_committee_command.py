"""`gmd26-md committee` on a real run folder of a fraction of a second."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gmd26_md import strict_json
from gmd26_md.calculators.checkpoint import load_checkpoint, save_checkpoint
from gmd26_md.evaluate.committee import past_runs
from gmd26_md.records import Record, append_record
from gmd26_md.run_folder import RunFolder
from gmd26_md.trajectory import Trajectory

COMPILED = Path(__file__).parent / "calculators" / "compiled.nequip.pth"


def nearer_compiled(path: Path) -> Path:
    """Write a compiled model that sees less far."""
    with zipfile.ZipFile(COMPILED) as archive, zipfile.ZipFile(path, "w") as copy:
        for name in archive.namelist():
            copy.writestr(name, b"2.0" if name.endswith("extra/r_max") else archive.read(name))
    return path


@pytest.fixture
def other_model(tiny_model, tmp_path):
    checkpoint = load_checkpoint(tiny_model)
    weights = {name: 1.1 * w if w.is_floating_point() else w for name, w in checkpoint.state_dict.items()}
    save_checkpoint(replace(checkpoint, state_dict=weights), tmp_path / "other.pt")
    return tmp_path / "other.pt"


@pytest.mark.parametrize(
    ("verdict", "metrics", "at_ps"),
    [
        ("faithful", {"failed_at_ps": None, "alive_ps": 2.0}, None),
        ("broken", {"failed_at_ps": 0.9, "alive_ps": 0.9, "transfer_at_ps": 0.4}, 0.4),
        ("reacted", {"failed_at_ps": None, "alive_ps": 2.0, "transfer_at_ps": 0.4}, 0.4),
        ("reacted", {"failed_at_ps": None, "alive_ps": 2.0, "transfer_at_ps": None}, 2.0),
        ("error", {"failed_at_ps": 0.1}, 0.1),
    ],
)
def test_a_run_failed_at_its_first_failure_or_transfer_or_else_at_its_end(verdict, metrics, at_ps, tmp_path):
    record = Record(
        model="m", model_sha256="s", family="toy", molecule="a", formula="H2", split="id", task="duplication",
        protocol="stability", settings={}, seed=0, verdict=verdict, metrics=metrics,
    )  # fmt: skip
    append_record(tmp_path / "records.jsonl", record)
    (tmp_path / "run.json").write_text('{"protocol": "stability"}')
    (run,) = past_runs(RunFolder(tmp_path))
    assert run.failed_at_ps == at_ps


def test_from_a_run_folder_to_its_committee(cli, short_run, tiny_model, other_model, tmp_path):
    out = tmp_path / "run"
    code, _, error = cli(*short_run, "--out", out, "--quiet")
    assert (code, error) == (0, "")
    before = (out / "records.jsonl").read_bytes()
    members = ("--model", tiny_model, "--model", other_model, "--device", "cpu")
    code, said, _ = cli("committee", out, *members)
    assert code == 0
    assert "other+tiny, 2 members" in said
    assert "committee.json" in said
    found = strict_json.decoded(json.loads((out / "committee.json").read_text()))
    assert {line["molecule"]: line["split"] for line in found["runs"]} == {
        "ethanoic acid": "id",
        "ethanedioic acid": "ood",
    }
    line = next(line for line in found["runs"] if line["split"] == "id")
    labels = Trajectory.read(next((out / "labels").glob("ethanoic-acid-*.extxyz")))
    # the tiny model hardly pulls at all: its error is the reference force itself
    assert line["along"]["model_force_error_eV_per_A"] == pytest.approx(
        np.sqrt((labels.forces**2).mean(axis=(1, 2))), rel=0.05
    )
    assert found["calibration"]["model"]["id"]["n_frames"] == 2
    assert found["references"] == ["gfn2-xtb"]
    assert (out / "records.jsonl").read_bytes() == before
    code, again, _ = cli("committee", out, *members, "--json", "--out", tmp_path / "elsewhere")
    assert code == 0
    assert again == (out / "committee.json").read_text() == (tmp_path / "elsewhere" / "committee.json").read_text()
    assert cli(*short_run, "--out", out, "--quiet")[0] == 0, "if this fails, the file stops the run from going on"

    theirs = ("--model", COMPILED, "--model", nearer_compiled(tmp_path / "nearer.pth"), "--device", "cpu")
    code, said, error = cli("committee", out, *theirs, "--trust-pickle", "--json", "--out", tmp_path / "theirs")
    assert (code, error) == (0, "")
    assert json.loads(said)["family"] == "nequip-compiled"

    for arguments, words in [
        ((out, *theirs), "--trust-pickle"),
        ((out, *theirs, "--trust-pickle", "--model-arg", "head=1"), "takes no arguments, got 'head'"),
        ((out, *members, "--model-arg", "head"), "is not of the form NAME=VALUE"),
        ((out, "--model", tiny_model), "is one model, which has no spread"),
        ((out, "--model", tiny_model, "--model", tiny_model), "is given twice"),
        ((out, *members, "--percentile", 101), "percentile is 101"),
        ((out, *members, "--limit-eV-per-A", "nan"), "give a finite number above 0"),
        ((out, *members, "--out", tiny_model), "is a file"),
        ((tmp_path / "absent", *members), "is no folder"),
        ((tmp_path, *members), "is no run folder"),
    ]:
        code, _, error = cli("committee", *arguments)
        assert (code, error.count("\n")) == (2, 1), arguments
        assert words in error
    (out / "run.json").write_text('{"protocol": "relaxation"}')
    code, _, error = cli("committee", out, *members)
    assert code == 2
    assert "holds relaxation records" in error
