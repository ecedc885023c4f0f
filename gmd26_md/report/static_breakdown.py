"""Static errors broken down: by molecule, chain length, element, bonds from the new fragment, length of the force.

Every number with its spread: molecules drawn first, frames second; of one molecule, frames.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from gmd26_md.observables import atom_classes as classes
from gmd26_md.observables.atom_classes import Key, Origin
from gmd26_md.observables.atom_forces import FORCE_METRICS, AtomForces, class_sums, force_numbers
from gmd26_md.observables.bonds import Bools
from gmd26_md.observables.errors import FrameSums, pooled_with_spread
from gmd26_md.observables.statistics import Spread
from gmd26_md.observables.sum_bootstrap import resampled_sums, spreads_of_sums
from gmd26_md.records import SPLITS

ENERGY_METRICS = ("energy_mae_eV", "energy_offset_removed_mae_eV", "energy_offset_eV")


@dataclass(frozen=True, eq=False)
class Measured:
    """A model's static errors on one molecule: its name and split, errors by frame, and forces by atom."""

    molecule: str
    split: str
    table: np.ndarray
    forces: AtomForces

    @property
    def n_carbon(self) -> int:
        """Length of the chain: how many carbon atoms."""
        return int((self.forces.graph.numbers == 6).sum())


def _everyone(key: Callable[[Measured], Key]) -> Callable[[Measured, Origin], dict[Key, Bools]]:
    """Return a dimension in which a molecule is one class as a whole."""
    return lambda m, origin: {key(m): np.ones(len(m.forces.graph.numbers), dtype=bool)}


def _atoms_by(find: Callable[[AtomForces, Origin], dict[Key, Bools]]) -> Callable[..., dict[Key, Bools]]:
    return lambda m, origin: find(m.forces, origin)


_WHOLE: dict[str, Callable[[Measured], Key]] = {
    "total": lambda m: ("all atoms",),
    "molecule": lambda m: (m.n_carbon, m.molecule),
    "length": lambda m: (m.n_carbon,),
}
_FIND: dict[str, Callable[[Measured, Origin], dict[Key, Bools]]] = {
    **{name: _everyone(key) for name, key in _WHOLE.items()},
    "element": _atoms_by(classes.by_element),
    "bonds": _atoms_by(classes.by_bonds),
    "element-bonds": _atoms_by(classes.by_element_and_bonds),
    "length-bonds": lambda m, origin: {
        (m.n_carbon, *key): members for key, members in classes.by_bonds(m.forces, origin).items()
    },
    "magnitude": _atoms_by(classes.by_magnitude),
    "atom": lambda m, origin: {
        (m.n_carbon, m.molecule, *key): members for key, members in classes.by_atom(m.forces, origin).items()
    },
}
DIMENSIONS = tuple(_FIND)
"""What errors can be broken down by."""

SUMMARISED = tuple(name for name in DIMENSIONS if name != "atom")  # hundreds of rows, for who asks

_WORDS: dict[str, Callable[..., str]] = {
    "total": str,
    "molecule": lambda n_carbon, name: str(name),
    "length": lambda n: f"{n:g} C",
    "element": str,
    "bonds": classes.bonds_words,
    "element-bonds": lambda symbol, n: f"{symbol}, {classes.bonds_words(n)}",
    "length-bonds": lambda n_carbon, n: f"{n_carbon:g} C, {classes.bonds_words(n)}",
    "magnitude": classes.magnitude_words,
    "atom": lambda n_carbon, name, i, symbol, n: f"{name} {symbol}{i:g}, {classes.bonds_words(n)}",
}


def break_down(measured: Sequence[Measured], by: Sequence[str] = SUMMARISED) -> dict[str, Any]:
    """Return the errors of each class of atoms, JSON-safe but for NaN.

    Returns
    -------
    `bonds_from`: from what bonds are counted; `by`: for each dimension its classes in order, ID before OOD, each with
    `key` (its name), `split`, `n_molecules`, `n_frames`, `n_atoms` (of a frame, on average) and metrics, each a spread.

    Raises
    ------
    ValueError
        When nothing was measured.
    """
    if not measured:
        raise ValueError("nothing to break down")
    unseen = [m for m in measured if m.split == "ood"] or list(measured)
    origin, words = classes.origin_of([m.forces.graph for m in unseen])
    return {"bonds_from": words, "by": {name: _dimension(measured, name, origin) for name in by}}


def by_split(found: dict[str, Any]) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Return the classes of each dimension by split, as summaries hold them."""
    splits = [s for s in SPLITS if any(row["split"] == s for rows in found["by"].values() for row in rows)]
    return {
        split: {name: [row for row in rows if row["split"] == split] for name, rows in found["by"].items()}
        for split in splits
    }


def with_breakdown(summary: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """Return a summary with where its static errors sit, as `break_down` found it."""
    splits = {name: dict(part) for name, part in summary["splits"].items()}
    for split, rows in by_split(found).items():
        splits[split]["breakdown"] = rows
    return summary | {"bonds_from": found["bonds_from"], "splits": splits}


def _dimension(measured: Sequence[Measured], name: str, origin: Origin) -> list[dict[str, Any]]:
    """Return the classes of one dimension, in order, ID before OOD."""
    random = np.random.default_rng(0)
    found: dict[tuple[Key, int], list[tuple[Measured, np.ndarray, np.ndarray]]] = {}
    for m in measured:
        members = _FIND[name](m, origin)
        table = class_sums(m.forces.columns, list(members.values()))  # (n_frames, n_classes, 11)
        drawn = resampled_sums(table, random)
        for n, key in enumerate(members):
            found.setdefault((key, SPLITS.index(m.split)), []).append((m, table[:, n], drawn[:, n]))
    return [
        {"key": _WORDS[name](*key), "split": SPLITS[split]} | _class(parts, random, whole=name in _WHOLE)
        for (key, split), parts in sorted(found.items(), key=lambda item: item[0])
    ]


def _class(
    parts: list[tuple[Measured, np.ndarray, np.ndarray]], random: np.random.Generator, *, whole: bool
) -> dict[str, Any]:
    """Return the numbers of one class of atoms of one split; where it is whole molecules, of their energies too."""
    tables = [table for _, table, _ in parts]
    spreads = spreads_of_sums(tables, [drawn for *_, drawn in parts], force_numbers, random)
    metrics: dict[str, Any] = {key: _spread(s) for key, s in zip(FORCE_METRICS, spreads, strict=True)}
    if whole:
        energies = pooled_with_spread([FrameSums(m.table) for m, *_ in parts], n_resamples=200)
        metrics |= {key: _spread(energies[key]) for key in ENERGY_METRICS}
    n_frames = sum(len(table) for table in tables)
    return {
        "n_molecules": len(parts),
        "n_frames": n_frames,
        "n_atoms": float(sum(table[:, 0].sum() for table in tables) / n_frames),
        **metrics,
    }


def _spread(spread: Spread) -> dict[str, float]:
    kept = asdict(spread)
    return {name: kept[name] for name in ("value", "standard_error", "low", "high")}
