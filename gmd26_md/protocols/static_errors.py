"""Static errors: a model's energies and forces on reference frames, in the columns of the published table.

Force-component MAE, mean cosine of the force vectors, MAE of the force magnitude, energy MAE a molecule; the energy
three ways: absolute, each molecule's mean offset removed, and the offset itself. The forces are kept by atom, so that
errors can be looked for by element and by bonds from the new fragment afterwards.
Docs: `docs/protocols/static-errors.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gmd26_md.dynamics.forces import ForceProvider
from gmd26_md.dynamics.predict import predict
from gmd26_md.observables.atom_forces import AtomForces
from gmd26_md.observables.bonds import BondGraph, bond_graph
from gmd26_md.observables.errors import FrameSums, pooled
from gmd26_md.protocols.cases import Case


@dataclass(frozen=True)
class Settings:
    """Options of the protocol.

    Attributes
    ----------
    n_frames
        At most so many reference frames a molecule, evenly spread; 0 takes all.
    """

    n_frames: int = 0


@dataclass(frozen=True)
class Answer:
    """A model's errors on one molecule's reference frames.

    Attributes
    ----------
    slug, split
        Of the case.
    sums
        Errors a frame, for pooling over molecules.
    forces
        The model's forces beside the reference's.
    """

    slug: str
    split: str
    sums: FrameSums
    forces: AtomForces

    @property
    def metrics(self) -> dict[str, float]:
        """The molecule's own errors; see `metrics.METRICS`."""
        return pooled([self.sums])


def run(
    provider: ForceProvider,
    cases: Sequence[Case],
    on_progress: Callable[[float], None] = lambda fraction: None,
) -> list[Answer]:
    """Evaluate the model on every case that has reference frames."""
    labelled = [case for case in cases if case.frames is not None]
    answers = []
    for index, case in enumerate(labelled):
        frames = case.frames
        if frames is None:
            continue
        energies, forces = predict(provider, frames)
        sums = FrameSums.of(energies, frames.energies, forces, frames.forces)
        answers.append(Answer(case.slug, case.split, sums, AtomForces(_graph_of(case), forces, frames.forces)))
        on_progress((index + 1) / len(labelled))
    return answers


def _graph_of(case: Case) -> BondGraph:
    """Return a molecule's bonds: at the reference minimum, or where that is missing in the structure as given."""
    at_rest = case.structure.positions if case.minimum is None else case.minimum.positions[0]
    return bond_graph(case.numbers, at_rest)
