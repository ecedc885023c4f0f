"""How fast molecules move: the engine beside ASE's loops and the bare model, in one run.

    python benchmarks/dynamics.py

measures every family in rounds: in each round all ways of moving the same molecules follow one another, and ratios are
taken inside a round, so that a machine that is slow for a minute is slow for all. Every measurement is a line of
`measurements.jsonl` as it is made; a killed run goes on, `--fresh` begins anew. At the end it writes `README.md` (the
table) and `dynamics.svg` (the plot) beside them.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
FAMILIES = ("deepset-moe", "schnet", "painn", "mace")
BATCHES = (1, 4, 16, 64, 256, 1024)
MOST_BARE_GIB = 4.0  # the bare model in one call is left out where it would keep more


@dataclass(frozen=True)
class Plan:
    """What is measured: `seconds` is about what one measurement takes."""

    families: tuple[str, ...]
    dtypes: tuple[str, ...]
    batches: tuple[int, ...]
    n_rounds: int
    seconds: float


@click.command()
@click.option("--family", "families", multiple=True, type=click.Choice(FAMILIES), help="Only these.")
@click.option("--dtype", "dtypes", multiple=True, type=click.Choice(["float64", "float32"]), default=("float64",))
@click.option("--batch", "batches", multiple=True, type=click.IntRange(1), help="Only these sizes.")
@click.option("--rounds", "n_rounds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--seconds", type=float, default=2.0, show_default=True, help="About what one measurement takes.")
@click.option("--out", type=click.Path(path_type=Path), default=HERE / "results" / "dynamics", help="Folder.")
@click.option("--fresh", is_flag=True, help="Begin anew.")
@click.option("--quick", is_flag=True, help="A smoke test of seconds; its figures mean nothing.")
def main(
    families: tuple[str, ...],
    dtypes: tuple[str, ...],
    batches: tuple[int, ...],
    n_rounds: int,
    seconds: float,
    out: Path,
    fresh: bool,
    quick: bool,
) -> None:
    """Measure molecule-steps a second and write table and plot."""
    plan = Plan(families or FAMILIES, dtypes, batches or BATCHES, n_rounds, seconds)
    if quick:
        plan = Plan(families or FAMILIES, dtypes, batches or (1, 4), 1, 0.0)
    out.mkdir(parents=True, exist_ok=True)
    lines = out / "measurements.jsonl"
    if fresh:
        lines.unlink(missing_ok=True)
    measure(plan, lines)
    from report import write_report

    write_report(lines, out)
    click.echo(f"{out / 'README.md'} and {out / 'dynamics.svg'} written")


def measure(plan: Plan, path: Path) -> None:
    """Add the measurements that are missing to the file."""
    import torch
    from machine import description

    done = [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []
    have = {_key(one) for one in done}
    began = time.monotonic()
    with path.open("a", encoding="utf-8") as handle:

        def add(line: dict[str, Any]) -> None:
            handle.write(json.dumps(line) + "\n")
            handle.flush()

        if not done:
            add({"what": "machine", **description()})
        for family in plan.families:
            for dtype in plan.dtypes:
                bench = Bench(family, dtype, plan)
                for n_round in range(plan.n_rounds):
                    for what, batch, take in bench.measurements():
                        line = {"what": what, "family": family, "dtype": dtype, "round": n_round, "batch": batch}
                        if _key(line) not in have:
                            add({**line, **take(), "threads": torch.get_num_threads()})
                    click.echo(f"{family} {dtype} round {n_round + 1}: {time.monotonic() - began:.0f} s", err=True)


def _key(line: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(line.get(name) for name in ("what", "family", "dtype", "round", "batch"))


class Bench:
    """One family in one precision: its calculators, its potential, and the molecules."""

    def __init__(self, family: str, dtype: str, plan: Plan) -> None:
        import roads

        self.plan, self.roads = plan, roads
        checkpoint = ROOT / "checkpoints" / f"{family}-duplication.pt"
        self.molecules = roads.molecules()
        self.provider = roads.PotentialForces(roads.potential_of(checkpoint, dtype))
        self.vendors = roads.vendor_calculators(family, checkpoint, dtype)
        self.ours = roads.our_calculator(checkpoint, dtype)

    def batch(self, size: int) -> list[Any]:
        """Return so many molecules, mixed."""
        return [self.molecules[i % len(self.molecules)] for i in range(size)]

    def measurements(self) -> Iterator[tuple[str, int, Callable[[], dict[str, Any]]]]:
        """Yield the measurements of a round: name, batch size (0: molecule by molecule), and what takes it."""
        for name, calculator in {**self.vendors, "ours": self.ours}.items():
            yield f"ase loop, {name}", 0, lambda c=calculator: self._loops(c)
        for size in self.plan.batches:
            yield "bare model", size, lambda n=size: self._bare(n)
            yield "shards", size, lambda n=size: self._calls(self.roads.shards_alone(self.provider, self.batch(n)), n)
            yield "engine", size, lambda n=size: self._engine(n, 0.0)
            if size == 64 or size == max(self.plan.batches) < 64:
                yield "engine, langevin", size, lambda n=size: self._engine(n, 0.01)

    def _loops(self, calculator: Any) -> dict[str, Any]:
        """Return seconds a step for every molecule."""
        if self.plan.seconds == 0.0:
            return {"s_per_step": {str(a.symbols): self.roads.ase_loop(calculator, a, 1) for a in self.molecules}}
        found = {}
        for atoms in self.molecules:
            once = self.roads.ase_loop(calculator, atoms, 2)
            n = max(3, round(2.0 * self.plan.seconds / len(self.molecules) / once))
            found[str(atoms.symbols)] = self.roads.ase_loop(calculator, atoms, n)
        return {"s_per_step": found}

    def _bare(self, size: int) -> dict[str, Any]:
        from gmd26_md.dynamics.capacity import typical_pairs

        cutoff = self.provider.potential.cutoff
        pairs = sum(typical_pairs(len(a), cutoff) for a in self.batch(size))
        gib = 2.0 * pairs * self.provider.bytes_per_pair / 2**30
        if gib > MOST_BARE_GIB:
            return {"left_out": f"would keep some {gib:.0f} GiB in one call"}
        return self._calls(self.roads.bare_model(self.provider.potential, self.batch(size)), size)

    def _calls(self, call: Callable[[], object], size: int) -> dict[str, Any]:
        from machine import peak_MiB

        once, peak = peak_MiB(lambda: self.roads.seconds_a_call(call, 1))
        n = min(max(2, round(self.plan.seconds / once)), 400)
        return {
            "s_per_step": once if self.plan.seconds == 0.0 else self.roads.seconds_a_call(call, n),
            "peak_MiB": peak,
        }

    def _engine(self, size: int, friction: float) -> dict[str, Any]:
        from machine import peak_MiB

        batch = self.batch(size)
        once, peak = peak_MiB(lambda: self.roads.engine(self.provider, batch, 2, friction))
        n = min(max(4, math.ceil(self.plan.seconds / once)), 400)
        seconds = once if self.plan.seconds == 0.0 else self.roads.engine(self.provider, batch, n, friction)
        return {"s_per_step": seconds, "peak_MiB": peak}


if __name__ == "__main__":
    main()
