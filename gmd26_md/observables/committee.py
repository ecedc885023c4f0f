"""How far the members of a committee are apart, and whether that says how wrong they are.

The spread of an atom in a frame is the root mean square, over its three force components, of the members' standard
deviation (ddof 1); the error of an atom is the root mean square, over the components, of mean less reference. So both
are sizes of one component, in eV/Å. Those of a frame are root mean squares over its atoms.

What to expect of error over spread: with n members that scatter independently about the truth 1/sqrt(n), since the mean
is better than any of them; where the truth is like one more member, sqrt(1 + 1/n). Above that the members share a
mistake, which no spread can show.

Ranks fail closed: what is NaN ranks above everything, as a spread that warns and as an error that is too large.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from gmd26_md.observables.statistics import Floats, drawn_over, resampled

FEWEST_RANKED = 3  # numbers; the rank correlation of two is always 1 or -1
FEWEST_MOLECULES = 5  # of four in random order, one time in twelve they are in perfect order, up or down


def force_spread(forces: Floats) -> Floats:
    """Return the spread of each atom, (n_frames, n_atoms), eV/Å, from (n_members, n_frames, n_atoms, 3).

    Raises
    ------
    ValueError
        For fewer than two members, which have no spread.
    """
    if len(forces) < 2:
        raise ValueError(f"a spread needs two members or more, got {len(forces)}")
    with np.errstate(invalid="ignore", over="ignore"):
        return np.asarray(np.sqrt(forces.var(axis=0, ddof=1).mean(axis=-1)))


def energy_change_spread(energies: Floats) -> Floats:
    """Return the members' standard deviation (ddof 1) of E(t) - E(0), (n_frames,), eV, from (n_members, n_frames).

    The energy itself has an offset that each member sets for itself; its change since the first frame has not. Zero at
    the first frame by construction.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        return np.asarray((energies - energies[:, :1]).std(axis=0, ddof=1))


def root_mean_square(values: Floats, axis: int | tuple[int, ...] = -1) -> Floats:
    """Return the root mean square along an axis; NaN where a value is."""
    with np.errstate(invalid="ignore", over="ignore"):
        return np.asarray(np.sqrt((values**2).mean(axis=axis)))


def rank_correlation(first: Floats, second: Floats) -> float:
    """Return Spearman's rank correlation; NaN for fewer than three values, or where one side is constant."""
    if len(first) < FEWEST_RANKED:
        return float("nan")
    a, b = (rankdata(_fail_closed(np.asarray(x))) for x in (first, second))
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])


def area_under_roc(signal: Floats, happened: NDArray[np.bool_]) -> float:
    """Return the probability that a signal where it happened is above one where it did not; equal signals count half.

    NaN where it happened always, or never (Hanley and McNeil 1982).
    """
    n, n_all = int(happened.sum()), len(happened)
    if n in (0, n_all):
        return float("nan")
    ranks = rankdata(_fail_closed(np.asarray(signal)))
    return float((ranks[happened].sum() - n * (n + 1) / 2) / (n * (n_all - n)))


def _fail_closed(values: Floats) -> Floats:
    return np.where(np.isnan(values), np.inf, values)


@dataclass(frozen=True, eq=False)
class LabelledRun:
    """What a committee says of the labelled frames of one run.

    Attributes
    ----------
    molecule
        Runs of one molecule are not independent: intervals are over molecules.
    spread
        (n_frames, n_atoms), eV/Å, see `force_spread`.
    error
        Forces less the reference's, (n_frames, n_atoms, 3), eV/Å.
    """

    molecule: str
    spread: Floats
    error: Floats

    @property
    def signal(self) -> Floats:
        """The largest spread of an atom, (n_frames,), eV/Å: what a warning looks at, as a failure begins somewhere."""
        return np.asarray(self.spread.max(axis=1))

    @property
    def frame_error(self) -> Floats:
        """The error of each frame, (n_frames,), eV/Å."""
        return root_mean_square(self.error, axis=(1, 2))


@dataclass(frozen=True)
class Interval:
    """A number with its 95 % bootstrap interval over molecules, and runs or frames of each; see `statistics.Spread`.

    Resamples in which the number does not exist (every frame above the limit, say) are left out of the interval.
    """

    value: float
    low: float
    high: float
    over: str


def intervals(groups: Sequence[Floats], statistic: Callable[[list[Floats]], Floats]) -> list[Interval]:
    """Return each number of a vector-valued statistic, with its interval; NaN where there is none to give."""
    values, over = np.atleast_1d(statistic(list(groups))), drawn_over(groups)
    samples = np.full((1, values.size), np.nan)
    if over != "nothing":
        samples = resampled(groups, statistic).reshape(-1, values.size)
    found = []
    for value, column in zip(values.tolist(), samples.T, strict=True):
        kept = column[np.isfinite(column)] if np.isfinite(value) else column[:0]
        low, high = np.percentile(kept, [2.5, 97.5]).tolist() if kept.size else (float("nan"), float("nan"))
        found.append(Interval(value, low, high, over))
    return found


