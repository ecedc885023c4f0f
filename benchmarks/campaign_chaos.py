"""Campaigns in trouble beside one that is left alone: are the records the same at the end?

    python benchmarks/campaign_chaos.py --out chaos
    python benchmarks/campaign_chaos.py --out chaos --trouble kills --trouble clock

Four shipped models on two small tasks, on a Dask cluster of two workers. The command is given again until the campaign
is whole, while something goes wrong at random times:

kills   workers are killed by SIGKILL, at least twelve times, and the driver twice
disk    the campaign's disk (a tmpfs of 64 MB, which takes root to mount) is full for some seconds, five times
hang    a process in which a unit computes, model and reference, is stopped and never goes on, four times
file    a model's file becomes another one for some seconds, five times
clock   the wall clock of every process jumps by up to an hour every two seconds

Prints and writes chaos/result.json; the exit code is 1 where a record is missing, added or another one.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import psutil

MODELS = ("schnet", "painn", "deepset-moe", "mace")
TASKS = {
    "alcohols": (["CO", "CCO"], ["OCCO", "OO"]),
    "aldehydes": (["C=O", "CC=O"], ["O=CC=O", "O=CCO"]),
}
NAMES = {
    "CO": "methanol", "CCO": "ethanol", "OCCO": "glycol", "OO": "hydrogen peroxide", "C=O": "methanal",
    "CC=O": "ethanal", "O=CC=O": "glyoxal", "O=CCO": "glycolaldehyde",
}  # fmt: skip
LEFT_OUT = ("cost", "versions", "evidence.wall")  # of a record: times differ, and nothing else may
UNIT_MINUTES = 0.5  # a unit takes some seconds, and a stopped one is waited for so long
JUMPING_CLOCK = '''"""Makes the wall clock of a Python process jump by up to an hour every two seconds."""
import random, time
_true, _chance = time.time, random.Random()
_state = [0.0, 0.0]
def _jumping():
    if time.monotonic() > _state[0]:
        _state[:] = [time.monotonic() + 2.0, _chance.uniform(-3600.0, 3600.0)]
    return _true() + _state[1]
time.time = _jumping
'''


@dataclass
class Scene:
    """One campaign in trouble: where it is, its driver, and how much has gone wrong."""

    name: str
    out: Path
    chance: random.Random
    counts: dict[str, int] = field(default_factory=dict)
    driver: subprocess.Popen[bytes] | None = None

    def count(self, what: str, most: int) -> bool:
        """Count one more of something, unless there were enough."""
        if self.counts.get(what, 0) >= most:
            return False
        self.counts[what] = self.counts.get(what, 0) + 1
        return True


@click.command(help=__doc__.split("\n", 1)[0] if __doc__ else "")
@click.option("--out", type=click.Path(path_type=Path), default=Path("chaos"), show_default=True)
@click.option("--trouble", "troubles", multiple=True, type=click.Choice(["kills", "disk", "hang", "file", "clock"]))
@click.option("--seed", type=int, default=26, show_default=True)
def main(out: Path, troubles: tuple[str, ...], seed: int) -> None:
    """Run the campaign undisturbed, then once in each kind of trouble, and compare."""
    out = out.resolve()
    (out / "checkpoints").mkdir(parents=True, exist_ok=True)
    for model in MODELS:
        shutil.copy(Path("checkpoints") / f"{model}-duplication.pt", out / "checkpoints")
    began = time.monotonic()
    if driver(written(out, "undisturbed", out / "undisturbed")).wait():
        sys.exit("the undisturbed campaign did not come to its end")
    alone_s, whole = time.monotonic() - began, records(out / "undisturbed")
    results: dict[str, Any] = {"n_records": len(whole), "undisturbed_s": alone_s}
    for name in troubles or tuple(TROUBLES):
        results[name] = in_trouble(Scene(name, out, random.Random(seed)), whole)
        (out / "result.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
        click.echo(f"{name}: {json.dumps(results[name])}")
    worse = [
        r for r in results.values() if isinstance(r, dict) and any(r[k] for k in ("missing", "added", "differing"))
    ]
    sys.exit(bool(worse))


def in_trouble(scene: Scene, whole: dict[str, Any]) -> dict[str, Any]:
    """Give the command until the campaign is whole, with trouble at random times; return what came of it."""
    disturb, around = TROUBLES[scene.name]
    began, n_calls = time.monotonic(), 0
    with around(scene) as (folder, environment):
        path = written(scene.out, scene.name, folder)
        while True:
            scene.driver = driver(path, environment)
            n_calls += 1
            while scene.driver.poll() is None:
                time.sleep(scene.chance.uniform(2.0, 6.0))
                disturb(scene)
            if scene.driver.returncode == 0:
                break
        found = records(folder)
    return {
        "counts": scene.counts,
        "n_calls": n_calls,
        "wall_s": time.monotonic() - began,
        "missing": sorted(set(whole) - set(found)),
        "added": sorted(set(found) - set(whole)),
        "differing": sorted(key for key in set(whole) & set(found) if whole[key] != found[key]),
    }


def kill(scene: Scene) -> None:
    """Kill a worker, and after every sixth the driver."""
    running = _running(scene)
    busy = [worker for worker in workers(running.pid) if worker.children()]
    if busy and scene.count("workers killed", 12):
        scene.chance.choice(busy).send_signal(signal.SIGKILL)
    if scene.counts.get("workers killed", 0) >= 6 * (scene.counts.get("drivers killed", 0) + 1) and scene.count(
        "drivers killed", 2
    ):
        running.send_signal(signal.SIGKILL)
        running.wait()


def fill_disk(scene: Scene) -> None:
    """Fill the campaign's disk for some seconds."""
    if not scene.count("disk full", 5):
        return
    filler = scene.out / "small-disk" / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as handle:
        while True:
            handle.write(bytes(65536))
    time.sleep(scene.chance.uniform(3.0, 8.0))
    filler.unlink()


