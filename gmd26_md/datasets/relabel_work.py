"""What runs in a worker process of the labelling: one geometry, or one relaxation that remembers its steps."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import BaseCalculator, Calculator, all_changes

from gmd26_md.datasets.relabel_journal import Answer, Journal
from gmd26_md.reference.labels import Frames, label_in_worker
from gmd26_md.reference.minima import relaxed
from gmd26_md.trajectory import Trajectory


def label_one(numbers: np.ndarray, positions: np.ndarray, reference: str) -> Answer:
    """Label one geometry with the calculator that this worker keeps for the molecule.

    The calculator's next answer starts from the density of its last one, so hand in frames in the order of time.
    """
    labels = label_in_worker(Frames(numbers, positions[None]), reference)
    return Answer(float(labels.energies[0]), labels.forces[0], labels.problems.get(0, ""))


def relax_one(start: Atoms, reference: str, fmax: float, journal: Journal) -> Trajectory | None:
    """Relax a structure; a relaxation that was killed walks over its old steps again without computing them."""
    from gmd26_md.calculators import load_calculator

    return relaxed(start, Remembering(load_calculator(reference), journal), fmax)


class Remembering(Calculator):
    """A calculator that computes what its journal does not hold, and writes it there.

    Parameters
    ----------
    calculator
        Asked for energy and forces of new geometries.
    journal
        Of the same molecule.
    """

    implemented_properties = ("energy", "forces")

    def __init__(self, calculator: BaseCalculator, journal: Journal) -> None:
        super().__init__()
        self._calculator, self._journal = calculator, journal

    def calculate(
        self, atoms: Any = None, properties: Any = ("energy", "forces"), system_changes: Any = all_changes
    ) -> None:
        """See ASE's `Calculator.calculate`."""
        super().calculate(atoms, properties, system_changes)
        answer = self._journal.get(atoms.positions)
        if answer is None:
            bare = Atoms(numbers=atoms.numbers, positions=atoms.positions)
            energy = float(self._calculator.get_property("energy", bare))
            answer = Answer(energy, np.array(self._calculator.get_property("forces", bare)))
            self._journal.add(atoms.positions, answer)
        self.results = {"energy": answer.energy, "forces": answer.forces.copy()}
