"""How a batch of runs stands while it is at work: alive and dead, pace and time left, labels, verdicts so far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from gmd26_md.dynamics.engine import Progress
from gmd26_md.records import VERDICTS, Record

_JUDGING = 0.05  # of the bar: labels of the last runs may be waited for when every step is made


@dataclass
class Standing:
    """What is known of the runs of one call.

    Attributes
    ----------
    to_do
        Name of the molecule of each run that is to be made.
    verdicts
        So far, those of earlier calls among them.
    moved, moves
        What the engine told last, and whether it is at work now; if not, a run that has ended is being judged.
    last
        The run judged last, in words.
    """

    to_do: Sequence[str]
    verdicts: Counter[str] = field(default_factory=Counter)
    moved: Progress | None = None
    moves: bool = True
    last: str = ""
    _judged: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, to_do: Sequence[str], before: Iterable[Record]) -> Standing:
        """Return how runs stand before the first is made, beside the records of earlier calls."""
        return cls(to_do, Counter(str(r.verdict) for r in before if r.protocol == "stability"))

    def told(self, progress: Progress) -> None:
        """Take what the engine tells."""
        self.moved, self.moves = progress, True

    def judged(self, record: Record) -> None:
        """Count a run that was judged."""
        self.moves = False
        self.verdicts[str(record.verdict)] += 1
        self._judged[record.molecule] += 1
        self.last = f"{record.molecule}, seed {record.seed}: {record.verdict}"

    @property
    def fraction(self) -> float:
        """How much is done: steps, and at the end what waits to be judged."""
        moved = 0.0 if self.moved is None else self.moved.n_steps_done / max(self.moved.n_steps, 1)
        return (1.0 - _JUDGING) * moved + _JUDGING * self._judged.total() / max(len(self.to_do), 1)

    def words(self, n_labels_done: int, n_labels: int) -> str:
        """Return all of it in words."""
        runs_of = Counter(self.to_do)
        n_whole = sum(self._judged[name] >= n for name, n in runs_of.items())
        parts = [f"dynamics: {self.moved.words}" if self.moved and self.moves else "judging the runs that have ended"]
        parts += [f"labels {n_labels_done} of {n_labels}"] if n_labels else []
        parts.append(f"judged {self._judged.total()} of {len(self.to_do)} runs, {n_whole} of {len(runs_of)} molecules")
        counts = ", ".join(f"{v} {self.verdicts[v]}" for v in VERDICTS if self.verdicts[v])
        parts += [f"so far {counts}"] if counts else []
        parts += [f"last {self.last}"] if self.last else []
        return "; ".join(parts)
