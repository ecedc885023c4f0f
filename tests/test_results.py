"""The figures in docs/results are those of the records beside them."""

import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from gmd26_md import molecules
from gmd26_md.records import read_records
from gmd26_md.report.sections import judgement_of

RESULTS = Path(__file__).resolve().parent.parent / "docs" / "results"


def runs_of(name):
    return [r for r in read_records(RESULTS / "records" / f"{name}.jsonl") if r.protocol == "stability"]


def cells(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


@pytest.mark.parametrize(
    ("row", "metric"),
    [
        ("drift, size", "energy_drift_meV_per_atom_per_ps"),
        ("RMS about the line", "energy_rms_meV_per_atom"),
        ("largest change of the total energy", "energy_change_max_meV_per_atom"),
        ("largest change of the true energy", "true_energy_change_max_meV_per_atom"),
        ("force error along the run", "path_force_mae_relative_ratio"),
        ("highest temperature", "temperature_max_K"),
    ],
)
def test_the_noise_floor_is_that_of_the_records(row, metric):
    page = (RESULTS / "calibration.md").read_text(encoding="utf-8")
    said = cells(next(line for line in page.splitlines() if line.startswith(f"| {row}")))[1:5]
    found = []
    for temperature_K in (300.0, 500.0):
        runs = [r for r in runs_of("calibration-gfn2-xtb") if r.settings["temperature_K"] == temperature_K]
        assert Counter(r.verdict for r in runs) == {"faithful": 24}
        values = np.abs([r.metrics[metric] for r in runs])
        found += [float(np.median(values)), float(values.max())]
    for words, value in zip(said, found, strict=True):
        digits = len(words.partition(".")[2])
        assert float(words) == pytest.approx(value, abs=0.5001 * 10.0**-digits)  # as it is rounded in the page


def test_the_verdicts_at_standard_are_those_of_the_records():
    page = (RESULTS / "duplication-standard.md").read_text(encoding="utf-8")
    heading = cells(next(line for line in page.splitlines() if line.startswith("| model | seeds |")))
    rows = re.findall(r"^\| (?:schnet|painn|mace|deepset-moe) \| [13] \| (?:ID|OOD) \|.*$", page, re.MULTILINE)
    assert len(rows) == 8
    for row in rows:
        said = dict(zip(heading, cells(row), strict=True))
        runs = [r for r in runs_of(f"standard-{said['model']}") if r.split == said["split"].lower()]
        counted = Counter(r.verdict for r in runs)
        assert int(said["runs"]) == len(runs)
        assert int(said["seeds"]) == len({r.seed for r in runs})
        assert {name: int(said[name]) for name in heading[4:]} == {name: counted[name] for name in heading[4:]}


def test_the_judgements_of_relaxations_are_those_of_the_records():
    page = (RESULTS / "duplication-evidence.md").read_text(encoding="utf-8")
    heading = cells(next(line for line in page.splitlines() if line.startswith("| model | start |")))
    words = heading[4:9]
    rows = re.findall(
        r"^\| [a-z-]+ \| (?:reference|structure|perturbed|rdkit)[a-z-]* \| (?:ID|OOD) \|.*$", page, re.MULTILINE
    )
    assert len(rows) == 4 * 4 + 4  # two starts of each model, and two more of SchNet
    for row in rows:
        said = dict(zip(heading, cells(row), strict=True))
        records = read_records(RESULTS / "records" / f"relaxation-{said['model']}.jsonl")
        mine = [r for r in records if r.settings.get("start") == said["start"] and r.split == said["split"].lower()]
        counted = Counter(judgement_of(r) for r in mine)
        assert int(said["relaxations"]) == len(mine)
        assert {name: int(said[name]) for name in words} == {name: counted[name] for name in words}
        assert sum(counted.values()) == sum(counted[name] for name in words)


def test_what_conserves_is_that_of_the_records():
    page = (RESULTS / "duplication-evidence.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([a-z-]+) \| (ID|OOD) \| (\d+) of (\d+) \|", page, re.MULTILINE)
    assert rows
    for model, split, n, of in rows:
        mine = [
            r for r in read_records(RESULTS / "records" / f"conservation-{model}.jsonl") if r.split == split.lower()
        ]
        assert (sum(judgement_of(r) == "conserves" for r in mine), len(mine)) == (int(n), int(of))


def test_the_warnings_of_the_committee_are_those_of_its_file():
    page = (RESULTS / "duplication-evidence.md").read_text(encoding="utf-8")
    warned = json.loads((RESULTS / "records" / "committee-schnet.json").read_text(encoding="utf-8"))["warnings"]
    said = {row[0]: row[1:] for line in page.splitlines() if line.startswith("| ") and len(row := cells(line)) == 3}
    for n, split in enumerate(("id", "ood")):
        failure, wrong = warned[split]["failure"], warned[split]["error_of_committee"]
        n_failed = failure["n_before"] + failure["n_with_it"] + failure["n_late"] + failure["n_never"]
        n_wrong = wrong["n_before"] + wrong["n_with_it"] + wrong["n_late"] + wrong["n_never"]
        assert said["failed runs warned of before"][n] == f"{failure['n_before']} of {n_failed}"
        assert float(said["median lead, ps"][n]) == pytest.approx(failure["lead_median_ps"], abs=0.051)  # one digit
        assert said["false alarms of failure"][n] == f"{failure['n_false_alarm']} of {failure['n_runs'] - n_failed}"
        early = wrong["n_before"] + wrong["n_with_it"]
        assert said["runs with a wrong mean, warned of before or with it"][n] == f"{early} of {n_wrong}"
        assert said["false alarms of wrongness"][n] == f"{wrong['n_false_alarm']} of {wrong['n_runs'] - n_wrong}"


def test_the_force_errors_of_the_ablation_are_those_of_the_records():
    page = (RESULTS / "deepset-moe-ablation.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| ((?:as-it-is|routing|aggregation|decoder)\S*).*?\| (0\.\d+) ± \S+ \| (0\.\d+) ±", page, re.MULTILINE
    )
    assert len(rows) == 5
    for variant, *said in rows:
        records = read_records(RESULTS / "records" / f"ablation-{variant.replace('=', '-')}.jsonl")
        for split, words in zip(("id", "ood"), said, strict=True):
            # every molecule has 20 frames, so the pooled MAE is the mean weighted by the numbers of atoms
            mine = [r for r in records if r.split == split]
            assert len(mine) == 12
            sizes = [len(molecules.get(r.molecule).atoms()) for r in mine]
            errors = [r.metrics["force_mae_eV_per_A"] for r in mine]
            assert float(words) == pytest.approx(np.average(errors, weights=sizes), abs=0.51e-4)


@pytest.mark.parametrize("family", ["gemnet", "dimenet-plus-plus", "equiformer-v2", "nequip"])
def test_the_lives_of_the_later_four_are_those_of_the_records(family):
    page = (RESULTS / "duplication.md").read_text(encoding="utf-8")
    heading = cells(next(line for line in page.splitlines() if line.startswith("| model | F MAE")))
    row = next(line for line in page.splitlines() if line.startswith(f"| {family}-duplication ("))
    said = dict(zip(heading, cells(row), strict=True))
    for split in ("id", "ood"):
        runs = [r for r in runs_of(f"quick-{family}") if r.split == split]
        assert len(runs) == 12
        for name, verdicts in (("alive", ("faithful", "silent", "drifting")), ("faithful", ("faithful",))):
            share = 100 * sum(r.verdict in verdicts for r in runs) / len(runs)
            assert float(said[f"{name}, %, {split.upper()}"].split()[0]) == pytest.approx(share, abs=0.51)
