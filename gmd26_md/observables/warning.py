"""Does a signal warn before something happens? A threshold from known molecules, and the lead time on unseen ones.

A signal warns at the first frame at which `signal <= threshold` is not true, so that a NaN warns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gmd26_md.observables.committee import intervals
from gmd26_md.observables.statistics import Floats


@dataclass(frozen=True, eq=False)
class Watched:
    """A run as the one who waits for a warning sees it.

    Attributes
    ----------
    molecule
        Intervals are over molecules.
    time_ps
        Of the frames, (n_frames,), ascending.
    signal
        (n_frames,), such as the largest spread of an atom's force, eV/Å.
    happened_at_ps
        When it went wrong; None: it did not.
    """

    molecule: str
    time_ps: Floats
    signal: Floats
    happened_at_ps: float | None


def first_above(time_ps: Floats, values: Floats, limit: float) -> float | None:
    """Return the time of the first value of which `value <= limit` is not true; None if there is none."""
    above = np.flatnonzero(~(values <= limit))
    return float(time_ps[above[0]]) if above.size else None


def threshold(runs: Sequence[Watched], percentile: float) -> float:
    """Return the percentile of the signal over all frames of runs before anything happened in them.

    The next higher value that occurs, not one between: infinite where so many frames are NaN.

    Raises
    ------
    ValueError
        When no frame is left.
    """
    before = [
        run.signal if run.happened_at_ps is None else run.signal[run.time_ps < run.happened_at_ps] for run in runs
    ]
    frames = np.concatenate(before) if before else np.zeros(0)
    if frames.size == 0:
        raise ValueError("no frame to take a threshold from")
    closed = np.where(np.isnan(frames), np.inf, frames)
    return float(np.percentile(closed, percentile, method="higher"))


@dataclass(frozen=True)
class Warned:
    """What became of one run: when the signal warned and when it happened, ps; None where it did not.

    `lead_ps` is positive where the warning came first.
    """

    warned_at_ps: float | None
    happened_at_ps: float | None

    @property
    def lead_ps(self) -> float | None:
        """Time from the warning to what it warned of; None without either."""
        if self.warned_at_ps is None or self.happened_at_ps is None:
            return None
        return self.happened_at_ps - self.warned_at_ps

    @property
    def outcome(self) -> str:
        """How the warning came, one of `OUTCOMES`; the last two are for a run in which nothing happened."""
        if self.happened_at_ps is None:
            return "quiet" if self.warned_at_ps is None else "false alarm"
        if self.lead_ps is None:
            return "never"
        return "before" if self.lead_ps > 0 else "with it" if self.lead_ps == 0 else "late"


OUTCOMES = ("before", "with it", "late", "never", "false alarm", "quiet")


def warned(run: Watched, threshold: float) -> Warned:
    """Return when a run was warned of, at this threshold."""
    return Warned(first_above(run.time_ps, run.signal, threshold), run.happened_at_ps)


def tally(runs: Sequence[Watched], threshold: float) -> dict[str, Any]:
    """Return the outcomes over runs: how many of each, and shares with their intervals over molecules.

    `warned_before_fraction` is over the runs in which it happened, `false_alarm_fraction` over those in which it did
    not; None where there are none. `lead_median_ps` is over the runs that were warned of and in which it happened,
    early or late.
    """
    outcomes = [(run.molecule, warned(run, threshold)) for run in runs]
    told = [(m, w.outcome) for m, w in outcomes]
    leads = [w.lead_ps for _, w in outcomes if w.lead_ps is not None]
    happened = [(m, o == "before") for m, o in told if o not in ("false alarm", "quiet")]
    did_not = [(m, o == "false alarm") for m, o in told if o in ("false alarm", "quiet")]
    return {
        "n_runs": len(runs),
        **{f"n_{name.replace(' ', '_')}": sum(o == name for _, o in told) for name in OUTCOMES},
        "warned_before_fraction": _share(happened),
        "false_alarm_fraction": _share(did_not),
        "lead_median_ps": float(np.median(leads)) if leads else None,
    }


def _share(answers: Sequence[tuple[str, bool]]) -> Any:
    """Return the share of true answers over runs, with its interval over molecules; None where there is no run."""
    if not answers:
        return None
    names = dict.fromkeys(name for name, _ in answers)
    groups = [np.array([float(true) for name, true in answers if name == wanted]) for wanted in names]
    return intervals(groups, lambda drawn: np.atleast_1d(np.concatenate(drawn).mean()))[0]
