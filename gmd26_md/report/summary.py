"""What the records of a run folder come to: ID beside OOD, a spread beside every mean, every run in the denominator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from gmd26_md.observables.errors import FrameSums, pooled_with_spread
from gmd26_md.observables.statistics import Spread, mean_of_all, spreads
from gmd26_md.records import SPLITS, VERDICTS, Record
from gmd26_md.report.lives import ALIVE, by_condition, condition_of
from gmd26_md.report.path_errors import path_errors
from gmd26_md.report.sections import SECTIONS, heading_of, judgement_of
from gmd26_md.report.survival import compared, survival_of

TITLES = {"id": "ID", "ood": "OOD", "user": "yours"}

# Numbers of a stability run that are averaged; those that are None (it did not happen) are left out and counted.
_DYNAMIC = (
    "alive_ps",
    "temperature_mean_K",
    "energy_drift_meV_per_atom_per_ps",
    "energy_rms_meV_per_atom",
    "path_force_mae_eV_per_A",
    "path_force_mae_relative_ratio",
    "true_energy_change_max_meV_per_atom",
)


def summarise(
    records: Sequence[Record], static: dict[str, np.ndarray], composition: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return the summary of a folder's records; JSON-safe but for NaN, which stays.

    Parameters
    ----------
    records
        Any protocols, one model.
    static
        Static errors by frame, (n_frames, 8) by molecule slug, for pooling with a spread over molecules and frames.
    composition
        What the task's training compositions say of energy offsets (`datasets.composition`), kept as it is.
    """
    if not records:
        return {"n_records": 0, "splits": {}}
    first = records[0]
    splits = {s: _split([r for r in records if r.split == s], static) for s in SPLITS if _any(records, s)}
    return {
        "answer": answer(splits),
        "model": first.model,
        "model_sha256": first.model_sha256,
        "family": first.family,
        "task": first.task,
        "device": first.device,
        "versions": first.versions,
        "n_records": len(records),
        "settings": _settings(records),
        "splits": splits,
        "log_rank": compared(records),
        "composition": composition,
        "failures": [_failure(r) for r in records if is_failure(r)],
    }


def answer(splits: dict[str, Any]) -> str:
    """Return what came out, in a sentence: runs alive, runs faithful by split, and the other verdicts."""
    parts = []
    several = len(conditions(splits)) > 1
    for condition in conditions(splits):
        tested = {s: found["stability"][condition] for s, found in splits.items() if condition in found["stability"]}
        counts: Counter[str] = Counter()
        for found in tested.values():
            counts.update(found["verdicts"])
        n_runs = sum(found["n_runs"] for found in tested.values())
        at = f"{condition}: " if several else ""
        parts.append(f"{at}alive {sum(counts[v] for v in ALIVE)} of {n_runs} runs")
        parts.append("faithful " + _by_split(tested, "verdicts", "faithful"))
        others = [f"{v} {counts[v]}" for v in VERDICTS if v != "faithful" and counts[v]]
        parts.append(", ".join(others) or "nothing else")
    for heading in headings(splits):
        judged = {s: found["judged"][heading] for s, found in splits.items() if heading in found["judged"]}
        good = next(iter(judged.values()))["good"]
        parts.append(f"{heading}, {good} " + _by_split(judged, "judgements", good))
    if not parts:
        errors = {s: f["static_errors"]["force_mae_eV_per_A"]["value"] for s, f in splits.items() if _has_errors(f)}
        parts = ["force MAE " + ", ".join(f"{value:.4f} eV/Å {TITLES[s]}" for s, value in errors.items())]
    return "; ".join(parts)


def headings(splits: dict[str, Any]) -> list[str]:
    """Return the headings of the sections that any split has."""
    return sorted({heading for found in splits.values() for heading in found["judged"]})


def conditions(splits: dict[str, Any]) -> list[str]:
    """Return the conditions under which any split was run, in their order."""
    return list(dict.fromkeys(c for found in splits.values() for c in found["stability"]))


def _by_split(found: dict[str, Any], counts: str, name: str) -> str:
    return ", ".join(f"{part[counts].get(name, 0)} of {part['n_runs']} {TITLES[s]}" for s, part in found.items())


def _has_errors(split: dict[str, Any]) -> bool:
    return "static_errors" in split


def _settings(records: Sequence[Record]) -> dict[str, Any]:
    """Return the settings of each protocol, as its first record has them; of stability, by condition."""
    found: dict[str, Any] = {}
    for r in records:
        if r.protocol == "stability":
            found.setdefault("stability", {}).setdefault(condition_of(r.settings), r.settings)
        else:
            found.setdefault(r.protocol, r.settings)
    return found


