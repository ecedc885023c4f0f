"""The reasoning behind a verdict as a page of plain words."""

from __future__ import annotations

import textwrap
from typing import Any

from gmd26_md.report.checks import FAILS, HOLDS, NOT_ASKED
from gmd26_md.report.summary import TITLES

_EVENTS = {
    "bond_broken": "a bond went too far off its length",
    "bond_broken_by_radii": "a bond stretched beyond the covalent radii",
    "clash": "two atoms clashed",
    "new_bond": "a new bond",
    "transfer": "a proton was transferred",
    "inversion": "a centre of four bonds turned inside out, or a double bond over",
    "too_hot": "too hot, with most energy in",
    "nonfinite": "numbers that are not finite",
}
_NAMES = {
    "temperature_max_K": "highest temperature",
    "energy_drift_meV_per_atom_per_ps": "energy drift",
    "energy_rms_meV_per_atom": "energy RMS about its line",
    "energy_change_max_meV_per_atom": "largest energy change",
    "energy_rms_relative_ratio": "energy RMS over the spread of the kinetic energy",
    "path_force_mae_relative_ratio": "relative force error along the run",
    "true_energy_change_max_meV_per_atom": "true-energy change",
}
_DIGITS = {"K": 0, "ps": 3}


def in_words(found: dict[str, Any], *, width: int = 100) -> str:
    """Return the reasoning for one run as text, from `reasoning.reasoning` with `repeat` and `files` filled in."""
    title = (
        f"{found['molecule']} ({found['formula']}, {TITLES[found['split']]}), {found['model']}, {found['condition']}, "
        f"seed {found['seed']}: {found['verdict']}"
    )
    lines = [title, *_wrapped(f"because: {found['reason']}", width)] if found["reason"] else [title]
    lines += ["", "What was asked, in this order; the first that fails decides:", *_check_lines(found["checks"])]
    lines += ["", *_wrapped(_where_words(found["where"]), width)]
    lines += _wrapped(_along_words(found["along"]), width)
    by_bonds = found["force_mae_by_bonds_from_group_eV_per_A"]
    if by_bonds:
        parts = [f"{n}: {value:.3f}" for n, value in sorted(by_bonds.items(), key=lambda item: int(item[0]))]
        lines += _wrapped(
            f"Force error along the run by bonds from a functional group, eV/Å: {', '.join(parts)}.", width
        )
    for words in _neighbour_words(found["neighbours"]):
        lines += _wrapped(words, width)
    for other in found["other_protocols"]:
        lines += _wrapped(f"In the same folder, {other['protocol']}: {other['reason']}.", width)
    lines += _file_lines(found["files"])
    if found.get("repeat"):
        lines += ["To run it again:", f"  {found['repeat']}"]
    return "\n".join(lines) + "\n"


