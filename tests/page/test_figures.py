"""Figures as data: what a curve holds, what is left out, and both ways to draw it."""

import json
import math
from dataclasses import replace

import pytest

from gmd26_md.errors import UserError
from gmd26_md.page import distance, figures_errors, figures_runs, limits, paper, write
from gmd26_md.page.content import contents
from gmd26_md.page.figure import Axis, Figure, Panel, Series, numbers, plain
from gmd26_md.page.sources import Sources
from gmd26_md.page.style import VERDICT_STYLES, look_of
from gmd26_md.records import VERDICTS
from tests.page.page_records import run_of, static_of

CONDITION = "300 K, NVE, 1.5 ps"


def task_of(*records):
    (task,) = contents(Sources(list(records), {}, {}, {}))
    return task


def test_survival_falls_when_a_run_breaks_and_carries_its_interval():
    runs = [run_of("ethanedioic acid", "broken" if seed == 0 else "faithful", seed) for seed in range(4)]
    (panel,) = figures_runs.survival(task_of(*runs), CONDITION).panels
    steps, bar = panel.series
    assert (steps.x, steps.y) == ((0.0, 1.0, 2.0), (100.0, 75.0, 75.0))
    assert bar.low[0] < 75.0 < bar.high[0]


def test_drift_shows_its_size_and_the_limit_of_the_records():
    figure = figures_runs.drift(task_of(run_of("ethanedioic acid", "faithful")), CONDITION)
    (panel,) = figure.panels
    assert panel.series[0].y == (0.1,)
    assert panel.limits == ((5.0, "limit of the verdict"),)
    assert panel.series[0].links == ("molecule-0-0",)


def test_static_against_dynamic_is_a_point_a_molecule():
    figure = figures_errors.static_against_dynamic(
        task_of(static_of("ethanedioic acid", 0.03), *[run_of("ethanedioic acid", "faithful", s) for s in range(3)]),
        CONDITION,
    )
    (series,) = figure.panels[0].series
    assert (series.x, series.y) == ((0.03,), (0.06,))
    assert series.look.open  # OOD


def test_figures_without_a_number_are_left_out():
    nothing = dict.fromkeys(("energy_drift_meV_per_atom_per_ps", "path_force_mae_eV_per_A"))
    bare = {"along": None, "force_mae_by_bonds_from_group_eV_per_A": None}
    task = task_of(run_of("ethanedioic acid", "faithful", metrics=nothing, evidence=bare))
    assert [f.name for f in figures_runs.figures(task)] == ["duplication-survival"]
    assert figures_errors.figures(task) == []


def test_what_is_no_number_is_a_gap_and_json_safe():
    bad = {"energy_drift_meV_per_atom_per_ps": math.nan, "path_force_mae_eV_per_A": math.inf}
    along = {"along": {"time_ps": [0.5, 1.0], "force_mae_eV_per_A": [math.nan, 0.1]}}
    task = task_of(
        static_of("ethanedioic acid", math.nan), run_of("ethanedioic acid", "silent", metrics=bad, evidence=along)
    )
    for figure in figures_runs.figures(task) + figures_errors.figures(task):
        json.dumps(plain(figure), allow_nan=False)
    assert numbers([math.nan, None, 1.234567]) == (None, None, 1.2346)


def test_a_cloud_of_many_points_is_thinned_evenly_with_its_ends():
    kept = limits.thinned(range(10_000), 400)
    assert (len(kept), kept[0], kept[-1]) == (400, 0, 9999)


def test_models_and_verdicts_can_be_told_apart_without_colour():
    looks = {(look.marker, look.dash) for look in map(look_of, range(limits.MAX_MODELS_IN_FIGURE))}
    assert len(looks) == limits.MAX_MODELS_IN_FIGURE
    assert tuple(VERDICT_STYLES) == VERDICTS
    assert len({v.letter for v in VERDICT_STYLES.values()}) == len({v.pattern for v in VERDICT_STYLES.values()}) == 9


