"""Snapshots of a running batch, so that a killed run goes on to the same numbers.

A snapshot holds the systems' positions, velocities, forces, random streams and kept frames. It is read
with `weights_only`, so a file in its place runs no code.
"""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gmd26_md.dynamics.forces import ForceProvider
from gmd26_md.dynamics.state import BatchState, Frame, System, Track, assemble
from gmd26_md.tensor_files import save_whole


@dataclass(frozen=True)
class Position:
    """Where in the segments a batch stands: `n_steps` steps of segment `segment` are done."""

    segment: int
    n_steps: int


def question(systems: Sequence[System], rules: object) -> str:
    """Return a hash of what is asked: a snapshot of another question is not continued."""
    digest = hashlib.sha256(repr(rules).encode())
    for s in systems:
        digest.update(repr((s.key, s.seed, s.temperature_K)).encode())
        for array in (s.numbers, s.positions, s.velocities):
            digest.update(b"none" if array is None else np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def save(path: Path, asked: str, at: Position, state: BatchState, tracks: Sequence[Track]) -> None:
    """Write a snapshot of all tracks and the batch of those that still run, whole or not at all."""
    content = {
        "question": asked,
        "at": [at.segment, at.n_steps],
        "tracks": [_packed(track) for track in tracks],
        "batch": {name: getattr(state, name).cpu() for name in ("x", "v", "energy", "f")},
    }
    save_whole(content, path)


def load(
    path: Path, asked: str, provider: ForceProvider, systems: Sequence[System], max_temperature_K: float
) -> tuple[Position, BatchState, list[Track]] | None:
    """Return where a killed run stood, or None where there is no snapshot of this question."""
    if not Path(path).is_file():
        return None
    try:
        content = torch.load(path, weights_only=True, map_location="cpu")
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError):
        return None
    if not isinstance(content, dict) or content.get("question") != asked:
        return None
    tracks = [_unpacked(s, packed) for s, packed in zip(systems, content["tracks"], strict=True)]
    alive = [t for t in tracks if t.stopped is None]
    batch = {name: tensor.to(provider.device) for name, tensor in content["batch"].items()}
    nothing = [np.zeros((t.n_atoms, 3)) for t in alive]
    state = replace(assemble(provider, alive, nothing, nothing, max_temperature_K), **batch)
    return Position(*content["at"]), state, tracks


def _packed(track: Track) -> dict[str, Any]:
    return {
        "rng": json.dumps(track.rng.bit_generator.state),
        "stopped": track.stopped,
        "stopped_at_fs": track.stopped_at_fs,
        "reason": track.reason,
        "n_force_calls": track.n_force_calls,
        "kept": {name: _stacked(frames) for name, frames in track.kept.items()},
    }


def _stacked(frames: list[Frame]) -> list[torch.Tensor]:
    return [torch.as_tensor(np.stack([np.asarray(frame[k]) for frame in frames])) for k in range(5)]


def _unpacked(system: System, packed: dict[str, Any]) -> Track:
    track = Track.of(system)
    track.rng.bit_generator.state = json.loads(packed["rng"])
    for name in ("stopped", "stopped_at_fs", "reason", "n_force_calls"):
        setattr(track, name, packed[name])
    for name, columns in packed["kept"].items():
        times, xs, vs, energies, fs = (column.numpy() for column in columns)
        track.kept[name] = [(float(times[i]), xs[i], vs[i], float(energies[i]), fs[i]) for i in range(len(times))]
    return track
