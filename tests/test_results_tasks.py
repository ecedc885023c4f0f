"""The tables of the page on all tasks are what `gmd26-md table` makes of the summaries beside it."""

import json
from collections import Counter
from pathlib import Path

import pytest

from gmd26_md.records import read_records

RESULTS = Path(__file__).resolve().parent.parent / "docs" / "results"
SUMMARIES = sorted((RESULTS / "records" / "static").glob("*.json"))
TASKS = (
    "duplication", "combination", "chain-extension", "fusion", "fission", "chain-extension-hinted", "fusion-hinted",
)  # fmt: skip


@pytest.mark.parametrize("task", TASKS)
def test_the_table_of_a_task_is_that_of_its_summaries(cli, task):
    page = (RESULTS / "all-tasks.md").read_text(encoding="utf-8")
    code, out, err = cli("table", "--task", task, *SUMMARIES, "--no-findings", "--no-published", "--format", "markdown")
    assert (code, err) == (0, "")
    assert out.count("\n") >= 4  # heading, rule, two families or more
    assert out in page


def test_the_findings_are_those_of_the_summaries(cli):
    page = (RESULTS / "all-tasks.md").read_text(encoding="utf-8")
    code, out, _ = cli("table", "--task", "fusion", *SUMMARIES, "--no-published", "--format", "markdown")
    assert code == 0
    findings = out[out.index("| published finding") :]
    assert findings.count("\n") >= 9
    assert findings.strip() in page


def test_the_gauge_is_that_of_its_records():
    page = (RESULTS / "all-tasks.md").read_text(encoding="utf-8")
    found = [m for path in (RESULTS / "records" / "gauge").glob("*.json") for m in json.loads(path.read_text("utf-8"))]
    assert len(found) == 16
    for model in found:
        ways = {way["pinned_to"]: way["errors"]["ood"] for way in model["ways"]}
        shown = [
            ways[name]["energy_mae_eV"] for name in ("as trained", "mean of atoms", "isolated atoms", "best possible")
        ]
        shown.append(ways["as trained"]["energy_offset_removed_mae_eV"])
        cells = [f"{spread['value']:.3f} ± {spread['standard_error']:.3f}" for spread in shown]
        assert f"| {model['model']} | {len(model['null_directions'])} | {' | '.join(cells)} |" in page


def test_the_runs_of_all_tasks_are_those_of_their_summaries():
    page = (RESULTS / "all-tasks.md").read_text(encoding="utf-8")
    names = {"DeepSet-MoE": "deepset-moe", "MACE": "mace", "PaiNN": "painn", "SchNet": "schnet"}
    total = Counter()
    for task in ("combination", "chain-extension", "duplication", "fusion", "fission"):
        for name, family in names.items():
            path = RESULTS / "records" / "dynamics" / f"{family}-{task}.json"
            splits = json.loads(path.read_text(encoding="utf-8"))["splits"]
            found = {split: Counter(splits[split]["stability"]["300 K, NVE, 1 ps"]["verdicts"]) for split in splits}
            cells = [
                f"{runs.total()}, {runs['faithful'] + runs['silent']}, {runs['faithful']}"
                for runs in (found["id"], found["ood"])
            ]
            failed = [f"{found['ood'][how]} {how}" for how in ("exploded", "broken", "reacted") if found["ood"][how]]
            row = [task, name, *cells, str(found["ood"]["silent"]), ", ".join(failed) or "-"]
            assert f"| {' | '.join(row)} |" in page
            total += found["ood"]
    alive = total["faithful"] + total["silent"]
    assert f"Of {total.total()} runs on unseen molecules {alive} are alive, and {total['silent']} of those are" in page
    readme = (RESULTS.parent.parent / "README.md").read_text(encoding="utf-8")
    assert f"{alive} of {total.total()} short runs on unseen molecules end alive; {total['silent']} of those" in readme


def test_the_runs_of_combination_are_those_of_the_records():
    page = (RESULTS / "all-tasks.md").read_text(encoding="utf-8")
    words = {"deepset-moe": "DeepSet-MoE 24 and 12", "mace": "MACE 23 and 11", "painn": "PaiNN 23 and 10"}
    words["schnet"] = "SchNet 17 and 9, with 4 explosions"
    for family, said in words.items():
        records = read_records(RESULTS / "records" / f"quick-{family}-combination.jsonl")
        runs = Counter((r.split, r.verdict) for r in records if r.protocol == "stability")
        assert runs.total() == 36
        assert f"{runs['id', 'faithful']} and {runs['ood', 'faithful']}" in said
        assert runs["id", "exploded"] == (4 if family == "schnet" else 0)
        assert runs["ood", "faithful"] + runs["ood", "silent"] == 12
        assert said in page
