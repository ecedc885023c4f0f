"""Records to a table: the answer first, every run counted, a spread beside every mean, no surprises from names."""

import math

import numpy as np
import pytest

from gmd26_md.records import Record
from gmd26_md.report.comparison import compare
from gmd26_md.report.forms import written
from gmd26_md.report.published import COLUMNS, STATIC_ERRORS
from gmd26_md.report.summary import summarise
from gmd26_md.report.tables import render

SETTINGS = {
    "thermalise_ps": 0.5,
    "temperature_K": 300.0,
    "run_ps": 2.0,
    "timestep_fs": 0.5,
    "n_label_frames": 21,
    "reference": "gfn2-xtb",
}


MODEL = {"model": "painn", "model_sha256": "ab", "family": "painn", "formula": "X", "task": "duplication"}


def run_of(molecule, split, verdict, *, seed=0, failed_at_ps=None, drift=0.1, **more):
    return Record(
        **MODEL,
        molecule=molecule,
        split=split,
        protocol="stability",
        settings=SETTINGS,
        seed=seed,
        verdict=verdict,
        metrics={"energy_drift_meV_per_atom_per_ps": drift, "failed_at_ps": failed_at_ps},
        device="cpu float64 batched",
        **more,
    )


def relaxed(molecule, judgement, *, verdict=None, start="structure"):
    return Record(
        **MODEL,
        molecule=molecule,
        split="id",
        protocol="relaxation",
        settings={"start": start},
        seed=0,
        verdict=verdict,
        reason=f"{judgement}: because" if verdict is None else judgement,
        metrics={} if verdict else {"heavy_rmsd_A": 0.1},
    )


def static_of(molecule, split):
    return Record(**MODEL, molecule=molecule, split=split, protocol="static-errors", settings={}, seed=0)


def errors_of(force_error, energy_error, n_frames=4, n_atoms=2):
    """Return a `FrameSums.table` with the same error in every component and frame."""
    row = [n_atoms, 3 * n_atoms * force_error, 3 * n_atoms * force_error**2, 6.0, 6.0, n_atoms, 0.0, energy_error]
    return np.tile(np.array(row, dtype=float), (n_frames, 1))


def flat(text):
    return " ".join(text.split())


def test_the_answer_counts_every_run():
    records = [
        run_of("a", "id", "faithful"), run_of("b", "id", "silent"), run_of("c", "ood", "broken", failed_at_ps=0.25),
        run_of("d", "ood", "unsupported"), run_of("e", "ood", "error"), run_of("f", "ood", "censored"),
    ]  # fmt: skip
    summary = summarise(records, {})
    assert summary["answer"] == (
        "alive 3 of 6 runs; faithful 1 of 2 ID, 0 of 4 OOD; silent 1, broken 1, unsupported 1, error 1, censored 1"
    )
    (found,) = summary["splits"]["ood"]["stability"].values()
    assert found["alive_fraction"]["value"] == 0.25
    assert found["n_runs"] == 4


def test_neutral_judgements_are_counted_and_no_failures():
    scanned = [
        Record(**MODEL, molecule=name, split="id", protocol="scan", settings={"scan": "torsion"}, seed=0, reason=reason)
        for name, reason in (("a", "nothing to scan: no bond"), ("b", "strays: x"))
    ]
    summary = summarise(scanned, {})
    assert summary["splits"]["id"]["judged"]["torsion scans"]["judgements"] == {"nothing to scan": 1, "strays": 1}
    assert [f["molecule"] for f in summary["failures"]] == ["b"]


def test_settings_of_another_version_have_the_protocol_for_a_heading():
    record = Record(**MODEL, molecule="a", split="id", protocol="relaxation", settings={}, seed=0, reason="strained: x")
    summary = summarise([record], {})
    assert list(summary["splits"]["id"]["judged"]) == ["relaxation"]
    assert [f["run"] for f in summary["failures"]] == ["relaxation"]


def test_all_alive_is_no_certainty():
    summary = summarise([run_of(name, "id", "faithful") for name in "abcdefghijkl"], {})
    fraction = summary["splits"]["id"]["stability"]["300 K, NVE, 2 ps"]["alive_fraction"]
    assert (fraction["value"], fraction["high"]) == (1.0, 1.0)
    assert fraction["low"] == pytest.approx(0.05 ** (1 / 12), rel=1e-12)
    assert "100 (from 78)" in render(summary)


def test_one_run_that_failed_has_a_mean_life_and_no_interval_of_it():
    text = flat(render(summarise([run_of("a", "user", "exploded", failed_at_ps=0.7)], {})))
    assert "mean life, of 2.5 ps 0.70 " in text
    assert "nan" not in text


def test_failures_say_who_when_and_why():
    summary = summarise(
        [run_of("a", "id", "faithful"), run_of("c", "ood", "broken", failed_at_ps=0.25, reason="C-C at 2.1 Å", seed=3)],
        {},
    )
    text = render(summary)
    row = next(line for line in text.splitlines() if line.startswith(" broken "))
    assert row.split() == ["broken", "c", "OOD", "seed", "3", "0.250", "C-C", "at", "2.1", "Å"]


