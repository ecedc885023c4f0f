"""Distance from the training set beside the errors of a model: on reference frames, and along its own runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.data import chemical_symbols

from gmd26_md.datasets.heldout import thin
from gmd26_md.distance import FAR_PERCENTILE, Ruler
from gmd26_md.dynamics.predict import predict
from gmd26_md.observables.distance_correlation import AtomErrors, far_and_near, over_atoms, over_molecules
from gmd26_md.run_folder import RunFolder
from gmd26_md.trajectory import Trajectory

if TYPE_CHECKING:
    from gmd26_md.dynamics.forces import ForceProvider

REFERENCE_FORCE, N_ATOMS, BEING_OOD = "reference force", "number of atoms", "being OOD"
"""What a distance has to beat: how hard the reference pulls at an atom; the molecule's size, and whether it is OOD."""

Labelled = tuple[str, str, Trajectory]
"""A molecule's name, its split, and frames with the reference's forces."""


def atom_errors(
    provider: ForceProvider,
    rulers: Sequence[Ruler],
    molecules: Sequence[Labelled],
    on_progress: Callable[[float], None] = lambda fraction: None,
) -> list[AtomErrors]:
    """Return the model's error on every atom of labelled frames, and its distances; frames of one molecule joined.

    Parameters
    ----------
    provider
        The model's forces.
    rulers
        The spaces to measure in.
    molecules
        Frames; those of one name are of one molecule, its atoms in one order.
    """
    found: dict[str, list[AtomErrors]] = {}
    for done, (name, split, frames) in enumerate(molecules, start=1):
        found.setdefault(name, []).append(_one(provider, rulers, name, split, frames))
        on_progress(done / len(molecules))
    return [_joined(several) for several in found.values()]


def _one(provider: ForceProvider, rulers: Sequence[Ruler], name: str, split: str, frames: Trajectory) -> AtomErrors:
    _, forces = predict(provider, frames)
    columns, far = {}, {}
    for ruler in rulers:
        kind, distances = ruler.space.kind, ruler.measure(frames.numbers, frames.positions)
        columns[f"{kind} nearest"] = distances.nearest
        columns[f"{kind} mahalanobis"] = distances.mahalanobis
        far[kind] = distances.mahalanobis_percentile >= FAR_PERCENTILE
    columns[REFERENCE_FORCE] = np.linalg.norm(frames.forces, axis=2)
    columns[N_ATOMS] = np.full(columns[REFERENCE_FORCE].shape, float(frames.n_atoms))
    columns[BEING_OOD] = np.full(columns[REFERENCE_FORCE].shape, float(split == "ood"))
    with np.errstate(invalid="ignore"):
        error = np.abs(forces - frames.forces).mean(axis=2)
    return AtomErrors(name, split, frames.numbers, error, columns, far)


def _joined(several: Sequence[AtomErrors]) -> AtomErrors:
    first = several[0]
    return AtomErrors(
        first.molecule,
        first.split,
        first.numbers,
        np.concatenate([m.error for m in several]),
        {name: np.concatenate([m.columns[name] for m in several]) for name in first.columns},
        {name: np.concatenate([m.far[name] for m in several]) for name in first.far},
    )


def own_frames(runs: Sequence[Path], sha256: str, n_frames: int | None = None) -> list[Labelled]:
    """Return the frames of a model's own runs that the reference has labelled (`labels/` of its run folders).

    Parameters
    ----------
    runs
        Run folders, also of other models.
    sha256
        Of the model.
    n_frames
        At most so many of each run.
    """
    found = []
    for run in runs:
        if not any(record.model_sha256 == sha256 for record in RunFolder(run).records()):
            continue
        for path in sorted((run / "labels").glob("*.extxyz")):
            frames = Trajectory.read(path)
            split = str(frames.info.get("split", "user"))
            found.append((str(frames.info.get("molecule", path.stem)), split, thin(frames, n_frames)))
    return found


def correlations(molecules: Sequence[AtomErrors], *, n_resamples: int = 200) -> dict[str, Any]:
    """Return, over all molecules and those of each split, how distances go with the error; JSON-safe but for NaN.

    Element by element over OOD molecules, or over all where there are none of them.
    """
    splits = {m.split for m in molecules}
    sets = {"all": list(molecules)} | {s: [m for m in molecules if m.split == s] for s in ("id", "ood") if s in splits}
    alone = "ood" if "ood" in sets else "all"
    return {name: _set(chosen, n_resamples, by_element=name == alone) for name, chosen in sets.items() if chosen}


def summed_by_molecule(molecule: AtomErrors) -> dict[str, Any]:
    """Return one molecule's force MAE, mean distances and, by space, the part of its atoms that is far."""
    return {
        "molecule": molecule.molecule,
        "split": molecule.split,
        "force_mae_eV_per_A": float(molecule.error.mean()),
        "far_fraction": {space: float(far.mean()) for space, far in molecule.far.items()},
        **{name: float(values.mean()) for name, values in molecule.columns.items() if name.split()[0] in molecule.far},
    }


def _set(molecules: Sequence[AtomErrors], n_resamples: int, *, by_element: bool) -> dict[str, Any]:
    elements = sorted({int(z) for m in molecules for z in m.numbers}) if by_element else []
    of_each = {chemical_symbols[z]: over_atoms(molecules, z, n_resamples=n_resamples) for z in elements}
    return {
        "n_molecules": len(molecules),
        "n_frames": sum(len(m.error) for m in molecules),
        "n_atoms": sum(m.error.size for m in molecules),
        "force_mae_eV_per_A": float(np.concatenate([m.error.ravel() for m in molecules]).mean()),
        "median_distance": {
            name: _median(molecules, name) for name in molecules[0].columns if name not in (N_ATOMS, BEING_OOD)
        },
        "far": {space: far_and_near(molecules, space) for space in molecules[0].far},
        "atoms": _plain(over_atoms(molecules, n_resamples=n_resamples)),
        "by_element": {symbol: _plain(found) for symbol, found in of_each.items()},
        "molecules": _plain(over_molecules(molecules)),
    }


def _median(molecules: Sequence[AtomErrors], column: str) -> float:
    return float(np.median(np.concatenate([m.columns[column].ravel() for m in molecules])))


def _plain(found: dict[str, Any]) -> dict[str, Any]:
    return {name: asdict(one) for name, one in found.items()}
