"""Stability: short dynamics with the model, and whether they may be believed.

Each run starts at the reference minimum, is thermalised by Langevin dynamics and then left alone at constant energy. It
is asked whether it is alive (finite, not too hot, bonds whole), whether its energy is conserved, and, by labelling
the model's *own* trajectory with the reference, whether it is true. Docs: `docs/protocols/stability.md`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gmd26_md.dynamics.engine import Checks, PairCheck, Progress, Run, Segment, System, stream
from gmd26_md.dynamics.forces import ForceProvider
from gmd26_md.errors import UserError, unknown_name
from gmd26_md.observables.bonds import bond_graph
from gmd26_md.observables.evidence import Labels as LabelledFrames
from gmd26_md.observables.evidence import examine
from gmd26_md.observables.verdict import Evidence, Thresholds, Verdict, judge
from gmd26_md.observables.watched import Sighting, watched
from gmd26_md.protocols.cases import Case
from gmd26_md.protocols.relaxation import reference_minimum
from gmd26_md.reference.labels import Labels
from gmd26_md.seeds import seed_of
from gmd26_md.trajectory import Trajectory

_MAX_STEPS = 1e9
_LARGEST_SAVE_FS = 50.0  # half of what a bond must last to count as new (`topology.Limits.lasting_fs`)


@dataclass(frozen=True)
class Settings:
    """Options of the protocol.

    Attributes
    ----------
    temperature_K
        Of the thermalisation.
    timestep_fs
        0.5 fs: velocity Verlet's own error stays under a tenth of the drift limit.
    thermalise_ps, friction_per_fs
        Langevin dynamics before the run proper; failures in it count.
    nve_ps
        Constant energy.
    save_every_fs
        Between frames; 10 fs sees every bond stretch.
    n_seeds, seed
        Runs a molecule, seeds counted from the first.
    n_label_frames
        Frames of each run labelled with the reference; 0 leaves truth unexamined, and no run can be faithful then.
    reference
        What labels them; the level of the model's own training labels if empty.
    """

    temperature_K: float = 300.0
    timestep_fs: float = 0.5
    thermalise_ps: float = 0.5
    friction_per_fs: float = 0.02
    nve_ps: float = 1.0
    save_every_fs: float = 10.0
    n_seeds: int = 1
    seed: int = 0
    n_label_frames: int = 21
    reference: str = ""

    def __post_init__(self) -> None:
        for name in ("temperature_K", "timestep_fs", "nve_ps", "save_every_fs"):
            if not 0 < getattr(self, name) < float("inf"):
                raise UserError(f"{name} is {getattr(self, name)}; it must be a number above 0.")
        for name in ("thermalise_ps", "friction_per_fs", "n_label_frames", "seed"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise UserError(f"{name} is {getattr(self, name)}; it must be 0 or more.")
        if self.n_label_frames == 1:
            raise UserError("n_label_frames is 1; give 2 or more, as truth is a change since the first, or 0 for none.")
        if self.n_seeds < 1:
            raise UserError(f"n_seeds is {self.n_seeds}; it must be 1 or more.")
        if self.thermalise_ps > 0 and self.friction_per_fs == 0:
            raise UserError("friction_per_fs is 0, so nothing thermalises; give 0.02, or thermalise_ps 0.")
        self._check_lengths()

    def _check_lengths(self) -> None:
        """Raise unless the run has steps, not too many, and frames dense enough to see what lasts."""
        if 1000.0 * self.nve_ps < self.timestep_fs:
            raise UserError(f"nve_ps {self.nve_ps} is shorter than timestep_fs {self.timestep_fs}; make it longer.")
        n_steps = 1000.0 * (self.thermalise_ps + self.nve_ps) / self.timestep_fs
        if not n_steps <= _MAX_STEPS:
            raise UserError(
                f"timestep_fs {self.timestep_fs} makes {n_steps:.3g} steps of thermalise_ps and nve_ps; allowed are "
                f"{_MAX_STEPS:.0e}. Make the run shorter or the step longer."
            )
        if not self.timestep_fs <= self.save_every_fs <= _LARGEST_SAVE_FS:
            raise UserError(
                f"save_every_fs is {self.save_every_fs}; allowed is timestep_fs ({self.timestep_fs}) to "
                f"{_LARGEST_SAVE_FS:g}, as a new bond that lasts 100 fs must be seen in more than one frame."
            )
        steps = self.save_every_fs / self.timestep_fs
        if abs(steps - round(steps)) > 1e-6 * steps:
            raise UserError(
                f"save_every_fs {self.save_every_fs} is no multiple of timestep_fs {self.timestep_fs}; "
                f"make it {round(steps) * self.timestep_fs:g}."
            )


PRESETS: dict[str, Settings] = {
    "quick": Settings(),
    "standard": Settings(thermalise_ps=1.0, nve_ps=10.0, n_seeds=3, n_label_frames=51),
    "thorough": Settings(thermalise_ps=2.0, nve_ps=50.0, save_every_fs=10.0, n_seeds=5, n_label_frames=201),
}


def preset(name: str, **changed: Any) -> Settings:
    """Return a preset with some settings changed; None leaves one as it is.

    Raises
    ------
    UserError
        If there is no such preset, or a setting is out of bounds.
    """
    if name not in PRESETS:
        raise unknown_name("preset", name, PRESETS)
    return replace(PRESETS[name], **{k: v for k, v in changed.items() if v is not None})


def segments(settings: Settings) -> list[Segment]:
    """Return the stretches of dynamics that the settings ask for."""
    step = settings.timestep_fs
    save = _save_steps(settings)
    nvt = Segment("nvt", round(1000 * settings.thermalise_ps / step), step, save, settings.friction_per_fs)
    nve = Segment("nve", round(1000 * settings.nve_ps / step), step, save)
    return [nvt, nve] if nvt.n_steps else [nve]


def asked_ps(settings: Settings) -> float:
    """Return the length of a run, ps."""
    return sum(s.n_steps * s.timestep_fs for s in segments(settings)) / 1000.0


def run_name(case: Case, seed: int) -> str:
    """Return what a run is called, also in file names."""
    return f"{case.slug}-seed{seed}"


def run(
    provider: ForceProvider,
    asked: Sequence[tuple[Case, int]],
    settings: Settings,
    thresholds: Thresholds,
    *,
    deadline: float | None = None,
    folder: Path | None = None,
    on_label_frame: Callable[[str, int, np.ndarray, np.ndarray], None] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Iterator[Run]:
    """Move all (case, seed) pairs, as many together as fit, and yield each run as it ends.

    Every case needs a reference minimum. `on_label_frame` is called with the run's name, the number of the frame in its
    constant-energy part, numbers and positions, as soon as a frame is there that will be labelled if the run comes to
    its end. The rest is as in `dynamics.engine.stream`.
    """
    systems = [_system(case, seed, settings, thresholds) for case, seed in asked]
    n_frames = 1 + math.ceil(segments(settings)[-1].n_steps / _save_steps(settings))
    planned = set(_spread(n_frames, settings).tolist())

    def see(system: System, segment: str, index: int, positions: np.ndarray) -> None:
        if segment == "nve" and index in planned and on_label_frame is not None:
            on_label_frame(system.key, index, system.numbers, positions)

    yield from stream(
        provider,
        systems,
        segments(settings),
        deadline=deadline,
        folder=folder,
        on_frame=see,
        on_progress=on_progress,
    )


def _system(case: Case, seed: int, settings: Settings, thresholds: Thresholds) -> System:
    minimum = reference_minimum(case).positions[0]
    checks = watched(bond_graph(case.numbers, minimum), thresholds.topology)
    return System(
        key=run_name(case, seed),
        numbers=case.numbers,
        positions=minimum,
        seed=seed_of(seed, case.slug),
        temperature_K=settings.temperature_K,
        checks=Checks(
            max_temperature_K=thresholds.temperature_limit_K(settings.temperature_K, n_dof=1),
            pairs=tuple(PairCheck(name, c.pairs, c.at_least_A, c.at_most_A) for name, c in checks.items()),
        ),
    )


def _save_steps(settings: Settings) -> int:
    return round(settings.save_every_fs / settings.timestep_fs)


def _spread(n_frames: int, settings: Settings) -> np.ndarray:
    """Return which of so many frames are labelled: evenly spread, the first and the last among them."""
    chosen = np.linspace(0, n_frames - 1, min(settings.n_label_frames, n_frames)).round().astype(int)
    return np.unique(chosen)


def frames_to_label(run: Run, settings: Settings) -> np.ndarray:
    """Return which frames of the constant-energy part to label, of those that have finite positions."""
    frames = run.frames.get("nve")
    if frames is None or settings.n_label_frames == 0:
        return np.zeros(0, dtype=int)
    whole = np.flatnonzero(np.isfinite(frames.positions).all(axis=(1, 2)))
    return np.asarray(whole[_spread(len(whole), settings)])


@dataclass(frozen=True)
class Judged:
    """A run with its numbers and its verdict.

    `along` holds what was seen at the labelled frames, (n_labels,) each: `time_ps`, `force_mae_eV_per_A`,
    `reference_energy_eV`.
    """

    verdict: Verdict
    metrics: dict[str, float | None]
    along: dict[str, list[float]]


def analyse(case: Case, run: Run, labels: Labels | None, settings: Settings, thresholds: Thresholds) -> Judged:
    """Judge a run: alive, conserved, true. Pure: arrays in, numbers out.

    Parameters
    ----------
    labels
        The reference's answer on `frames_to_label(run, settings)`, or None.
    """
    at_ps = None if run.stopped_at_fs is None else run.stopped_at_fs / 1000
    if run.stopped == "censored" and not run.frames:
        words = f"not begun when the time limit came, of {asked_ps(settings)} ps"
        return Judged(Verdict("censored", words, "reached_ps", 0.0, asked_ps(settings), 0.0), {}, {})
    if run.stopped == "error" or not run.frames:
        reason = run.reason or "the run kept no frame"
        return Judged(judge(Evidence(error=reason), thresholds), {"failed_at_ps": at_ps}, {})
    whole = joined(run)
    n_before = run.frames["nvt"].n_frames if "nvt" in run.frames else 0
    chosen = frames_to_label(run, settings)
    labelled = None
    if labels is not None and chosen.size:
        labelled = LabelledFrames(n_before + chosen, labels.energies, labels.forces)
    evidence, metrics = examine(
        whole,
        bond_graph(case.numbers, reference_minimum(case).positions[0]),
        asked_ps=asked_ps(settings),
        target_temperature_K=settings.temperature_K,
        cut=run.stopped == "censored",
        labels=labelled,
        constant_energy_from=n_before,
        exploded_at_ps=at_ps if run.stopped == "exploded" else None,
        sightings=[Sighting(n.name, n.at_fs / 1000, n.atoms, n.distance_A) for n in run.noticed.values()],
        thresholds=thresholds,
    )
    verdict = judge(evidence, thresholds)
    if labels is not None and labels.problems and verdict.name in ("silent", "faithful"):
        verdict = _reference_failed(labels)
    return Judged(verdict, metrics, _along(whole, labelled))


def _reference_failed(labels: Labels) -> Verdict:
    """Return the verdict of a run, alive and conserved, of which the reference could not say whether it is true."""
    words = next(iter(labels.problems.values()))
    n_failed, n_all = len(labels.problems), len(labels.energies)
    return Verdict("error", f"the reference failed on {n_failed} of {n_all} frames: {words}", "reference", n_failed, 0)


def joined(run: Run) -> Trajectory:
    """Return all frames of a run as one trajectory."""
    parts = [run.frames[name] for name in ("nvt", "nve") if name in run.frames]
    if len(parts) == 1:
        return parts[0]
    velocities = [part.velocities for part in parts if part.velocities is not None]
    return Trajectory(
        numbers=parts[0].numbers,
        time_fs=np.concatenate([p.time_fs for p in parts]),
        positions=np.concatenate([p.positions for p in parts]),
        velocities=np.concatenate(velocities),
        energies=np.concatenate([p.energies for p in parts]),
        forces=np.concatenate([p.forces for p in parts]),
        info={"n_frames_by_segment": {p.info["segment"]: p.n_frames for p in parts}},
    )


def _along(whole: Trajectory, labels: LabelledFrames | None) -> dict[str, list[float]]:
    """Return what was seen at the labelled frames of a run."""
    if labels is None:
        return {}
    frames = labels.frames
    return {
        "time_ps": (whole.time_fs[frames] / 1000).tolist(),
        "force_mae_eV_per_A": np.abs(whole.forces[frames] - labels.forces).mean(axis=(1, 2)).tolist(),
        "reference_energy_eV": labels.energies.tolist(),
    }
