"""A campaign whose workers and driver are killed at random, beside one that is left alone: the same records?

    python benchmarks/campaign_chaos.py --out chaos --n-kills 12 --n-driver-kills 2

Four shipped models on two small tasks, on a Dask cluster of two workers. Prints and writes chaos/result.json.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil

MODELS = ("schnet", "painn", "deepset-moe", "mace")
TASKS = {
    "alcohols": (["CO", "CCO"], ["OCCO", "OO"]),
    "aldehydes": (["C=O", "CC=O"], ["O=CC=O", "O=CCO"]),
}
LEFT_OUT = ("cost", "versions", "evidence.wall")  # of a record: times differ, and nothing else may


def main() -> None:
    """Run both campaigns and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("chaos"))
    parser.add_argument("--n-kills", type=int, default=12, help="of workers")
    parser.add_argument("--n-driver-kills", type=int, default=2)
    parser.add_argument("--seed", type=int, default=26)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    _finish(_written(given.out, "undisturbed"))
    alone_s = time.monotonic() - began
    result = _disturbed(_written(given.out, "disturbed"), given, random.Random(given.seed))
    first, second = (_records(given.out / name) for name in ("undisturbed", "disturbed"))
    result |= {
        "n_records": len(first),
        "undisturbed_s": alone_s,
        "missing": sorted(set(first) - set(second)),
        "added": sorted(set(second) - set(first)),
        "differing": sorted(key for key in set(first) & set(second) if first[key] != second[key]),
    }
    (given.out / "result.json").write_text(json.dumps(result, indent=1), encoding="utf-8")
    print(json.dumps(result, indent=1))
    sys.exit(bool(result["missing"] or result["added"] or result["differing"]))


def _written(out: Path, name: str) -> Path:
    for task, (train, ood) in TASKS.items():
        molecules = {"train": train, "ood": ood}
        lines = [f"name: {task}", "note: small molecules"]
        for split, smiles in molecules.items():
            lines += [f"{split}:", *[f"  - {{smiles: '{s}', name: '{_name(s)}', family: small}}" for s in smiles]]
        (out / f"{task}.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    models = "\n".join(f"  - {{model: checkpoints/{m}-duplication.pt, options: {{dtype: float64}}}}" for m in MODELS)
    path = out / f"{name}.yaml"
    path.write_text(
        f"name: {name}\nout: {out / name}\nmodels:\n{models}\n"
        f"tasks: [{', '.join(str(out / f'{task}.yaml') for task in TASKS)}]\nmolecules_per_unit: 1\n"
        "protocols:\n  - stability: {run-ps: 0.1, thermalise-ps: 0.05, n-label-frames: 5, n-seeds: 3}\n",
        encoding="utf-8",
    )
    return path


def _name(smiles: str) -> str:
    return {"CO": "methanol", "CCO": "ethanol", "OCCO": "glycol", "OO": "hydrogen peroxide", "C=O": "methanal",
            "CC=O": "ethanal", "O=CC=O": "glyoxal", "O=CCO": "glycolaldehyde"}[smiles]  # fmt: skip


def _driver(path: Path) -> subprocess.Popen[bytes]:
    command = [
        sys.executable,
        "-m",
        "gmd26_md",
        "campaign",
        "run",
        str(path),
        "--engine",
        "dask",
        "--workers",
        "2",
        "--quiet",
    ]
    return subprocess.Popen(command)


def _finish(path: Path) -> None:
    code = _driver(path).wait()
    if code:
        sys.exit(f"{path} ended with {code}")


def _disturbed(path: Path, given: argparse.Namespace, chance: random.Random) -> dict[str, Any]:
    """Kill workers and driver at random times until the numbers are reached, then let the campaign end."""
    n_kills = n_drivers = n_calls = 0
    began = time.monotonic()
    while True:
        driver = _driver(path)
        n_calls += 1
        while driver.poll() is None:
            time.sleep(chance.uniform(2.0, 6.0))
            workers = _workers(driver.pid)
            if n_kills < given.n_kills and workers:
                chance.choice(workers).send_signal(signal.SIGKILL)
                n_kills += 1
            if n_drivers < given.n_driver_kills and n_kills >= (n_drivers + 1) * given.n_kills // (
                given.n_driver_kills + 1
            ):
                driver.send_signal(signal.SIGKILL)
                driver.wait()
                n_drivers += 1
        if driver.returncode == 0:
            seconds = time.monotonic() - began
            return {"n_worker_kills": n_kills, "n_driver_kills": n_drivers, "n_calls": n_calls, "disturbed_s": seconds}


def _workers(pid: int) -> list[psutil.Process]:
    """Return the Dask workers of a driver: its own child processes that have started a unit's child."""
    try:
        children = psutil.Process(pid).children()
        return [child for child in children if "spawn_main" in " ".join(child.cmdline()) and child.children()]
    except psutil.Error:
        return []


def _records(out: Path) -> dict[str, Any]:
    """Return the records of a campaign by key, without what times alone decide."""
    found = {}
    for path in sorted((out / "runs").glob("*/records.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            # the same settings may be asked of several models: the hash of the model is part of the key
            key = json.dumps([record[name] for name in ("protocol", "model_sha256", "molecule", "settings", "seed")])
            if key in found:
                sys.exit(f"{key} is there twice")
            found[key] = {name: value for name, value in record.items() if name not in LEFT_OUT}
    return found


if __name__ == "__main__":
    main()
