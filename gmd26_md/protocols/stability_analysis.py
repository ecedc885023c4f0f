"""What a stability run comes to: alive, conserved, true? Where did it go wrong, and where are the forces wrong?"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from gmd26_md.dynamics.engine import Run
from gmd26_md.observables.bonds import BondGraph, bond_graph
from gmd26_md.observables.drift import change_meV_per_atom
from gmd26_md.observables.errors import force_mae_by_atom
from gmd26_md.observables.evidence import EveryStep, examine
from gmd26_md.observables.evidence import Labels as LabelledFrames
from gmd26_md.observables.fragments import bonds_to_groups
from gmd26_md.observables.verdict import Evidence, Thresholds, Verdict, judge
from gmd26_md.observables.watched import Sighting
from gmd26_md.observables.where import Where, first_place, last_frames
from gmd26_md.protocols.relaxation import reference_minimum
from gmd26_md.protocols.stability import THERMALISE, Order, asked_ps, before_error, frames_to_label, joined, segments
from gmd26_md.protocols.stability_settings import Settings
from gmd26_md.reference.labels import Labels
from gmd26_md.trajectory import Trajectory, kinetic_energy


@dataclass(frozen=True, eq=False)
class Judged:
    """A run with its numbers and its verdict.

    Attributes
    ----------
    verdict, metrics
        As they stand in the record.
    evidence
        What the record keeps beside numbers: `decided` (the number that decided, its limit, when), `where` (the first
        thing that went wrong, see `observables.where`), and of the labelled frames `along` (`time_ps`,
        `force_mae_eV_per_A`, `true_energy_change_meV_per_atom`, (n_labels,) each), `force_mae_by_atom_eV_per_A`,
        (n_atoms,), and `force_mae_by_bonds_from_group_eV_per_A`.
    labelled
        The labelled frames with the reference's energies and forces: training data. None without labels.
    last
        The frames on the way to what went wrong, with the model's energies and forces. None where nothing did.
    """

    verdict: Verdict
    metrics: dict[str, float | None] = field(default_factory=dict)
    evidence: dict[str, Any] = field(default_factory=dict)
    labelled: Trajectory | None = None
    last: Trajectory | None = None


def analyse(order: Order, run: Run, labels: Labels | None, thresholds: Thresholds) -> Judged:
    """Judge a run: alive, conserved, true. Pure: arrays in, numbers out.

    Parameters
    ----------
    labels
        The reference's answer on `frames_to_label(run, settings)`, or None.
    """
    asked = asked_ps(order.settings)
    if run.stopped == "censored" and not run.frames:
        words = f"not begun when the time limit came, of {asked} ps"
        return Judged(Verdict("censored", words, "reached_ps", 0.0, asked, 0.0))
    if run.stopped == "error" or not run.frames:
        return _failed_before_error(order, run, labels, thresholds) or _error(run, thresholds)
    return _examined(order, run, labels, thresholds)


def _at_ps(run: Run) -> float | None:
    return None if run.stopped_at_fs is None else run.stopped_at_fs / 1000


def _error(run: Run, thresholds: Thresholds) -> Judged:
    reason = run.reason or "the run kept no frame"
    return Judged(judge(Evidence(error=reason), thresholds), {"failed_at_ps": _at_ps(run)})


def _failed_before_error(order: Order, run: Run, labels: Labels | None, thresholds: Thresholds) -> Judged | None:
    """Judge a run by what went wrong before its calculator raised; None where nothing had.

    A calculator often raises because the molecule has fallen apart: that is no error, and no excuse.
    """
    before = before_error(run)
    if not before.frames:
        return None
    judged = _examined(order, before, labels, thresholds)
    if judged.verdict.name not in ("exploded", "broken", "reacted"):
        return None
    words = f"{judged.verdict.reason}; then an error: {run.reason}"
    metrics = dict(judged.metrics)
    if metrics["failed_at_ps"] is None:  # a proton transfer, or another graph
        metrics["failed_at_ps"] = _at_ps(run)
    return replace(judged, verdict=replace(judged.verdict, reason=words), metrics=metrics)


def _examined(order: Order, run: Run, labels: Labels | None, thresholds: Thresholds) -> Judged:
    """Judge a run by its frames and by what was noticed between them."""
    case, settings = order.case, order.settings
    whole = joined(run)
    graph = bond_graph(case.numbers, reference_minimum(case).positions[0])
    n_before = run.frames[THERMALISE].n_frames if THERMALISE in run.frames else 0
    chosen = frames_to_label(run, settings)
    labelled = None
    if labels is not None and chosen.size:
        labelled = LabelledFrames(n_before + chosen, labels.energies, labels.forces)
    evidence, metrics = examine(
        whole,
        graph,
        asked_ps=asked_ps(settings),
        target_temperature_K=settings.temperature_K,
        cut=run.stopped in ("censored", "error"),
        labels=labelled,
        constant_energy_from=n_before,
        constant_energy=settings.ensemble == "nve",
        exploded_at_ps=_at_ps(run) if run.stopped == "exploded" else None,
        sightings=[Sighting(n.name, n.at_fs / 1000, n.atoms, n.distance_A) for n in run.noticed.values()],
        every_step=_every_step(run, settings),
        thresholds=thresholds,
    )
    verdict = judge(evidence, thresholds)
    if labels is not None and labels.problems and verdict.name in ("silent", "faithful"):
        verdict = _reference_failed(labels)
    where = _where(graph, whole, evidence)
    return Judged(
        verdict,
        metrics,
        {"decided": _decided(verdict), "where": None if where is None else asdict(where)}
        | _along(graph, whole, labelled, constant_energy=settings.ensemble == "nve"),
        None if labelled is None else _training_frames(whole, labelled),
        None if where is None else last_frames(whole, where.at_ps),
    )


def _every_step(run: Run, settings: Settings) -> list[EveryStep]:
    """Return what the engine saw at every step of each part of a run; nothing of what it did not look at."""
    parts, begun_fs = [], 0.0
    for segment in segments(settings):
        seen = run.observed.get(segment.name)
        if seen is not None and seen.n_steps > 0:
            at_fs = begun_fs + (seen.kinetic_max_step or seen.n_steps) * segment.timestep_fs
            proper = segment.name != THERMALISE
            parts.append(EveryStep(proper, seen.kinetic_max_eV, at_fs / 1000, seen.total_min_eV, seen.total_max_eV))
        begun_fs += segment.n_steps * segment.timestep_fs
    return parts


def _reference_failed(labels: Labels) -> Verdict:
    """Return the verdict of a run, alive and conserved, of which the reference could not say whether it is true."""
    words = next(iter(labels.problems.values()))
    n_failed, n_all = len(labels.problems), len(labels.energies)
    return Verdict("error", f"the reference failed on {n_failed} of {n_all} frames: {words}", "reference", n_failed, 0)


def _decided(verdict: Verdict) -> dict[str, Any]:
    return {"by": verdict.decided_by, "value": verdict.value, "limit": verdict.limit, "at_ps": verdict.at_ps}


def _where(graph: BondGraph, whole: Trajectory, evidence: Evidence) -> Where | None:
    if evidence.topology is None:
        return None
    nonfinite = None if evidence.nonfinite is None else evidence.nonfinite.at_ps
    return first_place(graph, evidence.topology, whole, nonfinite_at_ps=nonfinite, too_hot_at_ps=evidence.too_hot_at_ps)


def _along(
    graph: BondGraph, whole: Trajectory, labels: LabelledFrames | None, *, constant_energy: bool
) -> dict[str, Any]:
    """Return what was seen at the labelled frames of a run: along time, by atom, by distance from the groups."""
    if labels is None:
        return {}
    frames = labels.frames
    forces = whole.forces[frames]
    along = {
        "time_ps": (whole.time_fs[frames] / 1000).tolist(),
        "force_mae_eV_per_A": np.abs(forces - labels.forces).mean(axis=(1, 2)).tolist(),
    }
    if constant_energy and whole.velocities is not None:
        total = labels.energies + kinetic_energy(whole)[frames]
        along["true_energy_change_meV_per_atom"] = change_meV_per_atom(total, whole.n_atoms).tolist()
    by_atom = force_mae_by_atom(forces, labels.forces)
    away = bonds_to_groups(graph)
    return {
        "along": along,
        "force_mae_by_atom_eV_per_A": by_atom.tolist(),
        "force_mae_by_bonds_from_group_eV_per_A": {
            f"{n:g}": float(by_atom[away == n].mean()) for n in np.unique(away[np.isfinite(away)]).tolist()
        },
    }


def _training_frames(whole: Trajectory, labels: LabelledFrames) -> Trajectory | None:
    """Return the labelled frames with the reference's energies and forces in place of the model's.

    Without those on which the reference failed: they teach nothing. None where no other is left.
    """
    given = np.isfinite(labels.energies) & np.isfinite(labels.forces).all(axis=(1, 2))
    frames = labels.frames[given]
    if not frames.size:
        return None
    velocities = None if whole.velocities is None else whole.velocities[frames]
    return Trajectory(
        numbers=whole.numbers,
        time_fs=whole.time_fs[frames],
        positions=whole.positions[frames],
        velocities=velocities,
        energies=labels.energies[given],
        forces=labels.forces[given],
    )
