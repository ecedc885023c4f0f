"""The reasoning behind a verdict, read from records of today and of before."""

import json
import math

import pytest

from gmd26_md.records import Record, append_record
from gmd26_md.report.checks import checks_of
from gmd26_md.report.reasoning import reasoning
from gmd26_md.report.reasoning_words import in_words
from gmd26_md.report.repeat import repeat_command

THRESHOLDS = {
    "drift_max_meV_per_atom_per_ps": 2.0, "force_ratio_max": 0.2, "true_energy_change_max_meV_per_atom": 10.0,
    "topology": {"bond_change_A": 0.4, "a_limit_of_tomorrow": 1.0}, "another": 1.0,
}  # fmt: skip
ASKED = {
    "thermalise_ps": 0.5, "temperature_K": 300.0, "ensemble": "nve", "run_ps": 1.5, "timestep_fs": 0.5,
    "friction_per_fs": 0.02, "save_every_fs": 10.0, "n_seeds": 3, "seed": 0, "n_label_frames": 21,
    "reference": "gfn2-xtb", "thresholds": THRESHOLDS,
}  # fmt: skip
FINE = {
    "failed_at_ps": None, "alive_ps": 2.0, "nonfinite_at_ps": None, "too_hot_at_ps": None, "bond_broken_at_ps": None,
    "bond_broken_by_radii_at_ps": None, "clash_at_ps": None, "new_bond_at_ps": None, "transfer_at_ps": None,
    "temperature_max_K": 500.0, "energy_drift_meV_per_atom_per_ps": -0.1, "energy_rms_meV_per_atom": 0.1,
    "energy_change_max_meV_per_atom": 0.2, "path_force_mae_eV_per_A": 0.06, "path_force_mae_relative_ratio": 0.1,
    "true_energy_change_max_meV_per_atom": 3.0,
}  # fmt: skip
BROKEN = {"failed_at_ps": 0.25, "alive_ps": 0.25, "bond_broken_at_ps": 0.25}


def record_of(verdict, reason="", *, molecule="propanedioic acid", split="ood", seed=0, metrics=None, evidence=None,
              settings=None, **more):  # fmt: skip
    return Record(
        model="painn", model_sha256="ab12", family="painn", molecule=molecule, formula="C3H4O4", split=split,
        task="duplication", protocol=more.pop("protocol", "stability"), settings=ASKED | (settings or {}), seed=seed,
        verdict=verdict, reason=reason, metrics=FINE | (metrics or {}), device="cpu float32 batched",
        evidence=evidence or {}, **more,
    )  # fmt: skip


def told(record, *others):
    return " ".join(in_words(reasoning(record, [record, *others])).split())


def decided(record):
    return [c.by for c in checks_of(record) if c.decided]


def test_the_checks_stand_in_the_order_of_the_judge_each_beside_its_limit_of_the_record():
    checks = checks_of(record_of("faithful"))
    assert [c.verdict for c in checks] == (
        ["exploded"] * 2 + ["broken"] * 3 + ["reacted"] * 2 + ["drifting"] * 3 + ["silent"] * 2 + ["censored"]
    )
    assert {c.state for c in checks} == {"holds"}
    limits = {c.by: c.limit for c in checks}
    assert limits["energy_drift"] == 2.0  # as asked, not the default
    assert limits["energy_rms"] == 5.0  # not on record: today's default
    assert limits["temperature_max_K"] == 1500.0
    assert "no bond 0.4 Å off its length" in [c.words for c in checks]
    assert not any(c.decided for c in checks)


@pytest.mark.parametrize(
    ("record", "by"),
    [
        (record_of("broken", metrics=BROKEN), "bond_broken"),
        (record_of("drifting", metrics={"energy_drift_meV_per_atom_per_ps": -2.5}), "energy_drift"),
        (record_of("drifting", metrics={"energy_rms_meV_per_atom": math.nan}), "energy_rms"),
        (record_of("drifting", metrics={"energy_rms_relative_ratio": 0.98}), "energy_rms_relative"),
        (record_of("silent", metrics={"true_energy_change_max_meV_per_atom": 11.0}), "true_energy_change_max"),
        (record_of("exploded", metrics={"nonfinite_at_ps": 0.1}), "nonfinite"),
        (record_of("censored", metrics={"alive_ps": 0.7}), "reached_ps"),
    ],
)
def test_what_decided_is_found_without_evidence(record, by):
    assert decided(record) == [by]


