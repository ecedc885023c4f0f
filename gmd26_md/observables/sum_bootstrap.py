"""The bootstrap of `statistics` for numbers that depend on sums over frames only: many of them at once, fast.

Molecules are drawn first, frames second (Davison and Hinkley 1997, section 3.8, strategy 2). Each molecule's frames are
drawn once for all its classes of atoms; a class is then resampled over the molecules that have it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from gmd26_md.observables.statistics import Spread, drawn_over

Floats = NDArray[np.float64]
N_RESAMPLES = 500


def resampled_sums(table: Floats, random: np.random.Generator, n_resamples: int = N_RESAMPLES) -> Floats:
    """Return sums over frames drawn with replacement, (n_resamples, ...) from a table (n_frames, ...)."""
    n_frames = len(table)
    weights = random.multinomial(n_frames, np.full(n_frames, 1.0 / n_frames), size=n_resamples).astype(np.float64)
    flat = table.reshape(n_frames, -1)
    lost = np.isnan(flat)  # 0 x NaN is NaN: a frame that was not drawn must not reach the sum
    sums = weights @ np.where(lost, 0.0, flat)
    sums = np.where(weights @ lost > 0, np.nan, sums)
    return np.asarray(sums.reshape(n_resamples, *table.shape[1:]), dtype=np.float64)


def spreads_of_sums(
    tables: Sequence[Floats],
    resampled: Sequence[Floats],
    numbers: Callable[[Floats], Floats],
    random: np.random.Generator,
    level: float = 0.95,
) -> list[Spread]:
    """Return each number over some molecules with its spread; NaN in a molecule reaches what depends on it.

    Parameters
    ----------
    tables
        One a molecule, (n_frames, n_columns).
    resampled
        Of each, `resampled_sums`, (n_resamples, n_columns).
    numbers
        From sums (..., n_columns) to numbers (..., n_numbers).

    Raises
    ------
    ValueError
        When there is no molecule, or one without frames.
    """
    if not tables or any(len(table) == 0 for table in tables):
        raise ValueError("a bootstrap needs at least one molecule, each with at least one frame")
    over, n_frames = drawn_over(tables), sum(len(table) for table in tables)
    values = numbers(np.sum([table.sum(axis=0) for table in tables], axis=0))
    pool, n_resamples = np.stack(resampled), len(resampled[0])  # (n_molecules, n_resamples, n_columns)
    total = np.zeros(pool.shape[1:])
    for _ in tables:  # a molecule that is drawn twice has two draws of its frames, hence the order at random
        total += pool[random.integers(len(tables), size=n_resamples), random.permutation(n_resamples)]
    samples = numbers(total) if over != "nothing" else np.full((2, values.size), np.nan)
    tail = 50.0 * (1.0 - level)
    low, high = np.percentile(samples, [tail, 100.0 - tail], axis=0)
    errors = samples.std(axis=0, ddof=1)
    return [
        Spread(float(v), float(e), float(a), float(b), over, len(tables), n_frames)
        for v, e, a, b in zip(values, errors, low, high, strict=True)
    ]
