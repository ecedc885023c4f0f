"""What a committee's spread is worth, as tables for people."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from typing import Any

from rich import box
from rich.table import Table

from gmd26_md.report import forms
from gmd26_md.report.cells import console_to, sections_of
from gmd26_md.report.summary import TITLES

_CALIBRATION = (
    ("force_spread_eV_per_A", "spread of the members, eV/Å", 4),
    ("force_error_eV_per_A", "true error, eV/Å", 4),
    ("error_over_spread_ratio", "error over spread", 2),
    ("error_over_spread_median_ratio", "the same, median of frames", 2),
    ("within_one_sigma_fraction", "errors within 1 sigma, scaled (0.68)", 2),
    ("within_two_sigma_fraction", "errors within 2 sigma, scaled (0.95)", 2),
    ("rank_correlation_within_runs_ratio", "rank correlation within runs", 2),
    ("rank_correlation_over_runs_ratio", "rank correlation over runs", 2),
    ("rank_correlation_of_frames_ratio", "rank correlation of all frames", 2),
    ("warns_of_error_auroc_fraction", "AUROC for an error above the limit", 2),
)
_ENERGY = (
    ("energy_change_spread_meV_per_atom", "spread of the energy's change, meV/atom", 2),
    ("energy_change_error_meV_per_atom", "its true error, meV/atom", 2),
)
_EVENTS = (
    ("failure", "failure"),
    ("error_of_committee", "wrong mean"),
    ("error_of_model", "wrong model"),
)


def committee_written(answer: dict[str, Any], form: str, *, width: int = 110, colour: bool = False) -> str:
    """Return what `evaluate.measure_committee` found in one of `forms.FORMATS`; width and colour are of text."""
    if form == "text":
        return render(answer, width=width, colour=colour)
    parts = [forms.heading(_title(answer), form)]
    for table in _tables(answer):
        n_left = sum(column.justify == "left" for column in table.columns)
        parts += [forms.written(rows, form, n_keys=n_left) for _, rows in sections_of(table)]
    return forms.put_together([*parts, forms.said(_notes(answer), form)])


def render(answer: dict[str, Any], *, width: int = 110, colour: bool = False) -> str:
    """Return what `evaluate.measure_committee` found as text."""
    out = io.StringIO()
    console = console_to(out, width, colour)
    console.print(_title(answer))
    for table in _tables(answer):
        console.print(table)
    for line in _notes(answer):
        console.print(line)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def _title(answer: dict[str, Any]) -> str:
    return f"{answer['committee']}, {answer['n_members']} members, on the runs of {answer['run']}"


def _tables(answer: dict[str, Any]) -> Iterator[Table]:
    for whose, words in (("committee", "the mean of the members"), ("model", "the run's own model, a member")):
        if answer["calibration"][whose]:
            energy = answer["energy"] if whose == "committee" else {}
            yield _calibration_table(answer["calibration"][whose], words, energy)
    if answer["warnings"]:
        yield _warning_table(answer["warnings"])
    yield _run_table(answer["runs"])


def _calibration_table(splits: dict[str, Any], words: str, energy: dict[str, Any]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(f"against the error of {words}")
    for split, found in splits.items():
        n = found["n_molecules"]
        table.add_column(f"{TITLES[split]} ({n} molecule{'s' if n > 1 else ''})", justify="right")
    for key, name, digits in _CALIBRATION:
        table.add_row(name, *[_number(found[key], digits) for found in splits.values()])
    above = [f"{found['n_frames_above_limit']} of {found['n_frames']}" for found in splits.values()]
    table.add_row("frames above the limit", *above)
    for key, name, digits in _ENERGY if energy else ():
        table.add_row(name, *[_number(energy.get(split, {}).get(key), digits) for split in splits])
    return table


def _warning_table(splits: dict[str, Any]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("warned of", "", "of runs", "before", "with it", "late", "never", "lead", "false alarms"):
        text = name in ("warned of", "")
        table.add_column(name, justify="left" if text else "right", no_wrap=text)
    for event, words in _EVENTS:
        for split, found in splits.items():
            told = found[event]
            happened = sum(told[f"n_{n}"] for n in ("before", "with_it", "late", "never"))
            if told["n_runs"]:
                table.add_row(
                    words,
                    TITLES[split],
                    f"{happened} of {told['n_runs']}",
                    *[str(told[f"n_{n}"]) for n in ("before", "with_it", "late", "never")],
                    _number(told["lead_median_ps"], 3),
                    f"{told['n_false_alarm']} of {told['n_runs'] - happened}",
                )
    return table


def _run_table(runs: list[dict[str, Any]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("run", "", "verdict", "failed", "wrong", "warned", "spread"):
        table.add_column(name, justify="left" if name in ("run", "", "verdict") else "right", overflow="fold")
    for run in runs:
        times = [_number(run.get(key), 3) for key in ("failed_at_ps", "wrong_at_ps", "warned_at_ps")]
        largest = _number(run["force_spread_largest_eV_per_A"], 3)
        table.add_row(run["name"], TITLES[run["split"]], run["verdict"] or "-", *times, largest)
    return table


def _number(value: Any, digits: int) -> str:
    """Return a number, or one with its interval in brackets; - for None, and for a number that does not exist."""
    if value is None:
        return "-"
    if not isinstance(value, dict):
        return f"{value:.{digits}f}"
    if math.isnan(value["value"]):
        return "-"
    told = f"{value['value']:.{digits}f}"
    return told if math.isnan(value["low"]) else f"{told} [{value['low']:.{digits}f}, {value['high']:.{digits}f}]"


def _notes(answer: dict[str, Any]) -> list[str]:
    """Return how to read the tables."""
    where = "all runs, since none is ID" if answer["chosen_from"]["limit"] == "all runs" else "the ID runs"
    settings = answer["settings"]
    limit = f"{answer['limit_eV_per_A']:.4f} eV/Å"
    if settings["limit_eV_per_A"] is None:
        limit += f", {settings['max_force_ratio']:g} of the RMS reference component of {where}"
    lines = [f"Wrong: a force error above {limit}."]
    if answer["threshold_eV_per_A"] is None:
        lines.append("Warned: never, as no ID run gives a threshold; name one with --threshold-eV-per-A.")
    else:
        origin = "as asked"
        if answer["chosen_from"]["threshold"] == "id":
            origin = f"the {settings['percentile']:g}th percentile of the ID frames, which are therefore no test of it"
        lines.append(f"Warned: the spread of one atom above {answer['threshold_eV_per_A']:.4f} eV/Å, {origin}.")
    lines += [
        "Failed, wrong, warned: first time, ps; spread: the largest of an atom in the run, eV/Å.",
        "Failures are watched for in every saved frame, errors in labelled ones. Lead: median, ps; positive is early.",
        "In brackets: 95 %, bootstrap over molecules first, frames or runs second.",
    ]
    if answer["references"] != [answer["level_of_theory"]]:
        told = ", ".join(answer["references"])
        lines.append(
            f"The labels are {told}, the members' own {answer['level_of_theory']}: the error holds that difference too."
        )
    lines += [f"left out: {run['name']} ({run['verdict']}): {run['why']}" for run in answer["left_out"]]
    return lines
