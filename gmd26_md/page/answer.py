"""What came of a model in one sentence: alive, conserved, true, and on which molecules not."""

from __future__ import annotations

from collections.abc import Sequence

from gmd26_md.page.content import TITLES, Model, TaskContent, kind_of
from gmd26_md.records import Record
from gmd26_md.report.lives import ALIVE, condition_of
from gmd26_md.report.path_errors import PATH

_WRONG = {
    "silent": "silently wrong on",
    "drifting": "drifting on",
    "reacted": "reacting on",
    "broken": "broken on",
    "exploded": "exploding on",
    "unsupported": "without an answer for",
    "error": "with errors on",
    "censored": "cut short on",
}


def answer(model: Model, task: TaskContent, condition: str) -> str:
    """Return the sentence on the runs of a model under one condition, the hardest split first.

    Molecules are counted where any of their runs has the verdict; shares are of runs.
    """
    parts: list[str] = []
    for split in ("ood", "user", "id"):
        runs = [r for r in model.records if r.split == split and _is_of(r, condition)]
        if runs:
            words = _split_words(runs, split)
            parts.append(words if split != "id" else f"{TITLES['id']}: {words}" if parts else words)
    return ". ".join(part[0].upper() + part[1:] for part in parts) + "." if parts else ""


def _is_of(record: Record, condition: str) -> bool:
    return record.protocol == "stability" and condition_of(record.settings) == condition


def _split_words(runs: Sequence[Record], split: str) -> str:
    names = {r.molecule for r in runs}
    kind = kind_of(sorted(names), split)
    alive = _percent(sum(r.verdict in ALIVE for r in runs), len(runs))
    good = [f"alive {alive} %"]
    conserved = not any(r.verdict == "drifting" for r in runs)
    lived = [r for r in runs if r.verdict in ALIVE]
    tested = any(r.metrics.get("energy_drift_meV_per_atom_per_ps") is not None for r in runs)
    if conserved and lived and tested:
        good.append("conserved")
    wrong = [
        (words, len({r.molecule for r in runs if r.verdict == verdict}))
        for verdict, words in _WRONG.items()
        if any(r.verdict == verdict for r in runs)
    ]
    if not wrong:
        if any(r.metrics.get(PATH) is None for r in runs):  # without labels a run is never found silent
            return f"{_listed(good)}, but not compared with a reference everywhere: {_all(len(names), kind)}"
        return f"{_listed(good)} and true on {_all(len(names), kind)}"
    many = f"of {len(names)} {kind}" if len(names) > 1 else ""
    told = [f"{words} {n} {many}" if i == 0 else f"{words} {n}" for i, (words, n) in enumerate(wrong)]
    if not many:
        told = [f"{words} {_all(1, kind)}" if i == 0 else f"{words} it" for i, (words, _) in enumerate(wrong)]
    return f"{', '.join(good)}, but {_listed(told, ' and ')}"


def _percent(n: int, n_all: int) -> str:
    """Return a share in whole per cent, never rounded to all or none."""
    share = 100.0 * n / n_all
    shown = round(share)
    if shown == 100 and n < n_all:
        return "over 99"
    return "under 1" if shown == 0 and n else f"{shown}"


def _listed(parts: Sequence[str], last: str = ", ") -> str:
    return last.join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else parts[0]


def _all(n: int, kind: str) -> str:
    return f"the one {kind.removesuffix('s')} tested" if n == 1 else f"all {n} {kind}"


def static_answer(model: Model) -> str:
    """Return the sentence on a model that was not run: its static force errors."""
    parts = []
    for split, found in model.summary["splits"].items():
        error = found.get("static_errors", {}).get("force_mae_eV_per_A")
        if error is not None:
            value = error["value"]
            parts.append(f"{value:.4f} eV/Å {TITLES[split]}" if value == value else f"no number {TITLES[split]}")
    told = [f"Static force MAE {', '.join(parts)}"] if parts else []
    judged = {h: g for s in model.summary["splits"].values() for h, g in s["judged"].items()}
    for heading, first in sorted(judged.items()):
        counts = [s["judged"][heading] for s in model.summary["splits"].values() if heading in s["judged"]]
        good, n = sum(c["judgements"].get(first["good"], 0) for c in counts), sum(c["n_runs"] for c in counts)
        told.append(f"{heading}: {first['good']} {good} of {n}")
    return ". ".join(["No runs of its own to judge", *(t[0].upper() + t[1:] for t in told)]) + "."
