"""The command that `gmd26-md verdict` prints makes the run again: functions, files of other packages, structures."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from gmd26_md.commands.asked_again import words_of
from gmd26_md.commands.common import Asked
from gmd26_md.files import sha256_of
from gmd26_md.records import Record, read_records
from gmd26_md.report.repeat import repeat_command

COMPILED = Path(__file__).parent / "calculators" / "compiled.nequip.pth"
MINE = """
from ase.calculators.harmonic import HarmonicCalculator, HarmonicForceField
import numpy as np

def make(weights, size=1.0):
    return Springs(float(open(weights).read()) * size)

class Springs(HarmonicCalculator):
    def __init__(self, k):
        HarmonicCalculator.__init__(self, None)
        self.k = k

    def calculate(self, atoms=None, properties=(), system_changes=()):
        self.results = {"energy": self.k * (atoms.positions ** 2).sum(), "forces": -2 * self.k * atoms.positions}
"""
ACETIC = ("--task", "duplication", "--only", "acetic acid")
SHORT = (
    *("--temperature-K", 1, "--thermalise-ps", 0.002, "--run-ps", 0.003, "--save-every-fs", 1, "--n-label-frames", 0),
    *("--device", "cpu", "--seed", 3, "--quiet"),
)


def the_run(folder: Path) -> Record:
    (found,) = [r for r in read_records(folder / "records.jsonl") if r.protocol == "stability"]
    return found


def repeated(cli, folder: Path) -> str:
    """Return the command that `verdict` prints for the one run of a folder."""
    code, out, error = cli("verdict", folder, "--all", "--json")
    assert code == 0, error
    (found,) = json.loads(out)
    return found["repeat"]


def run_again(cli, line: str, out: Path) -> Record:
    program, *words = shlex.split(line, comments=True)
    assert program == "gmd26-md"
    code, _, error = cli(*words, "--out", out, "--quiet")
    assert code == 0, error
    return the_run(out)


@pytest.fixture
def mine(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "k.txt").write_text("0.01")
    monkeypatch.chdir(tmp_path)


def test_a_function_with_arguments_runs_again_and_from_another_folder_too(
    mine, cli, frames_folder, tmp_path, monkeypatch
):
    code, _, error = cli(
        *("stability", "--model", "mine.py:make", "--model-arg", "weights=k.txt", "--model-arg", "size=2"),
        *("--reference", "gfn2-xtb", *ACETIC, "--frames", frames_folder, *SHORT, "--out", "run"),
    )
    assert code == 0, error
    line = repeated(cli, Path("run"))
    assert line.startswith("gmd26-md stability --model ")
    again = run_again(cli, line, tmp_path / "again")
    assert again.key == the_run(tmp_path / "run").key
    assert again.metrics == the_run(tmp_path / "run").metrics
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert repeated(cli, tmp_path / "run").startswith(f"cd {tmp_path} && gmd26-md stability --model {tmp_path}/mine.py")
    (tmp_path / "k.txt").write_text("0.02")
    assert repeated(cli, tmp_path / "run").endswith(f"# {tmp_path}/k.txt has changed since")
    (tmp_path / "mine.py").unlink()
    assert repeated(cli, tmp_path / "run").endswith(f"; {tmp_path}/mine.py is gone")


def test_a_file_of_another_package_runs_again_and_a_folder_of_before_says_what_it_can(cli, frames_folder, tmp_path):
    code, _, error = cli(
        *("stability", "--model", COMPILED, "--trust-pickle", "--level-of-theory", "gfn2-xtb"),
        *(*ACETIC, "--frames", frames_folder, *SHORT, "--out", tmp_path / "run"),
    )
    assert code == 0, error
    again = run_again(cli, repeated(cli, tmp_path / "run"), tmp_path / "again")
    assert again.key == the_run(tmp_path / "run").key
    assert again.metrics == the_run(tmp_path / "run").metrics
    marker = tmp_path / "run" / "run.json"
    content = json.loads(marker.read_text())
    assert content.pop("asked")["files"] == {str(COMPILED): sha256_of(COMPILED)}
    marker.write_text(json.dumps(content))  # as it was before it said how the model was named
    line = repeated(cli, tmp_path / "run")
    assert line.startswith("gmd26-md stability --model CHECKPOINT --task duplication --only 'ethanoic acid' ")
    assert line.endswith(f"# CHECKPOINT: compiled.nequip, sha256 {sha256_of(COMPILED)}")


def test_the_command_has_every_digit_and_is_one_line_whatever_the_names() -> None:
    record = Record(
        model="my\nmodel", model_sha256="a", family="f", molecule="w", formula="H2O", split="ood", task="duplication",
        protocol="stability", seed=0, verdict="faithful",
        settings={"temperature_K": 1 / 3, "run_ps": 2.0, "thresholds": {"force_ratio_max": 2 / 3}},
    )  # fmt: skip
    line = repeat_command(record, None)
    assert line.endswith("# CHECKPOINT: my model, sha256 a")
    words = shlex.split(line, comments=True)
    found = {word: words[i + 1] for i, word in enumerate(words[:-1])}
    assert float(found["--temperature-K"]) == 1 / 3
    assert float(found["--max-force-ratio"]) == 2 / 3
    assert found["--run-ps"] == "2"
    gone = {"words": ["--model", "a"], "files": {"of\nmine.xyz": "0"}}
    assert repeat_command(record, None, gone).endswith("# of mine.xyz is gone")


def test_structures_and_tasks_of_ones_own_are_named_and_names_stay_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("harmonic", "duplication", "mine.xyz", "mine.yaml"):
        Path(name).write_text("")
    asked = Asked(
        model=("harmonic",), task="duplication", molecules=Path("mine.xyz"), only=(), frames=None, out=None,
        device="cpu", dtype="float64", engine="auto", skip_unsupported=True, as_json=False, quiet=False,
    )  # fmt: skip
    found = words_of(asked)
    assert found["words"] == [
        *("--model", "harmonic", "--skip-unsupported", "--task", "duplication"),
        *("--molecules", str(tmp_path / "mine.xyz")),
    ]
    assert (list(found["files"]), found["folder"]) == ([str(tmp_path / "mine.xyz")], "")
    assert words_of(replace(asked, task="mine.yaml", molecules=None))["words"][-1] == str(tmp_path / "mine.yaml")
    record = Record(
        model="harmonic", model_sha256="a", family="harmonic", molecule="w", formula="H2O", split="user", task="user",
        protocol="stability", settings={}, seed=0, verdict="faithful", device="cpu float64 ase",
    )  # fmt: skip
    assert "--molecules mine.xyz --seed 0" in repeat_command(record, None, found), "short where it lies below"
