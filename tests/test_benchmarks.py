"""The benchmarks run, and their tables come from what they measured. Figures of a smoke test mean nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ENV = os.environ | {"OMP_NUM_THREADS": "1"}


def run(*arguments):
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, env=ENV, capture_output=True, text=True, check=True)


@pytest.mark.slow
def test_the_benchmark_of_the_dynamics_runs_and_goes_on(tmp_path):
    options = ("--family", "schnet", "--batch", 1, "--batch", 2, "--quick", "--out", tmp_path)
    run("benchmarks/dynamics.py", *options)
    path = tmp_path / "measurements.jsonl"
    whole = path.read_text().splitlines()
    lines = [json.loads(line) for line in whole]
    assert lines[0]["what"] == "machine"
    assert {line["what"] for line in lines} >= {"engine", "engine, langevin", "bare model", "shards", "ase loop, ours"}
    for line in lines[1:]:
        times = line["s_per_step"]
        assert all(t > 0 for t in (times.values() if isinstance(times, dict) else [times]))
    report = (tmp_path / "README.md").read_text()
    assert "engine / ase loop, " in report
    assert (tmp_path / "dynamics.svg").stat().st_size > 5000
    path.write_text("\n".join(whole[:-1]) + "\n")  # killed before the last
    run("benchmarks/dynamics.py", *options)
    again = path.read_text().splitlines()
    assert again[:-1] == whole[:-1]
    assert len(again) == len(whole)


def test_ratios_are_taken_inside_a_round(tmp_path):
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        from report import Measured, spread
    finally:
        sys.path.pop(0)
    lines = [{"what": "machine"}]
    for n_round, slow in enumerate((1.0, 10.0, 3.0)):  # the machine is slow for a round
        about = {"family": "schnet", "dtype": "float64", "round": n_round}
        lines.append(
            {"what": "ase loop, ours", "batch": 0, "s_per_step": {"H2": 0.1 * slow, "H4": 0.3 * slow}, **about}
        )
        lines.append({"what": "engine", "batch": 4, "s_per_step": 0.2 * slow, **about})
    path = tmp_path / "measurements.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    ratios = Measured(path).ratios("schnet", "float64", "engine", "ase loop, ours", 4)
    # four molecules, 0.1 and 0.3 s in turns, are 0.8 s by themselves
    assert [round(r, 9) for r in ratios] == [4.0, 4.0, 4.0]
    assert spread(ratios) == "4.00 (4.00 to 4.00)"


def test_the_benchmark_of_memory_runs(tmp_path):
    done = run("benchmarks/flat_memory.py", "--steps", 200, "--out", tmp_path / "flat.json")
    found = json.loads((tmp_path / "flat.json").read_text())
    assert [step for step, _ in found["MiB"]] == list(range(20, 201, 20))
    assert found["frames_on_disk_MiB"] > 0.01
    assert "memory moved by" in done.stdout