def miscalibration(runs: Sequence[LabelledRun]) -> float:
    """Return RMS error over RMS spread, over all components: the factor that makes a spread the size of the error."""
    return float(_pooled([_frame_table(run, 1.0, 0.0) for run in runs])[0])


def calibration(runs: Sequence[LabelledRun], *, factor: float, limit_eV_per_A: float) -> dict[str, Interval]:
    """Return how well the spread tells the error, over the labelled frames of some runs.

    `error_over_spread_ratio` (of root mean squares), `error_over_spread_median_ratio` (median over frames: no single
    frame decides it), `within_one_sigma_fraction` and `within_two_sigma_fraction` (share of components whose error is
    within `factor` times the spread of their atom, and twice that: 0.683 and 0.954 if errors were Gaussian),
    `rank_correlation_of_frames_ratio`, `warns_of_error_auroc_fraction` (`area_under_roc` of the signal for an error of
    the frame above the limit), `rank_correlation_within_runs_ratio` (mean over runs) and
    `rank_correlation_over_runs_ratio` (of the runs' RMS; NaN for fewer than five molecules).

    Parameters
    ----------
    factor
        `miscalibration` of other runs, such as the ID runs.
    limit_eV_per_A
        What error of a frame is too large.

    Raises
    ------
    ValueError
        When there is no run.
    """
    if not runs:
        raise ValueError("no run to calibrate on")
    frames = _by_molecule(runs, lambda run: _frame_table(run, factor, limit_eV_per_A))
    within = _by_molecule(runs, lambda run: np.array([_within_run(run)]))
    within = [kept for group in within if len(kept := group[np.isfinite(group)])]  # constant runs have no ranks
    whole = _by_molecule(runs, lambda run: np.array([[_overall(run.spread), _overall(run.error)]]))
    nothing = Interval(float("nan"), float("nan"), float("nan"), "nothing")
    found = dict(zip(_POOLED, intervals(frames, _pooled), strict=True))
    found["rank_correlation_within_runs_ratio"] = intervals(within, _mean)[0] if within else nothing
    enough = len(whole) >= FEWEST_MOLECULES
    found["rank_correlation_over_runs_ratio"] = intervals(whole, _correlated_rows)[0] if enough else nothing
    return found


_POOLED = (
    "error_over_spread_ratio",
    "error_over_spread_median_ratio",
    "within_one_sigma_fraction",
    "within_two_sigma_fraction",
    "rank_correlation_of_frames_ratio",
    "warns_of_error_auroc_fraction",
)


def _frame_table(run: LabelledRun, factor: float, limit: float) -> Floats:
    """Return what is pooled of each frame, (n_frames, 9), in the order in which `_pooled` takes it apart."""
    sigma = factor * run.spread[..., None]
    size = np.abs(run.error)
    above = ~(run.frame_error <= limit)
    columns = [
        3.0 * (run.spread**2).sum(axis=1),
        (run.error**2).sum(axis=(1, 2)),
        np.full(len(run.spread), float(run.error[0].size)),
        (size <= sigma).sum(axis=(1, 2)),
        (size <= 2.0 * sigma).sum(axis=(1, 2)),
        root_mean_square(run.spread),
        run.frame_error,
        run.signal,
        above,
    ]
    return np.stack([np.asarray(c, dtype=np.float64) for c in columns], axis=1)


def _pooled(tables: list[Floats]) -> Floats:
    """Return the numbers of `_POOLED` over tables of frames."""
    spread2, error2, n, one, two, spread, error, signal, above = np.concatenate(tables).T
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.array(
            [
                np.sqrt(error2.sum() / spread2.sum()),
                np.median(error / spread),
                one.sum() / n.sum(),
                two.sum() / n.sum(),
                rank_correlation(spread, error),
                area_under_roc(signal, above > 0.5),
            ]
        )


def _by_molecule(runs: Sequence[LabelledRun], rows: Callable[[LabelledRun], Floats]) -> list[Floats]:
    """Return the rows of all runs of each molecule as one array."""
    names = dict.fromkeys(run.molecule for run in runs)
    return [np.concatenate([rows(run) for run in runs if run.molecule == name]) for name in names]


def _within_run(run: LabelledRun) -> float:
    return rank_correlation(root_mean_square(run.spread), run.frame_error)


def _overall(values: Floats) -> float:
    return float(root_mean_square(values, axis=tuple(range(values.ndim))))


def _mean(groups: list[Floats]) -> Floats:
    return np.atleast_1d(np.concatenate(groups).mean())


def _correlated_rows(groups: list[Floats]) -> Floats:
    rows = np.concatenate(groups)
    return np.array([rank_correlation(rows[:, 0], rows[:, 1])])
