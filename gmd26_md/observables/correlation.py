"""Does one number go with another? Rank correlation, with intervals and p-values that know how many were tried.

Molecules are the units that are drawn and dealt out; several models on the same molecules are layers of one table, as a
molecule that is hard for one model may be hard for all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MIN_UNITS = 5
"""Fewer say nothing: of four molecules in random order one in twelve is in perfect order, up or down."""

_SAME = 1e-9  # of a correlation: what ties with the one seen counts as reached, whatever its rounding
_AT_ONCE = 100  # bounds the memory of permutations and resamples


@dataclass(frozen=True)
class Correlation:
    """A rank correlation.

    Attributes
    ----------
    rho
        Spearman's, the mean over models where there are several; None where it is not defined, and `why` says so.
    low, high
        Limits at 95 % from drawing molecules (and models, where there are several) anew; None where most draws have
        none.
    p
        Two-sided, from dealing out the outcomes anew over the molecules.
    p_adjusted
        The same for the strongest of all correlations that were tried together.
    n, n_models
        Molecules, and models, that it rests on.
    """

    rho: float | None
    low: float | None
    high: float | None
    p: float | None
    p_adjusted: float | None
    n: int
    n_models: int
    why: str = ""


@dataclass(frozen=True, eq=False)
class Paired:
    """Numbers of the same units, to be correlated each with each; NaN where one was not measured.

    Attributes
    ----------
    units
        What the numbers belong to: molecules, or models. Units of one name are dealt out together in all tables.
    x
        Predictors, (n_models, n_units, n_x); one model for a table of its own.
    y
        Outcomes, (n_models, n_units, n_y).
    """

    units: tuple[str, ...]
    x: Floats
    y: Floats

    def __post_init__(self) -> None:
        x, y = self.x.shape, self.y.shape
        if len(x) != 3 or len(y) != 3 or x[:2] != y[:2] or x[1] != len(self.units):
            raise ValueError(f"want (n_models, {len(self.units)} units, n_columns) twice, got {x} and {y}")


@dataclass(frozen=True, eq=False)
class _Block:
    """Columns of a table that are measured for the same units."""

    xs: Ints
    ys: Ints
    units: Ints
    models: Ints


def spearman(x: Sequence[float] | Floats, y: Sequence[float] | Floats) -> float | None:
    """Return the rank correlation of two columns, ties at their mean rank; None for fewer than 5 pairs or a constant.

    Pairs with a number that is not finite are left out: say first what those are worth.
    """
    both = np.isfinite(np.asarray(x, dtype=float)) & np.isfinite(np.asarray(y, dtype=float))
    if np.count_nonzero(both) < MIN_UNITS:
        return None
    a, b = (_unit_ranks(np.asarray(v, dtype=float)[both][None, :, None])[0, :, 0] for v in (x, y))
    return float(np.clip(a @ b, -1.0, 1.0)) if a.any() and b.any() else None


def correlate(
    tables: Sequence[Paired], *, n_permutations: int = 1999, n_resamples: int = 500, seed: int = 0
) -> list[list[list[Correlation]]]:
    """Return the correlation of every predictor with every outcome of every table, [table][x][y].

    Every p-value rests on the same dealings: outcomes are handed to other units, all columns of a unit together. The
    adjusted one is the share of dealings in which *any* correlation of any table is as far from zero, in its own
    standard deviations under dealing (Westfall and Young 1993, single step): the chance that the strongest of so many
    is this strong by luck. Correlated columns do not make it needlessly strict, as Bonferroni's would be.

    Limits: intervals are percentiles, too narrow near -1 and 1 and with few units. Where columns miss different units
    their dealings agree only in part.
    """
    random = np.random.default_rng(seed)
    names = sorted({unit for table in tables for unit in table.units})
    keys = random.random((n_permutations, len(names)))
    farthest = np.zeros(n_permutations)
    found, spreads = [], []
    for table in tables:
        cells, sds = _empty(table)
        at = np.array([names.index(unit) for unit in table.units], dtype=int)
        for block in _blocks(table):
            _fill(table, block, cells, sds, keys[:, at], farthest, n_resamples, random)
        found.append(cells)
        spreads.append(sds)
    farthest.sort()
    return [
        [
            [_adjusted(c, sd, farthest) for c, sd in zip(row, row_sds, strict=True)]
            for row, row_sds in zip(cells, sds, strict=True)
        ]
        for cells, sds in zip(found, spreads, strict=True)
    ]


def _empty(table: Paired) -> tuple[list[list[Correlation]], Floats]:
    """Return what is said of pairs that no block holds, and no deviations yet."""
    n_x, n_y = table.x.shape[2], table.y.shape[2]
    there_x, there_y = np.isfinite(table.x), np.isfinite(table.y)
    cells = []
    for i in range(n_x):
        row = []
        for j in range(n_y):
            n = int((there_x[:, :, i] & there_y[:, :, j]).any(axis=0).sum())
            row.append(Correlation(None, None, None, None, None, n, 0, f"{n} of {MIN_UNITS} that are needed"))
        cells.append(row)
    return cells, np.full((n_x, n_y), np.nan)


def _blocks(table: Paired) -> Iterator[_Block]:
    """Yield columns measured for the same units: those that all models have that have enough of them."""
    there_x, there_y = np.isfinite(table.x), np.isfinite(table.y)
    for mask_x, xs in _alike(there_x):
        for mask_y, ys in _alike(there_y):
            both = mask_x & mask_y
            models = np.flatnonzero(both.sum(axis=1) >= MIN_UNITS)
            units = np.flatnonzero(both[models].all(axis=0)) if models.size else models
            if units.size >= MIN_UNITS:
                yield _Block(xs, ys, units, models)


def _alike(there: NDArray[np.bool_]) -> list[tuple[NDArray[np.bool_], Ints]]:
    """Return each pattern of what is measured, (n_models, n_units), with the columns that have it."""
    groups: dict[bytes, list[int]] = {}
    for column in range(there.shape[2]):
        groups.setdefault(there[:, :, column].tobytes(), []).append(column)
    return [(there[:, :, columns[0]], np.array(columns, dtype=np.int64)) for columns in groups.values()]


def _fill(
    table: Paired,
    block: _Block,
    cells: list[list[Correlation]],
    sds: Floats,
    keys: Floats,
    farthest: Floats,
    n_resamples: int,
    random: np.random.Generator,
) -> None:
    """Put the correlations of a block in their cells, and the farthest of each dealing in `farthest`."""
    x, y = (v[np.ix_(block.models, block.units, c)] for v, c in ((table.x, block.xs), (table.y, block.ys)))
    a, b = _unit_ranks(x), _unit_ranks(y)
    n_models = np.einsum("sp,sq->pq", a.any(axis=1).astype(float), b.any(axis=1).astype(float))
    defined = n_models > 0
    counted = np.maximum(n_models, 1.0)
    rho = np.clip(np.einsum("snp,snq->pq", a, b) / counted, -1.0, 1.0)
    sd = _deviation(a, b, counted)
    n_as_far = np.zeros(rho.shape)
    for start in range(0, len(keys), _AT_ONCE):
        order = np.argsort(keys[start : start + _AT_ONCE, block.units], axis=1)  # (n_dealings, n_units)
        dealt = b[:, order].transpose(1, 0, 2, 3).reshape(len(order), -1, b.shape[2])
        size = np.abs(a.reshape(-1, a.shape[2]).T @ dealt) / counted  # (n_dealings, n_x, n_y)
        n_as_far += (size >= np.abs(rho) - _SAME).sum(axis=0)
        in_sds = np.where(defined, size / sd, 0.0).max(axis=(1, 2))
        farthest[start : start + len(order)] = np.maximum(farthest[start : start + len(order)], in_sds)
    low, high = _interval(x, y, n_resamples, random)
    n = len(block.units)
    for i, column_x in enumerate(block.xs):
        for j, column_y in enumerate(block.ys):
            if not defined[i, j]:
                cells[column_x][column_y] = Correlation(None, None, None, None, None, n, 0, "one of them is constant")
                continue
            ends = [None if np.isnan(v[i, j]) else float(v[i, j]) for v in (low, high)]
            p = float((1 + n_as_far[i, j]) / (1 + len(keys)))
            known = int(n_models[i, j])
            cells[column_x][column_y] = Correlation(float(rho[i, j]), ends[0], ends[1], p, None, n, known)
            sds[column_x, column_y] = sd[i, j]


def _deviation(a: Floats, b: Floats, n_models: Floats) -> Floats:
    """Return the standard deviation of each correlation under dealing, exactly, (n_x, n_y).

    Of centred columns of unit length the products under random permutation have the covariance
    (a_s . a_t) (b_s . b_t) / (n - 1).
    """
    like_a, like_b = np.einsum("snp,tnp->stp", a, a), np.einsum("snq,tnq->stq", b, b)
    variance = np.einsum("stp,stq->pq", like_a, like_b) / (n_models**2 * (a.shape[1] - 1))
    return np.sqrt(np.maximum(variance, 1e-12))


def _interval(x: Floats, y: Floats, n_resamples: int, random: np.random.Generator) -> tuple[Floats, Floats]:
    """Return the limits at 95 % from drawing units, and models where there are several, (n_x, n_y) each."""
    n_models, n_units = x.shape[:2]
    samples = []
    for start in range(0, n_resamples, _AT_ONCE):
        n_draws = min(_AT_ONCE, n_resamples - start)
        drawn = random.integers(n_units, size=(n_draws, n_units))
        chosen = random.integers(n_models, size=(n_draws, n_models))
        weights = (chosen[:, :, None] == np.arange(n_models)).sum(axis=1).T.astype(float)  # (n_models, n_draws)
        a, b = _unit_ranks(x[:, drawn]), _unit_ranks(y[:, drawn])  # (n_models, n_draws, n_units, n_columns)
        there = np.einsum("sd,sdp,sdq->dpq", weights, a.any(axis=2).astype(float), b.any(axis=2).astype(float))
        total = np.einsum("sd,sdpq->dpq", weights, a.swapaxes(2, 3) @ b)
        samples.append(np.divide(total, there, out=np.full_like(total, np.nan), where=there > 0))
    found = np.concatenate(samples)
    enough = np.isfinite(found).mean(axis=0) > 0.5
    found[:, ~enough] = 0.0
    low, high = np.nanpercentile(found, [2.5, 97.5], axis=0)
    return np.where(enough, low, np.nan), np.where(enough, high, np.nan)


def _unit_ranks(values: Floats) -> Floats:
    """Return ranks along the axis before the last, ties at their mean, centred and of unit length.

    Zeros for a constant column.
    """
    ranks = rankdata(values, axis=-2)
    ranks = ranks - ranks.mean(axis=-2, keepdims=True)
    length = np.sqrt((ranks**2).sum(axis=-2, keepdims=True))
    return np.asarray(np.divide(ranks, length, out=np.zeros_like(ranks), where=length > _SAME), dtype=np.float64)


def _adjusted(found: Correlation, sd: float, farthest: Floats) -> Correlation:
    """Return a correlation with the p-value of the strongest of all that were tried; `farthest` ascends."""
    if found.rho is None:
        return found
    n_as_far = len(farthest) - int(np.searchsorted(farthest, abs(found.rho) / sd - _SAME, side="left"))
    return replace(found, p_adjusted=(1 + n_as_far) / (1 + len(farthest)))
