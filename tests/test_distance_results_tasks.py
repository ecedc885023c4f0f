"""The tables of the page on distance in every task are what its records say."""

import json
from pathlib import Path

import pytest

from gmd26_md.report.distance_tables import correlation_rows, outcome_rows, split_rows
from gmd26_md.report.forms import written
from gmd26_md.strict_json import decoded

RESULTS = Path(__file__).resolve().parent.parent / "docs" / "results"
TASKS = {
    "combination": 4, "chain-extension": 4, "chain-extension-hinted": 2, "duplication": 4, "fusion": 4,
    "fusion-hinted": 2, "fission": 4,
}  # fmt: skip
MOLECULES = ("number", "Mahalanobis, SOAP", "Mahalanobis, own", "number of atoms", "being OOD")
ATOMS = ("number", "Mahalanobis, SOAP", "Mahalanobis, own", "reference force")
OUTCOMES = (
    "number", "Mahalanobis, SOAP", "Mahalanobis, own", "Mahalanobis, at the minimum, SOAP", "number of atoms",
    "being OOD", "static force MAE",
)  # fmt: skip


def recorded(task):
    """Return the record of a task, its models called by their family."""
    found = decoded(json.loads((RESULTS / "records" / "distance" / f"{task}.json").read_text(encoding="utf-8")))
    for model in found["models"]:
        model["model"] = model["model"].removesuffix(f"-{task}").removesuffix("-duplication")
    return found


@pytest.mark.parametrize("task", TASKS)
def test_the_tables_of_a_task_are_those_of_its_record(task):
    page = (RESULTS / "distance-tasks.md").read_text(encoding="utf-8")
    found = recorded(task)
    models = found["models"]
    assert len(models) == TASKS[task]
    tables = [
        [row for row in split_rows(models, "frames") if row[2] in ("split", "OOD")],
        [row for row in correlation_rows(models, "frames", "molecules") if row[1] in MOLECULES],
        [row for row in correlation_rows(models, "frames", "atoms") if row[1] in ATOMS],
    ]
    if not task.endswith("hinted"):
        tables.append([row for row in outcome_rows(found["outcomes"]) if row[0] in OUTCOMES])
    for rows in tables:
        assert len(rows) > len(models)
        assert written(rows, "markdown") in page


def test_the_table_of_all_tasks_is_that_of_the_records():
    page = (RESULTS / "distance-tasks.md").read_text(encoding="utf-8")
    for task in TASKS:
        sets = [model["frames"] for model in recorded(task)["models"]]
        far = [found["ood"]["far"]["soap"] for found in sets]
        growth = [found["ood"]["force_mae_eV_per_A"] / found["id"]["force_mae_eV_per_A"] for found in sets]
        worse = [one["far_error_eV_per_A"] / one["near_error_eV_per_A"] for one in far]
        held = [100.0 * one["worst_far_fraction"] for one in far]
        cells = [
            f"{100.0 * far[0]['far_fraction']:.1f}",
            f"{min(growth):.1f} to {max(growth):.1f}",
            f"{min(worse):.1f} to {max(worse):.1f}",
            f"{min(held):.0f} to {max(held):.0f} %",
        ]
        assert f"| {task} | {' | '.join(cells)} |" in page
