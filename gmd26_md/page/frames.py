"""What the files of a run add to its record: temperature and energy in time, and the frame to look at in 3D."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from gmd26_md.errors import UserError
from gmd26_md.observables.bonds import bond_graph
from gmd26_md.page.limits import N_TIMES
from gmd26_md.page.sources import Sources
from gmd26_md.records import Record
from gmd26_md.trajectory import Trajectory, kinetic_energy, temperature_K

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Track:
    """A run in time.

    Attributes
    ----------
    time_ps
        (n_frames,).
    temperature_K
        (n_frames,).
    energy_change_meV_per_atom
        Kinetic plus potential energy since the run proper began; NaN before it, and under a thermostat, (n_frames,).
    forces
        Force components of the model and of the reference at some labelled frames, (n, 2), eV/Å.
    """

    time_ps: Floats
    temperature_K: Floats
    energy_change_meV_per_atom: Floats
    forces: Floats


@dataclass(frozen=True, eq=False)
class Frame:
    """A geometry to look at: words, symbols, positions (n_atoms, 3) in Å, bonds of the start, and marked atoms."""

    words: str
    symbols: tuple[str, ...]
    positions: Floats
    bonds: tuple[tuple[int, int], ...]
    marked: tuple[int, ...]
    numbers: NDArray[np.int64]


def labels_of(record: Record, sources: Sources) -> Trajectory | None:
    """Return the labelled frames of a run; None where they are gone or damaged."""
    return _read(sources.file(record, record.evidence.get("labels")))


def track_of(record: Record, sources: Sources, labels: Trajectory | None) -> Track | None:
    """Return a run in time from its trajectory, at about `N_TIMES` frames; None where it is gone or damaged."""
    path = sources.file(record, record.trajectory)
    if path is None:
        return None
    labelled = np.zeros(0) if labels is None else labels.time_fs

    def choose(times: Floats) -> NDArray[np.int64]:
        some = np.linspace(0, len(times) - 1, min(N_TIMES, len(times))).round().astype(np.int64)
        near = np.searchsorted(times, labelled + 1e-6, side="right") - 1  # the later one of two of one time
        return np.unique(np.concatenate([some, near[near >= 0]]))

    run = _read(path, choose)
    if run is None or run.velocities is None:
        return None
    begun = 1000.0 * float(record.settings.get("thermalise_ps") or 0.0)
    proper = np.flatnonzero(run.time_fs >= begun - 1e-6)
    if begun > 0.0 and proper.size > 1 and run.time_fs[proper[1]] <= begun + 1e-6:
        proper = proper[1:]  # the last frame of the thermalising and the first of the run proper are of one time
    change = np.full(run.n_frames, np.nan)
    if proper.size and record.settings.get("ensemble", "nve") == "nve":
        with np.errstate(over="ignore", invalid="ignore"):
            total = run.energies + kinetic_energy(run)
            change[proper] = 1000.0 * (total[proper] - total[proper[0]]) / run.n_atoms
    return Track(run.time_fs / 1000.0, temperature_K(run), change, _pairs(run, labels))


def _pairs(run: Trajectory, labels: Trajectory | None, n_most: int = 60) -> Floats:
    """Return components of the model's and the reference's forces at the same frames, the same ones each time."""
    if labels is None:
        return np.zeros((0, 2))
    _, ours, theirs = np.intersect1d(np.round(run.time_fs, 3), np.round(labels.time_fs, 3), return_indices=True)
    both = np.stack([run.forces[ours].ravel(), labels.forces[theirs].ravel()], axis=1)
    both = both[np.isfinite(both).all(axis=1)]
    if len(both) <= n_most:
        return both
    return np.asarray(both[np.random.default_rng(0).choice(len(both), n_most, replace=False)])


def frame_of(record: Record, sources: Sources, labels: Trajectory | None) -> Frame | None:
    """Return the frame at which a run failed, or else the one whose forces are most wrong; None without its file."""
    where = record.evidence.get("where")
    failing = _read(sources.file(record, record.evidence.get("last_frames")))
    if failing is not None and where:
        words = f"at {failing.time_fs[-1] / 1000.0:.3f} ps, on the way out"
        return _frame(failing, failing.n_frames - 1, words, tuple(int(i) for i in where.get("atoms") or ()))
    if labels is None:
        return None
    times, errors = _along(record)
    if not times.size:
        return _frame(labels, labels.n_frames - 1, f"the last labelled, at {labels.time_fs[-1] / 1000.0:.3f} ps", ())
    worst = int(np.argmax(errors))
    index = int(np.argmin(np.abs(labels.time_fs / 1000.0 - times[worst])))
    return _frame(labels, index, f"most wrong, {errors[worst]:.3f} eV/Å at {times[worst]:.3f} ps", ())


def _along(record: Record) -> tuple[Floats, Floats]:
    """Return times and force errors of the labelled frames that have a number."""
    along: dict[str, Any] = record.evidence.get("along") or {}
    times = np.array([math.nan if v is None else v for v in along.get("time_ps") or []], dtype=float)
    errors = np.array([math.nan if v is None else v for v in along.get("force_mae_eV_per_A") or []], dtype=float)
    n = min(len(times), len(errors))
    known = np.isfinite(times[:n]) & np.isfinite(errors[:n])
    return times[:n][known], errors[:n][known]


def _frame(frames: Trajectory, index: int, words: str, marked: tuple[int, ...]) -> Frame | None:
    positions = frames.positions[index]
    if not np.isfinite(positions).all():
        return None
    start = frames.positions[0]
    graph = bond_graph(frames.numbers, start if np.isfinite(start).all() else positions)
    symbols = tuple(chemical_symbols[z] for z in frames.numbers)
    bonds = tuple((int(i), int(j)) for i, j in graph.bonds)
    return Frame(words, symbols, positions - positions.mean(axis=0), bonds, marked, frames.numbers)


def _read(path: Path | None, choose: Any = None) -> Trajectory | None:
    if path is None:
        return None
    try:
        return Trajectory.read(path, choose)
    except UserError:
        return None
