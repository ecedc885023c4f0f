"""`reproduce`: the plan, and a whole line on two alcohols, with what is done, redone and left out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from gmd26_md import reproduction
from gmd26_md.commands.reproduce import command
from gmd26_md.errors import UserError
from gmd26_md.reproduction import Plan, _key, checked_pythons, folders_of, reproduce, stages
from gmd26_md.strict_json import decoded

TASK = """
name: tiny
note: the smallest alcohols
train:
  - {smiles: CO, name: methanol, family: small}
ood:
  - {smiles: OO, name: hydrogen peroxide, family: small}
"""
RECIPE = """
family = "deepset-moe"
batch_atoms = 64
n_steps = 20
validate_every_steps = 10
"""

FRAMES = ("--n-primary", "6", "--n-secondary", "102", "--interval-fs", "2.5")
SMALL = (*FRAMES, "--equilibrate-ps", "0.05", "--workers", "1")


def plan(out: Path, **changed: object) -> Plan:
    return replace(Plan(("duplication",), ("mace",), out / "data", out), **changed)  # type: ignore[arg-type]


def names(found: Plan) -> list[str]:
    return [stage.name for stage in stages(found)]


def test_tasks_share_the_training_that_they_have_in_common(tmp_path: Path) -> None:
    found = names(plan(tmp_path, task_names=("duplication", "fission"), preset=""))
    assert found == [
        "data-duplication", "train-mace-duplication", "static-mace-duplication", "data-fission", "static-mace-fission",
    ]  # fmt: skip


def test_a_task_whose_models_are_another_s_trains_that_one(tmp_path: Path) -> None:
    found = {stage.name: stage for stage in stages(plan(tmp_path, task_names=("fission",)))}
    assert "duplication" in found["train-mace-duplication"].arguments
    assert "fission" in found["stability-mace-fission"].arguments


def test_a_family_runs_by_the_python_that_was_named_for_it(tmp_path: Path) -> None:
    other = tmp_path / "python"
    other.touch()
    found = stages(plan(tmp_path, families=("mace", "nequip"), pythons=checked_pythons([f"nequip={other}"])))
    assert {s.python for s in found if "nequip" in s.name} == {str(other)}
    assert str(other) not in {s.python for s in found if "nequip" not in s.name}
    for wrong, words in (("nequip", "FAMILY=PATH"), (f"nequip={tmp_path / 'no'}", "does not exist")):
        with pytest.raises(UserError, match=words):
            checked_pythons([wrong])


def test_the_command_refuses_before_anything_is_computed(tmp_path: Path) -> None:
    for given, words in (
        (["--task", "duplicatoin", "--families", "mace"], "duplication"),
        (["--task", "duplication", "--families", "mcae"], "mace"),
        (["--task", "duplication", "--families", ","], "names none"),
        (["--task", "duplication", "--families", "mace", "--preset", "quik"], "quick"),
    ):
        with pytest.raises(UserError, match=words):
            CliRunner().invoke(command, [*given, "--out", str(tmp_path / "out")], catch_exceptions=False)
    assert not (tmp_path / "out").exists()


def test_a_dry_run_prints_the_commands_and_runs_none(tmp_path: Path) -> None:
    given = ["--task", "fusion", "--families", "mace,painn", "--out", str(tmp_path / "out"), "--dry-run"]
    lines = CliRunner().invoke(command, given).output.splitlines()
    assert [line.split()[1] for line in lines] == ["data", *["train", "static-errors", "stability"] * 2]
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_whole_line_is_run_once_and_again_only_where_something_changed(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(TASK, encoding="utf-8")
    (tmp_path / "recipe.toml").write_text(RECIPE, encoding="utf-8")
    tiny = plan(
        tmp_path,
        task_names=(str(tmp_path / "tiny.yaml"),),
        families=("deepset-moe",),
        recipe=str(tmp_path / "recipe.toml"),
        preset="",
        data_options=SMALL,
        device="cpu",
    )
    first = reproduce(tiny)
    logs = "\n".join(p.read_text(encoding="utf-8") for p in (tmp_path / "logs").iterdir())
    assert [one.outcome for one in first] == ["done"] * 3, logs
    (folder,) = folders_of(first)
    summary = decoded(json.loads((folder / "summary.json").read_text(encoding="utf-8")))
    assert summary["model"] == "deepset-moe-tiny"
    assert summary["training"]["steps"] == 20
    assert summary["splits"]["ood"]["static_errors"]["force_mae_eV_per_A"]["value"] > 0

    again = {one.stage.name: one.outcome for one in reproduce(tiny)}
    # data are asked for again, as their command knows best; it finds them whole
    assert again == {
        "data-tiny": "done",
        "train-deepset-moe-tiny": "done before",
        "static-deepset-moe-tiny": "done before",
    }

    (primary,) = (tmp_path / "data" / "gfn2-xtb").glob("methanol*/primary.extxyz")
    primary.unlink()
    (tmp_path / "checkpoints" / "deepset-moe-tiny.pt").write_bytes(b"torn")
    changed = {one.stage.name: one.outcome for one in reproduce(tiny)}
    assert changed["data-tiny"] == "done"
    assert changed["static-deepset-moe-tiny"] == "failed"  # another file than it was done for, and no checkpoint

    (tmp_path / "checkpoints" / "deepset-moe-tiny.pt").unlink()
    mended = {one.stage.name: one.outcome for one in reproduce(tiny)}
    assert mended == {"data-tiny": "done", "train-deepset-moe-tiny": "done", "static-deepset-moe-tiny": "done before"}


def test_a_stage_is_another_one_when_its_data_or_recipe_are_others(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPE, encoding="utf-8")
    found = {s.name: s for s in stages(plan(tmp_path, recipe=str(recipe)))}
    train, static = found["train-mace-duplication"], found["static-mace-duplication"]
    before = _key(train), _key(static)
    recipe.write_text(f"{RECIPE}learning_rate = 0.1\n", encoding="utf-8")
    assert (_key(train) == before[0], _key(static) == before[1]) == (False, True)  # static errors read the checkpoint
    again = _key(train)
    unseen = tmp_path / "data" / "gfn2-xtb" / "ethanedioic-acid" / "provenance.json"
    unseen.parent.mkdir(parents=True)
    unseen.write_text("{}", encoding="utf-8")
    assert (_key(train) == again, _key(static) == before[1]) == (True, False)  # an unseen molecule trains nothing
    seen = tmp_path / "data" / "gfn2-xtb" / "ethanoic-acid" / "provenance.json"
    seen.parent.mkdir()
    seen.write_text("{}", encoding="utf-8")
    assert _key(train) != again


def test_two_tasks_of_one_name_are_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text(TASK, encoding="utf-8")
    with pytest.raises(UserError, match="called tiny"):
        stages(plan(tmp_path, task_names=(str(tmp_path / "a.yaml"), str(tmp_path / "b.yaml"))))


def test_what_fails_is_said_and_what_needs_it_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(TASK, encoding="utf-8")
    ended = reproduce(
        plan(tmp_path, task_names=(str(tmp_path / "tiny.yaml"),), preset="", data_options=("--interval-fs", "0.1"))
    )
    assert [one.outcome for one in ended] == ["failed", "left out", "left out"]
    assert "--interval-fs" in ended[0].reason
    assert ended[1].reason == "data-tiny is missing"


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> dict[str, set[str]]:
    """Commands that only leave a file, but for those whose arguments hold one of the words in "fail"."""
    words: dict[str, set[str]] = {"fail": set()}

    def run(command: list[str], **_: object) -> SimpleNamespace:
        if words["fail"] & set(command):
            return SimpleNamespace(returncode=1)
        left = Path(command[command.index("--out") + 1]) / ("best.pt" if "train" in command else "summary.json")
        left.parent.mkdir(parents=True, exist_ok=True)
        left.write_text(" ".join(command), encoding="utf-8")
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(reproduction, "subprocess", SimpleNamespace(run=run, DEVNULL=None))
    return words


def test_what_an_earlier_call_left_is_not_in_the_tables_of_this_one(tmp_path: Path, told: dict[str, set[str]]) -> None:
    one = tmp_path / "static" / "mace-duplication", tmp_path / "stability" / "mace-duplication"
    other = replace(plan(tmp_path), families=("painn",))
    reproduce(other)
    first = reproduce(plan(tmp_path))
    assert folders_of(first) == list(one)  # nothing of painn
    told["fail"] = {"train"}  # its folder is of another training
    longer = reproduce(plan(tmp_path, minutes=60.0))
    assert [e.outcome for e in longer] == ["done", "failed", "left out", "left out"]
    assert all((folder / "summary.json").is_file() for folder in one)
    assert folders_of(longer) == []


def test_a_stage_whose_work_is_gone_is_run_again(tmp_path: Path, told: dict[str, set[str]]) -> None:
    first = reproduce(plan(tmp_path))
    assert [e.outcome for e in reproduce(plan(tmp_path))] == ["done", *["done before"] * 3]
    (folders_of(first)[0] / "summary.json").unlink()
    assert [e.outcome for e in reproduce(plan(tmp_path))] == ["done", "done before", "done", "done before"]
    reproduce(plan(tmp_path, seed=1))  # overwrites the checkpoint
    assert [e.outcome for e in reproduce(plan(tmp_path))] == ["done"] * 4


def test_a_task_without_its_data_is_not_tested_though_its_model_is_there(
    tmp_path: Path, told: dict[str, set[str]]
) -> None:
    told["fail"] = {"fission"}
    ended = {e.stage.name: e for e in reproduce(plan(tmp_path, task_names=("duplication", "fission")))}
    assert ended["stability-mace-duplication"].outcome == "done"
    for name in ("static-mace-fission", "stability-mace-fission"):
        assert (ended[name].outcome, ended[name].reason) == ("left out", "data-fission is missing")
