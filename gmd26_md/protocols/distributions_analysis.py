"""What the runs of the distributions protocol come to: distances between model and reference, and the noise in them.

Pure: arrays in, numbers out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from ase.data import atomic_masses

from gmd26_md.dynamics.sampled import Sampled
from gmd26_md.observables import distributions as measures
from gmd26_md.observables.bonds import BondGraph, Floats, bond_graph, pair_distances
from gmd26_md.observables.internal import angle_values_deg, torsion_values_deg
from gmd26_md.observables.kinds import Kind, kinds_of
from gmd26_md.observables.spectrum import bond_rates, density_of_states, power_spectrum, spectral_distance_per_cm
from gmd26_md.observables.topology import examine_topology
from gmd26_md.protocols.cases import Case
from gmd26_md.protocols.distributions import Settings
from gmd26_md.protocols.distributions_judgement import Compared, Judged, judge, over
from gmd26_md.protocols.relaxation import reference_minimum
from gmd26_md.trajectory import Trajectory

_INTERVAL_FS = 4.0  # denser frames say nothing new of a distribution
_SHOWN_FS = 10.0
_HIGHEST_PER_CM = 4500.0  # of the curves that are kept


@dataclass(frozen=True)
class Trouble:
    """Why a run is not to be compared: the judgement, the reason, the run's number, and when (None: not known)."""

    judgement: str
    reason: str
    run: int
    at_ps: float | None


def trouble(case: Case, runs: Sequence[Sampled]) -> Trouble | None:
    """Return what is wrong with the first run that is not to be compared; None if all are whole."""
    graph = bond_graph(case.numbers, reference_minimum(case).positions[0])
    for index, sampled in enumerate(runs):
        found = _trouble_of(graph, sampled)
        if found is not None:
            judgement, words, at_ps = found
            at = "" if at_ps is None else f", at {at_ps:.3f} ps"
            return Trouble(judgement, f"run {index}: {words}{at}", index, at_ps)
    return None


def _trouble_of(graph: BondGraph, sampled: Sampled) -> tuple[str, str, float | None] | None:
    if sampled.stopped is not None:
        word = {"exploded": "exploded", "check": "broken"}.get(sampled.stopped, "failed")
        at_ps = None if sampled.stopped_at_fs is None else sampled.stopped_at_fs / 1000
        return word, sampled.reason or sampled.stopped, at_ps
    if not len(sampled.time_fs):
        return "failed", "no frame was kept", None
    if not (np.isfinite(sampled.positions).all() and np.isfinite(sampled.velocities).all()):
        return "exploded", "a position or velocity was not finite", None
    report = examine_topology(graph, sampled.positions, sampled.time_fs)
    for name in ("bond_broken", "bond_broken_by_radii", "clash"):
        event = getattr(report, name)
        if event is not None:
            return "broken", f"{name} of atoms {event.atoms}", event.at_ps
    if not report.intact:
        event = report.transfer or report.new_bond or report.inversion
        if event is None:
            return "reacted", "the covalent graph at the end differs", None
        what = "an inversion of atom" if event is report.inversion else "a new bond or proton transfer of atoms"
        return "reacted", f"{what} {event.atoms}", event.at_ps
    return None


def as_trajectory(sampled: Sampled) -> Trajectory:
    """Return frames of a run to look at, some 10 fs apart, without energies and forces, which were not kept (NaN)."""
    spacing = float(np.diff(sampled.time_fs[:2]).sum())
    every = max(1, round(_SHOWN_FS / spacing)) if spacing > 0 else 1
    x, v = sampled.positions[::every], sampled.velocities[::every]
    nothing = np.full(x.shape, np.nan)
    return Trajectory(sampled.numbers, sampled.time_fs[::every], x, v, nothing[:, 0, 0], nothing, sampled.info)


def analyse(case: Case, model: Sequence[Sampled], reference: Sequence[Sampled], settings: Settings) -> Judged:
    """Compare runs of the model with runs of the reference, two at least of each, all of them whole."""
    minimum = reference_minimum(case).positions[0]
    kinds = kinds_of(bond_graph(case.numbers, minimum))
    seen = [[_observe(run, kinds, settings) for run in runs] for runs in (model, reference)]
    compared = [_hr([s.hr for s in seen[0]], [s.hr for s in seen[1]])] if len(case.numbers) > 1 else []
    for index, kind in enumerate(kinds):
        ours, theirs = ([s.values[index] for s in runs] for runs in seen)
        if kind.family == "spectrum":
            compared.append(_spectra("spectrum", kind, seen[0][0].frequencies_per_cm, ours, theirs))
            continue
        compared.append(_coordinate(kind, ours, theirs))
        if kind.family == "bond":
            ours, theirs = ([s.stretches[index] for s in runs] for runs in seen)
            compared.append(_spectra("stretch", kind, seen[0][0].frequencies_per_cm, ours, theirs))
    return judge(compared, settings, {"spectrum": _curves(*seen)})


