"""`gmd26-md ablation` on the small world: every variant is trained, measured and tabled, and none twice."""

import csv
from dataclasses import replace

import pytest

from gmd26_md import tasks

RECIPE = """family = "deepset-moe"
batch_atoms = 32
learning_rate = 0.01
warmup_steps = 5
n_steps = 20
validate_every_steps = 10
n_validation_frames_per_molecule = 10
ema_decay = 0.9
[hyperparameters]
n_radial = 6
expert_width = 8
n_features = 8
max_degree = 1
n_products = 4
decoder_width = 16
"""


@pytest.fixture
def small_task(monkeypatch, toy_task):
    task = replace(toy_task, name="two-acids", ood=toy_task.ood[:1])
    monkeypatch.setitem(tasks._TASKS, "two-acids", lambda: task)
    return task


@pytest.mark.slow
def test_every_variant_is_trained_measured_and_tabled_and_none_twice(cli, toy_data, small_task, tmp_path):
    recipe = tmp_path / "small.toml"
    recipe.write_text(RECIPE)
    command = (
        *("ablation", "--task", small_task.name, "--data", toy_data, "--recipe", recipe, "--device", "cpu"),
        *("--vary", "max_degree=1,0", "--out", tmp_path / "out"),
    )
    code, out, _ = cli(*command, "--format", "csv")
    assert code == 0
    rows = list(csv.DictReader(out.splitlines()))
    assert [row["model"].split()[0] for row in rows] == ["as-it-is", "max_degree=0"]
    errors = [row["F MAE, eV/Å, ID"] for row in rows]
    assert len(set(errors)) == 2  # different models
    assert all("±" in error for error in errors)
    assert not any("alive" in name or "OOD" in name for name in rows[0])  # of what nobody has there is no column
    trained = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("best.pt")}
    assert len(trained) == 2
    again = cli(*command, "--format", "csv")
    assert again[:2] == (0, out)
    assert {p: p.stat().st_mtime_ns for p in trained} == trained


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--vary", "rooting=both"), "routing"),
        (("--vary", "routing=sideways"), "sideways"),
        (("--vary", "routing"), "name=value"),
        (("--family", "schnet"), "--vary"),
        (("--format", "html"), "markdown"),
    ],
)
def test_what_cannot_be_is_one_line_before_anything_is_trained(cli, toy_data, small_task, tmp_path, more, words):
    code, out, err = cli("ablation", "--task", small_task.name, "--data", toy_data, "--out", tmp_path / "out", *more)
    assert (code, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()
