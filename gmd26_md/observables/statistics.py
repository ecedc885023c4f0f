"""The spread beside every number: a bootstrap over molecules first, frames second."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Statistic = Callable[[list[Floats]], Floats]


@dataclass(frozen=True)
class Spread:
    """A number with its bootstrap standard error and interval.

    `over` says what was drawn: "molecules, frames"; "molecules" where each has one frame; "frames" where there is
    one molecule, so that the spread says nothing of other molecules; "nothing" where there is one frame of one
    molecule, with NaN for the spread.
    """

    value: float
    standard_error: float
    low: float
    high: float
    over: str
    n_molecules: int
    n_frames: int


def drawn_over(groups: Sequence[Floats]) -> str:
    """Say what a bootstrap over these groups can draw from: see `Spread.over`."""
    levels = (["molecules"] if len(groups) > 1 else []) + (["frames"] if any(len(g) > 1 for g in groups) else [])
    return ", ".join(levels) or "nothing"


def resampled(groups: Sequence[Floats], statistic: Statistic, *, n_resamples: int = 500, seed: int = 0) -> Floats:
    """Return the statistic of bootstrap samples, (n_resamples, n_statistics).

    Each sample draws as many molecules as there are, with replacement, then as many frames of each as it has (Davison
    and Hinkley 1997, section 3.8, strategy 2). Limit: frames are drawn as if independent; along a trajectory they are
    correlated, so with one molecule the spread is too small.

    Parameters
    ----------
    groups
        One array a molecule, frame axis first.
    statistic
        A function of such a list, that returns (n_statistics,).
    """
    random = np.random.default_rng(seed)
    same = len({np.shape(group) for group in groups}) == 1
    stacked = np.stack(groups) if same else np.zeros(0)
    samples = []
    for _ in range(n_resamples):
        chosen = random.integers(len(groups), size=len(groups))
        if same:  # the same numbers as below, drawn at once: several times faster
            frames = random.integers(stacked.shape[1], size=stacked.shape[:2])
            samples.append(statistic(list(stacked[chosen[:, None], frames])))
            continue
        samples.append(statistic([groups[i][random.integers(len(groups[i]), size=len(groups[i]))] for i in chosen]))
    return np.array(samples, dtype=np.float64)


def spreads(
    groups: Sequence[Floats], statistic: Statistic, *, n_resamples: int = 500, seed: int = 0, level: float = 0.95
) -> list[Spread]:
    """Return each number of a vector-valued statistic with its spread. NaN in a group reaches what depends on it.

    Raises
    ------
    ValueError
        When there is no molecule, or one without frames.
    """
    if not groups or any(len(group) == 0 for group in groups):
        raise ValueError("a bootstrap needs at least one molecule, each with at least one frame")
    values = np.atleast_1d(np.asarray(statistic(list(groups)), dtype=np.float64))
    over, n_frames = drawn_over(groups), sum(len(group) for group in groups)
    if over == "nothing":
        samples = np.full((2, values.size), np.nan)
    else:
        samples = resampled(groups, statistic, n_resamples=n_resamples, seed=seed).reshape(n_resamples, values.size)
    tail = 50.0 * (1.0 - level)
    low, high = np.percentile(samples, [tail, 100.0 - tail], axis=0)  # NaN anywhere gives NaN
    errors = samples.std(axis=0, ddof=1)
    return [
        Spread(float(v), float(e), float(a), float(b), over, len(groups), n_frames)
        for v, e, a, b in zip(values, errors, low, high, strict=True)
    ]


def mean_of_all(groups: list[Floats]) -> Floats:
    """Return the mean over all frames of all molecules, (1,) for groups of shape (n_frames,)."""
    return np.atleast_1d(np.concatenate(groups).mean(axis=0))


def mean_of_molecules(groups: list[Floats]) -> Floats:
    """Return the mean over molecules of their own means: every molecule counts the same."""
    return np.atleast_1d(np.mean([group.mean(axis=0) for group in groups], axis=0))


def mean_and_spread(values: Sequence[float] | Floats) -> tuple[float, float]:
    """Return mean and sample standard deviation; NaN for the deviation of one value, and for both of none."""
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0:
        return float("nan"), float("nan")
    return float(array.mean()), float(array.std(ddof=1)) if array.size > 1 else float("nan")
