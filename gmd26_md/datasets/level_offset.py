"""Two levels of theory on the same geometries: how far the labels of one are from those of the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from ase.data import chemical_symbols

from gmd26_md.calculators import families
from gmd26_md.datasets import store
from gmd26_md.errors import UserError
from gmd26_md.molecules import Molecule
from gmd26_md.observables.bond_tension import without_tension
from gmd26_md.observables.bonds import bond_graph
from gmd26_md.observables.element_fit import element_fit
from gmd26_md.observables.errors import FrameSums, force_mae_by_atom, pooled_with_spread
from gmd26_md.observables.rmsd import symmetric_rmsd
from gmd26_md.reference.labels import Frames, label_frames
from gmd26_md.trajectory import Trajectory

_SAME_A = 2e-5  # small sets have positions rounded to 1e-5 Å
_FRAME_FILES = ("test", "primary", "secondary")


@dataclass(frozen=True, eq=False)
class Pair:
    """Labels of two levels for the same geometries of one molecule.

    Attributes
    ----------
    molecule, split
        Which, "id" or "ood".
    first, second
        The same frames with the labels of each level.
    n_unmatched
        Geometries of the second level that the first has no labels for.
    minimum_rmsd_A
        Between the two levels' minima, over all atoms; None where one of them has none.
    """

    molecule: Molecule
    split: str
    first: Trajectory
    second: Trajectory
    n_unmatched: int
    minimum_rmsd_A: float | None

    @property
    def sums(self) -> FrameSums:
        """Differences a frame, the first level less the second."""
        return FrameSums.of(self.first.energies, self.second.energies, self.first.forces, self.second.forces)


def pairs_of(
    molecules: Sequence[tuple[Molecule, str]], first: tuple[Path, str], second: tuple[Path, str]
) -> list[Pair]:
    """Return what two levels both have labels for, molecule by molecule.

    Parameters
    ----------
    molecules
        With their split, "id" or "ood".
    first, second
        Data folder and level of theory; the first may be a model's file instead, whose answers are computed here.

    Raises
    ------
    UserError
        If a level has no folder, or no geometry of any molecule is in both.
    """
    for data, level in (first, second):
        if not (data / level).is_dir() and not is_model(level):
            raise UserError(
                f"{data} has no folder {level}; make its labels with 'gmd26-md data label --reference {level}'."
            )
    found = [_pair(molecule, split, first, second) for molecule, split in molecules]
    pairs = [pair for pair in found if pair is not None]
    if not pairs:
        raise UserError(
            f"{first[1]} in {first[0]} and {second[1]} in {second[0]} have no geometry in common; label the frames of "
            f"one at the other: gmd26-md data label --sampled-by {first[1]} --reference {second[1]}."
        )
    return pairs


def compared(pairs: Sequence[Pair], first: str, second: str, *, n_resamples: int = 500) -> dict[str, Any]:
    """Return how far the first level is from the second, by molecule and pooled over splits, each with its spread.

    Differences are those of a model's errors (`observables.errors`), with the second level as the reference. The
    dictionary is JSON-safe; metrics are `Spread`s as dictionaries.
    """
    groups = {split: [p for p in pairs if p.split == split] for split in ("id", "ood")} | {"all": list(pairs)}
    fit = element_fit([p.first.numbers for p in pairs], [float(p.sums.table[:, 7].mean()) for p in pairs])
    return {
        "level": first,
        "against": second,
        "molecules": [_row(pair, n_resamples) for pair in pairs],
        "pooled": {name: _pooled(group, n_resamples) for name, group in groups.items() if group},
        "element_fit": {
            "energies_eV": {chemical_symbols[z]: float(e) for z, e in zip(fit.elements, fit.energies_eV, strict=True)},
            "residuals_eV": {p.molecule.slug: float(r) for p, r in zip(pairs, fit.residuals_eV, strict=True)},
            "rank": fit.rank,
            "n_free": fit.n_free,
        },
    }


def _row(pair: Pair, n_resamples: int) -> dict[str, Any]:
    return {
        "molecule": pair.molecule.name,
        "slug": pair.molecule.slug,
        "formula": pair.molecule.formula,
        "split": pair.split,
        "n_unmatched": pair.n_unmatched,
        "minimum_rmsd_A": pair.minimum_rmsd_A,
        **_pooled([pair], n_resamples),
    }


def _pooled(pairs: Sequence[Pair], n_resamples: int) -> dict[str, Any]:
    spreads = pooled_with_spread([pair.sums for pair in pairs], n_resamples=n_resamples)
    relative = np.concatenate([p.second.energies - p.second.energies.mean() for p in pairs])
    return {
        "n_molecules": len(pairs),
        "n_frames": sum(pair.first.n_frames for pair in pairs),
        "metrics": {name: asdict(spread) for name, spread in spreads.items()},
        "reference_energy_spread_eV": float(np.sqrt((relative**2).mean())),
        "force_mae_eV_per_A_by_element": _by_element(pairs),
        "force_scale_ratio": _best_scale(pairs),
        **_beyond_rest_lengths(pairs),
    }


def _by_element(pairs: Sequence[Pair]) -> dict[str, float]:
    """Return the force-component difference of each element, over all its atoms in all frames, eV/Å."""
    errors = [np.tile(force_mae_by_atom(p.first.forces, p.second.forces), p.first.n_frames) for p in pairs]
    numbers = np.concatenate([np.tile(p.first.numbers, p.first.n_frames) for p in pairs])
    mae = np.concatenate(errors)
    return {chemical_symbols[z]: float(mae[numbers == z].mean()) for z in np.unique(numbers).tolist()}


def _best_scale(pairs: Sequence[Pair]) -> float:
    """Return the factor on the second level's forces that comes nearest to the first's: stiffer is above 1."""
    product = sum(float((p.first.forces * p.second.forces).sum()) for p in pairs)
    return product / sum(float((p.second.forces**2).sum()) for p in pairs)


def _beyond_rest_lengths(pairs: Sequence[Pair]) -> dict[str, float]:
    """Return the MAE without a constant tension of each bond of each molecule, and that tension's share of the MSE."""
    differences = [pair.first.forces - pair.second.forces for pair in pairs]
    left = [
        without_tension(bond_graph(p.second.numbers, p.second.positions[0]).bonds, p.second.positions, difference)
        for p, difference in zip(pairs, differences, strict=True)
    ]
    all_left, everything = (np.concatenate([part.ravel() for part in parts]) for parts in (left, differences))
    whole = float((everything**2).sum())
    return {
        "force_mae_beyond_rest_lengths_eV_per_A": float(np.abs(all_left).mean()),
        "rest_lengths_fraction": 1.0 - float((all_left**2).sum()) / whole if whole > 0.0 else 0.0,
    }


