"""The reference frames that static errors are measured on, and small sets of them that travel with checkpoints.

ID: the secondary trajectory after its first 100 frames. OOD, and ID that does not train: all of the primary. A folder
that was made to travel holds them thinned, as `test.extxyz` beside `minimum.extxyz`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gmd26_md.datasets import store
from gmd26_md.molecules import Molecule
from gmd26_md.trajectory import Trajectory


def heldout_frames(
    data: Path, level: str, molecule: Molecule, split: str, n_frames: int | None = None
) -> Trajectory | None:
    """Return a molecule's test frames, evenly thinned to `n_frames`, or None where there are none.

    Parameters
    ----------
    data, level
        The data folder and the level of theory in it.
    split
        "id" for a molecule that trains, "ood" for one that does not (`Task.frames_of`).
    n_frames
        At most so many; all if None.

    Raises
    ------
    UserError
        For a file that `store.read_frames` refuses, one of another molecule's atoms among them.
    """
    thinned = store.folder_of(data, level, molecule) / "test.extxyz"
    if thinned.is_file():
        made_for = store.read_provenance(thinned.parent).get("test", {}).get("split")
        if split == "id" and made_for == "ood":
            return None  # thinned from the primary, which trains an ID molecule
        return thin(store.read_frames(thinned, molecule, level), n_frames)
    path = store.path_of(data, level, molecule, "secondary" if split == "id" else "primary")
    if not path.is_file():
        return None
    frames = store.read_frames(path, molecule, level)
    if split == "id":
        if frames.n_frames <= store.N_VALIDATION_FRAMES:
            return None
        frames = frames.part(slice(store.N_VALIDATION_FRAMES, None))
    return thin(frames, n_frames)


def thin(frames: Trajectory, n_frames: int | None) -> Trajectory:
    """Return at most `n_frames` frames, evenly spread over the trajectory."""
    if n_frames is None or frames.n_frames <= n_frames:
        return frames
    chosen = np.unique(np.linspace(0, frames.n_frames - 1, n_frames).round().astype(int))
    return Trajectory(
        numbers=frames.numbers,
        time_fs=frames.time_fs[chosen],
        positions=frames.positions[chosen],
        velocities=None if frames.velocities is None else frames.velocities[chosen],
        energies=frames.energies[chosen],
        forces=frames.forces[chosen],
        info=dict(frames.info),
    )


def write_small_set(
    data: Path, level: str, molecules: Sequence[tuple[Molecule, str]], out: Path, n_frames: int, command: str
) -> list[Path]:
    """Write minimum and thinned test frames of (molecule, split) pairs into a folder fit to travel.

    Positions are rounded to 1e-5 Å, energies and forces to 1e-5 of their units: well under any model's error.
    """
    written = []
    for molecule, split in molecules:
        source, target = store.folder_of(data, level, molecule), store.folder_of(out, level, molecule)
        frames = heldout_frames(data, level, molecule, split, n_frames)
        if frames is None:
            continue
        origin = store.read_provenance(source)
        made: dict[str, Any] = {
            "source": origin,
            "split": split,
            "command": command,
            "settings": {"n_frames": n_frames},
        }
        store.write_stage(target, "minimum", store.read_frames(source / "minimum.extxyz", molecule, level), made)
        store.write_stage(target, "test", _rounded(frames), made)
        written.append(target)
    return written


def _rounded(frames: Trajectory) -> Trajectory:
    return replace(
        frames,
        positions=frames.positions.round(5),
        energies=frames.energies.round(5),
        forces=frames.forces.round(5),
    )