@dataclass(frozen=True, eq=False)
class _Observed:
    """What one run shows: h(r); by kind, values (n_frames, n_members) or a density of states; spectra of bonds.

    `states` is the density of states of the whole molecule, (n_frequencies,).
    """

    hr: Floats
    values: list[Floats]
    stretches: dict[int, Floats]
    frequencies_per_cm: Floats
    states: Floats


def _observe(run: Sampled, kinds: Sequence[Kind], settings: Settings) -> _Observed:
    every = max(1, round(_INTERVAL_FS / settings.save_every_fs))
    spacing, window = settings.save_every_fs, 1000.0 * settings.window_ps
    n_whole = 1 + int((run.time_fs[-1] - run.time_fs[0]) / spacing + 1e-6)  # the last frame may be off the beat
    x, v, few = run.positions[:n_whole], run.velocities[:n_whole], run.positions[:n_whole:every]
    frequencies, density = density_of_states(x, v, atomic_masses[run.numbers], spacing, window)
    values: list[Floats] = []
    stretches = {}
    for index, kind in enumerate(kinds):
        if kind.family == "spectrum":
            values.append(density[:, kind.members[:, 0]].sum(1))
        else:
            values.append(_VALUES[kind.family](few, kind.members))
        if kind.family == "bond":
            stretches[index] = power_spectrum(bond_rates(x, v, kind.members), spacing, window)[1].sum(1)
    return _Observed(measures.interatomic_distances(few), values, stretches, frequencies, density.sum(1))


_VALUES: dict[str, Callable[..., Floats]] = {
    "bond": pair_distances,
    "angle": angle_values_deg,
    "torsion": torsion_values_deg,
}


def _hr(model: list[Floats], reference: list[Floats]) -> Compared:
    return Compared("hr", None, *_distances(model, reference, measures.hr_error), None, None, "")


def _coordinate(kind: Kind, model: list[Floats], reference: list[Floats]) -> Compared:
    both = np.concatenate([r.ravel() for r in reference])
    if kind.family == "torsion":
        distances, spread = _distances(model, reference, measures.circle_distance_deg), measures.circle_spread_deg(both)
    else:
        distances, spread = _distances(model, reference, measures.line_distance), measures.line_spread(both)
    across, noise, model_noise = (over(d, spread) for d in distances)
    unit = "Å" if kind.family == "bond" else "°"
    if kind.family == "torsion":
        return Compared(kind.family, kind, across, noise, model_noise, None, None, unit)
    mean = float(np.mean([m.mean() for m in model]))
    return Compared(kind.family, kind, across, noise, model_noise, mean, float(both.mean()), unit)


def _spectra(family: str, kind: Kind, at: Floats, model: list[Floats], reference: list[Floats]) -> Compared:
    distances = _distances(model, reference, lambda a, b: spectral_distance_per_cm(at, a, b))
    ours, theirs = (np.mean([_normed(s) for s in runs], axis=0) for runs in (model, reference))
    return Compared(family, kind, *distances, float(ours @ at), float(theirs @ at), "1/cm")


def _normed(density: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(density / density.sum())


def _distances(
    model: list[Floats], reference: list[Floats], distance: Callable[[Floats, Floats], float]
) -> tuple[float, float, float]:
    """Return the mean distance across, within the reference, and within the model; NaN anywhere gives NaN."""
    across = [distance(a, b) for a in model for b in reference]
    within = [[distance(a, b) for a, b in combinations(runs, 2)] for runs in (reference, model)]
    return float(np.mean(across)), float(np.mean(within[0])), float(np.mean(within[1]))


def _curves(model: list[_Observed], reference: list[_Observed]) -> dict[str, list[float]]:
    """Return both densities of states of the whole molecule, to be drawn."""
    at = model[0].frequencies_per_cm
    low = at <= _HIGHEST_PER_CM
    curves = {"frequency_per_cm": at[low].round(2).tolist()}
    for name, runs in (("model", model), ("reference", reference)):
        curves[name] = np.mean([_normed(run.states) for run in runs], axis=0)[low].round(7).tolist()
    return curves
