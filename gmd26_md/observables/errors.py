"""Static errors of energies and forces on labelled frames, as the GMD-26 table defines them (arXiv 2605.08988).

All work on sums a frame (`FrameSums`), so that any set of molecules and frames can be pooled, and drawn again for the
spread. A prediction that is not finite makes every number it enters NaN: it is never skipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gmd26_md.observables.statistics import Spread, spreads

Floats = NDArray[np.float64]

ERROR_METRICS = (
    "force_mae_eV_per_A",
    "force_rmse_eV_per_A",
    "force_cosine",
    "force_magnitude_mae_eV_per_A",
    "force_mae_relative_ratio",
    "force_rmse_relative_ratio",
    "energy_mae_eV",
    "energy_rmse_eV",
    "energy_offset_eV",
    "energy_offset_removed_mae_eV",
    "energy_offset_removed_rmse_eV",
)
"""The numbers that `pooled` returns, in order."""


@dataclass(frozen=True, eq=False)
class FrameSums:
    """Errors of one molecule, summed over its atoms a frame.

    Attributes
    ----------
    table
        (n_frames, 8): number of atoms, sum of |dF| over components, of dF squared, of |F_ref|, of F_ref squared, of the
        cosine over atoms, of | |F| - |F_ref| | over atoms, and the energy error (predicted less reference, eV).
    """

    table: Floats

    @classmethod
    def of(
        cls,
        predicted_energies: Floats,
        reference_energies: Floats,
        predicted_forces: Floats,
        reference_forces: Floats,
    ) -> FrameSums:
        """Return the sums for energies (n_frames,) in eV and forces (n_frames, n_atoms, 3) in eV/Å.

        Raises
        ------
        ValueError
            When the shapes do not agree.
        """
        predicted, reference = _same_shape("forces", predicted_forces, reference_forces)
        energies, labels = _same_shape("energies", predicted_energies, reference_energies)
        if predicted.ndim != 3 or energies.shape != predicted.shape[:1]:
            raise ValueError(
                f"want energies (n_frames,) and forces (n_frames, n_atoms, 3), got {energies.shape}, {predicted.shape}"
            )
        with np.errstate(invalid="ignore", over="ignore"):
            difference = predicted - reference
            columns = [
                np.full(len(energies), float(predicted.shape[1])),
                np.abs(difference).sum(axis=(1, 2)),
                (difference**2).sum(axis=(1, 2)),
                np.abs(reference).sum(axis=(1, 2)),
                (reference**2).sum(axis=(1, 2)),
                cosines(predicted, reference).sum(axis=1),
                np.abs(_lengths(predicted) - _lengths(reference)).sum(axis=1),
                energies - labels,
            ]
        table = np.stack(columns, axis=1)
        return cls(np.where(np.isfinite(table), table, np.nan))


def _same_shape(name: str, predicted: Floats, reference: Floats) -> tuple[Floats, Floats]:
    """Return both as float64 after checking that their shapes agree."""
    first, second = np.asarray(predicted, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    if first.shape != second.shape:
        raise ValueError(f"{name}: predicted {first.shape} and reference {second.shape} differ in shape")
    return first, second


def _lengths(vectors: Floats) -> Floats:
    """Return the lengths of vectors, the last axis summed."""
    return np.asarray(np.sqrt((vectors**2).sum(axis=-1)), dtype=np.float64)


def cosines(predicted: Floats, reference: Floats) -> Floats:
    """Return the cosine between force vectors, (..., n_atoms) from (..., n_atoms, 3).

    A vector of exactly zero length has no direction: its cosine is 0, as it is in torch.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        product = _lengths(predicted) * _lengths(reference)
        dot = (predicted * reference).sum(axis=-1)
        return np.asarray(np.where(product == 0.0, 0.0, dot / np.where(product == 0.0, 1.0, product)), dtype=np.float64)


def _pooled(tables: list[Floats]) -> Floats:
    """Return the numbers of `ERROR_METRICS` over the tables of some molecules."""
    n_atoms, absolute, squared, ref_absolute, ref_squared, cosine, magnitude, energy = np.concatenate(tables).T
    n_vectors = n_atoms.sum()
    n_components = 3.0 * n_vectors
    centred = np.concatenate([table[:, 7] - table[:, 7].mean() for table in tables])
    # no error is none also where the reference's forces vanish, as those of a lone atom do
    exact = len(absolute) > 0 and absolute.sum() == 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.array(
            [
                absolute.sum() / n_components,
                np.sqrt(squared.sum() / n_components),
                cosine.sum() / n_vectors,
                magnitude.sum() / n_vectors,
                0.0 if exact else absolute.sum() / ref_absolute.sum(),
                0.0 if exact else np.sqrt(squared.sum() / ref_squared.sum()),
                np.abs(energy).mean(),
                np.sqrt((energy**2).mean()),
                energy.mean(),
                np.abs(centred).mean(),
                np.sqrt((centred**2).mean()),
            ]
        )


def pooled(molecules: Sequence[FrameSums]) -> dict[str, float]:
    """Return the errors over all atoms of all frames of some molecules, as published; of one molecule alike.

    Force errors weigh every atom the same, energies every frame. The offset is the mean energy error, and is removed
    a molecule at a time: with one frame nothing is left of it. Relative errors divide by the mean absolute and by
    the RMS reference component of the same frames; they are 0 where every force is exactly the reference's.

    Raises
    ------
    ValueError
        When there is no molecule.
    """
    if not molecules:
        raise ValueError("no molecule to pool")
    numbers = _pooled([molecule.table for molecule in molecules])
    return dict(zip(ERROR_METRICS, numbers.tolist(), strict=True))


def pooled_with_spread(molecules: Sequence[FrameSums], *, n_resamples: int = 500, seed: int = 0) -> dict[str, Spread]:
    """Return what `pooled` does, each number with its bootstrap spread."""
    numbers = spreads([molecule.table for molecule in molecules], _pooled, n_resamples=n_resamples, seed=seed)
    return dict(zip(ERROR_METRICS, numbers, strict=True))


def force_mae_by_atom(predicted_forces: Floats, reference_forces: Floats) -> Floats:
    """Return the force-component MAE of each atom over all frames, (n_atoms,), eV/Å."""
    predicted, reference = _same_shape("forces", predicted_forces, reference_forces)
    with np.errstate(invalid="ignore"):
        error = np.abs(predicted - reference).mean(axis=(0, 2))
    return np.where(np.isfinite(error), error, np.nan)