def test_a_nan_is_shown_and_a_missing_number_is_counted():
    nan = summarise([run_of("a", "id", "faithful"), run_of("b", "id", "drifting", drift=math.nan)], {})
    assert "not finite" in render(nan)
    missing = summarise([run_of("a", "id", "faithful"), run_of("b", "id", "error", drift=None)], {})
    assert "(1 without)" in render(missing)


def test_names_with_brackets_and_long_ones_are_shown_as_they_are():
    name = "[bold red]evil[/bold red] " + "poly" * 30
    text = render(summarise([run_of(name, "user", "silent", reason="[link=x]why[/link]")], {}), width=80)
    assert "[bold" in text
    assert "[link=x]why[/link]" in flat(text)
    assert max(map(len, text.splitlines())) <= 80
    assert "poly" * 25 in "".join(text.split())  # folded, not cut


def test_colour_is_only_for_terminals():
    summary = summarise([run_of("a", "id", "faithful")], {})
    assert "\x1b[" not in render(summary)
    assert "\x1b[1m" in render(summary, colour=True)


def test_many_failures_are_cut_short_and_counted():
    text = render(summarise([run_of(f"m{i}", "ood", "silent") for i in range(55)], {}))
    assert "and 15 more, in records.jsonl" in flat(text)


def test_relaxations_are_judged_in_words_and_those_not_made_are_counted():
    records = [relaxed("a", "agrees"), relaxed("b", "moved away"), relaxed("c", "no element", verdict="unsupported")]
    summary = summarise(records, {})
    assert summary["answer"] == "relaxed from the structure, agrees 1 of 3 ID"
    assert summary["splits"]["id"]["judged"]["relaxed from the structure"]["judgements"] == {
        "agrees": 1, "moved away": 1, "unsupported": 1,
    }  # fmt: skip
    assert [f["verdict"] for f in summary["failures"]] == ["moved away", "unsupported"]


def test_static_errors_are_pooled_over_frames_with_their_spread():
    records = [static_of("a", "id"), static_of("b", "id"), static_of("c d", "ood")]
    static = {"a": errors_of(0.1, 1.0), "b": errors_of(0.3, -1.0), "c-d": errors_of(0.5, 30.0)}
    summary = summarise(records, static, {"words": "rank 2 of 3"})
    found = summary["splits"]["id"]["static_errors"]["force_mae_eV_per_A"]
    assert found["value"] == pytest.approx(0.2, rel=1e-12)
    assert found["standard_error"] > 0
    ood = summary["splits"]["ood"]["static_errors"]
    assert ood["energy_mae_eV"]["value"] == pytest.approx(30.0, rel=1e-12)
    assert ood["energy_offset_removed_mae_eV"]["value"] == pytest.approx(0.0, abs=1e-12)
    text = render(summary)
    assert "ID (2 molecules)" in text
    assert "OOD (1 molecule)" in text
    assert "rank 2 of 3" in text


def test_no_records_is_said():
    assert render(summarise([], {})) == "no records yet\n"


def test_runs_of_one_model_share_a_row_beside_the_published_ones():
    dynamics = summarise([run_of("a", "id", "faithful"), run_of("c", "ood", "silent")], {})
    static = summarise([static_of("a", "id")], {"a": errors_of(0.1, 1.0)})
    rows = compare([dynamics, static])
    assert len(rows) == 1 + 1 + len(STATIC_ERRORS["duplication"])
    ours = dict(zip(rows[0], rows[1], strict=True))
    assert ours["F MAE, eV/Å, ID"].startswith("0.1000")
    assert ours["F MAE, eV/Å, OOD"] == "-"
    assert ours["faithful, %, OOD"].startswith("0")
    mace = next(dict(zip(rows[0], row, strict=True)) for row in rows if row[0].startswith("MACE"))
    assert (mace["F MAE, eV/Å, ID"], mace["F MAE, eV/Å, OOD"], mace["E MAE, eV, OOD"]) == ("0.0028", "0.0171", "40.97")
    assert mace["alive, %, ID"] == "-"
    for form in ("text", "markdown", "csv"):
        assert len(written(rows, form).splitlines()) == len(rows) + (form == "markdown")


def test_models_with_direct_forces_stand_together_below_the_others():
    base = summarise([static_of("a", "id")], {"a": errors_of(0.1, 1.0)})
    given = [("one", "gemnet, direct forces"), ("two", "gemnet"), ("three", "x, direct forces"), ("four", "mace")]
    rows = compare(
        [base | {"model": m, "family": f, "model_sha256": m} for m, f in given],
        published=False,
    )
    assert [row[0].split()[0] for row in rows[1:]] == ["two", "four", "one", "three"]


def test_the_published_table_is_whole():
    for rows in STATIC_ERRORS.values():
        for values in rows.values():
            assert len(values) == len(COLUMNS)
            for name, (known, unseen) in zip(COLUMNS, values, strict=True):
                assert (known < unseen) != (name == "force_cosine")  # unseen molecules are harder, for everyone
