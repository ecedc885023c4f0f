"""What exact constant-energy dynamics keeps besides its energy: order in the time step, momenta, equipartition."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase.data import atomic_masses, chemical_symbols
from ase.units import kB
from numpy.typing import NDArray
from scipy.stats import beta

from gmd26_md.observables.drift import angular_momentum, momentum

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]


def order_in_time_step(rms_long: float, rms_short: float) -> float:
    """Return log2[rms(2 dt) / rms(dt)] of the total energy's RMS about its line, from runs at 2 dt and at dt.

    2 for velocity Verlet on a smooth surface (Merz and Shirts, PLOS ONE 13, e0202764, 2018). NaN where a number is not
    finite or not above zero. Both runs start from the same state, take as long, and are sampled at the same times.
    """
    if not (0.0 < rms_long < np.inf and 0.0 < rms_short < np.inf):
        return float("nan")
    return float(np.log2(rms_long / rms_short))


def momentum_change(numbers: Ints, velocities: Floats) -> float:
    """Return the largest change of the total momentum since the first frame, over what the atoms carry.

    The scale is the root of the sum of squares of the atoms' momenta, averaged over frames: of the size that the total
    momentum of independent atoms would have. NaN when any velocity is not finite, or nothing moves.

    Parameters
    ----------
    velocities
        (n_frames, n_atoms, 3).
    """
    scale = np.einsum("a,fax->f", atomic_masses[numbers] ** 2, velocities**2)
    return _change(momentum(numbers, velocities), scale)


def angular_momentum_change(numbers: Ints, positions: Floats, velocities: Floats) -> float:
    """Return the largest change of the angular momentum about the centre of mass, over what the atoms carry.

    The scale is the root of the sum of (m |arm| |v|)^2, averaged over frames. NaN as in `momentum_change`.

    Parameters
    ----------
    positions, velocities
        (n_frames, n_atoms, 3).
    """
    arms = _arms(numbers, positions)
    sizes = (arms**2).sum(-1) * (velocities**2).sum(-1)  # (n_frames, n_atoms)
    scale = sizes @ atomic_masses[numbers] ** 2
    return _change(angular_momentum(numbers, positions, velocities), scale)


def _change(series: Floats, squared_scale: Floats) -> float:
    """Return the longest of series (n_frames, 3) minus its first, over the root mean of squares (n_frames,)."""
    if not (np.isfinite(series).all() and np.isfinite(squared_scale).all()) or not squared_scale.mean() > 0.0:
        return float("nan")
    change = np.linalg.norm(series - series[0], axis=-1).max()
    return float(change / np.sqrt(squared_scale.mean()))


def _arms(numbers: Ints, positions: Floats) -> Floats:
    """Return positions relative to each frame's centre of mass, (n_frames, n_atoms, 3)."""
    masses = atomic_masses[numbers]
    centre = np.einsum("a,fax->fx", masses, positions) / masses.sum()
    return np.asarray(positions - centre[:, None, :])


def distance_rms(first: Floats, second: Floats) -> float:
    """Return the RMSD of two geometries (n_atoms, 3) as they stand, Å, no alignment: a reversed run is at its start."""
    return float(np.sqrt(((first - second) ** 2).sum(-1).mean()))


@dataclass(frozen=True)
class Equipartition:
    """How kinetic energy is shared among the elements.

    Attributes
    ----------
    temperature_K
        Mean kinetic temperature of each element, by symbol.
    error_K
        Its statistical error for one run, in which no mode exchanges energy with another: T / sqrt(dof).
    mean_K
        Of the whole molecule.
    deviation
        Largest |T_element / T - 1|.
    chance
        How likely a share as uneven as the most uneven is by chance, every element counted.
    """

    temperature_K: dict[str, float]
    error_K: dict[str, float]
    mean_K: float
    deviation: float
    chance: float


def equipartition(numbers: Ints, positions: Floats, velocities: Floats) -> Equipartition:
    """Return the mean kinetic temperature of each element in a run without overall momenta.

    An element's degrees of freedom are its part of the 3N-6: the trace of its block of the projector that takes overall
    translation and rotation out, averaged over frames.

    One short run is not the ensemble: in a stiff molecule modes keep the energy that the thermalisation gave them. The
    energy of a harmonic mode is then exponentially distributed, that of n modes is Gamma(n), and the share of an
    element is Beta(n, n_rest), whatever the temperature. `chance` is twice the smaller tail of it, times the number of
    elements (Bonferroni), at most 1. Modes that mix elements or exchange energy make an uneven share less likely, so
    the number is too large rather than too small.

    Parameters
    ----------
    positions, velocities
        (n_frames, n_atoms, 3), Å and ASE units; the start drawn from a canonical ensemble.
    """
    numbers = np.asarray(numbers)
    masses = atomic_masses[numbers]
    twice_kinetic = masses * (velocities**2).sum(-1).mean(axis=0)  # (n_atoms,)
    elements = sorted(set(numbers.tolist()))
    if not (np.isfinite(twice_kinetic).all() and np.isfinite(positions).all()) or not twice_kinetic.sum() > 0.0:
        nan = float("nan")
        nothing = {chemical_symbols[z]: nan for z in elements}
        return Equipartition(nothing, dict(nothing), nan, nan, nan)
    dof = _degrees_of_freedom(masses, _arms(numbers, positions))
    mean = float(twice_kinetic.sum() / (dof.sum() * kB))
    own = {chemical_symbols[z]: float(dof[numbers == z].sum()) for z in elements}
    share = {chemical_symbols[z]: float(twice_kinetic[numbers == z].sum() / twice_kinetic.sum()) for z in elements}
    found = {e: share[e] * float(dof.sum()) / own[e] * mean for e in own}
    tails = [_tail(share[e], own[e], float(dof.sum()) - own[e]) for e in own] if len(own) > 1 else [1.0]
    return Equipartition(
        temperature_K=found,
        error_K={e: mean / float(np.sqrt(own[e])) for e in own},
        mean_K=mean,
        deviation=max(abs(t / mean - 1.0) for t in found.values()),
        chance=min(1.0, min(tails) * len(own)),
    )


def _tail(share: float, own: float, rest: float) -> float:
    """Return the two-sided probability of a share of n modes among all."""
    return float(2.0 * min(beta.cdf(share, own, rest), beta.sf(share, own, rest)))


def _degrees_of_freedom(masses: Floats, arms: Floats) -> Floats:
    """Return each atom's part of the internal degrees of freedom, (n_atoms,), averaged over frames.

    3 - 3 m/M - m tr[I^-1 (r^2 - r r^T)]: what is left of its three when the rigid motions are projected out.
    """
    squares = (arms**2).sum(-1)  # (n_frames, n_atoms)
    blocks = squares[..., None, None] * np.eye(3) - arms[..., :, None] * arms[..., None, :]
    inertia = np.einsum("a,faij->fij", masses, blocks)
    inverse = np.linalg.pinv(inertia, rcond=1e-10, hermitian=True)  # a line has no inertia about itself
    rotation = masses * np.einsum("fij,faji->fa", inverse, blocks).mean(axis=0)
    return np.asarray(3.0 - 3.0 * masses / masses.sum() - rotation)