def stop(scene: Scene) -> None:
    """Stop a process that runs a unit, for good."""
    at_work = [child for worker in workers(_running(scene).pid) for child in worker.children()]
    if at_work and scene.count("processes stopped", 4):
        scene.chance.choice(at_work).send_signal(signal.SIGSTOP)


def swap(scene: Scene) -> None:
    """Make a model's file another one for some seconds."""
    if not scene.count("files swapped", 5):
        return
    path = scene.out / "checkpoints" / f"{scene.chance.choice(MODELS)}-duplication.pt"
    kept = path.with_suffix(".kept")
    shutil.copy(path, kept)
    with path.open("ab") as handle:
        handle.write(b"another file")
    time.sleep(scene.chance.uniform(3.0, 8.0))
    kept.replace(path)


def nothing(scene: Scene) -> None:
    """Only count how long the clocks jump."""
    scene.count("looks", 10**9)


@contextlib.contextmanager
def in_folder(scene: Scene) -> Iterator[tuple[Path, dict[str, str]]]:
    """Run in a folder of its own."""
    yield scene.out / scene.name, {}


@contextlib.contextmanager
def on_small_disk(scene: Scene) -> Iterator[tuple[Path, dict[str, str]]]:
    """Run on a tmpfs of 64 MB, and remove it."""
    disk = scene.out / "small-disk"
    disk.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(disk)], check=True)
    try:
        yield disk / scene.name, {}
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


@contextlib.contextmanager
def with_jumping_clock(scene: Scene) -> Iterator[tuple[Path, dict[str, str]]]:
    """Run with a clock that jumps in every Python process."""
    folder = scene.out / "jumping-clock"
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(JUMPING_CLOCK, encoding="utf-8")
    yield scene.out / scene.name, {"PYTHONPATH": str(folder)}


Around = Callable[[Scene], contextlib.AbstractContextManager[tuple[Path, dict[str, str]]]]
TROUBLES: dict[str, tuple[Callable[[Scene], None], Around]] = {
    "kills": (kill, in_folder),
    "disk": (fill_disk, on_small_disk),
    "hang": (stop, in_folder),
    "file": (swap, in_folder),
    "clock": (nothing, with_jumping_clock),
}


def written(out: Path, name: str, folder: Path) -> Path:
    """Write the tasks and a campaign file, and return its path; what it makes goes into `folder`."""
    for task, (train, ood) in TASKS.items():
        lines = [f"name: {task}", "note: small molecules"]
        for split, smiles in (("train", train), ("ood", ood)):
            lines += [f"{split}:", *[f"  - {{smiles: '{s}', name: '{NAMES[s]}', family: small}}" for s in smiles]]
        (out / f"{task}.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    models = "\n".join(
        f"  - {{model: {out}/checkpoints/{m}-duplication.pt, options: {{dtype: float64}}}}" for m in MODELS
    )
    path = out / f"{name}.yaml"
    path.write_text(
        f"name: {name}\nout: {folder}\nmodels:\n{models}\n"
        f"tasks: [{', '.join(str(out / f'{task}.yaml') for task in TASKS)}]\n"
        f"molecules_per_unit: 1\nunit_minutes: {UNIT_MINUTES}\n"
        "protocols:\n  - stability: {run-ps: 0.1, thermalise-ps: 0.05, n-label-frames: 5, n-seeds: 3}\n",
        encoding="utf-8",
    )
    return path


def driver(path: Path, environment: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start `campaign run` on a Dask cluster of two workers."""
    arguments = ["-m", "gmd26_md", "campaign", "run", str(path), "--engine", "dask", "--workers", "2", "--quiet"]
    return subprocess.Popen(
        [sys.executable, *arguments], stdout=subprocess.DEVNULL, env=os.environ | (environment or {})
    )


def workers(pid: int) -> list[psutil.Process]:
    """Return the Dask workers of a driver."""
    try:
        children = psutil.Process(pid).children()
        return [child for child in children if "spawn_main" in " ".join(child.cmdline())]
    except psutil.Error:
        return []


def records(out: Path) -> dict[str, Any]:
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


def _running(scene: Scene) -> subprocess.Popen[bytes]:
    if scene.driver is None:
        raise RuntimeError("no driver")
    return scene.driver


if __name__ == "__main__":
    main()
