"""Conservation: is energy kept, and if not, is it the step, the precision, the surface, or the forces?

From the reference minimum each molecule is thermalised with the model, and then moved at constant energy from that one
state at half the time step, the step and twice it, and back again. On frames of the run the forces are held against
energy differences and their curl is taken, in float64 where the model can. Docs: `docs/protocols/conservation.md`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gmd26_md.dynamics.engine import Run
from gmd26_md.observables.conservation import (
    angular_momentum_change,
    distance_rms,
    equipartition,
    momentum_change,
    order_in_time_step,
)
from gmd26_md.observables.diagnosis import Findings, Kept, diagnose
from gmd26_md.observables.drift import conservation
from gmd26_md.observables.evidence import first_nonfinite
from gmd26_md.observables.gradient import TwoSteps
from gmd26_md.protocols.cases import Case
from gmd26_md.protocols.conservation_probe import Probed, probe
from gmd26_md.protocols.conservation_runs import Dynamics, run
from gmd26_md.protocols.conservation_settings import STEPS, Settings
from gmd26_md.trajectory import Trajectory, kinetic_energy

__all__ = ["Dynamics", "Outcome", "Probed", "Settings", "analyse", "probe", "run"]

Metrics = dict[str, float | None]
_NAN = float("nan")


@dataclass(frozen=True)
class Outcome:
    """What one molecule showed.

    Attributes
    ----------
    metrics
        See `metrics.METRICS`.
    judgement
        "conserves", "step too long", "low precision", "rough surface", "not a gradient", "outside force", "not
        reversible", "uneven heat" or "failed".
    reason
        The number that decided, in words.
    evidence
        What the numbers rest on: each run's energy, both difference steps, the curl by frame, temperatures by element.
    """

    metrics: Metrics
    judgement: str
    reason: str
    evidence: dict[str, Any]


def analyse(
    case: Case, dynamics: Dynamics, probed: Probed | None, settings: Settings, *, dtype: str = "float64"
) -> Outcome:
    """Return the numbers of a molecule's runs and forces, and what they come to.

    Parameters
    ----------
    probed
        None where there was no run to take frames from.
    dtype
        The precision of the runs; `dynamics.other` has the other one.
    """
    if not dynamics.runs or probed is None:
        thermal = dynamics.thermal
        why = f"{thermal.stopped} at {thermal.stopped_at_fs} fs: {thermal.reason}"
        return Outcome({}, "failed", f"the thermalisation did not come to its end, {why}", {})
    kept = {name: _energy(at_step) for name, at_step in dynamics.runs.items()}
    faults = {name: _why_stopped(at_step) for name, at_step in dynamics.runs.items()}
    rms = {name: _number(found, "energy_rms_meV_per_atom") for name, found in kept.items()}
    order_fine = order_in_time_step(rms["whole"], rms["half"])
    order_coarse = order_in_time_step(rms["double"], rms["whole"])
    frames = dynamics.runs["whole"].frames["nve"]
    velocities = _velocities(frames)
    shares = equipartition(case.numbers, frames.positions, velocities)
    linear = momentum_change(case.numbers, velocities)
    angular = angular_momentum_change(case.numbers, frames.positions, velocities)
    home = _way_back(frames, dynamics.back)
    worst = _worst(probed.curl)
    twin = None if dynamics.other is None else _energy(dynamics.other)
    findings = Findings(
        **{name: _kept(settings, name, found) for name, found in kept.items()},
        stopped={name: fault for name, fault in faults.items() if fault is not None},
        order_fine=order_fine,
        order_coarse=order_coarse,
        gradient=probed.gradient,
        curl=worst,
        reversal_A=home,
        momentum=linear,
        angular_momentum=angular,
        equipartition_chance=shares.chance,
        exact_half=None if twin is None or dtype != "float32" else _kept(settings, "half", twin),
    )
    judgement, reason = diagnose(findings, settings.limits)
    metrics: Metrics = {
        **kept["whole"],
        **{f"{name}_step_energy_rms_meV_per_atom": rms[name] for name in ("half", "double")},
        "order_fine_ratio": order_fine,
        "order_coarse_ratio": order_coarse,
        "gradient_error_ratio": probed.gradient.value,
        "curl_ratio": worst.value,
        "curl_standard_error_ratio": worst.standard_error,
        "reversal_rmsd_A": home,
        "momentum_change_ratio": linear,
        "angular_momentum_change_ratio": angular,
        "equipartition_deviation_ratio": shares.deviation,
        "equipartition_chance_fraction": shares.chance,
        **_precisions(probed, kept["half"], twin, dtype),
    }
    evidence = {
        "timestep_fs": {name: settings.timestep_fs * factor for name, factor in STEPS.items()},
        "energy": kept,
        "gradient_error_ratio": _both_steps(probed.gradient),
        "curl_ratio": [_both_steps(found) for found in probed.curl],
        "temperature_K": shares.temperature_K,
        "temperature_error_K": shares.error_K,
        "temperature_mean_K": shares.mean_K,
    }
    return Outcome(metrics, judgement, reason, evidence)


def _velocities(frames: Trajectory) -> np.ndarray:
    return np.full_like(frames.positions, np.nan) if frames.velocities is None else frames.velocities


def _energy(found: Run) -> Metrics:
    """Return how well a run kept its energy; NaN throughout if it did not come to its end."""
    frames = found.frames["nve"]
    if _why_stopped(found) is not None:
        return dict.fromkeys(conservation(np.zeros(1), np.zeros(1), np.zeros(1), 1), _NAN)
    return conservation(frames.energies, kinetic_energy(frames), frames.time_fs, frames.n_atoms)


def _number(metrics: Metrics, name: str) -> float:
    value = metrics[name]
    return _NAN if value is None else value


def _kept(settings: Settings, name: str, found: Metrics) -> Kept:
    drift, rms = (_number(found, n) for n in ("energy_drift_meV_per_atom_per_ps", "energy_rms_meV_per_atom"))
    return Kept(STEPS[name] * settings.timestep_fs, drift, rms)


def _why_stopped(found: Run) -> str | None:
    """Return why a run is not whole: it ended early, or a frame has a value that is not finite."""
    if found.stopped is not None:
        return f"{found.stopped} at {found.stopped_at_fs} fs: {found.reason}"
    frames = found.frames["nve"]
    if frames.velocities is None:
        return "frames without velocities"
    fault = first_nonfinite(frames)
    return None if fault is None else f"{fault.what} not finite at {fault.at_ps:g} ps"


def _way_back(there: Trajectory, back: Run | None) -> float:
    """Return the RMSD of the end of the way back to the start, Å; NaN where the way was not walked to its end."""
    if back is None or _why_stopped(back) is not None:
        return _NAN
    return distance_rms(back.frames["nve"].positions[-1], there.positions[0])


def _worst(curls: list[TwoSteps]) -> TwoSteps:
    """Return the largest curl, the smallest as `typical`; one that is not a number counts as larger than all."""
    largest = max(curls, key=lambda found: np.inf if np.isnan(found.value) else found.value)
    return replace(largest, typical=min(found.value for found in curls))


def _precisions(probed: Probed, half: Metrics, twin: Metrics | None, dtype: str) -> Metrics:
    """Return what the precisions differ by; None where the model has but one."""
    names = ("energy_drift_meV_per_atom_per_ps", "energy_rms_meV_per_atom")
    if twin is None or probed.other is None:
        nothing = [f"{width}_half_step_{name}" for width in ("float32", "float64") for name in names]
        return dict.fromkeys(("precision_force_rmse_eV_per_A", "precision_energy_rmse_meV_per_atom", *nothing))
    (energies, forces), (other_energies, other_forces) = probed.own, probed.other
    per_atom = 1000.0 / forces.shape[1]
    by_width = {dtype: half, "float64" if dtype == "float32" else "float32": twin}
    return {
        "precision_force_rmse_eV_per_A": float(np.sqrt(np.mean((forces - other_forces) ** 2))),
        "precision_energy_rmse_meV_per_atom": float(np.sqrt(np.mean((energies - other_energies) ** 2)) * per_atom),
        **{f"{width}_half_step_{name}": found[name] for width, found in by_width.items() for name in names},
    }


def _both_steps(found: TwoSteps) -> dict[str, float]:
    return {"value": found.value, "short_step": found.short, "long_step": found.long, "error": found.standard_error}
