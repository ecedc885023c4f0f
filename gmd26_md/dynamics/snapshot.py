"""Snapshots of a call of the engine, so that a killed run goes on to the same numbers.

A snapshot holds the systems' positions, velocities, forces and random streams, who moved beside whom, and how many
frames each had on disk. It is read with `weights_only`, so a file in its place runs no code. Each system is known by
what was asked of it: one that is no longer asked for, or asked for otherwise, is left out, and the others go on.
"""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gmd26_md.dynamics.state import Noticed, Observed, Track
from gmd26_md.tensor_files import save_whole

_PLAIN = ("segment", "n_done", "cost", "stopped", "stopped_at_fs", "reason", "n_force_calls", "finished")
_COST = ("wall_s", "n_together")
_VERSION = 2


@dataclass(frozen=True)
class Stand:
    """Where a call stood.

    Attributes
    ----------
    capacity
        What went into a batch.
    moving, parked, finished
        Keys of the systems that moved, in the batch's order; of those that had moved and waited; of those at their end.
    arrays
        x, v, f (n_atoms, 3) and energy () of those that moved, by key.
    """

    capacity: float
    moving: list[str]
    parked: list[str]
    finished: list[str]
    arrays: dict[str, dict[str, np.ndarray]]


def question(track: Track) -> str:
    """Return a hash of what is asked of a system: a snapshot of another question is not continued."""
    system = track.system
    digest = hashlib.sha256()
    checks = [(c.name, c.stops) for c in system.checks.pairs]
    rules = (system.key, system.seed, system.temperature_K, track.segments, system.checks.max_temperature_K)
    digest.update(repr((rules, system.checks.every, checks)).encode())
    limits = [a for c in system.checks.pairs for a in (c.pairs, c.at_least_A, c.at_most_A)]
    for array in (system.numbers, system.positions, system.velocities, *limits):
        digest.update(b"none" if array is None else np.ascontiguousarray(array).tobytes())
    if system.masses is not None:  # so that the snapshots of all others stay what they were
        digest.update(np.asarray(system.masses, dtype=np.float64).tobytes())
    return digest.hexdigest()


def save(path: Path, stand: Stand, tracks: Sequence[Track]) -> None:
    """Write a snapshot, whole or not at all; the frames that it counts are synced to disk before it."""
    for track in tracks:
        track.log.sync()
    content = {
        "version": _VERSION,
        "capacity": float(stand.capacity),
        "order": {"moving": stand.moving, "parked": stand.parked, "finished": stand.finished},
        "tracks": {t.system.key: _packed(t, stand.arrays.get(t.system.key, t.parked)) for t in tracks},
    }
    save_whole(content, path)


def load(path: Path, tracks: dict[str, Track]) -> Stand | None:
    """Bring the tracks, by key, to where they stood, and return the rest; None where there is no snapshot of ours.

    A system whose frames are not all there, or that was asked something else, stays at its beginning.
    """
    try:
        content = torch.load(path, weights_only=True, map_location="cpu")
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError, ValueError):
        return None
    if not isinstance(content, dict) or content.get("version") != _VERSION:
        return None
    arrays = {}
    for key, packed in content["tracks"].items():
        if key not in tracks or packed["question"] != question(tracks[key]):
            continue
        if not tracks[key].log.cut(packed["counts"]):
            tracks[key].log.cut({})
            continue
        arrays[key] = _unpack(tracks[key], packed)
    moving, parked, finished = (
        [k for k in content["order"][name] if k in arrays] for name in ("moving", "parked", "finished")
    )
    for key in parked:
        tracks[key].parked = arrays.pop(key)
    return Stand(content["capacity"], moving, parked, finished, arrays)


def _packed(track: Track, arrays: dict[str, np.ndarray] | None) -> dict[str, Any]:
    return {
        "question": question(track),
        "rng": json.dumps(track.rng.bit_generator.state),
        **{name: getattr(track, name) for name in _PLAIN + _COST},
        "noticed": [asdict(one) for one in track.noticed.values()],
        "observed": {name: asdict(one) for name, one in track.observed.items()},
        "counts": dict(track.log.counts),
        "arrays": {name: torch.as_tensor(a) for name, a in (arrays or {}).items()},
    }


def _unpack(track: Track, packed: dict[str, Any]) -> dict[str, np.ndarray]:
    track.rng.bit_generator.state = json.loads(packed["rng"])
    for name in _PLAIN + _COST:
        setattr(track, name, packed[name])
    track.noticed = {one["name"]: Noticed(**one) for one in packed["noticed"]}
    track.observed = {name: Observed(**one) for name, one in packed["observed"].items()}
    return {name: tensor.numpy() for name, tensor in packed["arrays"].items()}
