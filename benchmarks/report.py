"""From measurements to the table and the plot: ratios are taken inside a round, and their spread stands beside them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

# (a) and targets of the issue that this benchmark was made for: the engine at batch 64 over ASE's loop.
OVER_ASE = {"mace": 5.0, "schnet": 6.0, "painn": 6.0, "deepset-moe": 3.0}
OVER_BARE = 0.9
NAMES = {"deepset-moe": "DeepSet-MoE", "schnet": "SchNet", "painn": "PaiNN", "mace": "MACE"}
MARKERS = {"deepset-moe": "o", "schnet": "s", "painn": "^", "mace": "D"}
COLOURS = {"deepset-moe": "#0072b2", "schnet": "#d55e00", "painn": "#009e73", "mace": "#cc79a7"}


class Measured:
    """All measurements, by what, family, precision, round and batch."""

    def __init__(self, path: Path) -> None:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        self.machine = next(line for line in lines if line["what"] == "machine")
        self.lines = [line for line in lines if line["what"] != "machine"]
        self.by_key = {(o["what"], o["family"], o["dtype"], o["round"], o["batch"]): o for o in self.lines}

    def cases(self) -> list[tuple[str, str]]:
        """Return families and precisions, in order."""
        return list(dict.fromkeys((o["family"], o["dtype"]) for o in self.lines))

    def rounds(self, family: str, dtype: str) -> list[int]:
        """Return the rounds of a case."""
        return sorted({o["round"] for o in self.lines if (o["family"], o["dtype"]) == (family, dtype)})

    def batches(self, family: str, dtype: str) -> list[int]:
        """Return the batch sizes of a case."""
        wanted = ("engine", family, dtype)
        return sorted({o["batch"] for o in self.lines if (o["what"], o["family"], o["dtype"]) == wanted})

    def all_batches(self) -> list[int]:
        """Return the batch sizes of all cases."""
        return sorted({b for case in self.cases() for b in self.batches(*case)})

    def rate(self, what: str, family: str, dtype: str, n_round: int, batch: int) -> float | None:
        """Return molecule-steps a second of a batch; of ASE's loops, over the molecules of that batch."""
        one = self.by_key.get((what, family, dtype, n_round, batch))
        if one is not None and "s_per_step" in one:
            return float(batch / one["s_per_step"])
        loops = self.by_key.get((what, family, dtype, n_round, 0))
        if loops is None:
            return None
        seconds = list(loops["s_per_step"].values())
        return batch / sum(seconds[i % len(seconds)] for i in range(batch))

    def vendor(self, family: str, dtype: str) -> str | None:
        """Return the name of the vendor's fastest loop, by its median over the rounds; None without a vendor."""
        names = {o["what"] for o in self.lines if o["family"] == family and o["dtype"] == dtype and o["batch"] == 0}
        names -= {"ase loop, ours"}
        if not names:
            return None
        rounds = self.rounds(family, dtype)

        def typical(name: str) -> float:
            return float(np.median([self.rate(name, family, dtype, r, 24) or 0.0 for r in rounds]))

        return max(sorted(names), key=typical)

    def ratios(self, family: str, dtype: str, of: str, over: str, batch: int) -> list[float]:
        """Return the ratio of two rates in each round that has both."""
        found = []
        for r in self.rounds(family, dtype):
            one, other = self.rate(of, family, dtype, r, batch), self.rate(over, family, dtype, r, batch)
            if one is not None and other is not None:
                found.append(one / other)
        return found


def spread(values: list[float], digits: int = 2) -> str:
    """Return the median and the range over the rounds."""
    if not values:
        return "-"
    return f"{np.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def against_targets(m: Measured) -> list[list[str]]:
    """Return the rows of the table of targets at batch 64 (or the largest batch measured)."""
    rows = []
    for family, dtype in m.cases():
        at = [b for b in m.batches(family, dtype) if b <= 64][-1]
        vendor, ours = m.vendor(family, dtype), "ase loop, ours"
        loop = vendor or ours
        wanted: list[tuple[str, str, str, int, float]] = [
            ("engine / bare model in one call", "engine", "bare model", at, OVER_BARE),
            ("Langevin engine / bare model in one call", "engine, langevin", "bare model", at, OVER_BARE),
            ("engine / its own forces alone (shards)", "engine", "shards", at, OVER_BARE),
            (f"engine / {loop}", "engine", loop, at, OVER_ASE[family]),
        ]
        if vendor:
            wanted.append((f"one molecule: {ours} / {loop}", ours, loop, 24, 1.0))
        for words, of, over, batch, target in wanted:
            values = m.ratios(family, dtype, of, over, batch)
            if values:
                reached = "reached" if np.median(values) >= target else "**not reached**"
                rows.append([NAMES[family], dtype, words, str(at), spread(values), f"{target:g}", reached])
    return rows


def throughput(m: Measured) -> list[list[str]]:
    """Return molecule-steps a second of every road and batch, median over the rounds, and peak memory."""
    rows = []
    for family, dtype in m.cases():
        loops = sorted({o["what"] for o in m.lines if o["family"] == family and o["batch"] == 0})
        for what in [*loops, "bare model", "shards", "engine", "engine, langevin"]:
            row = [NAMES[family], dtype, what]
            for batch in m.all_batches():
                values = [m.rate(what, family, dtype, r, batch) for r in m.rounds(family, dtype)]
                known = [v for v in values if v is not None]
                row.append(f"{np.median(known):.0f}" if known else "-")
            rows.append(row)
    return rows


