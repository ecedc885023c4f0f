"""Do two groups of runs live equally long? The log-rank test, and its p-value when seeds share a molecule."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_SAME = 1e-9  # of a statistic: permutations that tie with what was seen count as reached, whatever their rounding


@dataclass(frozen=True)
class LogRank:
    """How the failures of the second group compare with those expected if both groups lived equally long.

    Attributes
    ----------
    observed, expected
        Failures of the first and of the second group; expected given the runs at risk at each failure.
    z
        Standardised excess of the second group's failures, positive where it fails more; None where no failure, or
        none with both groups at risk, says anything.
    chi2
        Its square.
    p
        Two-sided, from the normal distribution: for many independent runs.
    p_permuted
        Two-sided, from molecules dealt out anew to the groups, seeds staying with their molecule; None where not asked.
    n_permutations
        How many dealings it rests on; all there are where `exact`.
    """

    observed: tuple[float, float]
    expected: tuple[float, float]
    z: float | None
    chi2: float | None
    p: float | None
    p_permuted: float | None = None
    n_permutations: int = 0
    exact: bool = False


@dataclass(frozen=True, eq=False)
class _Table:
    """What the test needs of the pooled runs: who was at risk and who failed at each time of failure."""

    at_risk: Floats  # (n_steps, n_runs), 0 or 1
    failed: Floats  # (n_steps, n_runs), 0 or 1

    @classmethod
    def of(cls, times: Floats, events: NDArray[np.bool_]) -> _Table:
        steps = np.unique(times[events])[:, None]
        return cls((times >= steps).astype(float), ((times == steps) & events).astype(float))

    def excess(self, second: Floats) -> tuple[Floats, Floats]:
        """Return observed less expected failures of the second group, and their variance, (n_groupings,) each.

        Parameters
        ----------
        second
            Whether each run is of the second group, 0 or 1, (n_groupings, n_runs).
        """
        n, d = self.at_risk.sum(axis=1), self.failed.sum(axis=1)
        share = (second @ self.at_risk.T) / n  # (n_groupings, n_steps)
        spread = np.divide(d * (n - d), n - 1.0, out=np.zeros_like(n), where=n > 1.0)
        excess = second @ self.failed.sum(axis=0) - share @ d
        return excess, (share * (1.0 - share)) @ spread


def log_rank(times_ps: Sequence[float] | Floats, failed: Sequence[bool], second: Sequence[bool]) -> LogRank:
    """Return the log-rank test of two groups of independent runs, with ties and right censoring (Mantel 1966).

    Runs censored at the time of a failure are at risk there; failures at one time have the hypergeometric variance.

    Parameters
    ----------
    times_ps, failed
        When each run failed, or was last seen alive, (n_runs,).
    second
        Whether it is of the second group, (n_runs,).

    Raises
    ------
    ValueError
        When a group has no run, the lengths differ, or a time is not finite or negative.
    """
    times, events = np.asarray(times_ps, dtype=np.float64), np.asarray(failed, dtype=bool)
    group = np.asarray(second, dtype=bool)
    if times.ndim != 1 or times.shape != events.shape or times.shape != group.shape:
        raise ValueError(f"want one time, flag and group a run; got {times.shape}, {events.shape}, {group.shape}")
    if not (group.any() and (~group).any()):
        raise ValueError("both groups need a run at least")
    if not np.all(np.isfinite(times) & (times >= 0)):
        raise ValueError("times must be finite and not negative")
    excess, variance = (float(a[0]) for a in _Table.of(times, events).excess(group[None].astype(float)))
    n_second, n_all = int(np.count_nonzero(events & group)), int(np.count_nonzero(events))
    expected = n_second - excess
    observed, awaited = (float(n_all - n_second), float(n_second)), (n_all - expected, expected)
    if not variance > 0.0:
        return LogRank(observed, awaited, None, None, None)
    z = excess / math.sqrt(variance)
    return LogRank(observed, awaited, z, z * z, math.erfc(abs(z) / math.sqrt(2.0)))


def clustered_log_rank(
    first: Sequence[Floats], second: Sequence[Floats], *, n_permutations: int = 9999, seed: int = 0
) -> LogRank:
    """Return the log-rank test of two groups of molecules, with a p-value that keeps the seeds of each together.

    Molecules are dealt out anew to groups of the same sizes, all ways where there are no more than `n_permutations`,
    else at random; the statistic is |z|. It is exact for any number of molecules if the groups do not differ.

    Parameters
    ----------
    first, second
        Times and whether the run failed then (1) or was censored (0), (n_runs, 2) a molecule.
    """
    molecules = [*first, *second]
    runs = np.concatenate(molecules)
    owner = np.repeat(np.arange(len(molecules)), [len(m) for m in molecules])
    seen = log_rank(runs[:, 0], [bool(f) for f in runs[:, 1]], [bool(i >= len(first)) for i in owner])
    if seen.z is None:
        return seen
    exact = math.comb(len(molecules), len(second)) <= n_permutations
    dealt = _dealings(len(molecules), len(second), None if exact else n_permutations, seed)
    excess, variance = _Table.of(runs[:, 0], runs[:, 1] > 0).excess(dealt[:, owner])
    z = np.abs(np.divide(excess, np.sqrt(variance), out=np.zeros_like(excess), where=variance > 0.0))
    n_as_far = int(np.count_nonzero(z >= abs(seen.z) - _SAME))
    p = n_as_far / len(dealt) if exact else (1 + n_as_far) / (1 + len(dealt))
    return replace(seen, p_permuted=p, n_permutations=len(dealt), exact=exact)


def _dealings(n: int, n_second: int, n_random: int | None, seed: int) -> Floats:
    """Return ways to choose the second group, 0 or 1 a molecule, (n_ways, n): all, or so many at random."""
    if n_random is None:
        chosen = np.array(list(combinations(range(n), n_second)), dtype=int).reshape(-1, n_second)
    else:
        chosen = np.argsort(np.random.default_rng(seed).random((n_random, n)), axis=1)[:, :n_second]
    dealt = np.zeros((len(chosen), n))
    np.put_along_axis(dealt, chosen, 1.0, axis=1)
    return dealt
