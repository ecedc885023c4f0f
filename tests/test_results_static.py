"""The figures in the pages on static errors and on the energy gauge are those of the records beside them."""

import csv
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

from gmd26_md import molecules
from gmd26_md.datasets import store
from gmd26_md.observables.bonds import bond_graph
from gmd26_md.observables.fragments import functional_groups

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "results"
FORCE = "force_mae_eV_per_A"


def page(name):
    return (RESULTS / f"{name}.md").read_text(encoding="utf-8")


def table(name, begins):
    """Return the rows of the table whose heading begins so, as dicts; columns of one name are numbered."""
    lines = page(name).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(begins))
    body = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        body.append([cell.strip() for cell in line.strip().strip("|").split("|")])
    return body[0], body[2:]


def same(words, value, error=None):
    """Hold "0.339 ± 0.011" to a value and its error, as they are rounded in the page."""
    numbers = [value] if error is None else [value, error]
    for text, number in zip(words.split(" ± "), numbers, strict=True):
        digits = len(text.partition(".")[2])
        assert float(text) == pytest.approx(number, abs=0.5001 * 10.0**-digits), words


@pytest.fixture(scope="module")
def broken_down():
    with (RESULTS / "records" / "static-breakdown.csv").open(encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    return {(r["model"].split("-duplication")[0], r["by"], r["class"], r["split"]): r for r in rows}


def number(row, metric, factor=1.0):
    return factor * float(row[metric]), factor * float(row[f"{metric}_standard_error"])


def test_errors_by_chain_length_are_those_of_the_records(broken_down):
    (_, _, *models), rows = table("duplication-static", "| carbon atoms |")
    assert len(models) == 8
    assert [r[0] for r in rows[:-1]] == [f"{n} C" for n in range(2, 14)]
    for key, _, *cells in rows[:-1]:
        for model, words in zip(models, cells, strict=True):
            same(words, *number(broken_down[model, "length", key, "ood"], FORCE))
    for model, words in zip(models, rows[-1][2:], strict=True):
        found = [number(broken_down[model, "length", f"{n} C", "id"], FORCE)[0] for n in range(2, 14)]
        least, most = words.split(" to ")
        same(least, min(found))
        same(most, max(found))


def test_groups_are_as_far_apart_as_in_the_frames():
    _, rows = table("duplication-static", "| carbon atoms |")
    acids = [m for m in molecules.family_members("dicarboxylic-acids") if 2 <= m.n_carbon <= 13]
    for (key, words, *_), acid in zip(rows[:-1], acids, strict=True):
        folder = store.folder_of(ROOT / "checkpoints" / "frames", "gfn2-xtb", acid)
        minimum, frames = (store.read_frames(folder / f"{name}.extxyz") for name in ("minimum", "test"))
        one, other = functional_groups(bond_graph(minimum.numbers, minimum.positions[0]))
        between = frames.positions[:, list(one), None] - frames.positions[:, None, list(other)]
        assert key == f"{acid.n_carbon} C"
        same(words, float(np.linalg.norm(between, axis=-1).min(axis=(1, 2)).mean()))


def test_ratios_by_bonds_are_those_of_the_records(broken_down):
    (_, *keys), rows = table("duplication-static", "| model | 0 | 1 |")
    assert len(rows) == 8
    for model, *cells in rows:
        for key, words in zip(keys, cells, strict=True):
            (a, ea), (b, eb) = (number(broken_down[model, "bonds", key, s], FORCE) for s in ("ood", "id"))
            same(words, a / b, a / b * math.hypot(ea / a, eb / b))


def test_errors_by_element_are_those_of_the_records(broken_down):
    (_, *columns), rows = table("duplication-static", "| model | C, ID |")
    assert len(rows) == 8
    for model, *cells in rows:
        for column, words in zip(columns, cells, strict=True):
            element, split = column.lower().split(", ")
            same(words, *number(broken_down[model, "element", element.upper(), split], FORCE))


def test_direction_against_length_is_that_of_the_records(broken_down):
    _, rows = table("duplication-static", "| model | F MAE of RMS")
    metrics = (
        ("force_mae_normalised_ratio", 100.0),
        ("force_cosine", 1.0),
        ("force_magnitude_bias_ratio", 100.0),
        ("force_direction_fraction", 100.0),
    )
    assert len(rows) == 8
    for model, *cells in rows:
        for (metric, factor), pair in zip(metrics, zip(cells[::2], cells[1::2], strict=True), strict=True):
            for split, words in zip(("id", "ood"), pair, strict=True):
                same(words, *number(broken_down[model, "total", "all atoms", split], metric, factor))


def test_oxalic_acid_is_as_the_page_says(broken_down):
    text = " ".join(page("duplication-static").split())
    names = {"SchNet": "schnet", "DeepSet-MoE": "deepset-moe", "MACE": "mace", "PaiNN": "painn"}
    for said, model in names.items():
        value, error = re.search(rf"{said} ([\d.]+) ± ([\d.]+) %", text).groups()
        found = number(broken_down[model, "length", "2 C", "ood"], "force_magnitude_bias_ratio", 100.0)
        same(f"{value} ± {error}", *found)
        assert found[0] > 2.0 * found[1]
    same("38 ± 4", *number(broken_down["schnet", "length", "2 C", "ood"], "force_direction_fraction", 100.0))


@pytest.fixture(scope="module")
def gauges():
    found = json.loads((RESULTS / "records" / "energy-gauge.json").read_text(encoding="utf-8"))
    return {m["model"].removesuffix("-duplication"): m for m in found}


def energy(model, way, split, metric="energy_mae_eV"):
    errors = next(w for w in model["ways"] if w["pinned_to"] == way)["errors"][split][metric]
    return errors["value"], errors["standard_error"]


def test_energy_errors_by_pin_are_those_of_the_records(gauges):
    heading, rows = table("energy-gauge", "| model | ID, every way |")
    assert len(rows) == 8
    ways = [name.removeprefix("OOD, ") for name in heading[2:6]]
    for name, in_distribution, *cells in rows:
        model = gauges[name]
        same(in_distribution, *energy(model, "as trained", "id"))
        for way, words in zip(ways, cells[:4], strict=True):
            same(words, *energy(model, way, "ood"))
        same(cells[4], *energy(model, "as trained", "ood", "energy_offset_removed_mae_eV"))


def test_pins_during_training_are_those_of_the_records(gauges):
    _, rows = table("energy-gauge", "| trained with |")
    assert len(rows) == 8
    for trained, _, in_distribution, *cells in rows:
        family, source, seed = trained.split(", ")
        prefix = "schnet-" if family == "schnet" else ""
        model = gauges[f"{prefix}{source}-{seed.removeprefix('seed ')}"]
        assert (model["family"], model["element_energies_from"]) == (family, source)
        same(in_distribution, *energy(model, "as trained", "id"))
        same(cells[0], *energy(model, "as trained", "ood"))
        same(cells[1], *energy(model, "isolated atoms", "ood"))
        same(cells[2], *energy(model, "as trained", "ood", "energy_offset_removed_mae_eV"))


def test_no_pin_moves_a_training_energy_and_no_unseen_one_is_identifiable(gauges):
    assert len(gauges) == 16
    for model in gauges.values():
        known = model["identifiable"]
        assert sum(known.values()) == 12
        assert {name for name in known if known[name]} == {n for n in known if not n.endswith("dioic acid")}
        for way in model["ways"]:
            assert way["training_shift_max_eV"] < 2e-13
            before = energy(model, "as trained", "id")[0]
            assert energy(model, way["pinned_to"], "id")[0] == pytest.approx(before, abs=1e-6)
