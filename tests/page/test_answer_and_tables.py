"""The sentence on top, the bars, and the tables: from records whose answer is known."""

import math
from dataclasses import replace

import numpy as np
import pytest

from gmd26_md.page import figures_errors, molecule_figures, parity, tables, write
from gmd26_md.page.answer import answer, static_answer
from gmd26_md.page.common import together
from gmd26_md.page.content import contents
from gmd26_md.page.sources import Sources
from tests.page.page_records import run_of, static_of

CONDITION = "300 K, NVE, 1.5 ps"


def task_of(*records):
    (task,) = contents(Sources(list(records), {}, {}, {}))
    return task


def said(*records):
    task = task_of(*records)
    return answer(task.models[0], task, CONDITION)


def test_the_sentence_counts_molecules_and_gives_the_share_of_runs_alive():
    unseen = ["ethanedioic acid", "propanedioic acid", "butanedioic acid", "pentanedioic acid"]
    runs = [run_of(name, "silent" if i == 0 else "faithful", seed) for i, name in enumerate(unseen) for seed in (0, 1)]
    assert said(*runs) == "Alive 100 %, conserved, but silently wrong on 1 of 4 dicarboxylic acids."
    runs[-1] = run_of(unseen[-1], "broken", 1)
    words = said(*runs, run_of("ethanoic acid", "faithful"))
    assert words == (
        "Alive 88 %, conserved, but silently wrong on 1 of 4 dicarboxylic acids and broken on 1. "
        "ID: alive 100 %, conserved and true on the one of the 1 carboxylic acids."
    ).replace("the one of the 1 carboxylic acids", "the one carboxylic acid tested")


def test_a_share_is_never_rounded_to_all_or_none():
    runs = [run_of("ethanedioic acid", "broken" if seed == 0 else "faithful", seed) for seed in range(300)]
    assert said(*runs).startswith("Alive over 99 %")


def test_a_drifting_run_takes_conserved_away():
    assert "conserved" not in said(run_of("ethanedioic acid", "drifting"), run_of("propanedioic acid", "faithful"))


def test_a_run_without_labels_is_not_called_true():
    words = said(run_of("ethanedioic acid", "faithful", metrics={"path_force_mae_eV_per_A": None}))
    assert words == (
        "Alive 100 %, conserved, but not compared with a reference everywhere: the one dicarboxylic acid tested."
    )


def test_a_model_that_was_not_run_is_told_by_its_static_errors():
    task = task_of(static_of("ethanoic acid"))
    assert static_answer(task.models[0]).startswith("No runs of its own to judge")
    assert task.conditions == []


def test_bars_hold_every_run_and_end_at_the_whole():
    verdicts = ["faithful", "silent", "drifting", "reacted", "broken", "exploded", "unsupported", "error", "censored"]
    task = task_of(*[run_of("ethanedioic acid", v, seed) for seed, v in enumerate(verdicts)])
    (bar,) = tables.bars(task.models[0], CONDITION, task.splits)
    assert [name for name, *_ in bar.parts] == verdicts
    assert bar.n_runs == 9
    _, _, at, width = bar.parts[-1]
    assert at + width == pytest.approx(100.0)


def test_every_number_has_its_spread_its_interval_and_the_way_to_its_molecules():
    names = ["ethanedioic acid", "propanedioic acid"]
    runs = [
        run_of(n, "faithful", s, metrics={"path_force_mae_eV_per_A": 0.04 + 0.04 * i})
        for i, n in enumerate(names)
        for s in (0, 1)
    ]
    columns, (row,) = tables.static_and_dynamic(task_of(*runs))
    at = [c.words for c in columns].index("force MAE on the run")
    (cell,) = row.cells[at]
    assert cell.text == "0.0600"
    assert cell.spread.startswith("± 0.0")
    assert "eV/Å; 2 molecules, 4 runs" in cell.hint
    assert (cell.split, cell.metric) == ("ood", "path")


@pytest.mark.parametrize(
    ("value", "error", "digits", "factor", "text"),
    [
        (0.0292, 0.0012, 4, 1.0, ("0.0292", "± 0.0012")),
        (0.00071, 0.00004, 3, 1.0, ("0.00071", "± 0.00004")),  # more digits, or the error would read as none
        (0.1, 1e-17, 3, 1.0, ("0.100", "± 0.000")),  # the last bits of a mean are no error
        (1.0, 0.0, 0, 100.0, ("100", "≥ 78")),
        (math.nan, math.nan, 3, 1.0, ("not finite", "")),
        (0.5, math.nan, 2, 1.0, ("0.50", "± ?")),
    ],
)
def test_a_spread_in_words(value, error, digits, factor, text):
    spread = {"value": value, "standard_error": error, "low": 0.78, "high": 1.0}
    assert tables.spread_words(spread, digits, factor) == text


