"""What a campaign costs, said before: known answers for counts, and nothing made up for what cannot be timed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from ase.build import molecule
from ase.io import write
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
        ("{nve-ps: 4, thermalise-ps: 2}", 1, 4.0),  # another spelling of the option
        ("{temperature-K: [300, 300]}", 1, 1.0),  # run once
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


def test_distributions_go_by_the_length_of_their_runs(tmp_path: Path) -> None:
    path = tmp_path / "campaign.yaml"
    for options, length in (("{}", 1.0), ("{run-ps: 10.5, n-runs: 4}", 4.0)):
        one(tmp_path, "{}")
        path.write_text(path.read_text("utf-8").replace("stability: {}", f"distributions: {options}"), "utf-8")
        assert estimate._run_length(units_of(read_campaign(path))[0]) == pytest.approx(length)


OWN = """
name: audit
out: {folder}/out
models: [{{model: '{folder}/own.py:{function}', name: own, options: {options}}}]
molecules: [{folder}/mine.xyz]
protocols: [stability]
"""
CODE = """
import torch
from pathlib import Path
from ase.calculators.emt import EMT

class Telling(EMT):
    def calculate(self, *given):
        Path(self.file).write_text(str(torch.get_num_threads()))
        super().calculate(*given)

def tells(file):
    made = Telling()
    made.file = file
    return made

def of_another_sort():
    return EMT()
"""


def plan_of_own(folder: Path, function: str, options: str = "{}") -> list[Unit]:
    """Return the one unit of a model and a water molecule of one's own."""
    (folder / "own.py").write_text(CODE, encoding="utf-8")
    write(folder / "mine.xyz", molecule("H2O"))
    text = OWN.format(folder=folder, function=function, options=options)
    (folder / "campaign.yaml").write_text(text, encoding="utf-8")
    return units_of(read_campaign(folder / "campaign.yaml"))


def test_structures_of_one_s_own_are_timed_with_the_model_s_arguments_and_take_disk(tmp_path: Path) -> None:
    units = plan_of_own(tmp_path, "tells", f"{{model-arg: file={tmp_path / 'told'}}}")
    (cost,) = estimate.costs(tmp_path / "out", units, units[0].python, n_threads=1)
    assert cost.source == "a few evaluations, timed here"
    assert cost.hours > 0
    assert cost.disk_MB == pytest.approx((51 + 101) * 3 * 180e-6)
    assert (tmp_path / "told").read_text(encoding="utf-8") == "1"  # threads, as a worker has them


def test_whatever_a_model_does_the_plan_is_shown_and_says_why_it_was_not_timed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(*given: object, **more: object) -> None:
        raise IndexError("out of\nrange")

    plan_of_own(tmp_path, "of_another_sort")
    monkeypatch.setattr("gmd26_md.protocols.subject.open_subject", wrong)
    told = CliRunner().invoke(command, ["run", str(tmp_path / "campaign.yaml"), "--dry-run"])
    assert told.exit_code == 0, told.output
    assert "own: not timed: IndexError: out of range\n" in told.output


def test_the_time_of_a_unit_is_that_of_its_own_task_where_one_is_done(tmp_path: Path) -> None:
    (unit,) = plan_of_own(tmp_path, "of_another_sort")
    small, large, other = (replace(unit, key=task, task=task) for task in ("small", "large", "other"))
    for done, seconds in ((small, 10.0), (large, 90.0)):
        folder = tmp_path / "out" / "units" / done.key
        folder.mkdir(parents=True)
        (folder / "unit.json").write_text(json.dumps({"wall_s": seconds}), encoding="utf-8")
    todo = [replace(large, key="more"), other]
    found = {c.task: c.hours * 3600 for c in estimate.costs(tmp_path / "out", [small, large, *todo], unit.python)}
    assert found == pytest.approx({"small": 0.0, "large": 90.0, "other": 50.0})