def test_what_decided_is_taken_from_the_evidence_where_it_is_there():
    by = {"decided": {"by": "clash", "value": 0.5, "limit": 0.9, "at_ps": 0.25}}
    assert decided(record_of("broken", metrics=BROKEN | {"clash_at_ps": 0.25}, evidence=by)) == ["clash"]
    graph = {"decided": {"by": "end_graph", "value": 2.0, "limit": 0.0, "at_ps": None}}
    found = record_of("reacted", "bonds at the end: lost 0-1, gained 0-2", evidence=graph)
    checks = checks_of(found)
    assert [c.by for c in checks if c.decided] == ["end_graph"]
    assert [c.verdict for c in checks].index("drifting") == [c.by for c in checks].index("end_graph") + 1
    assert "bonds at the end: lost 0-1, gained 0-2 fails <- decided" in told(found)


def test_what_comes_after_the_decision_is_shown_and_said_not_to_have_been_asked():
    words = told(record_of("broken", metrics=BROKEN | {"path_force_mae_relative_ratio": 0.9}))
    assert "3. no bond 0.4 Å off its length fails: at 0.250 ps <- decided" in words
    assert "fails: 0.9, limit 0.2 (not asked any more)" in words
    assert "2. kinetic temperature in bounds holds: 500, limit 1500 K 3." in words


def test_under_a_thermostat_energy_is_not_asked():
    none = {"energy_drift_meV_per_atom_per_ps": None, "true_energy_change_max_meV_per_atom": None}
    checks = {c.by: c.state for c in checks_of(record_of("faithful", settings={"ensemble": "nvt"}, metrics=none))}
    assert checks["energy_drift"] == checks["true_energy_change_max"] == "not asked"
    assert checks["force_ratio"] == "holds"


def test_where_it_broke_and_how_the_force_error_went_is_told():
    place = {"event": "bond_broken", "atoms": [2, 7], "elements": ["C", "H"], "bonds_from_group": 1, "at_ps": 0.25}
    evidence = {
        "where": place,
        "along": {
            "time_ps": [0.5, 0.6, 0.7, 0.8, 0.9, 1.0], "force_mae_eV_per_A": [0.1, 0.1, 0.2, 0.2, math.nan, 0.5],
            "true_energy_change_meV_per_atom": [0.0, 1.0, -7.0, 2.0, math.nan, 3.0],
        },
        "force_mae_by_bonds_from_group_eV_per_A": {"0": 0.3, "1": 0.2, "10": 0.1},
        "last_frames": "failures/x.extxyz",
    }  # fmt: skip
    static = record_of(None, protocol="static-errors", metrics={"force_mae_eV_per_A": 0.02})
    words = told(record_of("broken", metrics=BROKEN, evidence=evidence), static)
    assert "a bond went too far off its length, atoms 2-7 (C-H), 1 bond from a functional group" in words
    assert "0.060 eV/Å on average, 3.00 times the static error of this molecule (0.020)" in words
    assert (
        "0.5 to 1 ps: 0.100, 0.200, 0.500; at worst 0.500 at 1.000 ps; 1 of 6 labelled frames have no number" in words
    )
    assert "changed by up to -7.0 meV/atom, at 0.700 ps, and by +3.0 at the end" in words
    assert "0: 0.300, 1: 0.200, 10: 0.100" in words
    assert "failures/x.extxyz (frames on the way to what went wrong)" in words


def test_neighbours_are_told():
    mine = record_of("drifting", metrics={"energy_drift_meV_per_atom_per_ps": 4.0})
    others = [
        record_of("faithful", seed=1),
        record_of("broken", seed=2, metrics=BROKEN),
        record_of("silent", settings={"temperature_K": 500.0}),
        record_of("faithful", molecule="ethanoic acid", split="id", metrics={"energy_drift_meV_per_atom_per_ps": 0.3}),
        record_of("faithful", molecule="propanoic acid", split="id"),
        record_of(None, "strained: 11 meV/atom", protocol="relaxation", settings={"start": "structure"}),
    ]
    words = told(mine, *others)
    assert "Other seeds of the molecule: seed 1 faithful, seed 2 broken at 0.250 ps." in words
    assert "Under other conditions: 500 K, NVE, 1.5 ps, seed 0: silent." in words
    assert "ID molecules under this condition: 2 faithful; energy drift 0.2 meV/atom/ps on average." in words
    assert "In the same folder, relaxed from the structure: strained: 11 meV/atom." in words


