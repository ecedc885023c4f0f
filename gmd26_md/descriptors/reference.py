"""Training environments summed up in a small file that travels beside a checkpoint: what distances are measured from.

An .npz of plain arrays: reading it executes nothing. Components and kept environments are in half precision, all else
in single; distances were calibrated with just these, so nothing is lost between fitting and reading.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols

from gmd26_md.descriptors.space import Space
from gmd26_md.errors import UserError
from gmd26_md.files import written_whole
from gmd26_md.observables.environments import LEVELS, Distances, Environments, distances, fitted, orthonormal

FORMAT = "gmd26-md distance reference 1"
Frames = tuple[np.ndarray, np.ndarray]
"""Atomic numbers (n_atoms,) and positions (n_frames, n_atoms, 3), Å, of one molecule."""

MAX_ROWS = 40_000
"""Environments of an element to fit to, the same share of each molecule: more cost memory, and tell hardly more."""

_HALF = ("components", "kept")
_SINGLE = ("mean", "scale", "variances", "nearest", "mahalanobis")
_CURE = "fit it again with 'gmd26-md distance fit'"


@dataclass(frozen=True, eq=False)
class Reference:
    """The training environments of every element in one space.

    Attributes
    ----------
    kind, identity
        Of the space (`Space`).
    made_of
        Task, level of theory, molecules, frames of each; JSON-safe.
    elements
        By atomic number.
    """

    kind: str
    identity: dict[str, Any]
    made_of: dict[str, Any]
    elements: Mapping[int, Environments]


def fit_reference(
    space: Space,
    train: Sequence[Frames],
    heldout: Sequence[Frames],
    made_of: dict[str, Any],
    *,
    n_kept: int = 600,
    on_progress: Callable[[float], None] = lambda fraction: None,
) -> Reference:
    """Return the training environments of every element in a space, calibrated on held-out frames.

    Raises
    ------
    UserError
        For an element with too few environments, or features that are no numbers.
    """
    rows: dict[tuple[bool, int], list[np.ndarray]] = {}
    random = np.random.default_rng(0)
    everything = [(True, frames) for frames in train] + [(False, frames) for frames in heldout]
    for done, (trains, (numbers, positions)) in enumerate(everything, start=1):
        features = space.describe(numbers, positions)
        if not np.isfinite(features).all():
            formula = Atoms(numbers).get_chemical_formula()
            raise UserError(
                f"features of {formula} in {space.kind} space are no numbers: an element that the space does not know "
                f"({space.identity}), or a broken frame; leave it out of the training frames."
            )
        for z in np.unique(numbers).tolist():
            found = features[:, numbers == z].reshape(-1, features.shape[-1])
            n_most = max(1, MAX_ROWS // len(train if trains else heldout))
            if len(found) > n_most:
                found = found[random.permutation(len(found))[:n_most]]
            rows.setdefault((trains, z), []).append(found)
        on_progress(done / len(everything))
    elements = {}
    for z in sorted({z for trains, z in rows if trains}):
        try:
            both = (np.concatenate(rows.get((trains, z), [np.zeros((0, 1))])) for trains in (True, False))
            elements[z] = fitted(*both, n_kept=n_kept)
        except ValueError as error:
            raise UserError(
                f"distances for {chemical_symbols[z]} cannot be calibrated: {error}. Give more frames with --n-frames."
            ) from error
    counts = {chemical_symbols[z]: {"n_train": one.n_train, "n_heldout": one.n_heldout} for z, one in elements.items()}
    return Reference(space.kind, space.identity, made_of | {"environments": counts}, elements)


def measure(reference: Reference, space: Space, numbers: np.ndarray, positions: np.ndarray) -> Distances:
    """Return the distances of every atom of some frames, arrays of (n_frames, n_atoms).

    An atom of an element that training has not, or whose surroundings the space cannot describe, is infinitely far.

    Raises
    ------
    UserError
        If the reference was fitted in another space.
    """
    if (reference.kind, reference.identity) != (space.kind, space.identity):
        raise UserError(
            f"the reference was fitted in another space ({reference.identity}) than that of this model or these "
            f"settings ({space.identity}); {_CURE}."
        )
    shape = positions.shape[:2]
    features = space.describe(numbers, positions)
    names = [field.name for field in fields(Distances)]
    found = {name: np.full(shape, 100.0 if name.endswith("percentile") else np.inf) for name in names}
    fine = np.isfinite(features).all(axis=2)
    for z, environments in reference.elements.items():
        chosen = fine & (numbers == z)
        if chosen.any():
            measured = distances(environments, features[chosen])
            for name in names:
                found[name][chosen] = getattr(measured, name)
    return Distances(**found)


def save_reference(reference: Reference, path: Path) -> None:
    """Write a reference, whole or not at all."""
    card = {"format": FORMAT, "kind": reference.kind, "identity": reference.identity, "made_of": reference.made_of}
    card["elements"] = {str(z): [e.noise, e.n_train, e.n_heldout] for z, e in reference.elements.items()}
    arrays: dict[str, Any] = {"card": np.frombuffer(json.dumps(card, sort_keys=True).encode(), dtype=np.uint8)}
    for z, environments in reference.elements.items():
        for names, dtype in ((_HALF, np.float16), (_SINGLE, np.float32)):
            arrays |= {f"{z}/{name}": getattr(environments, name).astype(dtype) for name in names}
    buffer = io.BytesIO()  # numpy adds an ending to a name that it is given
    np.savez_compressed(buffer, **arrays)
    with written_whole(path) as aside:
        aside.write_bytes(buffer.getbuffer())


def load_reference(path: Path) -> Reference:
    """Read a reference; nothing in the file is executed.

    Raises
    ------
    UserError
        If there is none, or it is damaged, or something else.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"no distance reference at {path}; {_CURE} --data DATA.")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            card = json.loads(bytes(arrays["card"]).decode())
            if card["format"] != FORMAT:
                raise UserError(f"{path} is {card['format']!r}, this version reads {FORMAT!r}; {_CURE}.")
            elements = {int(z): _environments(arrays, z, rest) for z, rest in card["elements"].items()}
            return Reference(card["kind"], card["identity"], card["made_of"], elements)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is no distance reference, or is damaged ({error}); {_CURE}.") from error


def _environments(arrays: Any, z: str, rest: list[Any]) -> Environments:
    """Return one element's environments after checking that their arrays fit together and are numbers."""
    found = {name: np.asarray(arrays[f"{z}/{name}"], dtype=np.float64) for name in (*_HALF, *_SINGLE)}
    noise, n_train, n_heldout = float(rest[0]), int(rest[1]), int(rest[2])
    n_features, n_components = found["components"].shape
    wanted = {
        "mean": (n_features,),
        "scale": (n_features,),
        "variances": (n_components,),
        "kept": (len(found["kept"]), n_components + 1),
        "nearest": (len(LEVELS),),
        "mahalanobis": (len(LEVELS),),
    }
    for name, shape in wanted.items():
        if found[name].shape != shape:
            raise ValueError(f"{z}/{name} has shape {found[name].shape}, not {shape}")
    positive = np.concatenate([found["scale"], found["variances"], [noise]]) > 0.0
    if not (positive.all() and all(np.isfinite(values).all() for values in found.values())):
        raise ValueError(f"numbers of element {z} are not finite and positive")
    found["components"] = orthonormal(found["components"])  # as when it was fitted
    return Environments(**found, noise=noise, n_train=n_train, n_heldout=n_heldout)
