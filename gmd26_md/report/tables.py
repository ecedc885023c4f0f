"""The summary as tables for people: the answer first, ID beside OOD, a spread beside every mean."""

from __future__ import annotations

import io
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from gmd26_md.records import VERDICTS
from gmd26_md.report.cells import console_to, counts, section, title
from gmd26_md.report.sections import SECTIONS
from gmd26_md.report.stability_table import add_stability, survival_notes
from gmd26_md.report.summary import TITLES, conditions, headings

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
    console = console_to(out, width, colour)
    console.print(f"{summary['model']} ({summary['family']}) on {summary['task']}, {summary['device']}")
    console.print(Text(summary["answer"], style="bold"))
    console.print(main_table(splits))
    failures = summary.get("failures", [])
    if failures:
        console.print(failure_table(failures))
    for line in notes(summary):
        console.print(line)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def main_table(splits: dict[str, Any]) -> Table:
    """Return static errors, stability and judgements, ID beside OOD."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("", overflow="fold")
    for split, found in splits.items():
        n = found["n_molecules"]
        table.add_column(f"{TITLES[split]} ({n} {'molecule' if n == 1 else 'molecules'})", justify="right")
    section(table, splits, "static errors, on reference frames", lambda s: s.get("static_errors"), _STATIC)
    for condition in conditions(splits):
        add_stability(table, [s["stability"].get(condition) for s in splits.values()], condition)
    for heading in headings(splits):
        _judged(table, splits, heading)
    return table


def _judged(table: Table, splits: dict[str, Any], heading: str) -> None:
    """Add the judgements and the numbers of one section."""
    parts = [s["judged"].get(heading) for s in splits.values()]
    title(table, heading)
    for judgement in sorted({j for p in parts if p for j in p["judgements"]}):
        found = [(p["judgements"].get(judgement, 0), p["n_runs"]) if p else None for p in parts]
        counts(table, f"  {judgement}", found)
    protocol = next(p["protocol"] for p in parts if p)
    rows = tuple((row.metric, row.words, row.digits) for row in SECTIONS[protocol].rows)
    section(table, splits, "", lambda s: s["judged"].get(heading, {}).get("metrics"), rows)


def failure_table(failures: list[dict[str, Any]]) -> Table:
    """Return what is not as it should be: which molecule, when, and the number that decided."""
    table = Table(box=box.SIMPLE_HEAD, title="not as they should be", title_justify="left", pad_edge=False)
    several = len({f.get("condition") for f in failures} - {None}) > 1
    for name in ("verdict", "molecule", "", "run", "at, ps", "why"):
        table.add_column(name, overflow="fold")
    for f in failures[:MAX_FAILURES_SHOWN]:
        at = f.get("failed_at_ps")
        when = "-" if at is None else f"{at:.3f}"
        run = f"{f['condition']}, {f['run']}" if several and f.get("condition") else str(f["run"])
        # Text: names and reasons may hold brackets, which rich would take for markup
        cells = (str(f["verdict"]), str(f["molecule"]), TITLES[f["split"]], run, when)
        table.add_row(*[Text(c) for c in cells], Text(_why(f)))
    more = len(failures) - MAX_FAILURES_SHOWN
    if more > 0:
        table.add_row("...", f"and {more} more, in records.jsonl")
    return table


def _why(failure: dict[str, Any]) -> str:
    """Return the reason without the judgement that it repeats."""
    return str(failure["reason"]).removeprefix(f"{failure['verdict']}: ")


def notes(summary: dict[str, Any]) -> list[str]:
    """Return how to read the table."""
    splits = summary["splits"].values()
    found = ["± is the standard error of the mean: bootstrap over molecules first, frames or seeds second."]
    if any(s["stability"] for s in splits):
        found.append("Where all or none of the runs agree: the limit that so many molecules allow, 95 %, in brackets.")
    if any("static_errors" in s for s in splits):
        found.append("The energy offset is one constant a molecule: forces and dynamics do not feel it.")
        if summary.get("composition"):
            found.append(summary["composition"]["words"])
    found += survival_notes(summary.get("log_rank", {}))
    for asked in summary.get("settings", {}).get("stability", {}).values():
        found.append(_run_words(asked))
    occurring = {v for s in splits for part in s["stability"].values() for v in part["verdicts"]}
    found += [f"{v}: {_MEANINGS[v]}." for v in VERDICTS if v in occurring]
    return found


def _run_words(asked: dict[str, Any]) -> str:
    how = "under the thermostat" if asked.get("ensemble") == "nvt" else "at constant energy"
    run_ps = asked.get("run_ps", asked.get("nve_ps"))  # its name before it could be under a thermostat
    return (
        f"A run: {asked['thermalise_ps']:g} ps thermalised at {asked['temperature_K']:g} K, {run_ps:g} ps "
        f"{how}, steps of {asked['timestep_fs']:g} fs; {asked['n_label_frames']} frames labelled with "
        f"{asked['reference'] or 'the training level'}."
    )
