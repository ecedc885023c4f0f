"""A molecule drawn flat: its functional groups shaded, its atoms coloured by error, the broken bond crossed.

RDKit finds bond orders and the layout; the drawing is ours, since it must carry a number an atom in a few kilobytes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmd26_md import molecules
from gmd26_md.errors import UserError
from gmd26_md.observables.bonds import BondGraph, bond_graph
from gmd26_md.observables.fragments import functional_groups

_SCALE, _MARGIN = 30.0, 20.0  # pixels an Å of the layout
_RAMP = ("#FFF7BC", "#FEE391", "#FEC44F", "#FE9929", "#EC7014", "#CC4C02", "#993404", "#662506")
"""ColorBrewer's YlOrBr: its lightness falls throughout, so it reads in greyscale too."""


@dataclass(frozen=True, eq=False)
class Skeleton:
    """A molecule's bonds and flat layout.

    Attributes
    ----------
    symbols
        Of each atom, (n_atoms,).
    bonds
        First atom, second atom, order.
    layout
        (n_atoms, 2), Å.
    groups
        Atoms of each functional group.
    """

    symbols: tuple[str, ...]
    bonds: tuple[tuple[int, int, int], ...]
    layout: NDArray[np.float64]
    groups: tuple[tuple[int, ...], ...]


def of_benchmark(name: str) -> Skeleton | None:
    """Return the skeleton of a molecule of the benchmark, whose atoms are in the order of its SMILES; else None."""
    from rdkit import Chem

    try:
        parsed = Chem.MolFromSmiles(molecules.get(name).smiles)
    except UserError:
        return None
    return _laid_out(Chem.AddHs(parsed))


def of_geometry(numbers: NDArray[np.integer[Any]], positions: NDArray[np.float64]) -> Skeleton | None:
    """Return the skeleton of a geometry, (n_atoms, 3) in Å; bonds are single where their orders cannot be found."""
    from rdkit import Chem
    from rdkit.Chem import rdDetermineBonds
    from rdkit.Geometry import Point3D

    graph = bond_graph(numbers, positions)
    built = Chem.RWMol()
    conformer = Chem.Conformer(len(numbers))
    for i, (z, place) in enumerate(zip(numbers.tolist(), positions.tolist(), strict=True)):
        atom = Chem.Atom(int(z))
        atom.SetNoImplicit(True)
        built.AddAtom(atom)
        conformer.SetAtomPosition(i, Point3D(*place))
    for i, j in graph.bonds.tolist():
        built.AddBond(i, j, Chem.BondType.SINGLE)
    built.AddConformer(conformer)
    plain = built.GetMol()
    try:
        rdDetermineBonds.DetermineBondOrders(built, charge=0)
        return _laid_out(built.GetMol())
    except (ValueError, RuntimeError):  # radicals, ions, and what RDKit does not know
        return _laid_out(plain)


def _laid_out(molecule: Any) -> Skeleton | None:
    from rdkit import Chem
    from rdkit.Chem import rdDepictor

    molecule = Chem.Mol(molecule)
    molecule.UpdatePropertyCache(strict=False)
    Chem.FastFindRings(molecule)
    if molecule.GetNumAtoms() == 0:
        return None
    rdDepictor.Compute2DCoords(molecule, canonOrient=True)
    layout = np.asarray(molecule.GetConformer().GetPositions(), dtype=np.float64)[:, :2]
    orders = {1.0: 1, 1.5: 2, 2.0: 2, 3.0: 3}
    bonds = tuple(
        (b.GetBeginAtomIdx(), b.GetEndAtomIdx(), orders.get(b.GetBondTypeAsDouble(), 1)) for b in molecule.GetBonds()
    )
    symbols = tuple(a.GetSymbol() for a in molecule.GetAtoms())
    numbers = np.array([a.GetAtomicNum() for a in molecule.GetAtoms()], dtype=np.int64)
    pairs = np.array(sorted((min(i, j), max(i, j)) for i, j, _ in bonds), dtype=np.int64).reshape(-1, 2)
    groups = functional_groups(BondGraph(numbers, pairs, np.zeros(len(pairs))))
    return Skeleton(symbols, bonds, layout, groups)