def _pair(molecule: Molecule, split: str, first: tuple[Path, str], second: tuple[Path, str]) -> Pair | None:
    other = _all_frames(*second, molecule)
    one = other and (_answered(other, first[1], molecule) if is_model(first[1]) else _all_frames(*first, molecule))
    if one is None or other is None:
        return None
    if not np.array_equal(one.numbers, other.numbers):
        raise UserError(f"{molecule.name} has its atoms in another order at {first[1]} than at {second[1]}.")
    matches = [_match(one, positions) for positions in other.positions]
    mine = np.array([j for j in matches if j is not None], dtype=int)
    theirs = np.array([i for i, j in enumerate(matches) if j is not None], dtype=int)
    if not len(mine):
        return None
    n_unmatched, rmsd = len(matches) - len(mine), _minimum_rmsd(molecule, first, second)
    return Pair(molecule, split, _part(one, mine, theirs), _part(other, theirs, theirs), n_unmatched, rmsd)


def _part(frames: Trajectory, chosen: np.ndarray, order: np.ndarray) -> Trajectory:
    """Return frames in any order; their times become the numbers in `order`, which rise."""
    return Trajectory(
        frames.numbers,
        order.astype(np.float64),
        frames.positions[chosen],
        None,
        frames.energies[chosen],
        frames.forces[chosen],
    )


def is_model(level: str) -> bool:
    """Tell whether this is a model's file and not the name of a level of theory."""
    return not families.is_engine(level) and Path(level).is_file()


def _answered(frames: Trajectory, model: str, molecule: Molecule) -> Trajectory:
    labels = label_frames(Frames(frames.numbers, frames.positions), model)
    if labels.problems:
        raise UserError(
            f"{model} fails on {molecule.name}: {next(iter(labels.problems.values()))}; choose with --only."
        )
    return replace(frames, energies=labels.energies, forces=labels.forces)


def _match(frames: Trajectory, positions: np.ndarray) -> int | None:
    distance = np.abs(frames.positions - positions).max(axis=(1, 2))
    nearest = int(np.argmin(distance))
    return nearest if distance[nearest] <= _SAME_A else None


def _all_frames(data: Path, level: str, molecule: Molecule) -> Trajectory | None:
    """Return the frames of all files of a molecule at a level, one after the other; None if there is none."""
    paths = [store.path_of(data, level, molecule, name) for name in _FRAME_FILES]
    parts = [store.read_frames(path, molecule, level) for path in paths if path.is_file()]
    if not parts:
        return None
    positions, energies, forces = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("positions", "energies", "forces")
    )
    return Trajectory(parts[0].numbers, np.arange(len(energies), dtype=float), positions, None, energies, forces)


def _minimum_rmsd(molecule: Molecule, first: tuple[Path, str], second: tuple[Path, str]) -> float | None:
    paths = [store.path_of(data, level, molecule, "minimum") for data, level in (first, second)]
    if not all(path.is_file() for path in paths):
        return None
    levels = (first[1], second[1])
    one, other = (store.read_frames(path, molecule, level) for path, level in zip(paths, levels, strict=True))
    bonds = bond_graph(one.numbers, one.positions[0]).bonds
    return symmetric_rmsd(one.numbers, bonds, one.positions[0], other.positions[0])[0]