def test_error_against_distance_is_read_from_what_the_command_printed(tmp_path):
    task = task_of(run_of("ethanedioic acid", "faithful"))
    molecule = {
        "molecule": "ethanedioic acid",
        "split": "ood",
        "force_mae_eV_per_A": 0.2,
        "soap mahalanobis": "Infinity",
    }
    near = {"molecule": "another", "split": "ood", "force_mae_eV_per_A": 0.1, "soap mahalanobis": 1.5}
    model = {"model_sha256": "painn-hash", "by_molecule": [molecule, near]}
    path = tmp_path / "distance.json"
    path.write_text(json.dumps({"task": "duplication", "models": [model]}))
    (figure,) = distance.figures(task, distance.read_distances([path]))
    (panel,) = figure.panels
    (series,) = panel.series
    assert (series.x, series.y, series.links) == ((None, 1.5), (0.2, 0.1), ("molecule-0-0", ""))
    assert distance.figures(task, {}) == []
    path.write_text("[]")
    with pytest.raises(UserError, match="is not what 'gmd26-md distance errors --json' prints"):
        distance.read_distances([path])


AWKWARD = Figure(
    "a/b name", "T", "c",
    (Panel("cost $x_1", Axis("x"), Axis("y", log=True),
           (Series("_hidden $", (1.0, 2.0, None), (1.0, 0.5, 2.0), look_of(0), low=(0.9, 0.4, None),
                   high=(1.1, 0.6, None)),
            Series("band", (1.0, 2.0), (1.0, 2.0), look_of(1), "lines", (0.5, 1.0), (2.0, 3.0), band=True)),
           limits=((1.5, "limit"),), diagonal=True),) * 2,
)  # fmt: skip


def test_no_figure_is_drawn_over_another(tmp_path):
    of_a_user = run_of("ethanedioic acid", "faithful", task="user", split="user")
    hot = run_of("ethanedioic acid", "silent")
    hot = replace(hot, settings=hot.settings | {"temperature_K": 500.0})
    spectrum = {"spectrum": {"frequency_per_cm": [0.0, 1.0], "model": [1.0, 1.0], "reference": [1.0, 1.0]}}
    compared = [
        replace(hot, protocol="distributions", verdict=None, settings={"temperature_K": kelvin}, evidence=spectrum,
                metrics={"hr_over_noise_ratio": 2.0})
        for kelvin in (300.0, 500.0)
    ]  # fmt: skip
    records = [static_of("ethanedioic acid"), run_of("ethanedioic acid", "faithful"), hot, of_a_user, *compared]
    figures = write.made(Sources(records, {}, {}, {}), lambda record: None).figures
    names = [figure.name for figure in figures]
    assert len(names) == len(set(names))
    assert {
        "duplication-static-against-dynamic-300K-NVE-1.5ps", "duplication-by-bonds-from-group-500K-NVE-1.5ps",
        "duplication-distributions-300K", "duplication-ethanedioic-acid-in-time", "user-ethanedioic-acid-in-time",
    } <= set(names)  # fmt: skip
    drawn = paper.draw_all([replace(AWKWARD, name=name) for name in ("a b", "A/b", "a,b", "c")], tmp_path, "svg")
    assert [path.name for path in drawn] == ["a-b.svg", "A-b-2.svg", "a-b-3.svg", "c.svg"]


@pytest.mark.parametrize(("form", "begins"), [("svg", b"<?xml"), ("pdf", b"%PDF"), ("png", b"\x89PNG")])
def test_a_figure_for_a_paper_is_drawn_and_the_same_each_time(tmp_path, form, begins):
    (first,) = paper.draw_all([AWKWARD], tmp_path / "1", form)
    (second,) = paper.draw_all([AWKWARD], tmp_path / "2", form)
    assert first.name == f"a-b-name.{form}"
    assert first.read_bytes().startswith(begins)
    assert first.read_bytes() == second.read_bytes()
    if form == "svg":
        assert "cost $x_1" in first.read_text()  # no formula was made of it
        assert "_hidden $" in first.read_text()


def test_an_unknown_format_is_refused():
    with pytest.raises(UserError, match="unknown format of figures 'jpg'"):
        paper.check_form("jpg")