def is_failure(record: Record) -> bool:
    """Tell whether a run is not as it should be, by its verdict or judgement; one that never ran is not."""
    if record.verdict == "error":
        return True
    if record.protocol == "stability":
        return record.verdict != "faithful"
    section = SECTIONS.get(record.protocol)
    return section is not None and judgement_of(record) not in (section.good, *section.neutral)


def _any(records: Sequence[Record], split: str) -> bool:
    return any(r.split == split for r in records)


def _split(records: list[Record], static: dict[str, np.ndarray]) -> dict[str, Any]:
    errors = [r for r in records if r.protocol == "static-errors"]
    found: dict[str, Any] = {"n_molecules": len({r.molecule for r in records}), "judged": {}}
    found["stability"] = {c: _stability(runs, errors) for c, runs in by_condition(records).items()}
    tables = [FrameSums(static[r.slug]) for r in errors if r.slug in static]
    if tables:
        found["static_errors"] = {k: _spread(v) for k, v in pooled_with_spread(tables).items()}
    for protocol, section in SECTIONS.items():
        mine = [r for r in records if r.protocol == protocol]
        for heading in sorted({heading_of(r) for r in mine}):
            chosen = [r for r in mine if heading_of(r) == heading]
            found["judged"][heading] = {
                "protocol": protocol,
                "good": section.good,
                "n_runs": len(chosen),
                "judgements": dict(Counter(judgement_of(r) for r in chosen)),
                "metrics": _means(chosen, tuple(row.metric for row in section.rows)),
            }
    return found


def _stability(runs: list[Record], errors: list[Record]) -> dict[str, Any]:
    """Return what the runs of one split under one condition come to, beside the static errors of its molecules."""
    counts = Counter(r.verdict for r in runs)
    means = _means(runs, _DYNAMIC)
    drift = _means(runs, ("energy_drift_meV_per_atom_per_ps",), size=True)
    means |= {f"absolute_{k}": v for k, v in drift.items()}
    return {
        "n_runs": len(runs),
        "n_seeds": len({r.seed for r in runs}),
        "verdicts": {v: counts[v] for v in VERDICTS if counts[v]},
        "faithful_fraction": _fraction(runs, "faithful"),
        "alive_fraction": _fraction(runs, *ALIVE),
        "metrics": means,
        "survival": survival_of(runs),
        "path_errors": path_errors([*errors, *runs]),
    }


def _fraction(runs: list[Record], *verdicts: str) -> dict[str, Any]:
    """Return the share of runs with one of these verdicts, molecules resampled first, seeds second.

    Where all or none have it, a bootstrap knows no spread: the far limit is then the one-sided binomial one at 95 %,
    with each molecule counted once.
    """
    groups = [np.array([[float(r.verdict in verdicts)] for r in group]) for group in _by_molecule(runs)]
    found = _spread(spreads(groups, mean_of_all)[0])
    edge = 0.05 ** (1.0 / len(groups))
    if found["value"] == 1.0:
        found |= {"low": edge, "high": 1.0}
    elif found["value"] == 0.0:
        found |= {"low": 0.0, "high": 1.0 - edge}
    return found


def _means(runs: list[Record], names: Sequence[str], *, size: bool = False) -> dict[str, Any]:
    """Return mean and spread of metrics over runs; a NaN stays NaN, a None is left out and counted."""
    found: dict[str, Any] = {}
    for name in names:
        groups = []
        for group in _by_molecule(runs):
            values = [r.metrics.get(name) for r in group]
            numbers = [abs(v) if size else v for v in values if v is not None]
            if numbers:
                groups.append(np.array(numbers, dtype=float)[:, None])
        if groups:
            n_missing = len(runs) - sum(len(g) for g in groups)
            found[name] = _spread(spreads(groups, mean_of_all)[0]) | {"n_missing": n_missing}
    return found


def _by_molecule(runs: list[Record]) -> list[list[Record]]:
    return [[r for r in runs if r.molecule == name] for name in sorted({r.molecule for r in runs})]


def _spread(spread: Spread) -> dict[str, Any]:
    return {
        "value": spread.value,
        "standard_error": spread.standard_error,
        "low": spread.low,
        "high": spread.high,
        "n_molecules": spread.n_molecules,
        "n_values": spread.n_frames,
    }


def _failure(record: Record) -> dict[str, Any]:
    keys = ("failed_at_ps", "path_force_mae_eV_per_A", "energy_drift_meV_per_atom_per_ps")
    section = SECTIONS.get(record.protocol)
    return {
        "condition": condition_of(record.settings) if record.protocol == "stability" else None,
        "run": f"seed {record.seed}" if section is None else heading_of(record),
        "protocol": record.protocol,
        "molecule": record.molecule,
        "split": record.split,
        "seed": record.seed,
        "verdict": record.verdict if section is None else judgement_of(record),
        "reason": record.reason,
        "trajectory": record.trajectory,
        **{key: record.metrics.get(key) for key in keys},
    }
