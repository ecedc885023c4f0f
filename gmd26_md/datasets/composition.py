"""Whether a task's training compositions pin the energies of its unseen molecules."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase.data import atomic_numbers

from gmd26_md.observables import composition
from gmd26_md.tasks import Task


def composition_report(task: Task) -> dict[str, Any]:
    """Return the rank of the training compositions, and which OOD molecules' energy offset was identifiable.

    Keys: `rank`, `n_elements`, `null_directions` (per element, in the order of `elements`), `identifiable` (by OOD
    molecule) and `words`.
    """
    numbers = {m.name: np.array([atomic_numbers[s] for s in m.symbols]) for m in task.molecules}
    elements = composition.elements_of(list(numbers.values()))
    train = composition.composition_matrix([numbers[m.name] for m in task.train], elements)
    rank = composition.rank(train)
    identifiable = {
        m.name: composition.identifiable(train, composition.composition_of(numbers[m.name], elements)) for m in task.ood
    }
    n_open = sum(not known for known in identifiable.values())
    words = (
        f"Training compositions of {task.name} have rank {rank} for {len(elements)} elements; the energy offset of "
        f"{n_open} of {len(identifiable)} OOD molecules cannot be identified from training data."
    )
    return {
        "elements": [int(z) for z in elements],
        "rank": rank,
        "n_elements": len(elements),
        "null_directions": np.round(composition.null_directions(train), 6).tolist(),
        "identifiable": identifiable,
        "words": words,
    }
