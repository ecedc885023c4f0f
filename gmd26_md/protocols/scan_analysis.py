"""What a scan says of the model: numbers of each bond, and the worst of them in one word. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gmd26_md.observables.bonds import Floats
from gmd26_md.observables.scans import bond_words
from gmd26_md.observables.smoothness import Dip, dips, finer_minimum, n_points_between, roughness, unmatched, work_error
from gmd26_md.protocols.scan import Answers, Scan, slopes
from gmd26_md.protocols.scan_settings import Settings

SEVERITY = (
    *("failed", "falls apart", "false minimum", "wrong minimum", "rough", "no gradient"),
    *("wrong barrier", "wrong curve", "unknown", "follows"),
)
"""Judgements, the worst first: a molecule has that of its worst bond. "unknown": the reference does not say."""

_SAME_MINIMUM_DEG = 30.0  # minima of model and reference so near are the same one: two points of the default grid
_SAME_MINIMUM_A = 0.1
_FEWEST = 5  # points that model and reference must both have, to be compared at all
_LOWEST_TIE_meV = 5.0  # minima of the reference this near to its lowest are as good: copies by symmetry are not exact
_MORE_IS_BETTER = ("stretch_escape_eV",)
_DECIMALS = 6  # of curves kept in records


@dataclass(frozen=True)
class Found:
    """What was found on one bond, or on all bonds of a molecule.

    Attributes
    ----------
    metrics
        See `metrics.METRICS`.
    judgement
        One of `SEVERITY`.
    words
        The number that decided.
    evidence
        Bond, curves, places; JSON-safe.
    """

    metrics: dict[str, float | None]
    judgement: str
    words: str
    evidence: dict[str, object]


def analyse(numbers: Sequence[int], scans: Sequence[Scan], answers: Sequence[Answers], settings: Settings) -> Found:
    """Return what the scans of one kind say of a molecule: of every metric the worst bond's, counts summed.

    Without a scan the judgement is "nothing to scan".
    """
    found = [
        (torsion if s.kind == "torsion" else stretch)(numbers, s, a, settings)
        for s, a in zip(scans, answers, strict=True)
    ]
    if not found:
        return Found({}, "nothing to scan", "no bond outside a ring that moves anything", {"scans": []})
    metrics: dict[str, float | None] = {}
    for name in dict.fromkeys(name for f in found for name in f.metrics):
        values = [v for f in found if (v := f.metrics.get(name)) is not None]
        metrics[name] = _worst(name, values) if values else None
    worst = min(found, key=lambda f: (SEVERITY.index(f.judgement), _easiest(f)))
    return Found(metrics, worst.judgement, worst.words, {"scans": [f.evidence for f in found]})


def _easiest(found: Found) -> float:
    """Return the lowest pass to a false minimum, eV, which may be 0; infinite where there is none."""
    escape = found.metrics.get("stretch_escape_eV")
    return float("inf") if escape is None else escape


def _worst(name: str, values: list[float]) -> float:
    if name.startswith("n_"):
        return float(np.sum(values))
    return float(np.min(values) if name in _MORE_IS_BETTER else np.max(values))  # NaN stays


def torsion(numbers: Sequence[int], scan: Scan, answers: Answers, settings: Settings) -> Found:
    """Compare a turn with the reference, at the points that are not sterically impossible."""
    mine, theirs = answers.energies, answers.reference_energies
    lowest = np.nanmin(theirs) if np.isfinite(theirs).any() else np.nan
    kept = theirs - lowest <= settings.clash_eV
    silent = ~np.isfinite(theirs)  # neither allowed nor forbidden
    evidence = _evidence(numbers, scan, answers) | {"left_out": (~kept).tolist()}
    metrics: dict[str, float | None] = {
        "n_torsion_left_out": float((~kept & ~silent).sum()),
        "n_torsion_unlabelled": float(silent.sum()),
    }
    name = bond_words(numbers, scan.bond)
    if not _enough(kept):
        words = f"{name}: the reference allows {int(kept.sum())} of {len(kept)} points, want {_FEWEST}"
        return Found(metrics, "unknown", words, evidence)
    answered = np.isfinite(mine) & np.isfinite(answers.forces).all(axis=(1, 2))
    if not answered[~silent].all():
        at = scan.moved[int(np.argmax(~answered & ~silent))]
        metrics["torsion_rms_meV"] = float("nan")
        return Found(metrics, "failed", f"{name}: not finite at {at:.0f}°", evidence)
    model, reference = (np.where(kept, 1000.0 * (e - e[kept].mean()), np.inf) for e in (mine, theirs))  # meV
    error = model[kept] - reference[kept]
    places = _places(scan, model, reference, settings)
    # a point that the reference forbids must not be a hole: the model has to climb half as far, at the least
    low = ~kept & ~(mine - mine[kept].min() >= 0.5 * settings.clash_eV)
    hole = low & ~silent
    barriers = [float(np.ptp(e[kept])) for e in (model, reference)]
    metrics |= {
        "torsion_rms_meV": float(np.sqrt((error**2).mean())),
        "torsion_max_meV": float(np.abs(error).max()),
        "torsion_barrier_error_meV": abs(barriers[0] - barriers[1]),
        "torsion_minimum_error_deg": places.apart_deg,
        "torsion_misplaced_meV": places.cost_meV,
        "torsion_force_mae_eV_per_A": float(np.abs(answers.forces - answers.reference_forces)[kept].mean()),
        "n_extra_minima": float(len(places.extra)),
        "n_missing_minima": float(len(places.missing)),
        "n_torsion_holes": float(hole.sum()),
    }
    evidence |= {"barrier_meV": barriers[0], "reference_barrier_meV": barriers[1]}
    evidence |= {"extra_minima_deg": _at(scan, places.extra), "missing_minima_deg": _at(scan, places.missing)}
    judgement, words = _torsion_word(scan, places, hole, barriers, metrics, settings)
    unsure = low & silent  # a well of the model that the reference may not have
    if judgement == "follows" and unsure.any():
        at = scan.moved[int(np.argmax(unsure))]
        failed = f"the reference failed at {int(silent.sum())} of {len(kept)} points"
        judgement, words = "unknown", f"{failed}, as at {at:.0f}°, where the model is low"
    return Found(metrics, judgement, f"{name}: {words}", evidence)


@dataclass(frozen=True)
class _Places:
    """The minima of a torsion: those that only one has, and where the lowest lies."""

    extra: list[Dip]
    missing: list[Dip]
    apart_deg: float
    cost_meV: float


def _places(scan: Scan, model: Floats, reference: Floats, settings: Settings) -> _Places:
    """Compare the minima of two profiles, (n_points,), meV, with walls where points are left out."""
    n_points = len(model)
    mine, theirs = dips(model, periodic=True), dips(reference, periodic=True)
    within = int(_SAME_MINIMUM_DEG * n_points / 360.0 + 1e-9)
    extra = unmatched(mine, theirs, within=within, min_depth=settings.min_depth_meV, period=n_points)
    missing = unmatched(theirs, mine, within=within, min_depth=settings.min_depth_meV, period=n_points)
    here = int(np.argmin(model))
    cost = float(reference[here] - reference.min())
    lowest = [d.index for d in theirs if reference[d.index] - reference.min() <= _LOWEST_TIE_meV]
    apart = min((n_points_between(here, index, n_points) for index in lowest), default=n_points)
    return _Places(extra, missing, apart * 360.0 / n_points, cost)


def _torsion_word(
    scan: Scan,
    places: _Places,
    hole: np.ndarray,
    barriers: list[float],
    metrics: dict[str, float | None],
    settings: Settings,
) -> tuple[str, str]:
    """Return the judgement of a turn and what decided; a check passes only if its `<=` is true."""
    if hole.any():
        at = scan.moved[int(np.argmax(hole))]
        return "falls apart", f"at {at:.0f}° the reference forbids what the model does not even half"
    if places.extra:
        deepest = max(places.extra, key=lambda d: d.depth)
        at = scan.moved[deepest.index]
        return "false minimum", f"{deepest.depth:.0f} meV deep at {at:.0f}°, where the reference has none"
    if not places.cost_meV <= settings.max_misplaced_meV:
        apart = places.apart_deg
        return "wrong minimum", f"its lowest point, {apart:.0f}° away, costs {places.cost_meV:.0f} meV in the reference"
    high, reference_high = barriers
    words = f"barrier {high:.0f} meV, reference {reference_high:.0f}"
    if not abs(high - reference_high) <= settings.max_barrier_error_meV:
        return "wrong barrier", words
    rms = metrics["torsion_rms_meV"]
    judgement = "follows" if rms is not None and rms <= settings.max_rms_meV else "wrong curve"
    return judgement, f"{words}, RMS error {rms:.0f} meV"


def stretch(numbers: Sequence[int], scan: Scan, answers: Answers, settings: Settings) -> Found:
    """Say whether a stretch is smooth and has one minimum, without labels, and compare it with the reference."""
    mine, theirs, step = answers.energies, answers.reference_energies, settings.stretch_step_A
    name, slope = bond_words(numbers, scan.bond), slopes(scan, answers.forces)
    evidence = _evidence(numbers, scan, answers) | {"slope_eV_per_A": _rounded(slope)}
    home = int(np.argmin(np.abs(scan.moved)))
    if not (np.isfinite(mine).all() and np.isfinite(answers.forces).all()):
        bad = ~(np.isfinite(mine) & np.isfinite(answers.forces).all(axis=(1, 2)))
        at = scan.length_A + scan.moved[int(np.argmax(bad))]
        return Found({"stretch_roughness_meV": float("nan")}, "failed", f"{name}: not finite at {at:.2f} Å", evidence)
    rough, work = 1000.0 * np.abs(roughness(mine, step)), 1000.0 * np.abs(work_error(mine, slope, step))
    known = np.flatnonzero(np.isfinite(theirs))
    within = int(_SAME_MINIMUM_A / step + 1e-9)
    others = [Dip(int(known[d.index]), d.depth) for d in dips(theirs[known])]
    all_mine = dips(1000.0 * mine)
    at_home = [d for d in all_mine if abs(d.index - home) <= within and d.depth >= settings.min_depth_meV]
    nearest = min(at_home, key=lambda d: abs(d.index - home), default=None)
    # the reference may have a second minimum too: a proton that is drawn over to a neighbour
    elsewhere = [d for d in all_mine if d is not nearest]
    alone = unmatched(elsewhere, others, within=within, min_depth=settings.min_depth_meV)
    silent = scan.asked[~np.isfinite(theirs[scan.asked])]  # where the reference failed, it may have the minimum too
    unsure = [d for d in alone if (np.abs(silent - d.index) <= within).any()]
    false = [d for d in alone if d not in unsure]
    passes = [_pass(mine, home, d.index) for d in false]
    in_reach = [d for d, high in zip(false, passes, strict=True) if not high > settings.reach_eV]
    unsure_in_reach = [d for d in unsure if not _pass(mine, home, d.index) > settings.reach_eV]
    error = float("nan") if nearest is None else abs(finer_minimum(mine, nearest.index) - home) * step
    metrics: dict[str, float | None] = {
        "stretch_roughness_meV": float(rough.max()),
        "stretch_work_error_meV": float(work.max()),
        "n_spurious_minima": float(len(false)) if false or not unsure else None,  # of the unsure nobody knows
        "stretch_minimum_error_A": error,
        "stretch_escape_eV": min(passes, default=None),
    }
    metrics |= _against_reference(answers, home, settings)
    evidence |= {"false_minima_A": [scan.length_A + at for at in _at(scan, false)]}
    evidence |= {"roughest_at_A": scan.length_A + float(scan.moved[int(np.argmax(rough))])}
    judgement, words = _stretch_word(scan, in_reach, unsure_in_reach, rough, metrics, settings)
    return Found(metrics, judgement, f"{name}: {words}", evidence)


def _against_reference(answers: Answers, home: int, settings: Settings) -> dict[str, float | None]:
    """Return the errors of a stretch, the mean offset of its near part removed: near the minimum, and beyond."""
    rise = answers.reference_energies - answers.reference_energies[home]
    near = rise <= settings.near_eV
    if not _enough(near):
        return {"stretch_near_rms_meV": None, "stretch_force_mae_eV_per_A": None}
    error = 1000.0 * (answers.energies - answers.reference_energies)
    error = error - error[near].mean()
    far = rise > settings.near_eV
    forces = np.abs(answers.forces - answers.reference_forces)[near]
    return {
        "stretch_near_rms_meV": float(np.sqrt((error[near] ** 2).mean())),
        "stretch_far_rms_meV": float(np.sqrt((error[far] ** 2).mean())) if far.any() else None,
        "stretch_force_mae_eV_per_A": float(forces.mean()),
    }


def _stretch_word(
    scan: Scan,
    false: list[Dip],
    unsure: list[Dip],
    rough: Floats,
    metrics: dict[str, float | None],
    settings: Settings,
) -> tuple[str, str]:
    """Return the judgement of a stretch and what decided; a check passes only if its `<=` is true.

    A minimum that is false for sure comes first, then what the reference cannot say.
    """
    values = {name: float("nan") if value is None else value for name, value in metrics.items()}
    deepest = max(false, key=lambda d: d.depth, default=None)
    if deepest is not None:
        at, is_end = scan.length_A + scan.moved[deepest.index], deepest.index == len(scan.moved) - 1
        words = f"{deepest.depth:.0f} meV deep at {at:.2f} Å" + (", the end of the scan" if is_end else "")
        words += f"; the bond's lowest pass to such a place is {metrics['stretch_escape_eV']:.2f} eV"
        return ("falls apart" if is_end else "false minimum"), words
    near = metrics["stretch_near_rms_meV"]
    if near is None:
        return "unknown", f"the reference has less than {_FEWEST} points up to {settings.near_eV:g} eV"
    if unsure:
        at = scan.length_A + scan.moved[max(unsure, key=lambda d: d.depth).index]
        return "unknown", f"the reference failed near {at:.2f} Å, where the model has a minimum"
    off = values["stretch_minimum_error_A"]
    if not off <= settings.max_bond_error_A:
        how = f"off by {off:.3f} Å from" if np.isfinite(off) else "none near"
        return "wrong minimum", f"{how} {scan.length_A:.3f} Å"
    if not values["stretch_roughness_meV"] <= settings.max_roughness_meV:
        at = scan.length_A + scan.moved[int(np.argmax(rough))]
        return "rough", f"{values['stretch_roughness_meV']:.2f} meV off a smooth curve at {at:.2f} Å"
    if not values["stretch_work_error_meV"] <= settings.max_work_error_meV:
        return "no gradient", f"energy and integrated force differ by {values['stretch_work_error_meV']:.1f} meV"
    words = f"RMS error {near:.0f} meV up to {settings.near_eV:g} eV"
    return ("follows" if near <= settings.max_near_rms_meV else "wrong curve"), words


def _pass(energies: Floats, home: int, there: int) -> float:
    """Return the highest energy on the way from one point to another, above the first."""
    return float(energies[min(home, there) : max(home, there) + 1].max() - energies[home])


def _enough(points: np.ndarray) -> bool:
    return int(points.sum()) >= _FEWEST


def _at(scan: Scan, minima: list[Dip]) -> list[float]:
    return [float(scan.moved[d.index]) for d in minima]


def _rounded(values: Floats) -> list[float]:
    return [round(v, _DECIMALS) for v in values.tolist()]


def _evidence(numbers: Sequence[int], scan: Scan, answers: Answers) -> dict[str, object]:
    unit = "deg" if scan.kind == "torsion" else "A"
    return {
        "bond": bond_words(numbers, scan.bond),
        "atoms": list(scan.bond),
        "length_A": scan.length_A,
        f"moved_{unit}": _rounded(scan.moved),
        "energy_eV": _rounded(answers.energies),
        "reference_energy_eV": _rounded(answers.reference_energies),
    }
