"""Does distance from the training set go with the error? Rank correlations over atoms and over molecules.

Numbers that are not finite are ranked, not left out: an infinite distance is farther than any, and an error that is no
number is worse than any.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from gmd26_md.observables.correlation import MIN_UNITS, Correlation, Paired, correlate
from gmd26_md.observables.statistics import Spread, spreads

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class AtomErrors:
    """A model's errors on atoms of some frames of one molecule, and what may go with them.

    Attributes
    ----------
    molecule, split
        Name, and "id" or "ood".
    numbers
        Atomic numbers, (n_atoms,).
    error
        Mean absolute error of an atom's force components, (n_frames, n_atoms), eV/Å.
    columns
        By name, each (n_frames, n_atoms).
    far
        By space, whether an atom is far in it, (n_frames, n_atoms).
    """

    molecule: str
    split: str
    numbers: NDArray[np.int64]
    error: Floats
    columns: dict[str, Floats]
    far: dict[str, NDArray[np.bool_]]

    def table(self, element: int | None = None) -> Floats:
        """Return columns, and the error last, of all atoms or of one element's, (n_frames, n_chosen, n_columns + 1)."""
        chosen = slice(None) if element is None else self.numbers == element
        found = np.stack([*self.columns.values(), self.error], axis=2)[:, chosen]
        return np.where(np.isnan(found), np.inf, found)


def over_atoms(
    molecules: Sequence[AtomErrors], element: int | None = None, *, n_resamples: int = 200, seed: int = 0
) -> dict[str, Spread]:
    """Return the rank correlation of every column with the error over all atoms of all frames, with its spread.

    The spread is a bootstrap over molecules first, frames second (`statistics.resampled`): atoms of one frame, and
    frames of one molecule, are alike, so that their number says little.

    Parameters
    ----------
    element
        Atomic number; over atoms of this element only.

    Returns
    -------
    correlations
        By column; NaN where a column is constant; empty without an atom.
    """
    groups = _levels([table for m in molecules if (table := m.table(element)).size])
    if not groups:
        return {}
    found = spreads(groups, _with_last, n_resamples=n_resamples, seed=seed)
    return dict(zip(molecules[0].columns, found, strict=True))


def over_molecules(molecules: Sequence[AtomErrors]) -> dict[str, Correlation]:
    """Return the rank correlation of every column's mean with the mean error, a molecule a unit."""
    names = list(molecules[0].columns)
    means = [[float(c.mean()) for c in (*m.columns.values(), m.error)] for m in molecules]
    values = np.array(means)[None]  # (1, n_molecules, n_columns + 1)
    ranked = rankdata(np.where(np.isnan(values), np.inf, values), axis=1)  # infinities become ranks
    units = tuple(m.molecule for m in molecules)
    (rows,) = correlate([Paired(units, ranked[:, :, :-1], ranked[:, :, -1:])])
    return dict(zip(names, [row[0] for row in rows], strict=True))


def far_and_near(molecules: Sequence[AtomErrors], space: str) -> dict[str, float]:
    """Return what being far in a space says of an atom.

    Returns
    -------
    numbers
        `far_fraction` of all atoms; their median error `far_error_eV_per_A`, and that of all others,
        `near_error_eV_per_A`; `worst_far_fraction`, the part of the worst twentieth of all atoms that is far. NaN where
        there is none to take it of.
    """
    far = np.concatenate([m.far[space].ravel() for m in molecules])
    error = np.concatenate([m.error.ravel() for m in molecules])
    error = np.where(np.isnan(error), np.inf, error)
    worst = error >= np.quantile(error, 0.95, method="higher")  # no mean of infinities
    return {
        "far_fraction": float(far.mean()),
        "far_error_eV_per_A": float(np.median(error[far])) if far.any() else float("nan"),
        "near_error_eV_per_A": float(np.median(error[~far])) if not far.all() else float("nan"),
        "worst_far_fraction": float(far[worst].mean()),
    }


def _levels(tables: list[Floats]) -> list[Floats]:
    """Return every number's place among the different ones of its column: ranks can then be counted, not sorted."""
    if not tables:
        return []
    rows = np.concatenate([table.reshape(-1, table.shape[2]) for table in tables])
    places = np.stack([np.unique(column, return_inverse=True)[1] for column in rows.T], axis=1).astype(np.float64)
    ends = np.cumsum([table.shape[0] * table.shape[1] for table in tables])[:-1]
    return [part.reshape(table.shape) for part, table in zip(np.split(places, ends), tables, strict=True)]


def _with_last(tables: list[Floats]) -> Floats:
    """Return the rank correlation of each column with the last one, of places as `_levels` gives them."""
    columns = np.concatenate([table.reshape(-1, table.shape[2]) for table in tables]).T.astype(np.int64)
    if columns.shape[1] < MIN_UNITS:
        return np.full(len(columns) - 1, np.nan)
    ranks = np.stack([_mid_ranks(column) for column in columns])
    ranks -= ranks.mean(axis=1, keepdims=True)
    lengths = np.sqrt((ranks**2).sum(axis=1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(ranks[:-1] @ ranks[-1] / (lengths[:-1] * lengths[-1]), dtype=np.float64)


def _mid_ranks(places: NDArray[np.int64]) -> Floats:
    """Return ranks, ties at their mean, of whole numbers from zero, (n,)."""
    counts = np.bincount(places)
    return np.asarray((np.cumsum(counts) - 0.5 * (counts - 1))[places], dtype=np.float64)
