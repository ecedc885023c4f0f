"""How fast work goes of late, and how long the rest will take, in words."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field


@dataclass
class Pace:
    """The mean pace over the last half minute or so: the start, and what stood still long ago, are forgotten.

    Attributes
    ----------
    window_s
        Over which the mean is taken, once the work is as old.
    """

    window_s: float = 30.0
    _points: deque[tuple[float, float]] = field(default_factory=deque, repr=False)

    def at(self, now_s: float, done: float) -> float:
        """Note what is done by now, on any clock, and return the pace, 1/s; 0 where nothing can be told.

        Work that falls behind what was noted before is another piece of work, and begins anew.
        """
        if self._points and done < self._points[-1][1]:
            self._points.clear()
        self._points.append((now_s, done))
        while len(self._points) > 2 and self._points[1][0] <= now_s - self.window_s:
            self._points.popleft()
        (since, before), *_ = self._points
        return (done - before) / (now_s - since) if now_s > since else 0.0


def duration(seconds: float) -> str:
    """Return a length of time for people, "25 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"


def left_words(to_do: float, per_s: float) -> str:
    """Return how long the rest takes at this pace, ", 25 min left"; nothing where no pace is known."""
    return f", {duration(to_do / per_s)} left" if per_s > 0.0 else ""
