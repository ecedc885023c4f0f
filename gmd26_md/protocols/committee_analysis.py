"""What the spread of a committee along runs comes to: calibration against the true error, and warnings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from gmd26_md.errors import UserError
from gmd26_md.observables.committee import (
    LabelledRun,
    calibration,
    energy_change_spread,
    force_spread,
    miscalibration,
    root_mean_square,
)
from gmd26_md.observables.warning import Watched, first_above, tally, threshold, warned
from gmd26_md.protocols.committee import Said, Settings
from gmd26_md.trajectory import Trajectory

SPLITS = ("id", "ood", "user")


def analyse(said: Sequence[Said], members: Sequence[str], settings: Settings) -> dict[str, Any]:
    """Return calibration and warnings by split, and a line for each run. Pure: arrays in, numbers out.

    Limit and threshold come from the ID runs, and are then held against the OOD runs; `chosen_from` says what they come
    from. Without ID runs the limit comes from all runs, the scale of sigma is 1, and there is no threshold unless the
    settings name one.

    Parameters
    ----------
    members
        Hashes of the members, in order: a run that one of them made is also held against its own errors.

    Raises
    ------
    UserError
        If no run has labelled frames.
    """
    labelled = [s for s in said if s.run.labelled is not None]
    if not labelled:
        raise UserError("no run has frames labelled by the reference; run stability with --n-label-frames above 0.")
    known = [s for s in labelled if s.run.split == "id"]
    limit = settings.limit_eV_per_A or settings.max_force_ratio * _rms_reference(known or labelled)
    alarm = settings.threshold_eV_per_A or _threshold(said, settings.percentile)
    of_mean = {s.run.name: _errors(s, None) for s in labelled}
    own = {s.run.name: _errors(s, members.index(s.run.model_sha256)) for s in labelled if s.run.model_sha256 in members}
    return {
        "n_members": len(members),
        "settings": asdict(settings),
        "limit_eV_per_A": limit,
        "threshold_eV_per_A": alarm,
        "chosen_from": {
            "limit": "id" if known else "all runs",
            "threshold": None if alarm is None else _origin(settings),
        },
        "calibration": {
            "committee": _calibration(labelled, of_mean, limit),
            "model": _calibration([s for s in labelled if s.run.name in own], own, limit),
        },
        "energy": _energy(labelled),
        "warnings": {} if alarm is None else _warnings(said, of_mean, own, limit, alarm),
        "runs": [_line(s, of_mean.get(s.run.name), own.get(s.run.name), limit, alarm) for s in said],
    }


def _origin(settings: Settings) -> str:
    return "settings" if settings.threshold_eV_per_A is not None else "id"


def _reference(said: Said) -> Trajectory:
    if said.run.labelled is None:
        raise ValueError(f"{said.run.name} has no labels")
    return said.run.labelled


def _rms_reference(said: Sequence[Said]) -> float:
    components = np.concatenate([_reference(s).forces.ravel() for s in said])
    return float(root_mean_square(components))


def _threshold(said: Sequence[Said], percentile: float) -> float | None:
    """Return the threshold from the ID runs before they failed; None where there is no such frame."""
    known = [_watched(s, s.run.failed_at_ps) for s in said if s.run.split == "id"]
    try:
        return threshold(known, percentile)
    except ValueError:
        return None


def _watched(said: Said, happened_at_ps: float | None) -> Watched:
    return Watched(said.run.molecule, said.time_ps, said.signal, happened_at_ps)


def _errors(said: Said, member: int | None) -> LabelledRun:
    """Return spread and errors at the labelled frames: of the mean over members, or of one of them."""
    forces, reference = np.asarray(said.forces), _reference(said)
    told = forces.mean(axis=0) if member is None else forces[member]
    return LabelledRun(said.run.molecule, force_spread(forces), told - reference.forces)


def _calibration(said: Sequence[Said], errors: dict[str, LabelledRun], limit: float) -> dict[str, Any]:
    """Return the calibration of each split; sigma is scaled by what the ID runs need."""
    by_split = {split: [errors[s.run.name] for s in said if s.run.split == split] for split in SPLITS}
    factor = miscalibration(by_split["id"]) if by_split["id"] else 1.0
    found = {}
    for split, runs in by_split.items():
        if runs:
            size = {
                "n_molecules": len({r.molecule for r in runs}),
                "n_runs": len(runs),
                "n_frames": sum(len(r.spread) for r in runs),
                "n_frames_above_limit": sum(int((~(r.frame_error <= limit)).sum()) for r in runs),
                "force_spread_eV_per_A": float(root_mean_square(np.concatenate([r.spread.ravel() for r in runs]))),
                "force_error_eV_per_A": float(root_mean_square(np.concatenate([r.error.ravel() for r in runs]))),
                "sigma_scaled_by_ratio": factor,
            }
            found[split] = size | {
                k: asdict(v) for k, v in calibration(runs, factor=factor, limit_eV_per_A=limit).items()
            }
    return found


def _energy(said: Sequence[Said]) -> dict[str, Any]:
    """Return, by split, RMS spread and RMS error of the energy's change since the first label of each run."""
    found = {}
    for split in SPLITS:
        runs = [s for s in said if s.run.split == split and _reference(s).n_frames > 1]
        if runs:
            sizes = [np.concatenate(parts) for parts in zip(*[_energy_changes(s) for s in runs], strict=True)]
            spread, error = (float(root_mean_square(x)) for x in sizes)
            ratio = error / spread if spread > 0 else float("nan")
            found[split] = {
                "energy_change_spread_meV_per_atom": spread,
                "energy_change_error_meV_per_atom": error,
                "error_over_spread_ratio": ratio,
            }
    return found


