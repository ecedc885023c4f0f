"""The figures in docs/results/distance.md are those of the file beside it."""

import json
from pathlib import Path

import pytest

from gmd26_md import strict_json
from gmd26_md.report import distance_tables

RESULTS = Path(__file__).resolve().parent.parent / "docs" / "results"
PAGE = (RESULTS / "distance.md").read_text(encoding="utf-8")
FOUND = strict_json.decoded(json.loads((RESULTS / "records" / "distance-duplication.json").read_text(encoding="utf-8")))
MODELS = FOUND["models"]


def on_the_page():
    return {tuple(c.strip() for c in line.strip("|").split("|")) for line in PAGE.splitlines() if line.startswith("| ")}


def made():
    """Return every row that the command's tables can have, the task's name left out of the models'."""
    rows = [
        *distance_tables.by_molecule_rows(MODELS[:4], "duplication"),
        *distance_tables.outcome_rows(FOUND["outcomes"]),
    ]
    for where in ("frames", "own_runs"):
        rows += distance_tables.split_rows(MODELS, where)
        rows += distance_tables.element_rows(MODELS, where, "ood")
        for level in ("atoms", "molecules"):
            rows += distance_tables.correlation_rows(MODELS, where, level)
    return {tuple(c.strip().replace("-duplication", "") for c in row) for row in rows}


def test_every_row_of_the_page_is_one_of_the_file():
    rows = {row for row in on_the_page() if not set(row[1]) <= set("-: ")}
    assert len(rows) > 120
    assert rows <= made()


def of(where, split, level, column):
    return [model[where][split][level][column] for model in MODELS if where in model and split in model[where]]


@pytest.mark.parametrize("column", ["soap nearest", "soap mahalanobis", "model nearest", "model mahalanobis"])
def test_distance_orders_unseen_molecules_for_every_model(column):
    found = [c["rho"] for c in of("frames", "ood", "molecules", column)]
    assert len(found) == 8
    assert min(found) > 0.93


def test_the_sentences_say_what_the_file_says():
    far = [model["frames"]["ood"]["far"] for model in MODELS]
    assert {round(100 * f["soap"]["far_fraction"], 1) for f in far} == {15.5}
    worst = [round(100 * f["soap"]["worst_far_fraction"]) for f in far]
    assert (min(worst), max(worst)) == (88, 97)
    own = [round(100 * f["model"]["worst_far_fraction"]) for f in far]
    assert (min(own), max(own)) == (41, 80)
    soap, mine = (
        [c["value"] for c in of("frames", "all", "atoms", f"{space} mahalanobis")] for space in ("soap", "model")
    )
    assert (round(min(soap), 2), round(max(soap), 2)) == (0.36, 0.51)
    assert (round(min(mine), 2), round(max(mine), 2)) == (0.31, 0.49)
    assert sum(a < b for a, b in zip(mine, soap, strict=True)) == 7
    assert all(row["low"] < 0.0 < row["high"] for row in FOUND["outcomes"] if row["outcome_metric"] == "failed")
