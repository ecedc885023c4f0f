"""`gmd26-md scan` as it is used: a table, the curves as CSV, records that are never made again."""

import csv
from dataclasses import replace

import numpy as np
import pytest

from gmd26_md import evaluate, tasks
from gmd26_md.evaluate.scan import COLUMNS
from gmd26_md.metrics import METRICS
from gmd26_md.protocols import scan, scan_analysis
from gmd26_md.protocols.cases import cases_of_task
from gmd26_md.protocols.scan_settings import Settings
from gmd26_md.protocols.subject import open_subject
from gmd26_md.question import Question
from gmd26_md.records import read_records
from gmd26_md.run_folder import open_run_folder

COARSE = {"stretch_step_A": 0.02, "label_every": 2, "n_torsion_points": 12}


@pytest.fixture
def asked(tiny_model, frames_folder):
    """Return the arguments of a scan of a few seconds."""
    return (
        *("scan", "--model", tiny_model, "--frames", frames_folder, "--device", "cpu", "--only", "acetic acid"),
        *("--stretch-step-A", 0.02, "--label-every", 2, "--n-torsion-points", 12),
    )


@pytest.fixture
def question(tiny_model, frames_folder):
    subject = open_subject(str(tiny_model), device="cpu")
    cases = cases_of_task(tasks.get("duplication"), frames_folder, "gfn2-xtb", only=("acetic acid", "oxalic acid"))
    return Question(subject, "duplication", cases)


def test_a_scan_prints_a_table_and_keeps_every_curve(cli, asked, tmp_path):
    code, out, err = cli(*asked, "--out", tmp_path / "run")
    assert (code, err) == (0, "")
    words = " ".join(out.split())
    # hardly any force: no bond has a minimum, nothing turns
    assert "stretch scans, follows 0 of 1 ID; torsion scans, follows 1 of 1 ID" in words
    records = {r.settings["scan"]: r for r in read_records(tmp_path / "run" / "records.jsonl")}
    assert records.keys() == {"torsion", "stretch"}
    for kind, record in records.items():
        assert record.metrics.keys() <= METRICS.keys()
        with (tmp_path / "run" / record.evidence["curves"]).open(encoding="utf-8") as handle:
            rows = list(csv.DictReader(handle))
        assert tuple(rows[0]) == COLUMNS
        n_points = sum(len(s["energy_eV"]) for s in record.evidence["scans"])
        assert len(rows) == n_points == record.cost["n_energy_calls"]
        energies = [e for s in record.evidence["scans"] for e in s["energy_eV"]]
        assert [float(r["energy_eV"]) for r in rows] == pytest.approx(energies, abs=2e-6)
        labelled = [r for r in rows if r["reference_energy_eV"]]
        assert (len(labelled) == len(rows)) == (kind == "torsion")
        assert all(float(r["force_mae_eV_per_A"]) > 0 for r in labelled)
    before = (tmp_path / "run" / "records.jsonl").read_bytes()
    assert cli(*asked, "--quiet", "--out", tmp_path / "run") == (0, "", "")
    assert (tmp_path / "run" / "records.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--bonds", "some"), "bonds = 'some'; allowed: kinds, all"),
        (("--stretch-step-A", "nan"), "give a finite number above 0"),
        (("--n-torsion-points", 3), "n_torsion_points = 3; give 12 or more"),
        (("--stretch-from-ratio", 0.99), "give 0.9 or less"),
        (("--reference", "gfn3"), "gfn3"),
    ],
)
def test_bad_input_is_one_line(cli, asked, tmp_path, arguments, words):
    code, out, err = cli(*asked, *arguments, "--out", tmp_path / "run")
    assert (code, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_every_setting_is_an_option(cli):
    from dataclasses import fields

    code, out, _ = cli("scan", "--help")
    assert code == 0
    for setting in fields(Settings):
        assert f"--{setting.name.replace('_', '-').lower()}" in out.lower()


def test_a_molecule_that_cannot_be_scanned_stops_nothing(question, tmp_path, monkeypatch):
    run, analyse = scan.run, scan_analysis.analyse

    def stumbles(provider, case, scans):
        if case.slug == "ethanoic-acid":
            raise RuntimeError("no memory")
        return run(provider, case, scans)

    def stumbles_too(numbers, scans, *rest):
        if scans[0].kind == "stretch":
            raise ValueError("no curve")
        return analyse(numbers, scans, *rest)

    monkeypatch.setattr(scan, "run", stumbles)
    monkeypatch.setattr(scan_analysis, "analyse", stumbles_too)
    folder = open_run_folder(tmp_path / "run", {})
    without = replace(question.cases[1], minimum=None, name="bare", slug="bare")
    evaluate.measure_scan(replace(question, cases=[*question.cases, without]), folder, Settings(**COARSE), "gfn2-xtb")
    found = {(r.molecule, r.settings["scan"]): (r.verdict, r.reason) for r in folder.records()}
    assert found["bare", "torsion"][0] == found["bare", "stretch"][0] == "error"
    assert found["ethanoic acid", "torsion"] == ("error", "scan failed, RuntimeError: no memory")
    assert found["ethanedioic acid", "stretch"] == ("error", "analysis failed, ValueError: no curve")
    assert found["ethanedioic acid", "torsion"][0] is None
    assert len(found) == len(folder.records()) == 6
    curves = sorted(p.name for p in (tmp_path / "run" / "curves").iterdir())
    assert curves == ["ethanedioic-acid-stretch.csv", "ethanedioic-acid-torsion.csv"]


def test_only_the_record_that_is_missing_is_made(question, tmp_path):
    folder = open_run_folder(tmp_path / "run", {})
    asked = replace(question, cases=question.cases[:1])
    evaluate.measure_scan(asked, folder, Settings(**COARSE), "gfn2-xtb")
    whole = folder.records()
    folder.records_path.write_bytes(folder.records_path.read_bytes().splitlines(keepends=True)[0])
    evaluate.measure_scan(asked, folder, Settings(**COARSE), "gfn2-xtb")
    again = folder.records()
    assert [r.key for r in again] == [r.key for r in whole]
    for before, after in zip(whole, again, strict=True):
        assert before.evidence == after.evidence
        # NaN is not equal to itself
        assert np.array_equal(*([float(v or 0) for v in r.metrics.values()] for r in (before, after)), equal_nan=True)