def test_models_with_most_faithful_unseen_runs_come_first_and_names_lose_the_task():
    task = task_of(
        run_of("ethanedioic acid", "silent", model="a-duplication"), run_of("ethanedioic acid", "faithful", model="b")
    )
    assert [m.label for m in task.models] == ["b", "a"]


def test_the_table_of_molecules_holds_a_mean_over_seeds_and_marks_what_is_no_number():
    numbers = {"path_force_mae_eV_per_A": math.nan}
    task = task_of(
        run_of("ethanedioic acid", "faithful", 0),
        run_of("ethanedioic acid", "broken", 1, metrics={"path_force_mae_eV_per_A": 0.1}),
        run_of("propanedioic acid", "silent", metrics=numbers),
    )
    found = tables.matrix(task)
    assert [row[1] for row in found.rows] == ["ethanedioic acid", "propanedioic acid"]
    assert found.rows[0][3] == [[("faithful", 1), ("broken", 1)]]
    assert found.values["path"][0][0] == (pytest.approx(0.08), "0.08 ± 0.03")
    assert found.values["path"][1][0] == (None, "not finite")
    assert found.values["life"][0][0] == (1.0, "1.00 †")
    assert "static" not in found.metrics  # nothing of it is on record


def test_numbers_of_two_conditions_are_never_one():
    cold = [run_of("ethanedioic acid", "faithful", seed) for seed in (0, 1)]
    hot = [
        replace(r, settings=r.settings | {"temperature_K": 500.0}, metrics=r.metrics | {"path_force_mae_eV_per_A": 0.6})
        for r in cold
    ]
    task = task_of(static_of("ethanedioic acid"), *cold, *hot)
    found = tables.matrix(task)
    assert found.values["path-0"][0][0] == (pytest.approx(0.06), "0.06 ± 0")
    assert found.values["path-1"][0][0] == (pytest.approx(0.6), "0.6 ± 0")
    assert found.metrics["path-1"] == "force MAE along the run, eV/Å, 500 K, NVE, 1.5 ps"
    columns, rows = tables.static_and_dynamic(task)
    at = [c.metric for c in columns].index("path")
    assert [row.cells[at][0].metric for row in rows] == ["path-0", "path-1"]  # each leads to its own molecules
    assert "static" in found.metrics
    lengths = figures_errors.by_chain_length(task)
    assert [(p.title, p.series[0].y) for p in lengths.panels] == [
        ("on reference frames", (0.02,)),
        ("along the runs, 300 K, NVE, 1.5 ps", (0.06,)),
        ("along the runs, 500 K, NVE, 1.5 ps", (0.6,)),
    ]


def test_what_is_drawn_of_several_conditions_together_says_so(tmp_path):
    runs = [run_of("ethanedioic acid", "faithful")]
    runs.append(replace(runs[0], settings=runs[0].settings | {"temperature_K": 500.0}))
    words = "300 K, NVE, 1.5 ps and of 500 K, NVE, 1.5 ps"
    page = write.made(Sources(runs, {}, {}, {}), lambda record: None)
    (in_time,) = [f for f in page.figures if f.name.endswith("in-time")]
    assert f"Runs of {words} are drawn together." in in_time.caption
    assert "500 K, NVE, 1.5 ps, seed 0" in in_time.panels[0].series[1].texts[0]
    assert f"a letter a run of {words};" in write.text_of(page)
    forces = {(runs[0].model_sha256, "ood"): [np.zeros((2, 2))]}
    assert words in parity.figure(page.tasks[0].content, forces, "", more=together(page.tasks[0].content)).caption
    assert (
        "together" not in write.text_of(write.made(Sources(runs[:1], {}, {}, {}), lambda record: None)).split("<h3")[1]
    )


def test_vibrations_at_two_temperatures_have_a_reference_each():
    spectrum = {"spectrum": {"frequency_per_cm": [0.0, 1.0], "model": [1.0, 2.0], "reference": [3.0, 4.0]}}
    compared = [
        replace(static_of("ethanedioic acid"), protocol="distributions", settings={"temperature_K": kelvin},
                evidence=spectrum)
        for kelvin in (300.0, 500.0)
    ]  # fmt: skip
    (figure,) = molecule_figures.molecule_figures(task_of(*compared), "ethanedioic acid", [], {})
    assert [panel.title[-5:] for panel in figure.panels] == ["300 K", "500 K"]
    assert [[series.name for series in panel.series] for panel in figure.panels] == [["reference", "painn"]] * 2
