"""The tables of the page on all tasks are what `gmd26-md table` makes of the summaries beside it."""

from pathlib import Path

import pytest

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
    findings = out[out.index("| published finding") :] if "| published finding" in out else out.partition("\n\n")[2]
    assert findings.count("\n") >= 9
    assert findings.strip() in page
