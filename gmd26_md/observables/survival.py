"""How long runs live: first failures, and the Kaplan-Meier estimate with right censoring."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from gmd26_md.observables.statistics import Spread, spreads

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def first_failure(times_ps: Iterable[float | None]) -> float | None:
    """Return the earliest of the times, None when no failure happened (None: that kind did not happen)."""
    return min((time for time in times_ps if time is not None), default=None)


@dataclass(frozen=True, eq=False)
class Survival:
    """The Kaplan-Meier estimate: a step function that falls at the times of failure.

    Attributes
    ----------
    time_ps
        Times at which a run failed, ascending, (n_steps,); empty when none did.
    probability
        Probability of living beyond each of them, (n_steps,).
    standard_error
        Greenwood's, (n_steps,).
    low, high
        Limits of the confidence interval, (n_steps,).
    n_at_risk
        Runs still followed just before each time, (n_steps,).
    n_failed
        Runs that failed at it, (n_steps,).
    start_low
        Lower limit before the first failure, from the number of runs alone.
    """

    time_ps: Floats
    probability: Floats
    standard_error: Floats
    low: Floats
    high: Floats
    n_at_risk: Ints
    n_failed: Ints
    start_low: float

    def at(self, time_ps: float) -> tuple[float, float, float]:
        """Return probability, low and high at a time: 1 before the first failure.

        Limit: beyond the last time anyone was followed the estimate is carried on unchanged.
        """
        step = int(np.searchsorted(self.time_ps, time_ps, side="right")) - 1
        if step < 0:
            return 1.0, self.start_low, 1.0
        return float(self.probability[step]), float(self.low[step]), float(self.high[step])

    def restricted_mean_ps(self, until_ps: float) -> float:
        """Return the mean life up to a time, the area under the curve, ps (Irwin 1949).

        Limit: beyond the last time anyone was followed the curve is carried on unchanged.
        """
        inside = self.time_ps < until_ps
        edges = np.concatenate([[0.0], self.time_ps[inside], [until_ps]])
        return float(np.sum(np.diff(edges) * np.concatenate([[1.0], self.probability[inside]])))


def kaplan_meier(times_ps: Sequence[float] | Floats, failed: Sequence[bool], level: float = 0.95) -> Survival:
    """Return the survival of runs that failed or were censored at given times.

    A run censored at the time of a failure counts as at risk there (Kaplan and Meier 1958). Standard errors are
    Greenwood's (1926), intervals symmetric and cut to [0, 1]. Greenwood knows no error where all or none of n runs
    failed; there the limits are the exact one-sided binomial ones, (1 - level)^(1/n) and its complement. Limit: runs
    are taken as independent, which the seeds of one molecule are not quite.

    Parameters
    ----------
    times_ps
        When each run failed or was last seen alive, (n_runs,).
    failed
        Whether it failed then (else it is censored), (n_runs,).

    Raises
    ------
    ValueError
        When there is no run, a time is not finite or negative, or the lengths differ.
    """
    times, events = np.asarray(times_ps, dtype=np.float64), np.asarray(failed, dtype=bool)
    if times.ndim != 1 or times.shape != events.shape or times.size == 0:
        raise ValueError(f"want one time and one flag a run, and a run at least; got {times.shape}, {events.shape}")
    if not np.all(np.isfinite(times) & (times >= 0)):
        raise ValueError("times must be finite and not negative")
    steps = np.unique(times[events])
    at_risk = np.array([np.count_nonzero(times >= step) for step in steps], dtype=np.int64)
    n_failed = np.array([np.count_nonzero(times[events] == step) for step in steps], dtype=np.int64)
    alive = at_risk - n_failed
    probability: Floats = np.cumprod(alive / at_risk, dtype=np.float64)
    # Where all fail the sum is infinite and the probability zero: the error is taken as zero, the limit set apart.
    terms = np.divide(n_failed, at_risk * alive, out=np.zeros(len(steps)), where=alive > 0)
    error: Floats = probability * np.sqrt(np.cumsum(terms))
    z = NormalDist().inv_cdf(0.5 + level / 2.0)
    edge = float((1.0 - level) ** (1.0 / times.size))
    high = np.where(probability > 0.0, np.clip(probability + z * error, 0.0, 1.0), 1.0 - edge)
    low = np.clip(probability - z * error, 0.0, 1.0)
    return Survival(steps, probability, error, low, high, at_risk, n_failed, edge)


def clustered_survival(
    molecules: Sequence[Floats], at_ps: Sequence[float], until_ps: float, *, n_resamples: int = 500, seed: int = 0
) -> tuple[list[Spread], Spread]:
    """Return the Kaplan-Meier survival at given times and the restricted mean life, each with its interval at 95 %.

    The seeds of one molecule share its fate in part, so intervals come from drawing molecules first and seeds second;
    Greenwood's, which take every run as independent, are too narrow then. Where all or none of the runs live a
    bootstrap knows no spread: the far limit is the one-sided binomial one, with each molecule counted once.

    Parameters
    ----------
    molecules
        Times and whether it failed then (1) or was censored (0), (n_runs, 2) a molecule.
    until_ps
        Where the mean life stops counting.

    Raises
    ------
    ValueError
        When there is no molecule, one without runs, or a time that is not finite or negative.
    """

    def numbers(groups: list[Floats]) -> Floats:
        runs = np.concatenate(groups)
        curve = kaplan_meier(runs[:, 0], [bool(f) for f in runs[:, 1]])
        return np.array([*(curve.at(t)[0] for t in at_ps), curve.restricted_mean_ps(until_ps)])

    *found, mean = spreads(molecules, numbers, n_resamples=n_resamples, seed=seed)
    edge = float(0.05 ** (1.0 / len(molecules)))
    for index, spread in enumerate(found):
        if spread.value == 1.0:
            found[index] = replace(spread, low=edge, high=1.0)
        elif spread.value == 0.0:
            found[index] = replace(spread, low=0.0, high=1.0 - edge)
    if mean.value == until_ps:  # the curve never falls, and it never lies below its end
        mean = replace(mean, low=edge * until_ps, high=until_ps)
    elif mean.value == 0.0:  # none began, and the curve never lies above its start
        mean = replace(mean, low=0.0, high=(1.0 - edge) * until_ps)
    return found, mean
