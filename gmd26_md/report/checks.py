"""The checks behind a verdict, read back from a record: in their order, each number beside its limit."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from ase.formula import Formula

from gmd26_md.observables.topology import Limits
from gmd26_md.observables.verdict import ENERGY_RMS_RELATIVE_MAX, Thresholds
from gmd26_md.records import Record
from gmd26_md.report.lives import length_ps

HOLDS, FAILS, UNKNOWN, NOT_ASKED = "holds", "fails", "not on record", "not asked"

# what decided -> the number in the record
_INVERSION = ("inversion", "reacted", "no centre of four bonds inverted, no double bond turned", "inversion_at_ps")
METRIC_OF = {
    "temperature_max_K": "temperature_max_K",
    "energy_drift": "energy_drift_meV_per_atom_per_ps",
    "energy_rms": "energy_rms_meV_per_atom",
    "energy_change_max": "energy_change_max_meV_per_atom",
    "energy_rms_relative": "energy_rms_relative_ratio",
    "force_ratio": "path_force_mae_relative_ratio",
    "true_energy_change_max": "true_energy_change_max_meV_per_atom",
}


@dataclass(frozen=True)
class Check:
    """One question put to a run.

    Attributes
    ----------
    by
        Its name, as `Verdict.decided_by` has it.
    verdict
        What a run that fails it is called.
    words
        What is asked.
    value, limit
        The number and its limit; for an event the time in ps, None where it did not happen.
    unit
        Of both.
    state
        "holds", "fails", "not on record" or "not asked".
    decided
        Whether it gave the verdict; what comes after it was not asked any more.
    """

    by: str
    verdict: str
    words: str
    value: float | None
    limit: float | None
    unit: str
    state: str
    decided: bool = False


def thresholds_of(record: Record) -> Thresholds:
    """Return the limits that stand in a record; the defaults of today for those that do not."""
    asked = dict(record.settings.get("thresholds") or {})
    topology = _known(Limits, asked.pop("topology", None) or {})
    return Thresholds(**_known(Thresholds, asked), topology=Limits(**topology))


def _known(kind: type, given: dict[str, Any]) -> dict[str, Any]:
    names = {entry.name for entry in fields(kind)}
    return {name: value for name, value in given.items() if name in names}


def checks_of(record: Record) -> list[Check]:
    """Return the checks of a stability record in the order of `verdict.judge`, with the one that decided marked.

    Where the record does not name what decided (it is from before it did), it is the first check of that verdict that
    fails by its number.
    """
    if not record.metrics:  # there was no run
        return [_not_run(record)]
    found = [*_events(record), *_conserved(record), *_true(record), _complete(record)]
    named = (record.evidence.get("decided") or {}).get("by")
    if named is not None and named not in [c.by for c in found]:  # a reason that no number shows
        at = max((i for i, c in enumerate(found) if c.verdict == record.verdict), default=len(found) - 1)
        found.insert(at + 1, Check(named, str(record.verdict), record.reason, None, None, "", FAILS))
    return _marked(found, record, named)


def _not_run(record: Record) -> Check:
    return Check("made", str(record.verdict), "could the run be made", None, None, "", FAILS, decided=True)


def _marked(found: list[Check], record: Record, named: str | None) -> list[Check]:
    """Return the checks with the one that decided marked; a faithful run was decided by none."""
    if record.verdict == "faithful":
        return found
    mine = [i for i, c in enumerate(found) if c.verdict == record.verdict and c.state == FAILS]
    by_name = [i for i, c in enumerate(found) if c.by == named]
    decided = next(iter(by_name or mine), None)
    if decided is not None:
        found[decided] = replace(found[decided], decided=True, state=FAILS)
        known = record.evidence.get("decided") or {}
        if found[decided].by in METRIC_OF and known.get("limit") is not None:
            found[decided] = replace(found[decided], value=known.get("value"), limit=known["limit"])
    return found


def _events(record: Record) -> list[Check]:
    limits = thresholds_of(record)
    topology = limits.topology
    target = record.settings.get("temperature_K")
    hottest = record.metrics.get("temperature_max_K")
    limit = None if target is None else limits.temperature_limit_K(target, _n_dof(record))
    stretched = f"no bond {topology.bond_change_A:g} Å off its length"
    longest = f"no bond beyond {topology.broken_radii:g} times the covalent radii"
    clash = f"no two atoms closer than {topology.clash_radii:g} times the covalent radii"
    lasting = f"that lasts {topology.lasting_fs:g} fs"
    return [
        _event(record, "nonfinite", "exploded", "every number finite", "nonfinite_at_ps"),
        _measured("temperature_max_K", "exploded", "kinetic temperature in bounds", hottest, limit, "K"),
        _event(record, "bond_broken", "broken", stretched, "bond_broken_at_ps"),
        _event(record, "bond_broken_by_radii", "broken", longest, "bond_broken_by_radii_at_ps"),
        _event(record, "clash", "broken", clash, "clash_at_ps"),
        _event(record, "transfer", "reacted", f"no proton transfer {lasting}", "transfer_at_ps"),
        _event(record, "new_bond", "reacted", f"no new bond {lasting}", "new_bond_at_ps"),
        *([_event(record, *_INVERSION)] if _INVERSION[-1] in record.metrics else []),  # not looked for in older ones
    ]


def _conserved(record: Record) -> list[Check]:
    limits = thresholds_of(record)
    asked = record.settings.get("ensemble", "nve") == "nve"
    slope, atom = "meV/atom/ps", "meV/atom"
    rows = [
        ("energy_drift", "drift of the model's own energy", limits.drift_max_meV_per_atom_per_ps, slope),
        ("energy_rms", "its RMS about the line", limits.energy_rms_max_meV_per_atom, atom),
        ("energy_change_max", "its largest change", limits.energy_change_max_meV_per_atom, atom),
        ("energy_rms_relative", "the RMS, of the spread of the kinetic energy", ENERGY_RMS_RELATIVE_MAX, ""),
    ]
    found = [
        _measured(by, "drifting", words, record.metrics.get(METRIC_OF[by]), limit, unit, asked=asked)
        for by, words, limit, unit in rows
    ]
    return found if found[-1].state == FAILS else found[:-1]  # the RMS says the same of all others, older ones too


def _true(record: Record) -> list[Check]:
    limits = thresholds_of(record)
    labelled = record.settings.get("n_label_frames", 1) != 0
    nve = record.settings.get("ensemble", "nve") == "nve"
    ratio, change = (record.metrics.get(METRIC_OF[by]) for by in ("force_ratio", "true_energy_change_max"))
    words = "force error along the run, of the mean reference component"
    energy = "largest change of kinetic plus reference energy"
    limit = limits.true_energy_change_max_meV_per_atom
    return [
        _measured("force_ratio", "silent", words, ratio, limits.force_ratio_max, "", asked=labelled),
        _measured("true_energy_change_max", "silent", energy, change, limit, "meV/atom", asked=labelled and nve),
    ]


def _complete(record: Record) -> Check:
    """Return whether the run came to its end; a run that failed was not asked to."""
    lived, asked = record.metrics.get("alive_ps"), length_ps([record])
    known = lived is not None and ("run_ps" in record.settings or "nve_ps" in record.settings)
    state = UNKNOWN if not known or lived is None else HOLDS if lived >= asked * (1.0 - 1e-6) else FAILS
    return Check("reached_ps", "censored", "alive to the end", lived, asked if known else None, "ps", state)


def _event(record: Record, by: str, verdict: str, words: str, metric: str) -> Check:
    if metric not in record.metrics:
        return Check(by, verdict, words, None, None, "ps", UNKNOWN)
    at_ps = record.metrics[metric]
    return Check(by, verdict, words, at_ps, None, "ps", HOLDS if at_ps is None else FAILS)


def _measured(
    by: str, verdict: str, words: str, value: float | None, limit: float | None, unit: str, *, asked: bool = True
) -> Check:
    if not asked:
        state = NOT_ASKED
    elif value is None or limit is None:
        state = UNKNOWN
    else:
        state = HOLDS if abs(value) <= limit else FAILS  # NaN fails
    return Check(by, verdict, words, value, limit, unit, state)


def _n_dof(record: Record) -> int | None:
    """Return the degrees of freedom of the temperature. Limit: a linear molecule has one more than is told here."""
    try:
        n_atoms = len(Formula(record.formula))
    except ValueError:
        return None
    return max(3 * n_atoms - 6, 1) if record.settings.get("ensemble", "nve") == "nve" else 3 * n_atoms
