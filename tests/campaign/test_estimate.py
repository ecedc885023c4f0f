"""What a campaign costs, said before: known answers for counts, and nothing made up for what cannot be timed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from gmd26_md.campaign import estimate
from gmd26_md.campaign.description import read_campaign
from gmd26_md.campaign.units import Unit, units_of
from gmd26_md.commands.campaign import command

FILE = """
name: audit
out: {out}
models: [{{model: harmonic, environment: other}}]
tasks: [duplication]
protocols: [stability: {options}]
environments: {{other: {python}}}
molecules_per_unit: 1
"""


def one(folder: Path, options: str) -> Unit:
    python = folder / "python"
    python.touch()
    (folder / "campaign.yaml").write_text(FILE.format(out=folder / "out", options=options, python=python), "utf-8")
    return units_of(read_campaign(folder / "campaign.yaml"))[0]


@pytest.mark.parametrize(
    ("options", "n_runs", "length"),
    [
        ("{}", 1, 1.0),  # 0.5 + 1 ps of 0.5 fs are the bare run
        ("{preset: standard}", 3, 11.0 / 1.5),
        ("{preset: thorough, n-seeds: 1}", 1, 52.0 / 1.5),
        ("{temperature-K: [300, 500], n-seeds: 2}", 4, 1.0),
        ("{timestep-fs: 0.25}", 1, 2.0),
        ("{run-ps: 4, thermalise_ps: 2}", 1, 4.0),
    ],
)
def test_runs_and_steps_of_a_unit_are_those_of_its_settings(
    tmp_path: Path, options: str, n_runs: int, length: float
) -> None:
    unit = one(tmp_path, options)
    assert estimate._n_runs(unit) == n_runs
    assert estimate._run_length(unit) == pytest.approx(length)


def test_disk_is_atoms_times_frames(tmp_path: Path) -> None:
    unit = one(tmp_path, "{n-seeds: 2}")
    n_atoms = len(estimate.tasks.get("duplication").find(unit.molecules[0]).atoms())
    # frames at 0, 10, ... 500 fs of thermalising, and at 0, 10, ... 1000 fs of the run
    assert estimate._disk([unit]) == pytest.approx(2 * (51 + 101) * n_atoms * 180e-6)


def test_a_plan_that_cannot_be_timed_is_json_all_the_same(tmp_path: Path) -> None:
    one(tmp_path, "{}")
    told = CliRunner().invoke(command, ["run", str(tmp_path / "campaign.yaml"), "--dry-run", "--json"])
    assert told.exit_code == 0, told.output
    (row,) = json.loads(told.stdout, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert row["worker_hours"] is None
    assert "environment" in row["estimated_from"]
    assert row["n_units"] == 24
