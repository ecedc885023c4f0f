"""Why a run does not conserve: the step, the precision, a rough surface, or forces that are no gradient; in words.

Every check passes only if `value <= limit` (or `>=`) is true, so NaN and what was not measured pass nothing. What lies
deeper is asked first: forces that are no gradient spoil order, drift and momenta alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gmd26_md.observables.gradient import TwoSteps

GOOD = "conserves"
_ROUNDING, _TRUNCATION = 0.5, 2.0  # growth from h to 4h: 1/4 for rounding, 16 for truncation, 1 for what is there


@dataclass(frozen=True)
class Limits:
    """What passes. The numbers of shipped models and of GFN2-xTB are in `docs/protocols/conservation.md`.

    Attributes
    ----------
    max_drift_meV_per_atom_per_ps, max_rms_meV_per_atom
        Slope of the total energy and RMS about its line: 5 and 5, as in the verdict of a stability run.
    min_order
        1.5. Velocity Verlet on a smooth surface gives 2, and from half the step to the step 1.9 to 2.3 in half a
        picosecond of an acid; kinks give 0.4 to 1.4, a floor of noise 0.
    rms_floor_meV_per_atom
        1e-4: below it an order is that of rounding and says nothing, and the energy is kept 50 000 times better than
        asked.
    max_gradient_error_ratio
        1e-4, relative, of forces against energy differences. A float64 model has 1e-8, GFN2-xTB with its converged
        charges 1e-6, a float32 model 3e-4 to 1e-3.
    max_curl_ratio
        1e-4. A force field of 100 eV/Å^2 with such a curl does about 1e-4 eV of work on a loop of 0.05 Å, the
        amplitude of a bond at 300 K; once a period of 10 fs, that is the drift limit for two atoms.
    max_reversal_rmsd_A
        1e-3 Å. Rounding in float64 comes back to 1e-10 in 0.1 ps, in float32 to 1e-5; thermal motion is 0.1.
    max_momentum_change_ratio
        1e-3 of the atoms' own momenta, linear and angular. Float64 keeps 1e-12, float32 1e-5.
    min_equipartition_chance_fraction
        1e-5: a false alarm in a thousand runs of a hundred molecules, where a share is as likely as stated.
    """

    max_drift_meV_per_atom_per_ps: float = 5.0
    max_rms_meV_per_atom: float = 5.0
    min_order: float = 1.5
    rms_floor_meV_per_atom: float = 1e-4
    max_gradient_error_ratio: float = 1e-4
    max_curl_ratio: float = 1e-4
    max_reversal_rmsd_A: float = 1e-3
    max_momentum_change_ratio: float = 1e-3
    min_equipartition_chance_fraction: float = 1e-5


@dataclass(frozen=True)
class Kept:
    """What a run at one time step kept: slope, meV/atom/ps, and RMS about it, meV/atom; NaN if it did not end well."""

    timestep_fs: float
    drift: float
    rms: float


@dataclass(frozen=True)
class Findings:
    """The numbers that a diagnosis is drawn from.

    Attributes
    ----------
    half, whole, double
        Runs at half the time step, the step in question, and twice it.
    stopped
        Why the run at a step is not whole, by "half", "whole", "double"; begins with "exploded" where the step may be
        the reason.
    order_fine, order_coarse
        From half to whole, and from whole to double.
    gradient, curl
        Forces against energy differences, and the largest curl of a frame; `typical` of it is the smallest.
    reversal_A, momentum, angular_momentum
        As in `observables.conservation`.
    equipartition_chance
        As there.
    exact_half
        The same run as `half`, of the same model in float64; None where the model ran in float64, or has no other
        precision.
    """

    half: Kept
    whole: Kept
    double: Kept
    stopped: dict[str, str]
    order_fine: float
    order_coarse: float
    gradient: TwoSteps
    curl: TwoSteps
    reversal_A: float
    momentum: float
    angular_momentum: float
    equipartition_chance: float
    exact_half: Kept | None = None


def diagnose(found: Findings, limits: Limits) -> tuple[str, str]:
    """Return the judgement and the number that decided, in words."""
    return (
        _forces(found, limits)
        or _unfinished(found)
        or _momenta(found, limits)
        or _energy(found, limits)
        or _rest(found, limits)
        or (GOOD, _words(found))
    )


def _unfinished(found: Findings) -> tuple[str, str] | None:
    """Judge runs that did not come to their end, and numbers that are none."""
    exploded = {name for name, why in found.stopped.items() if why.startswith("exploded")}
    of_forces = {"forces against energy differences": found.gradient.value, "curl": found.curl.value}
    if exploded == set(found.stopped) == {"double"}:
        # the frames are of the run that is whole: what is no number there is not the doing of a longer step
        if missing := _not_finite(of_forces):
            return missing
        return (
            "step too long",
            f"{found.whole.timestep_fs:g} fs holds, but at {found.double.timestep_fs:g} fs: {found.stopped['double']}",
        )
    if exploded == set(found.stopped) == {"whole", "double"}:
        return "step too long", f"only {found.half.timestep_fs:g} fs comes to its end; {found.stopped['whole']}"
    if found.stopped:
        name, why = next(iter(found.stopped.items()))
        return "failed", f"the run at {getattr(found, name).timestep_fs:g} fs did not come to its end, {why}"
    numbers = {
        **{f"drift at {k.timestep_fs:g} fs": k.drift for k in (found.half, found.whole, found.double)},
        **{f"energy RMS at {k.timestep_fs:g} fs": k.rms for k in (found.half, found.whole, found.double)},
        **of_forces,
        "way back": found.reversal_A,
        "momentum": found.momentum,
        "angular momentum": found.angular_momentum,
        "share of the elements": found.equipartition_chance,
    }
    return _not_finite(numbers)


def _not_finite(numbers: dict[str, float]) -> tuple[str, str] | None:
    """Return the judgement of numbers that are none, by name; None if all are finite."""
    missing = [name for name, value in numbers.items() if not np.isfinite(value)]
    return ("failed", f"not a number: {', '.join(missing)}") if missing else None


def _forces(found: Findings, limits: Limits) -> tuple[str, str] | None:
    """Judge the force field itself, apart from any dynamics; None if it is fine, or was not measured."""
    curl, error = found.curl, found.gradient
    if np.isfinite(curl.value) and not curl.value <= limits.max_curl_ratio:
        words = f"curl {curl.value:.1e} of the force Jacobian"
        return _unsmooth(curl, words, limits.max_curl_ratio) or ("not a gradient", words)
    if np.isfinite(error.value) and not error.value <= limits.max_gradient_error_ratio:
        words = f"forces differ from energy differences by {error.value:.1e}"
        return _unsmooth(error, words, limits.max_gradient_error_ratio) or (
            "not a gradient",
            f"{words} at either difference step, curl {curl.value:.1e}: not of this energy",
        )
    return None


def _unsmooth(found: TwoSteps, words: str, limit: float) -> tuple[str, str] | None:
    """Return the judgement of a difference that comes from roughness or rounding; None if it is really there."""
    if found.typical is not None and found.typical <= limit:
        return "rough surface", f"{words}, at some places; at most of them {found.typical:.1e}"
    if found.growth < _ROUNDING:
        return "low precision", f"{words}, less at a longer difference step: rounding"
    if found.growth > _TRUNCATION:
        return "rough surface", f"{words}, more at a longer difference step: not smooth over thousandths of an Å"
    return None


def _momenta(found: Findings, limits: Limits) -> tuple[str, str] | None:
    for name, value in (("momentum", found.momentum), ("angular momentum", found.angular_momentum)):
        if not value <= limits.max_momentum_change_ratio:
            return "outside force", (
                f"{name} changes by {value:.1e} of what the atoms carry: energy depends on place or orientation, or "
                "something else than the forces moves the atoms"
            )
    return None


def _energy(found: Findings, limits: Limits) -> tuple[str, str] | None:
    """Judge the total energy, and how it depends on the time step.

    A step that is too long shows as an order of 2 or more with too large an error; less than that, on either side of
    it, is not its doing. Where the error is small the order up to the step decides alone: at twice the step stiff modes
    soon run out of phase with the other runs, and a floppy molecule that goes another way has another error.
    """
    words = _words(found)
    smooth = _smooth(found.half, found.whole, found.order_fine, limits)
    measured = np.isfinite(found.order_coarse) or found.double.rms <= limits.rms_floor_meV_per_atom
    if smooth and measured and _kept(found.whole, limits):
        return None
    if found.exact_half is not None and _mended_by_float64(found, found.exact_half, limits):
        exact = found.exact_half
        return "low precision", f"{words}; in float64 RMS {exact.rms:.2g} meV/atom at {exact.timestep_fs:g} fs"
    if not (smooth and found.order_coarse >= limits.min_order):
        return "rough surface", words
    if _kept(found.half, limits):
        return "step too long", f"{words}; {found.half.timestep_fs:g} fs is short enough"
    if found.half.rms <= limits.max_rms_meV_per_atom and abs(found.half.drift) > abs(found.whole.drift) / 2.0:
        return "rough surface", f"{words}; a shorter step does not lessen the drift"
    return "step too long", f"{words}; {found.half.timestep_fs:g} fs is not short enough either"


def _mended_by_float64(found: Findings, exact: Kept, limits: Limits) -> bool:
    """Tell whether half the step is kept in float64 as the order asks, and is not in the precision under test."""
    if _kept(found.half, limits) and found.order_fine >= limits.min_order:
        return False
    return _kept(exact, limits) and exact.rms * 2.0**limits.min_order <= found.whole.rms


def _kept(run: Kept, limits: Limits) -> bool:
    """Tell whether a run's energy stays within the limits."""
    return abs(run.drift) <= limits.max_drift_meV_per_atom_per_ps and run.rms <= limits.max_rms_meV_per_atom


def _smooth(short: Kept, long: Kept, order: float, limits: Limits) -> bool:
    """Tell whether the error falls with the step as it should, or is nothing."""
    return order >= limits.min_order or (
        short.rms <= limits.rms_floor_meV_per_atom and long.rms <= limits.rms_floor_meV_per_atom
    )


def _rest(found: Findings, limits: Limits) -> tuple[str, str] | None:
    if not found.reversal_A <= limits.max_reversal_rmsd_A:
        return "not reversible", (
            f"the way back ends {found.reversal_A:.1e} Å from the start: forces that remember, or noise that grows"
        )
    if not found.equipartition_chance >= limits.min_equipartition_chance_fraction:
        return "uneven heat", f"so uneven a share of the elements has a chance of {found.equipartition_chance:.1e}"
    return None


def _words(found: Findings) -> str:
    whole = found.whole
    return (
        f"drift {whole.drift:.2g} meV/atom/ps, RMS {whole.rms:.2g} meV/atom at {whole.timestep_fs:g} fs, "
        f"order {found.order_fine:.2f} and {found.order_coarse:.2f}"
    )
