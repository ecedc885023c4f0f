"""The summary as tables for people: the answer first, ID beside OOD, a spread beside every mean."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterable
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gmd26_md.records import VERDICTS
from gmd26_md.report.sections import SECTIONS
from gmd26_md.report.summary import TITLES, headings

MAX_FAILURES_SHOWN = 40

# key, what it is called, digits after the point
_STATIC = (
    ("force_mae_eV_per_A", "force MAE, eV/Å", 4),
    ("force_cosine", "force cosine", 4),
    ("force_magnitude_mae_eV_per_A", "force magnitude MAE, eV/Å", 4),
    ("energy_mae_eV", "energy MAE, eV", 3),
    ("energy_offset_removed_mae_eV", "energy MAE, offset removed, eV", 3),
    ("energy_offset_eV", "energy offset, eV", 3),
)
_DYNAMIC = (
    ("absolute_energy_drift_meV_per_atom_per_ps", "energy drift, size, meV/atom/ps", 3),
    ("energy_rms_meV_per_atom", "energy RMS about its line, meV/atom", 3),
    ("temperature_mean_K", "mean temperature, K", 0),
    ("path_force_mae_eV_per_A", "force MAE along its own run, eV/Å", 4),
    ("path_force_mae_relative_ratio", "the same, relative", 3),
    ("true_energy_change_max_meV_per_atom", "true-energy change, meV/atom", 2),
)
_MEANINGS = {
    "faithful": "alive, conserved, and true by the reference's labels along the run",
    "silent": "alive and conserved, but not true: only the reference's labels show it",
    "drifting": "alive, but the model's own energy is not conserved",
    "reacted": "the covalent graph changed, a proton transfer included",
    "broken": "a bond broke or two atoms clashed",
    "exploded": "too hot, or a number that is not finite",
    "unsupported": "the model does not know an element of the molecule",
    "error": "the run could not be made or judged",
    "censored": "cut by the time limit, or never compared with a reference",
}


def render(summary: dict[str, Any], *, width: int = 110, colour: bool = False) -> str:
    """Return the summary as text: the answer, one table, what failed, and how to read it."""
    splits = summary["splits"]
    if not splits:
        return "no records yet\n"
    out = io.StringIO()
    console = Console(
        file=out,
        width=width,
        force_terminal=colour,
        color_system="standard" if colour else None,
        highlight=False,
        markup=False,
        emoji=False,
    )
    console.print(f"{summary['model']} ({summary['family']}) on {summary['task']}, {summary['device']}")
    console.print(Text(summary["answer"], style="bold"))
    console.print(_main_table(splits))
    failures = summary.get("failures", [])
    if failures:
        console.print(_failure_table(failures))
    for line in _notes(summary):
        console.print(line)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def _main_table(splits: dict[str, Any]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("", overflow="fold")
    for split, found in splits.items():
        n = found["n_molecules"]
        table.add_column(f"{TITLES[split]} ({n} {'molecule' if n == 1 else 'molecules'})", justify="right")
    _section(table, splits, "static errors, on reference frames", lambda s: s.get("static_errors"), _STATIC)
    if any("stability" in s for s in splits.values()):
        _stability_head(table, splits)
        _section(table, splits, "", lambda s: s.get("stability", {}).get("metrics"), _DYNAMIC)
    for heading in headings(splits):
        _judged(table, splits, heading)
    return table


def _section(
    table: Table,
    splits: dict[str, Any],
    title: str,
    part: Callable[[dict[str, Any]], dict[str, Any] | None],
    rows: tuple[tuple[str, str, int], ...],
) -> None:
    found = [part(s) for s in splits.values()]
    if not any(found):
        return
    if title:
        _title(table, title)
    for key, words, digits in rows:
        cells = [_cell(f.get(key) if f else None, digits) for f in found]
        if any(c != "-" for c in cells):
            table.add_row("  " + words, *cells)


def _title(table: Table, title: str) -> None:
    table.add_row(Text(title, style="bold"))


def _stability_head(table: Table, splits: dict[str, Any]) -> None:
    """Add the shares of runs alive and faithful, and the count of every verdict that occurs."""
    parts = [s.get("stability") for s in splits.values()]
    _title(table, "stability, in the model's own dynamics")
    for key, words in (("alive_fraction", "alive as far as run, %"), ("faithful_fraction", "faithful, %")):
        table.add_row("  " + words, *["-" if p is None else _share(p[key]) for p in parts])
    for verdict in VERDICTS:
        _counts(
            table, f"  runs {verdict}", [(p["verdicts"].get(verdict, 0), p["n_runs"]) if p else None for p in parts]
        )


def _judged(table: Table, splits: dict[str, Any], heading: str) -> None:
    """Add the judgements and the numbers of one section."""
    parts = [s["judged"].get(heading) for s in splits.values()]
    _title(table, heading)
    for judgement in sorted({j for p in parts if p for j in p["judgements"]}):
        counts = [(p["judgements"].get(judgement, 0), p["n_runs"]) if p else None for p in parts]
        _counts(table, f"  {judgement}", counts)
    protocol = next(p["protocol"] for p in parts if p)
    rows = tuple((row.metric, row.words, row.digits) for row in SECTIONS[protocol].rows)
    _section(table, splits, "", lambda s: s["judged"].get(heading, {}).get("metrics"), rows)


def _counts(table: Table, words: str, counts: Iterable[tuple[int, int] | None]) -> None:
    """Add a row "3 of 12" a split, where there is any."""
    found = list(counts)
    if any(c and c[0] for c in found):
        table.add_row(words, *["-" if c is None else f"{c[0]} of {c[1]}" for c in found])


def _cell(spread: dict[str, Any] | None, digits: int) -> str:
    if spread is None:
        return "-"
    text = _number(spread, digits)
    missing = spread.get("n_missing", 0)
    return f"{text} ({missing} without)" if missing else text


def _number(spread: dict[str, Any], digits: int, factor: float = 1.0) -> str:
    value, error = factor * spread["value"], factor * spread["standard_error"]
    if not math.isfinite(value):
        return "not finite"
    spread_text = f"± {error:.{digits}f}" if math.isfinite(error) else "± ?"
    return f"{value:.{digits}f} {spread_text}"


def _share(spread: dict[str, Any]) -> str:
    """Return a share in %: its spread, or the limit that counting alone allows where all or none have it."""
    if spread["value"] == 1.0:
        return f"100 (from {100 * spread['low']:.0f})"
    if spread["value"] == 0.0:
        return f"0 (to {100 * spread['high']:.0f})"
    return _number(spread, 0, 100.0)


def _failure_table(failures: list[dict[str, Any]]) -> Table:
    """Return what is not as it should be: which molecule, when, and the number that decided."""
    table = Table(box=box.SIMPLE_HEAD, title="not as they should be", title_justify="left", pad_edge=False)
    for name in ("verdict", "molecule", "", "run", "at, ps", "why"):
        table.add_column(name, overflow="fold")
    for f in failures[:MAX_FAILURES_SHOWN]:
        at = f.get("failed_at_ps")
        when = "-" if at is None else f"{at:.3f}"
        # Text: names and reasons may hold brackets, which rich would take for markup
        cells = (str(f["verdict"]), str(f["molecule"]), TITLES[f["split"]], str(f["run"]), when)
        table.add_row(*[Text(c) for c in cells], Text(_why(f)))
    more = len(failures) - MAX_FAILURES_SHOWN
    if more > 0:
        table.add_row("...", f"and {more} more, in records.jsonl")
    return table


def _why(failure: dict[str, Any]) -> str:
    """Return the reason without the judgement that it repeats."""
    return str(failure["reason"]).removeprefix(f"{failure['verdict']}: ")


def _notes(summary: dict[str, Any]) -> list[str]:
    """Return how to read the table."""
    splits = summary["splits"].values()
    notes = ["± is the standard error of the mean: bootstrap over molecules first, frames or seeds second."]
    if any("stability" in s for s in splits):
        notes.append("Where all or none of the runs agree: the limit that so many molecules allow, 95 %, in brackets.")
    if any("static_errors" in s for s in splits):
        notes.append("The energy offset is one constant a molecule: forces and dynamics do not feel it.")
        if summary.get("composition"):
            notes.append(summary["composition"]["words"])
    asked = summary.get("settings", {}).get("stability")
    if asked:
        notes.append(_run_words(asked))
    occurring = {v for s in splits for v in s.get("stability", {}).get("verdicts", {})}
    notes += [f"{v}: {_MEANINGS[v]}." for v in VERDICTS if v in occurring]
    return notes


def _run_words(asked: dict[str, Any]) -> str:
    return (
        f"A run: {asked['thermalise_ps']:g} ps thermalised at {asked['temperature_K']:g} K, {asked['run_ps']:g} ps at "
        f"constant energy, steps of {asked['timestep_fs']:g} fs; {asked['n_label_frames']} frames labelled with "
        f"{asked['reference'] or 'the training level'}."
    )