def svg(skeleton: Skeleton, errors: Sequence[float] | None, broken: Sequence[int] = ()) -> str:
    """Return the drawing as SVG text of numbers and element symbols only.

    Parameters
    ----------
    errors
        A number an atom, coloured from 0 to the largest; None leaves atoms white.
    broken
        Atoms of what went wrong first: two of them a bond, which is crossed out; others are ringed.
    """
    places = (skeleton.layout - skeleton.layout.min(axis=0)) * _SCALE * (1.0, -1.0)
    places[:, 1] -= places[:, 1].min()
    places += _MARGIN
    width, height = (float(v) + _MARGIN for v in places.max(axis=0))
    parts = [
        f'<svg class="structure" viewBox="0 0 {width:.0f} {height:.0f}" style="max-width:{width:.0f}px" role="img">'
    ]
    parts += _shade(skeleton, places) + _sticks(skeleton, places, frozenset(broken))
    parts += _balls(skeleton, places, errors, frozenset(broken))
    return "".join([*parts, "</svg>"])


def _shade(skeleton: Skeleton, places: NDArray[np.float64]) -> list[str]:
    parts = []
    for group in skeleton.groups:
        inside = set(group)
        parts += [f'<circle class="group" cx="{x:.0f}" cy="{y:.0f}" r="17"/>' for x, y in places[list(group)]]
        for i, j, _ in skeleton.bonds:
            if {i, j} <= inside:
                (a, b), (c, d) = places[i], places[j]
                parts.append(f'<path class="group" d="M{a:.0f} {b:.0f}L{c:.0f} {d:.0f}"/>')
    return parts


def _sticks(skeleton: Skeleton, places: NDArray[np.float64], broken: frozenset[int]) -> list[str]:
    parts = []
    for i, j, order in skeleton.bonds:
        start, end = places[i], places[j]
        along = (end - start) / max(float(np.linalg.norm(end - start)), 1e-9)
        aside = np.array([-along[1], along[0]])
        gone = len(broken) == 2 and {i, j} == broken
        for shift in {1: (0.0,), 2: (-2.5, 2.5), 3: (-4.0, 0.0, 4.0)}[order]:
            (a, b), (c, d) = start + shift * aside, end + shift * aside
            mark = ' class="gone"' if gone else ""
            parts.append(f'<path{mark} d="M{a:.1f} {b:.1f}L{c:.1f} {d:.1f}"/>')
        if gone:
            (x, y), s = (start + end) / 2, 7
            parts.append(
                f'<path class="cross" d="M{x - s:.0f} {y - s:.0f}l{2 * s} {2 * s}m0 {-2 * s}l{-2 * s} {2 * s}"/>'
            )
    return parts


def _balls(
    skeleton: Skeleton, places: NDArray[np.float64], errors: Sequence[float] | None, broken: frozenset[int]
) -> list[str]:
    top = _top(errors)
    parts = []
    for i, (symbol, (x, y)) in enumerate(zip(skeleton.symbols, places, strict=True)):
        value = None if errors is None or i >= len(errors) else errors[i]
        colour, ink = _colour(value, top)
        radius = 8 if symbol == "H" else 10.5
        told = "" if value is None else f"<title>{symbol}{i}: {value:.3g} eV/Å</title>"
        ring = ' class="hit"' if i in broken else ""
        size = ' font-size="9"' if symbol == "H" else ""
        parts.append(f'<g>{told}<circle{ring} cx="{x:.0f}" cy="{y:.0f}" r="{radius}" fill="{colour}"/>')
        parts.append(f'<text x="{x:.0f}" y="{y + 3.8:.1f}" fill="{ink}"{size}>{symbol}</text></g>')
    return parts


def _top(errors: Sequence[float] | None) -> float:
    finite = [e for e in errors or () if math.isfinite(e)]
    return max(finite, default=0.0)


def _colour(value: float | None, top: float) -> tuple[str, str]:
    """Return the colour of a ball and of the letter on it."""
    if value is None:
        return "#ffffff", "#000000"
    if not math.isfinite(value):
        return "#000000", "#ffffff"
    step = 0 if top <= 0.0 else min(int(value / top * len(_RAMP)), len(_RAMP) - 1)
    return _RAMP[step], "#ffffff" if step >= 5 else "#000000"


def ramp() -> tuple[str, ...]:
    """Return the colours from no error to the largest."""
    return _RAMP
