"""The polymer example whole, by the command line: data, training, static errors, dynamics; and what its records say.

Real are the task, GFN2-xTB, the training and the judgement. Small are the numbers: frames and steps.
"""

import json
import shutil
from pathlib import Path

import pytest

from gmd26_md import tasks
from gmd26_md.calculators import load_checkpoint
from gmd26_md.records import VERDICTS, read_records

EXAMPLE = Path(__file__).parents[2] / "examples" / "tasks" / "polymer.yaml"
LEFT_OUT = ("OCCOCCOCCO", "NCCNCCNCCN", "NCCNCCO", "NCCOCCN")  # for the time they take
N_SECONDARY = 102  # 100 validate; what is left tests ID
RECIPE = """family = "deepset-moe"
batch_atoms = 40
learning_rate = 0.01
warmup_steps = 5
n_steps = 20
validate_every_steps = 20
n_validation_frames_per_molecule = 2
ema_decay = 0.9
[hyperparameters]
n_radial = 6
expert_width = 8
n_features = 8
max_degree = 1
n_products = 4
decoder_width = 16
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Return a folder with the example, without some of its molecules, and the recipe."""
    folder = tmp_path_factory.mktemp("polymer")
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if not any(f"smiles: {smiles}," in line for smiles in LEFT_OUT)]
    assert len(lines) - len(kept) == len(LEFT_OUT)
    (folder / "polymer.yaml").write_text("".join(kept), encoding="utf-8")
    (folder / "small.toml").write_text(RECIPE, encoding="utf-8")
    return folder


def test_data_training_static_errors_and_dynamics_of_a_task_of_ones_own(cli, home, monkeypatch):
    monkeypatch.chdir(home)
    task = tasks.get("polymer.yaml")
    counts = f"--equilibrate-ps 0 --interval-fs 2.5 --n-primary 6 --n-secondary {N_SECONDARY} --workers 2".split()
    code, out, err = cli("data", "generate", "--task", "polymer.yaml", "--out", "data", *counts)
    assert code == 0, err
    assert f"{len(task.molecules)} of {len(task.molecules)} molecules are whole" in out
    assert {path.name for path in (home / "data" / "gfn2-xtb").iterdir()} == {m.slug for m in task.molecules}

    train = ("train", "--family", "deepset-moe", "--task", "polymer.yaml", "--data", "data", "--recipe", "small.toml")
    code, out, err = cli(*train, "--device", "cpu", "--json")
    assert code == 0, err
    model = json.loads(out)["checkpoint"]
    assert model == "training-runs/deepset-moe-polymer/best.pt"
    checkpoint = load_checkpoint(model)
    assert (checkpoint.task, checkpoint.training["task_sha256"]) == ("polymer", task.sha256)

    shared = ("--model", model, "--frames", "data", "--device", "cpu")
    code, _, err = cli("static-errors", *shared)
    assert code == 2
    assert "was trained on polymer, which is no task of the benchmark; name its file with --task" in err

    code, out, err = cli("static-errors", *shared, "--task", "polymer.yaml", "--n-frames", 2, "--json")
    assert code == 0, err
    pooled = {split: found["static_errors"] for split, found in json.loads(out)["splits"].items()}
    assert pooled["id"]["force_mae_eV_per_A"]["n_values"] == 2 * len(task.train)
    assert pooled["ood"]["force_mae_eV_per_A"]["n_values"] == 2 * len(task.ood)

    chosen = ("--task", "polymer.yaml", "--only", "glycol", "--only", "OCCNCCO")
    length = ("--thermalise-ps", 0.002, "--run-ps", 0.005, "--save-every-fs", 1, "--n-label-frames", 2)
    code, out, err = cli("stability", *shared, *chosen, *length, "--out", "run")
    assert code == 0, err
    runs = [r for r in read_records("run/records.jsonl") if r.protocol == "stability"]
    assert {(r.molecule, r.split) for r in runs} == {("glycol", "id"), ("alternating O-N-O", "ood")}
    for run in runs:
        assert (run.task, run.task_sha256) == ("polymer", task.sha256)
        assert run.verdict in VERDICTS
    assert json.loads(Path("run/run.json").read_text())["task_sha256"] == task.sha256
    code, out, _ = cli("verdict", "run", "glycol")
    assert code == 0
    assert "--task" in out
    assert "--task polymer " not in out  # which would be looked for among the benchmark's

    # what trained it may not be called unseen later
    changed = Path("polymer.yaml").read_text().replace("  - {smiles: OCCOCCO, name: diglycol, family: polyether}\n", "")
    Path("changed.yaml").write_text(changed + "  - {smiles: O(CCO)CCO, name: new}\n")
    code, _, err = cli("stability", *shared, "--task", "changed.yaml", *length)
    assert code == 2
    assert "'new' (OOD) of task polymer has trained" in err
    assert "as 'diglycol'" in err

    # nor do its errors stand in the table of another task of that name
    assert cli("table", "--task", "polymer.yaml")[0] == 0
    code, _, err = cli("table", "--task", "changed.yaml")
    assert code == 2
    assert "is of a task polymer with other molecules or splits than changed.yaml has now, and is left out" in err
    assert "static-errors --task changed.yaml" in err


def test_explicit_id_molecules_are_measured_on_their_primary_frames(cli, home, frames_folder, tiny_model, monkeypatch):
    monkeypatch.chdir(home)
    for slug in ("ethanoic-acid", "ethanedioic-acid"):  # the primary frames, and no secondary ones
        (home / "primary" / "gfn2-xtb" / slug).mkdir(parents=True)
        for name, other in (("minimum", "minimum"), ("test", "primary")):
            source = frames_folder / "gfn2-xtb" / slug / f"{name}.extxyz"
            shutil.copy(source, home / "primary" / "gfn2-xtb" / slug / f"{other}.extxyz")
    Path("explicit.yaml").write_text(
        "train: [{family: carboxylic-acids, lengths: 3-4}]\nid: [{molecule: acetic acid}]\n"
        "ood: [{molecule: oxalic acid}]\n"
    )
    command = ("static-errors", "--model", tiny_model, "--frames", "primary", "--task", "explicit.yaml")
    code, out, err = cli(*command, "--device", "cpu", "--json")
    assert code == 0, err
    found = json.loads(out)["splits"]
    assert {split: entry["n_molecules"] for split, entry in found.items()} == {"id": 1, "ood": 1}
    assert found["id"]["static_errors"]["force_mae_eV_per_A"]["n_values"] == 3
