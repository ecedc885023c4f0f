"""What a reference will cost, said before it starts: for those of which one evaluation takes seconds."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.calculators.calculator import CalculatorError

from gmd26_md import host
from gmd26_md.calculators import families, load_calculator
from gmd26_md.pace import duration
from gmd26_md.reference.labels import WORTH_A_POOL

WORTH_SAYING_S = 60.0
STEPS_TO_A_MINIMUM = 30
"""L-BFGS steps from a structure as built to 0.01 eV/Å: 7 to 57 with GFN2-xTB for seven molecules of up to 38 atoms."""
_THREADING_POWER = 0.7  # n threads on one small molecule are worth n**0.7 processes: 1.6 for two, which is a guess


@dataclass(frozen=True)
class Estimate:
    """What is to be expected of the reference.

    Attributes
    ----------
    seconds
        Wall time for all labels and minima; 0 for a reference that costs next to nothing, NaN if it cannot be told.
    words
        For the user, one line; empty where less than a minute is expected.
    """

    seconds: float
    words: str


def is_expensive(reference: str) -> bool:
    """Tell whether one evaluation takes seconds: whether the engine of that name says what it costs."""
    return families.is_engine(reference) and hasattr(families.engine_module(reference), "relative_cost")


def estimate(
    reference: str,
    molecules: Sequence[Atoms],
    n_labels: int | Sequence[int] = 0,
    *,
    n_minima: int | Sequence[int] = 0,
    n_cores: int | None = None,
) -> Estimate:
    """Return what labels and minima of these molecules cost, from one evaluation of the smallest.

    For an expensive reference that one is computed here and now, on one thread, from scratch (a few seconds); nothing
    is computed for any other. Molecules of elements that the reference does not know are passed over.

    Parameters
    ----------
    reference
        As `label` takes it.
    molecules
        One entry a molecule, any geometry that is not absurd.
    n_labels, n_minima
        How many of each molecule: one number for all, or one each.
    n_cores
        All of the machine if None.

    Notes
    -----
    Within a factor of two where the molecules are like each other. Steps to a minimum differ by more
    (`STEPS_TO_A_MINIMUM`); a relaxation takes one thread, as many of them at a time as there are cores. What else runs
    on the machine is not foreseen.
    """
    labels, rests = (_each(number, len(molecules)) for number in (n_labels, n_minima))
    if not is_expensive(reference) or not any(labels + rests):
        return Estimate(0.0, "")
    calculator = load_calculator(reference, n_threads=1)
    known = [i for i, atoms in enumerate(molecules) if set(atoms.numbers.tolist()) <= set(calculator.engine.elements)]
    if not known:
        return Estimate(0.0, "")
    costs = [_relative_cost(reference, molecules[i]) for i in known]
    cheapest = int(np.argmin(costs))
    smallest = molecules[known[cheapest]]
    began = time.monotonic()
    try:
        calculator.get_property("forces", Atoms(smallest.numbers, smallest.positions))
    except CalculatorError as problem:
        return Estimate(float("nan"), f"what {reference} will cost cannot be told: {problem}")
    once = time.monotonic() - began
    each = [once * cost / costs[cheapest] for cost in costs]
    seconds = foretold(each, [labels[i] for i in known], [rests[i] for i in known], n_cores or host.n_cores())
    if seconds < WORTH_SAYING_S:
        return Estimate(seconds, "")
    parts = ((sum(rests), "minimum", "minima"), (sum(labels), "label", "labels"))
    asked = " and ".join(f"{n} {one if n == 1 else many}" for n, one, many in parts if n)
    formula = smallest.get_chemical_formula(mode="hill")
    return Estimate(
        seconds,
        f"{reference} will take about {duration(seconds)} for {asked}: an evaluation of {formula} takes {once:.1f} s "
        "on one thread, larger molecules more.",
    )


def foretold(each_s: Sequence[float], n_labels: Sequence[int], n_minima: Sequence[int], n_cores: int) -> float:
    """Return the wall time of labels and minima, s.

    Parameters
    ----------
    each_s
        One evaluation of each molecule on one thread, (n_molecules,), s.
    n_labels, n_minima
        Of each molecule, (n_molecules,).
    n_cores
        Many labels are made in as many processes, few on as many threads; a relaxation always takes one thread.
    """
    speedup = float(n_cores) if sum(n_labels) >= WORTH_A_POOL else float(n_cores) ** _THREADING_POWER
    labelling = sum(s * n for s, n in zip(each_s, n_labels, strict=True)) / speedup
    relaxations = [s * STEPS_TO_A_MINIMUM for s, n in zip(each_s, n_minima, strict=True) for _ in range(n)]
    return labelling + max(sum(relaxations) / n_cores, max(relaxations, default=0.0))


def _each(number: int | Sequence[int], n: int) -> list[int]:
    return [number] * n if isinstance(number, int) else list(number)


def _relative_cost(reference: str, atoms: Atoms) -> float:
    return float(families.engine_module(reference).relative_cost(atoms.numbers, families.full_name(reference)))
