"""The pair checks of all systems of a batch, on the device."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from gmd26_md.dynamics.plan import PairCheck
from gmd26_md.dynamics.state import Moving, Track


@dataclass(frozen=True)
class Watch:
    """Every pair of every check of every system, one after the other; a group is one check of one system.

    Attributes
    ----------
    owners
        The system and the check of each group.
    first, second
        Atoms in the batch, (n_pairs,).
    at_least, at_most
        Å, (n_pairs,).
    group
        (n_pairs,), ascending.
    due
        Steps of the coming stretch at which somebody looks, counted from 0.
    """

    owners: list[tuple[int, PairCheck]]
    first: Tensor
    second: Tensor
    at_least: Tensor
    at_most: Tensor
    group: Tensor
    due: frozenset[int]

    @staticmethod
    def of(moving: Moving) -> Watch:
        """Return the watch over a batch, for no step yet."""
        device = moving.x.device
        starts = np.concatenate([[0], np.cumsum(moving.rows.counts)[:-1]]).astype(np.int64)
        owners = [(i, check) for i, track in enumerate(moving.tracks) for check in track.system.checks.pairs]
        pairs = [np.asarray(check.pairs, dtype=np.int64).reshape(-1, 2) + starts[i] for i, check in owners]
        both = np.concatenate(pairs) if pairs else np.zeros((0, 2), dtype=np.int64)
        limits = [(np.asarray(c.at_least_A), np.asarray(c.at_most_A)) for _, c in owners]
        low = np.concatenate([a for a, _ in limits]) if limits else np.zeros(0)
        high = np.concatenate([b for _, b in limits]) if limits else np.zeros(0)
        group = np.repeat(np.arange(len(owners)), [len(p) for p in pairs])
        first, second, at_least, at_most, whose = (
            torch.as_tensor(a, device=device) for a in (both[:, 0], both[:, 1], low, high, group)
        )
        return Watch(owners, first, second, at_least, at_most, whose, frozenset())

    @property
    def n_groups(self) -> int:
        """Number of checks of all systems."""
        return len(self.owners)

    def over(self, tracks: tuple[Track, ...], n_steps: int) -> Watch:
        """Return the watch for a stretch of steps: looked at where one of the systems has a look due."""
        if not self.owners:
            return self
        counts = {(t.n_done % t.system.checks.every, t.system.checks.every) for t in tracks if t.system.checks.pairs}
        due = frozenset(s for s in range(n_steps) if any((n + s + 1) % every == 0 for n, every in counts))
        return replace(self, due=due)

    def looks_at(self, step: int) -> bool:
        """Tell whether anything is looked at after this step of the stretch."""
        return step in self.due

    def distances(self, x: Tensor) -> Tensor:
        """Return the distance of every pair, (n_pairs,), Å."""
        return (x.index_select(0, self.first) - x.index_select(0, self.second)).square().sum(1).sqrt()

    def outside(self, distances: Tensor) -> Tensor:
        """Return which pairs are outside their limits, (n_pairs,), bool; NaN is."""
        return ~((distances >= self.at_least) & (distances <= self.at_most))

    def violations(self, distances: Tensor) -> Tensor:
        """Return how many pairs of each group are outside their limits, (n_groups,), int64."""
        found = torch.zeros(self.n_groups, dtype=torch.int64, device=distances.device)
        return found.index_add(0, self.group, self.outside(distances).to(torch.int64))

    def worst(self, group: int, distances: Tensor) -> tuple[tuple[int, int], float]:
        """Return the atoms (of their molecule) and the distance, Å, of the pair of a group that is furthest outside."""
        mine = (self.group == group).nonzero()[:, 0]
        d = distances[mine].cpu().numpy()
        low, high = self.at_least[mine].cpu().numpy(), self.at_most[mine].cpu().numpy()
        badness = np.where(np.isnan(d), np.inf, np.maximum(low - d, d - high))
        at = int(np.argmax(badness))
        i, j = self.owners[group][1].pairs[at]
        return (int(i), int(j)), float(d[at])