def _wrapped(words: str, width: int) -> list[str]:
    return textwrap.wrap(words, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def _check_lines(checks: list[dict[str, Any]]) -> list[str]:
    rows, over = [], False
    for number, check in enumerate(checks, start=1):
        mark = "  <- decided" if check["decided"] else ""
        state = _state_words(check)
        if over and check["state"] != NOT_ASKED:
            state += " (not asked any more)"
        rows.append((f"  {number:2d}. {check['words']}", f"{state}{mark}"))
        over = over or check["decided"]
    width = max(len(words) for words, _ in rows)
    return [f"{words.ljust(width)}  {state}" for words, state in rows]


def _state_words(check: dict[str, Any]) -> str:
    """Return the number beside its limit, or whether and when it happened."""
    value, limit, unit, state = check["value"], check["limit"], check["unit"], check["state"]
    if state not in (HOLDS, FAILS):
        return str(state)
    if value is not None and limit is not None:
        digits = _DIGITS.get(unit)
        shown, most = (f"{v:.{digits}f}" if digits is not None else f"{v:.3g}" for v in (value, limit))
        of = "of" if check["by"] == "reached_ps" else "limit"
        between = f" {of} " if of == "of" else f", {of} "
        return f"{state}: {shown}{between}{most} {unit}".rstrip()
    if value is not None:
        return f"{state}: at {value:.3f} ps"
    return str(state)


def _where_words(where: dict[str, Any]) -> str:
    if not where["on_record"]:
        return "Where it went wrong is not on record: the run is from before that was kept."
    place = where["place"]
    if place is None:
        return "Nothing broke, so there is no place to name."
    atoms = "-".join(str(i) for i in place["atoms"])
    elements = "-".join(place["elements"])
    far = place.get("bonds_from_group")
    away = (
        "the molecule has no functional group" if far is None
        else "in a functional group" if far == 0
        else f"{far} bond{'' if far == 1 else 's'} from a functional group"
    )  # fmt: skip
    event = _EVENTS.get(place["event"], place["event"])
    named = f"atoms {atoms} ({elements})" if len(place["atoms"]) > 1 else f"atom {atoms} ({elements})"
    return f"Where it went wrong first: {event}, {named}, {away}, at {place['at_ps']:.3f} ps."


def _along_words(along: dict[str, Any]) -> str:
    """Return how the force error went along the run, beside the static one."""
    mean, static, series = along["mean_eV_per_A"], along["static_eV_per_A"], along["series"]
    if mean is None and series is None:
        return "The force error along the run is not on record: no frame of it was labelled."
    parts = []
    if mean is not None:
        parts.append(f"Force error along the run: {mean:.3f} eV/Å on average")
        ratio = along["mean_over_static_ratio"]
        parts[-1] += (
            f", {ratio:.2f} times the static error of this molecule ({static:.3f})" if ratio is not None
            else "; the static error of this molecule is not on record"
        )  # fmt: skip
    if series is None:
        parts.append("how it went in time is not on record")
    elif "thirds_eV_per_A" in series:
        thirds = ", ".join("no number" if t is None else f"{t:.3f}" for t in series["thirds_eV_per_A"])
        parts.append(
            f"by thirds of the time from {series['from_ps']:.3g} to {series['to_ps']:.3g} ps: {thirds}; "
            f"at worst {series['worst_eV_per_A']:.3f} at {series['worst_at_ps']:.3f} ps"
        )
    if series and series["n_not_finite"]:
        parts.append(f"{series['n_not_finite']} of {series['n_frames']} labelled frames have no number")
    words = "; ".join(parts) + "."
    if series and "true_energy_change_max_meV_per_atom" in series:
        words += (
            f" Kinetic plus reference energy changed by up to {series['true_energy_change_max_meV_per_atom']:+.1f} "
            f"meV/atom, at {series['true_energy_change_max_at_ps']:.3f} ps, and by "
            f"{series['true_energy_change_end_meV_per_atom']:+.1f} at the end."
        )
    return words


def _neighbour_words(neighbours: dict[str, Any]) -> list[str]:
    """Return what other seeds, other conditions and the means of the splits say."""
    found = []
    seeds = [f"seed {o['seed']} {_told(o)}" for o in neighbours["other_seeds"]]
    found.append(f"Other seeds of the molecule: {', '.join(seeds) or 'none on record'}.")
    conditions = [f"{o['condition']}, seed {o['seed']}: {_told(o)}" for o in neighbours["other_conditions"]]
    if conditions:
        found.append(f"Under other conditions: {'; '.join(conditions)}.")
    for split, part in neighbours["splits"].items():
        counts = ", ".join(f"{n} {verdict}" for verdict, n in part["verdicts"].items())
        words = f"{TITLES[split]} molecules under this condition: {counts}"
        if part["mean"] is not None:
            digits = _DIGITS.get(part["unit"])
            shown = f"{part['mean']:.{digits}f}" if digits is not None else f"{part['mean']:.3g}"
            words += f"; {_NAMES[part['metric']]} {shown} {part['unit']}".rstrip() + " on average"
        if part["n_not_finite"]:
            words += f", and no number in {part['n_not_finite']}"
        found.append(words + ".")
    return found


def _told(other: dict[str, Any]) -> str:
    at = other["failed_at_ps"]
    return f"{other['verdict']}" + ("" if at is None else f" at {at:.3f} ps")


def _file_lines(files: dict[str, Any]) -> list[str]:
    names = {
        "trajectory": "trajectory",
        "labels": "frames with the reference's energies and forces",
        "last_frames": "frames on the way to what went wrong",
    }
    shown = [f"  {files[key]} ({words})" for key, words in names.items() if files.get(key)]
    return ["Frames:", *shown] if shown else ["Frames: none on record."]