def test_a_record_from_before_there_was_evidence_says_what_is_not_on_record():
    words = told(record_of("broken", "bond changed by 0.51 Å at 0.250 ps, atoms 2-7", metrics=BROKEN))
    assert "Where it went wrong is not on record" in words
    assert "how it went in time is not on record" in words
    assert "the static error of this molecule is not on record" in words
    assert "because: bond changed by 0.51 Å at 0.250 ps, atoms 2-7" in words
    assert "Nothing broke" in told(record_of("silent", metrics={"path_force_mae_relative_ratio": 0.3}))


def test_a_run_that_could_not_be_made_has_its_reason_and_nothing_else():
    bare = Record(
        model="painn", model_sha256="ab", family="painn", molecule="ethanamine", formula="C2H7N", split="ood",
        task="x", protocol="stability", settings={}, seed=0, verdict="unsupported", reason="painn does not know N",
    )  # fmt: skip
    words = told(bare)
    assert "could the run be made fails <- decided" in words
    assert "no frame of it was labelled" in words
    assert "Frames: none on record." in words


def test_the_command_that_repeats_a_run_is_one_that_the_command_line_takes():
    import shlex

    from gmd26_md.commands.stability import command

    line = repeat_command(record_of("broken", seed=2, settings={"nve_ps": 3.0}), "checkpoints/painn.pt")
    program, name, *rest = shlex.split(line)
    assert (program, name) == ("gmd26-md", "stability")
    given = command.make_context("stability", rest).params
    assert given["only"] == ("propanedioic acid",)
    assert (given["temperatures"], given["ensembles"], given["seed"]) == ((300.0,), ("nve",), 2)
    assert (given["run_ps"], given["n_seeds"], given["max_force_ratio"]) == (1.5, 1, 0.2)
    assert given["max_drift_mev_per_atom_per_ps"] == 2.0
    assert (given["device"], given["dtype"], given["engine"]) == ("cpu", "float32", "batched")
    assert repeat_command(record_of("broken"), None).endswith("# CHECKPOINT: painn, sha256 ab12")


@pytest.fixture
def folder(tmp_path):
    for r in (
        record_of("faithful", molecule="ethanoic acid", split="id"),
        record_of("silent", metrics={"path_force_mae_relative_ratio": 0.3}, trajectory="trajectories/x.extxyz"),
        record_of(None, protocol="static-errors", metrics={"force_mae_eV_per_A": 0.02}),
    ):
        append_record(tmp_path / "run" / "records.jsonl", r)
    return tmp_path / "run"


def test_the_command_tells_of_those_that_are_not_faithful_of_one_or_of_all(cli, folder):
    code, out, err = cli("verdict", folder)
    assert (code, err) == (0, "")
    assert out.startswith("propanedioic acid (C3H4O4, OOD), painn, 300 K, NVE, 1.5 ps, seed 0: silent\n")
    assert "ethanoic acid (" not in out
    assert "x.extxyz, which is gone" in out
    _, out, _ = cli("verdict", folder, "malonic acid")  # its everyday name
    assert out.startswith("propanedioic acid")
    _, out, _ = cli("verdict", folder, "ethanoic acid")
    assert ": faithful\n" in out
    _, out, _ = cli("verdict", folder, "--all", "--json")
    assert [f["verdict"] for f in json.loads(out)] == ["faithful", "silent"]


def test_all_faithful_is_said(cli, tmp_path):
    append_record(tmp_path / "run" / "records.jsonl", record_of("faithful"))
    assert cli("verdict", tmp_path / "run")[1].startswith("all 1 runs are faithful")


def test_the_command_refuses_what_it_cannot_use(cli, folder, tmp_path):
    append_record(tmp_path / "static" / "records.jsonl", record_of(None, protocol="static-errors"))
    for arguments, word in (
        ([tmp_path / "nowhere"], "no records"),
        ([tmp_path / "static"], "static-errors"),
        ([folder, "propanedoic acid"], "'propanedioic acid'"),
    ):
        code, out, err = cli("verdict", *arguments)
        assert (code, out) == (2, "")
        assert word in err
        assert len(err.splitlines()) == 1