def memory(m: Measured) -> list[list[str]]:
    """Return the peak of memory over its start, MiB, largest over the rounds."""
    rows = []
    for family, dtype in m.cases():
        for what in ("bare model", "engine"):
            row = [NAMES[family], dtype, what]
            for batch in m.all_batches():
                found = [m.by_key.get((what, family, dtype, r, batch), {}) for r in m.rounds(family, dtype)]
                peaks = [o["peak_MiB"] for o in found if o.get("peak_MiB") is not None]
                row.append(f"{max(peaks):.0f}" if peaks else "-")
            rows.append(row)
    return rows


def by_atoms(m: Measured) -> list[list[str]]:
    """Return milliseconds a step of one molecule through our calculator, by its number of atoms."""
    from ase.formula import Formula

    rows = []
    for family, dtype in m.cases():
        times = defaultdict(list)
        for r in m.rounds(family, dtype):
            for formula, seconds in m.by_key["ase loop, ours", family, dtype, r, 0]["s_per_step"].items():
                times[len(Formula(formula))].append(1000 * seconds)
        sizes = sorted(times)
        picked = [sizes[round(i)] for i in np.linspace(0, len(sizes) - 1, 5)]
        rows.append([NAMES[family], dtype, *(f"{np.median(times[n]):.1f} ({n} atoms)" for n in picked)])
    return rows


def markdown(head: list[str], rows: list[list[str]]) -> str:
    """Return a table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def write_report(measurements: Path, out: Path) -> None:
    """Write `README.md` and `dynamics.svg`."""
    m = Measured(measurements)
    machine = ", ".join(f"{name} {value}" for name, value in m.machine.items() if name != "what" and value is not None)
    sizes = [f"batch {b}" for b in m.all_batches()]
    n_rounds = max(len(m.rounds(*case)) for case in m.cases())
    text = f"""# Molecule-steps a second

Machine: {machine}.

Molecules: the 24 acids and dicarboxylic acids of duplication, 8 to 41 atoms, mixed; {n_rounds} rounds. A ratio is taken
inside a round; median, and range over the rounds in brackets. Made by `python benchmarks/dynamics.py`.

## Against what was to be reached

{markdown(["model", "precision", "ratio", "batch", "measured", "target", ""], against_targets(m))}

"Bare model" is one call on a fixed batch with its pairs at hand, on all threads. "Shards" are the engine's own forces
on the same molecules: pieces of the batch on threads, pairs included; what is missing to 1 there is the dynamics.

## Molecule-steps a second, median

{markdown(["model", "precision", "road", *sizes], throughput(m))}

ASE's loops do not know batches: their figures are those of the molecules in the batch. "-": not measured, or left
out for memory.

## Memory: peak over the start, MiB

{markdown(["model", "precision", "road", *sizes], memory(m))}

## How cost grows with atoms: one molecule through our calculator, ms a step

{markdown(["model", "precision", *["one molecule"] * 5], by_atoms(m))}

![molecule-steps a second against batch size](dynamics.svg)
"""
    (out / "README.md").write_text(text, encoding="utf-8")
    _plot(m, out / "dynamics.svg")


def _plot(m: Measured, path: Path) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "gmd26-md"
    from matplotlib import pyplot as plt

    dtypes = list(dict.fromkeys(dtype for _, dtype in m.cases()))
    figure, axes = plt.subplots(1, len(dtypes), figsize=(6.2 * len(dtypes), 4.4), squeeze=False, sharey=True)
    for axis, dtype in zip(axes[0], dtypes, strict=True):
        for family in [f for f, d in m.cases() if d == dtype]:
            style: dict[str, Any] = {"color": COLOURS[family], "marker": MARKERS[family], "markersize": 5}
            for what, line in (("engine", "-"), ("bare model", ":")):
                points = _points(m, what, family, dtype)
                label = NAMES[family] if what == "engine" else None
                axis.plot(*zip(*points, strict=True), linestyle=line, label=label, **style)
            loop = m.vendor(family, dtype) or "ase loop, ours"
            level = _median(lambda r, f=family, w=loop, d=dtype: m.rate(w, f, d, r, 24), m.rounds(family, dtype))
            axis.axhline(level, color=COLOURS[family], linestyle="--", linewidth=0.8)
        axis.set(xscale="log", yscale="log", xlabel="molecules in the batch", title=dtype)
        axis.grid(alpha=0.3, which="both", linewidth=0.4)
    axes[0][0].set_ylabel("molecule-steps a second")
    axes[0][0].legend(
        title="solid: engine; dotted: bare model\\ndashed: ASE and the vendor (or ours)", fontsize=8, title_fontsize=7
    )
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _points(m: Measured, what: str, family: str, dtype: str) -> list[tuple[int, float]]:
    found = []
    for batch in m.batches(family, dtype):
        values = [m.rate(what, family, dtype, r, batch) for r in m.rounds(family, dtype)]
        known = [v for v in values if v is not None]
        if known:
            found.append((batch, float(np.median(known))))
    return found


def _median(rate: Callable[[int], float | None], rounds: list[int]) -> float:
    return float(np.median([value for value in map(rate, rounds) if value is not None]))
