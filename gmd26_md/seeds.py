"""Seeds for named random streams: the same on every machine, and unlike their neighbours'."""

from __future__ import annotations

import numpy as np


def seed_of(seed: int, *names: str) -> int:
    """Return the seed of the stream that `names` name under a seed."""
    words = [seed, *(byte for name in names for byte in name.encode())]
    return int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0] >> 1)
