"""Force errors atom by atom: where they sit, and whether the direction is wrong or the length.

The squared error of a force vector splits without rest (law of cosines) into

    |F - F_ref|^2 = (|F| - |F_ref|)^2 + 2 |F| |F_ref| (1 - cos)

the first part from the length, the second from the direction. Small errors that have no preferred direction put one
third into the length and two thirds into the direction: a direction's share well below 2/3 says that lengths fail more
than directions, one above it the reverse.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gmd26_md.observables.bonds import BondGraph, Bools, Floats
from gmd26_md.observables.errors import cosines

FORCE_METRICS = (
    "force_mae_eV_per_A",
    "force_rmse_eV_per_A",
    "force_mae_normalised_ratio",
    "force_rmse_normalised_ratio",
    "force_cosine",
    "force_angle_deg",
    "force_magnitude_mae_eV_per_A",
    "force_magnitude_bias_ratio",
    "force_direction_fraction",
)
"""The numbers that `force_numbers` returns, in order."""

N_COLUMNS = 11  # of `AtomForces.columns`


@dataclass(frozen=True, eq=False)
class AtomForces:
    """A model's forces on one molecule's reference frames beside the reference's.

    Attributes
    ----------
    graph
        The molecule's bonds.
    predicted, reference
        (n_frames, n_atoms, 3), eV/Å.

    Raises
    ------
    ValueError
        When the shapes do not agree.
    """

    graph: BondGraph
    predicted: Floats
    reference: Floats

    def __post_init__(self) -> None:
        for name in ("predicted", "reference"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=np.float64))
        want = (len(self.reference), len(self.graph.numbers), 3)
        if self.predicted.shape != want or self.reference.shape != want:
            raise ValueError(
                f"want forces (n_frames, {want[1]}, 3), got predicted {self.predicted.shape} and reference "
                f"{self.reference.shape}"
            )

    @property
    def reference_lengths(self) -> Floats:
        """Lengths of the reference forces, (n_frames, n_atoms), eV/Å."""
        return np.asarray(np.linalg.norm(self.reference, axis=-1), dtype=np.float64)

    @property
    def columns(self) -> Floats:
        """What is summed for each atom and frame, (n_frames, n_atoms, 11).

        1; |dF| over components; dF squared; both over the RMS reference component of the molecule (its square); cosine;
        angle in degrees; ||F| - |F_ref||; |F| - |F_ref|; |F_ref|; the squared error's part from the length. A value
        that is not finite is NaN.
        """
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            difference = self.predicted - self.reference
            absolute, squared = np.abs(difference).sum(axis=-1), (difference**2).sum(axis=-1)
            scale = np.sqrt((self.reference**2).mean())
            cosine = cosines(self.predicted, self.reference)
            length = np.linalg.norm(self.predicted, axis=-1) - self.reference_lengths
            found = [
                np.ones_like(absolute), absolute, squared, absolute / scale, squared / scale**2,
                cosine, _angles(self.predicted, self.reference),
                np.abs(length), length, self.reference_lengths, length**2,
            ]  # fmt: skip
        stacked = np.stack(found, axis=-1)
        return np.where(np.isfinite(stacked), stacked, np.nan)


def _angles(predicted: Floats, reference: Floats) -> Floats:
    """Return the angle between vectors in degrees; 90 where one has no length, as the cosine is 0 there.

    By the arc tangent: the arc cosine loses angles below 1e-8 rad, and 1e-4 of it in single precision.
    """
    cross = np.linalg.norm(np.cross(predicted, reference), axis=-1)
    dot = (predicted * reference).sum(axis=-1)
    lost = (np.linalg.norm(predicted, axis=-1) == 0.0) | (np.linalg.norm(reference, axis=-1) == 0.0)
    return np.asarray(np.where(lost, 90.0, np.degrees(np.arctan2(cross, dot))), dtype=np.float64)


def class_sums(columns: Floats, members: Sequence[Bools]) -> Floats:
    """Return the columns summed over the atoms of each class a frame, (n_frames, n_classes, 11).

    Parameters
    ----------
    columns
        Of `AtomForces.columns`, (n_frames, n_atoms, 11).
    members
        Of each class, (n_atoms,), or (n_frames, n_atoms) where who belongs changes from frame to frame.
    """
    chosen = [np.where(np.broadcast_to(m, columns.shape[:2])[..., None], columns, 0.0).sum(axis=1) for m in members]
    return np.stack(chosen, axis=1)


def force_numbers(sums: NDArray[np.float64]) -> Floats:
    """Return the numbers of `FORCE_METRICS` from summed columns, (..., 9) from (..., 11).

    The bias of the length is the sum of |F| - |F_ref| over that of |F_ref|: positive where the model's forces are too
    long. The direction's share of the squared error is NaN where there is no error to share.
    """
    n, absolute, squared, absolute_n, squared_n, cosine, angle, length_size, length, reference, from_length = (
        np.moveaxis(np.asarray(sums, dtype=np.float64), -1, 0)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        found = [
            absolute / (3.0 * n), np.sqrt(squared / (3.0 * n)),
            absolute_n / (3.0 * n), np.sqrt(squared_n / (3.0 * n)),
            cosine / n, angle / n, length_size / n, length / reference, 1.0 - from_length / squared,
        ]  # fmt: skip
    return np.stack(found, axis=-1)
