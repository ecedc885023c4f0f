"""What the evidence costs: every protocol beside a bare run of the same model on the same molecules.

    python benchmarks/evidence_cost.py --out benchmarks/results/evidence_cost.json

The unit is the bare run: the steps of the stability protocol through the engine, with no checks, no labels, no files
and no verdict. In each round all follow one another, and ratios are taken inside a round. Labels and other work of the
reference run in worker processes beside the dynamics, so on few cores they take time from it: that is in the figures.
"""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from machine import description

from gmd26_md import cli, tasks
from gmd26_md.dynamics.engine import Checks, System, integrate
from gmd26_md.protocols.cases import Case, cases_of_task
from gmd26_md.protocols.relaxation import reference_minimum
from gmd26_md.protocols.stability import preset, segments
from gmd26_md.protocols.subject import Subject, open_subject

ROOT = Path(__file__).resolve().parent.parent
MOLECULES = ("ethanoic acid", "hexanoic acid", "tridecanoic acid", "propanedioic acid", "octanedioic acid")
PROTOCOLS = ("stability", "static-errors", "relaxation", "conservation", "scan", "distributions")


@dataclass(frozen=True)
class Job:
    """A model, its molecules, and how it computes."""

    model: Path
    dtype: str
    molecules: tuple[str, ...]

    def subject(self) -> Subject:
        """Open the model."""
        return open_subject(str(self.model), device="cpu", dtype=self.dtype)

    def cases(self) -> list[Case]:
        """Return the molecules."""
        frames = self.model.parent / "frames"
        return cases_of_task(tasks.get("duplication"), frames, "gfn2-xtb", only=self.molecules)


def bare_run(job: Job) -> float:
    """Return the seconds of the dynamics alone."""
    settings, subject = preset("quick"), job.subject()
    unchecked = Checks(max_temperature_K=1e9)
    systems = [
        System(
            key=case.slug,
            numbers=case.numbers,
            positions=reference_minimum(case).positions[0],
            seed=0,
            temperature_K=settings.temperature_K,
            segments=tuple(segments(settings)),
            checks=unchecked,
        )
        for case in job.cases()
    ]
    began = time.perf_counter()
    integrate(subject.provider, systems)
    return time.perf_counter() - began


def protocol_run(job: Job, protocol: str) -> dict[str, Any]:
    """Return the seconds of a command, its start-up included, and what its records count."""
    with tempfile.TemporaryDirectory() as folder:
        only = [word for name in job.molecules for word in ("--only", name)]
        arguments = [protocol, "--model", str(job.model), "--dtype", job.dtype, "--device", "cpu", "--quiet", *only]
        began = time.perf_counter()
        try:
            cli.main([*arguments, "--out", f"{folder}/run"])
        except SystemExit as end:
            if end.code:
                raise
        seconds = time.perf_counter() - began
        records = [json.loads(line) for line in Path(folder, "run", "records.jsonl").read_text().splitlines()]
    return {"s": seconds, "n_records": len(records)}


@click.command()
@click.option("--model", type=click.Path(path_type=Path), default=ROOT / "checkpoints" / "schnet-duplication.pt")
@click.option("--dtype", default="float32", show_default=True)
@click.option("--rounds", "n_rounds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--protocol", "protocols", multiple=True, default=PROTOCOLS, help="Only these.")
@click.option("--only", "molecules", multiple=True, default=MOLECULES, help="Only these molecules.")
@click.option("--out", type=click.Path(path_type=Path), required=True)
def main(
    model: Path, dtype: str, n_rounds: int, protocols: tuple[str, ...], molecules: tuple[str, ...], out: Path
) -> None:
    """Measure, write a JSON file after every round, and print the ratios."""
    job = Job(model, dtype, tuple(molecules))
    rounds: list[dict[str, Any]] = []
    for n in range(n_rounds):
        found: dict[str, Any] = {"bare run": {"s": bare_run(job)}}
        for protocol in protocols:
            found[protocol] = protocol_run(job, protocol)
        rounds.append(found)
        out.write_text(json.dumps(_summary(job, rounds), indent=1) + "\n")
        click.echo(f"round {n + 1} of {n_rounds}", err=True)
    for name, ratio in _summary(job, rounds)["over_the_bare_run"].items():
        click.echo(f"{name:20s} {ratio['median']:.2f} ({ratio['low']:.2f} to {ratio['high']:.2f})")


def _summary(job: Job, rounds: list[dict[str, Any]]) -> dict[str, Any]:
    ratios = {
        name: np.array([r[name]["s"] / r["bare run"]["s"] for r in rounds]) for name in rounds[0] if name != "bare run"
    }
    return {
        "machine": description(),
        "model": job.model.name,
        "dtype": job.dtype,
        "molecules": list(job.molecules),
        "bare_run": asdict(preset("quick")),
        "rounds": rounds,
        "over_the_bare_run": {
            name: {"median": float(np.median(r)), "low": float(r.min()), "high": float(r.max())}
            for name, r in ratios.items()
        },
    }


if __name__ == "__main__":
    main()
