"""`gmd26-md committee` on a real run folder of a fraction of a second."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from gmd26_md import strict_json
from gmd26_md.calculators.checkpoint import load_checkpoint, save_checkpoint
from gmd26_md.trajectory import Trajectory


@pytest.fixture
def other_model(tiny_model, tmp_path):
    checkpoint = load_checkpoint(tiny_model)
    weights = {name: 1.1 * w if w.is_floating_point() else w for name, w in checkpoint.state_dict.items()}
    save_checkpoint(replace(checkpoint, state_dict=weights), tmp_path / "other.pt")
    return tmp_path / "other.pt"


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

    for arguments, words in [
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
