"""Who goes into the batch next, and how many go together."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class WaitingLine(Generic[T]):
    """Systems that wait for a place in the batch, first come, first served.

    Parameters
    ----------
    waiting
        In the order in which they go in, each with its cost (`ForceProvider.cost`).
    capacity
        Summed cost that goes together. One system always goes, whatever it costs.
    """

    def __init__(self, waiting: Iterable[tuple[T, float]], capacity: float) -> None:
        self.capacity = capacity
        self._line = deque(waiting)

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._line)

    def __iter__(self) -> Iterator[T]:
        """Go through those that wait; they go on waiting."""
        return iter([one for one, _ in self._line])

    def next(self, used: float) -> list[tuple[T, float]]:
        """Take out those that find room beside systems of the summed cost `used`."""
        chosen = []
        while self._line and (used == 0.0 or used + self._line[0][1] <= self.capacity):
            chosen.append(self._line.popleft())
            used += chosen[-1][1]
        return chosen

    def back(self, systems: Sequence[tuple[T, float]]) -> None:
        """Put systems at the head of the line, in their order."""
        self._line.extendleft(reversed(systems))

    def clear(self) -> list[T]:
        """Take out all."""
        all_of_them = list(self)
        self._line.clear()
        return all_of_them