def _energy_changes(said: Said) -> tuple[np.ndarray, np.ndarray]:
    """Return spread and error of E(t) - E(0), (n_labels - 1,), meV/atom; the first is zero by construction."""
    reference, energies = _reference(said), np.asarray(said.energies)
    error = energies.mean(axis=0) - reference.energies
    per_atom = 1000.0 / reference.n_atoms
    return per_atom * energy_change_spread(energies)[1:], per_atom * (error - error[0])[1:]


def _warnings(
    said: Sequence[Said],
    of_mean: dict[str, LabelledRun],
    own: dict[str, LabelledRun],
    limit: float,
    alarm: float,
) -> dict[str, Any]:
    """Return, by split, how the signal warned of failures (all saved frames) and of errors (labelled frames only)."""
    found: dict[str, Any] = {}
    for split in SPLITS:
        these = [s for s in said if s.run.split == split]
        if these:
            failing = [_watched(s, s.run.failed_at_ps) for s in these]
            found[split] = {
                "failure": _plain(tally(failing, alarm)),
                "error_of_committee": _plain(tally(_wrong(these, of_mean, limit), alarm)),
                "error_of_model": _plain(tally(_wrong(these, own, limit), alarm)),
            }
    return found


def _wrong(said: Sequence[Said], errors: dict[str, LabelledRun], limit: float) -> list[Watched]:
    """Return runs as they are watched for their first wrong frame: both sides at the labelled frames."""
    found = []
    for s in said:
        if s.run.name in errors:
            time_ps, e = _reference(s).time_fs / 1000.0, errors[s.run.name]
            found.append(Watched(s.run.molecule, time_ps, e.signal, first_above(time_ps, e.frame_error, limit)))
    return found


def _plain(told: dict[str, Any]) -> dict[str, Any]:
    return {k: v if v is None or isinstance(v, (int, float)) else asdict(v) for k, v in told.items()}


def _line(
    said: Said, of_mean: LabelledRun | None, own: LabelledRun | None, limit: float, alarm: float | None
) -> dict[str, Any]:
    """Return what there is to say of one run, with its series at the labelled frames."""
    past = said.run
    line: dict[str, Any] = {
        "name": past.name,
        "molecule": past.molecule,
        "split": past.split,
        "seed": past.seed,
        "verdict": past.verdict,
        "failed_at_ps": past.failed_at_ps,
        "watched_frames": "labelled" if past.saved is None else "saved",
        "force_spread_largest_eV_per_A": float(said.signal.max()),
    }
    if alarm is not None:
        told = warned(_watched(said, past.failed_at_ps), alarm)
        line |= {"warned_at_ps": told.warned_at_ps, "lead_ps": told.lead_ps, "outcome": told.outcome}
    if of_mean is None:
        return line | {"wrong_at_ps": None, "along": {}}
    time_ps = _reference(said).time_fs / 1000.0
    energy_spread, energy_error = _energy_changes(said)
    along = {
        "time_ps": time_ps,
        "force_spread_eV_per_A": root_mean_square(of_mean.spread),
        "force_spread_of_worst_atom_eV_per_A": of_mean.signal,
        "force_error_eV_per_A": of_mean.frame_error,
        "energy_change_spread_meV_per_atom": np.concatenate([[0.0], energy_spread]),
        "energy_change_error_meV_per_atom": np.concatenate([[0.0], energy_error]),
    }
    if own is not None:
        along["model_force_error_eV_per_A"] = own.frame_error
        line["model_wrong_at_ps"] = first_above(time_ps, own.frame_error, limit)
    line["wrong_at_ps"] = first_above(time_ps, of_mean.frame_error, limit)
    return line | {"along": {name: values.tolist() for name, values in along.items()}}
