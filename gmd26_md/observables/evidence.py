"""From a trajectory to the evidence that a verdict is drawn from, and to the metrics of its record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase.units import kB
from numpy.typing import NDArray

from gmd26_md.observables.bonds import BondGraph
from gmd26_md.observables.drift import conservation, true_energy
from gmd26_md.observables.errors import FrameSums, pooled
from gmd26_md.observables.survival import first_failure
from gmd26_md.observables.topology import TopologyReport, examine_topology
from gmd26_md.observables.verdict import Evidence, Failure, Thresholds
from gmd26_md.observables.watched import Sighting, with_sightings
from gmd26_md.trajectory import Trajectory, degrees_of_freedom, kinetic_energy, temperature_K

Floats = NDArray[np.float64]
Metrics = dict[str, float | None]


@dataclass(frozen=True, eq=False)
class Labels:
    """Reference energies and forces at some frames of a run.

    Attributes
    ----------
    frames
        Which frames, ascending, the first of them the start of the part at constant energy, (n_labels,).
    energies
        (n_labels,), eV. A label that the reference failed to give is NaN, and is never skipped.
    forces
        (n_labels, n_atoms, 3), eV/Å.
    """

    frames: NDArray[np.int64]
    energies: Floats
    forces: Floats


@dataclass(frozen=True)
class EveryStep:
    """What was seen at every step of a part of a run, frames or not.

    Attributes
    ----------
    proper
        Whether it is the run proper, and not the thermalisation before it.
    kinetic_max_eV, hottest_at_ps
        Largest kinetic energy, and when it was reached.
    total_min_eV, total_max_eV
        Range of kinetic plus potential energy.
    """

    proper: bool
    kinetic_max_eV: float
    hottest_at_ps: float
    total_min_eV: float
    total_max_eV: float


def examine(
    trajectory: Trajectory,
    graph: BondGraph,
    *,
    asked_ps: float,
    target_temperature_K: float,
    reached_ps: float | None = None,
    cut: bool = False,
    labels: Labels | None = None,
    n_dof: int | None = None,
    constant_energy_from: int = 0,
    constant_energy: bool = True,
    exploded_at_ps: float | None = None,
    sightings: Sequence[Sighting] = (),
    every_step: Sequence[EveryStep] = (),
    thresholds: Thresholds | None = None,
) -> tuple[Evidence, Metrics]:
    """Return the evidence and the metrics of one run, that ends at constant energy.

    Parameters
    ----------
    trajectory
        The run, with velocities; the bad frames included, as they are the evidence.
    graph
        The bonds that the molecule should keep, with reference lengths.
    asked_ps
        Length of the run as ordered.
    target_temperature_K
        Temperature the run was started for; the limit of the kinetic temperature rests on it.
    reached_ps
        How far the run came; by default the span of the trajectory.
    cut
        Whether a time limit stopped the run.
    labels
        Reference labels along the run, None where there are none: the truth is then not examined.
    n_dof
        Degrees of freedom for the temperature of the part at constant energy; by default 3N-6, 3N-5 for a molecule
        whose first frame is linear, at least 1. A thermostat, before it or throughout, heats all 3N.
    constant_energy_from
        First frame of the run proper; the frames before it are thermalisation, in which a failure
        counts but energy is not conserved. Labels belong to the part after. Past the last frame: it never began.
    constant_energy
        Whether the run proper is at constant energy. If not, conservation and the true energy are None.
    exploded_at_ps
        When the integrator itself met a number that is not finite, or too much heat, which may fall between frames.
    sightings
        Bonds and clashes that were seen between frames.
    every_step
        Energies seen between frames, by part; none where only frames are known.
    """
    limits = thresholds or Thresholds()
    reached = float(np.ptp(trajectory.time_fs)) / 1000.0 if reached_ps is None else reached_ps
    broken_numbers = first_nonfinite(trajectory)
    topology = examine_topology(graph, trajectory.positions, trajectory.time_fs, limits.topology)
    topology = with_sightings(topology, graph, sightings, limits.topology)
    free = internal_degrees_of_freedom(trajectory) if constant_energy else 3 * trajectory.n_atoms
    dof = free if n_dof is None else n_dof
    hottest = limits.temperature_limit_K(target_temperature_K, dof)
    heat = _temperature(trajectory, dof, constant_energy_from, hottest)
    heat = _with_hottest_steps(heat, every_step, dof, 3 * trajectory.n_atoms, hottest)
    if exploded_at_ps is not None and broken_numbers is None and heat["too_hot_at_ps"] is not None:
        heat["too_hot_at_ps"] = min(heat["too_hot_at_ps"], exploded_at_ps)
    elif exploded_at_ps is not None:
        broken_numbers = _between_frames(broken_numbers, exploded_at_ps)
    conserved_from = constant_energy_from if constant_energy else trajectory.n_frames
    energy = _with_energy_of_steps(_conservation(trajectory, conserved_from), trajectory, conserved_from, every_step)
    truth = _truth(trajectory, labels)
    if not constant_energy:
        truth |= dict.fromkeys(true_energy(np.zeros(1), np.zeros(1), np.zeros(1), 1))
    evidence = Evidence(
        asked_ps=asked_ps,
        reached_ps=reached,
        cut=cut,
        finite=broken_numbers is None,
        nonfinite=broken_numbers,
        target_temperature_K=target_temperature_K,
        temperature_max_K=heat["temperature_max_K"],
        n_dof=dof,
        too_hot_at_ps=heat["too_hot_at_ps"],
        topology=topology,
        energy_drift_meV_per_atom_per_ps=energy["energy_drift_meV_per_atom_per_ps"],
        energy_rms_meV_per_atom=energy["energy_rms_meV_per_atom"],
        energy_change_max_meV_per_atom=energy["energy_change_max_meV_per_atom"],
        energy_rms_relative_ratio=energy["energy_rms_relative_ratio"],
        force_ratio=truth["path_force_mae_relative_ratio"],
        true_energy_change_max_meV_per_atom=truth["true_energy_change_max_meV_per_atom"],
        n_reference_labels=0 if labels is None else len(labels.frames),
        constant_energy=constant_energy,
    )
    nonfinite_at = None if broken_numbers is None else broken_numbers.at_ps
    times = {"nonfinite_at_ps": nonfinite_at, "too_hot_at_ps": heat["too_hot_at_ps"]}
    return evidence, {**_lifetime(times, topology, reached), **times, **topology.metrics(), **heat, **energy, **truth}


def first_nonfinite(trajectory: Trajectory) -> Failure | None:
    """Return the first frame with an energy, force, position or velocity that is not finite; None where all are."""
    arrays = {"energy": trajectory.energies, "forces": trajectory.forces, "positions": trajectory.positions}
    if trajectory.velocities is not None:
        arrays["velocities"] = trajectory.velocities
    finite = {name: np.isfinite(array).reshape(trajectory.n_frames, -1) for name, array in arrays.items()}
    frames = np.flatnonzero(~np.concatenate(list(finite.values()), axis=1).all(axis=1))
    if frames.size == 0:
        return None
    frame = int(frames[0])
    what = " and ".join(name for name, flags in finite.items() if not flags[frame].all())
    return Failure(what, float(trajectory.time_fs[frame]) / 1000.0)


def _between_frames(seen: Failure | None, at_ps: float) -> Failure:
    """Return the failure that the integrator met, under the name that the frames give it, if they show it at all."""
    return Failure(
        "energy, forces or heat between frames" if seen is None else seen.what,
        at_ps if seen is None else min(seen.at_ps, at_ps),
    )


def _lifetime(times: Metrics, topology: TopologyReport, reached_ps: float) -> Metrics:
    """Return when the run first failed and how long it lived. A proton transfer is no failure here."""
    events = {key: at for key, at in topology.metrics().items() if key != "transfer_at_ps"}
    failed_at = first_failure([*times.values(), *events.values()])
    return {"failed_at_ps": failed_at, "alive_ps": reached_ps if failed_at is None else failed_at}


def internal_degrees_of_freedom(trajectory: Trajectory) -> int:
    """Return 3N-6, or 3N-5 where the first frame is linear to 0.1 Å; at least 1, so that a temperature exists."""
    start = trajectory.positions[0] - trajectory.positions[0].mean(axis=0)
    linear = trajectory.n_atoms > 2 and np.isfinite(start).all() and np.linalg.svd(start, compute_uv=False)[1] < 0.1
    return max(degrees_of_freedom(trajectory.n_atoms) + int(linear), 1)


def _temperature(trajectory: Trajectory, n_dof: int, first: int, limit: float) -> Metrics:
    """Return the mean temperature from frame `first` on, the highest of all, and when it first passed the limit.

    Frames before `first` share their kinetic energy among all 3N degrees of freedom. None without velocities.
    """
    if trajectory.velocities is None:
        return {"temperature_mean_K": None, "temperature_max_K": None, "too_hot_at_ps": None}
    temperature = temperature_K(trajectory, n_dof)
    temperature[:first] *= n_dof / (3 * trajectory.n_atoms)
    hot = np.flatnonzero(~(temperature <= limit))
    at_ps = float(trajectory.time_fs[hot[0]]) / 1000.0 if hot.size else None
    with np.errstate(invalid="ignore"):
        return {
            "temperature_mean_K": float(temperature[first:].mean()) if first < len(temperature) else None,
            "temperature_max_K": float(temperature.max()),
            "too_hot_at_ps": at_ps,
        }


def _with_hottest_steps(
    heat: Metrics, every_step: Sequence[EveryStep], n_dof: int, n_dof_before: int, limit: float
) -> Metrics:
    """Return what `_temperature` does with the hottest step of each part, which may lie between frames."""
    highest, too_hot_at = heat["temperature_max_K"], heat["too_hot_at_ps"]
    if highest is None:
        return heat
    for part in every_step:
        temperature = 2.0 * part.kinetic_max_eV / ((n_dof if part.proper else n_dof_before) * kB)
        highest = float(np.maximum(highest, temperature))
        if not temperature <= limit:
            too_hot_at = part.hottest_at_ps if too_hot_at is None else min(too_hot_at, part.hottest_at_ps)
    return {**heat, "temperature_max_K": highest, "too_hot_at_ps": too_hot_at}


def _conservation(trajectory: Trajectory, first: int) -> Metrics:
    """Return how well the run kept its energy from a frame on; None where there are no velocities or no such frame."""
    if trajectory.velocities is None or first >= trajectory.n_frames:
        return dict.fromkeys(conservation(np.zeros(1), np.zeros(1), np.zeros(1), 1))
    part = trajectory.part(slice(first, None))
    return conservation(part.energies, kinetic_energy(part), part.time_fs, part.n_atoms)


def _with_energy_of_steps(
    energy: Metrics, trajectory: Trajectory, first: int, every_step: Sequence[EveryStep]
) -> Metrics:
    """Return what `_conservation` does with the largest change since the start at any step, and not only in frames."""
    largest = energy["energy_change_max_meV_per_atom"]
    if largest is None:
        return energy
    start = trajectory.energies[first] + kinetic_energy(trajectory)[first]
    for part in every_step:
        if part.proper:
            change = np.abs(np.array([part.total_min_eV, part.total_max_eV]) - start).max()
            largest = float(np.maximum(largest, change * 1000.0 / trajectory.n_atoms))
    return {**energy, "energy_change_max_meV_per_atom": largest}


def _truth(trajectory: Trajectory, labels: Labels | None) -> Metrics:
    """Return force errors and the true energy along the run; None where it has no labels or no velocities."""
    if labels is None or len(labels.frames) == 0 or trajectory.velocities is None:
        names = ("path_force_mae_eV_per_A", "path_force_mae_relative_ratio")
        return dict.fromkeys((*names, *true_energy(np.zeros(1), np.zeros(1), np.zeros(1), 1)))
    frames = labels.frames
    sums = FrameSums.of(trajectory.energies[frames], labels.energies, trajectory.forces[frames], labels.forces)
    errors = pooled([sums])
    kinetic = kinetic_energy(trajectory)[frames]
    return {
        "path_force_mae_eV_per_A": errors["force_mae_eV_per_A"],
        "path_force_mae_relative_ratio": errors["force_mae_relative_ratio"],
        **true_energy(labels.energies, kinetic, trajectory.time_fs[frames], trajectory.n_atoms),
    }
