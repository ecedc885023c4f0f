"""The stability part of the table: one condition at a time, ID beside OOD."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from gmd26_md.records import VERDICTS
from gmd26_md.report.cells import cell, counts, share, title
from gmd26_md.report.lives import KINDS
from gmd26_md.report.path_errors import BY_BONDS

_DYNAMIC = (
    ("absolute_energy_drift_meV_per_atom_per_ps", "energy drift, size, meV/atom/ps", 3),
    ("energy_rms_meV_per_atom", "energy RMS about its line, meV/atom", 3),
    ("temperature_mean_K", "mean temperature, K", 0),
    ("true_energy_change_max_meV_per_atom", "true-energy change, meV/atom", 2),
    ("path_force_mae_eV_per_A", "force MAE along its own run, eV/Å", 4),
    ("path_force_mae_relative_ratio", "the same, relative", 3),
)
_MOST_BONDS = 4  # rows of the table; all distances stand in summary.json

Part = dict[str, Any] | None


def add_stability(table: Table, parts: list[Part], condition: str) -> None:
    """Add what the runs of each split under one condition came to."""
    title(table, f"stability, {condition}")
    for key, words in (("alive_fraction", "alive as far as run, %"), ("faithful_fraction", "faithful, %")):
        table.add_row("  " + words, *["-" if p is None else share(p[key]) for p in parts])
    for verdict in VERDICTS:
        counts(table, f"  runs {verdict}", [(p["verdicts"].get(verdict, 0), p["n_runs"]) if p else None for p in parts])
    _add_lives(table, [None if p is None else p["survival"] for p in parts])
    for key, words, digits in _DYNAMIC:
        _add(table, words, [cell(p["metrics"].get(key) if p else None, digits) for p in parts])
    errors = [p["path_errors"] if p else {} for p in parts]
    _add(table, "the same over the static one", [cell(e.get("path_over_static_ratio"), 2) for e in errors])
    for bonds in range(_MOST_BONDS + 1):
        where = "in a group" if bonds == 0 else f"{bonds} bond{'s' if bonds > 1 else ''} from one"
        found = [cell(e.get(BY_BONDS, {}).get(str(bonds)), 4) for e in errors]
        _add(table, f"the same, {where}, eV/Å", found)


def survival_notes(compared: dict[str, Any]) -> list[str]:
    """Return what the log-rank test says of ID against OOD under each condition."""
    notes = []
    for condition, test in compared.items():
        if test["z"] is None:
            notes.append(f"{condition}: no failure that tells ID and OOD apart, so their survival is not compared.")
            continue
        notes.append(
            f"{condition}: {test['observed'][1]:.0f} OOD runs failed, {test['expected'][1]:.1f} expected if they lived "
            f"as long as ID; log-rank p {p_words(test['p_permuted'])} with molecules dealt out anew between the two, "
            f"{p_words(test['p'])} as if all runs were independent."
        )
    return notes


def p_words(p: float) -> str:
    """Return a p-value in as many digits as it deserves."""
    return "under 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def _add_lives(table: Table, lives: list[Part]) -> None:
    """Add survival to the end with its interval, and, where any run failed, the mean life and what failed first."""
    known = [life for life in lives if life is not None]
    until = max(life["at_ps"] for life in known)
    _add(
        table, f"survival to {until:.3g} ps, %", ["-" if x is None else _interval(x["survival"], 0, 100) for x in lives]
    )
    if not any(life["n_failed"] for life in known):
        return
    _add(
        table,
        f"mean life, of {until:.3g} ps",
        ["-" if x is None else _interval(x["restricted_mean_ps"], 2) for x in lives],
    )
    for metric, words in KINDS.items():
        found = [None if x is None else x["first_failures"].get(metric) for x in lives]
        _add(table, f"first {words}, ps", ["-" if f is None else _times(f) for f in found])
    counts(
        table, "  runs that could not be made", [None if x is None else (x["n_not_made"], x["n_runs"]) for x in lives]
    )


def _add(table: Table, words: str, cells: list[str]) -> None:
    if any(c != "-" for c in cells):
        table.add_row("  " + words, *cells)


def _interval(spread: dict[str, Any], digits: int, factor: float = 1.0) -> str:
    """Return "92 (67 to 100)", or "92" alone where one run is all there is, which has no interval."""
    value, low, high = (f"{factor * spread[key]:.{digits}f}" for key in ("value", "low", "high"))
    if "nan" in (low, high):
        return value
    return f"{value} ({low} to {high})"


def _times(found: dict[str, Any]) -> str:
    n = found["n_runs"]
    if n == 1:
        return f"{found['earliest_ps']:.3f} (1 run)"
    return f"{found['earliest_ps']:.3f}, median {found['median_ps']:.3f} ({n} runs)"
