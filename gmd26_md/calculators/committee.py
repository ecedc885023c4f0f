"""Several models as one engine: the mean of what they say, and how far apart they are."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gmd26_md.errors import UserError

if TYPE_CHECKING:
    from gmd26_md.calculators.ase_face import Engine

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Answers:
    """What each member of a committee says of one molecule.

    Limit: a total energy carries an offset, one a molecule, that training leaves open (docs/training.md) and that every
    checkpoint sets for itself. So the spread of energies is one of offsets, often of eV; only that of energy
    *differences* means something: see `observables.committee.energy_change_spread`. Forces know no offset.

    Attributes
    ----------
    energies
        (n_members,), eV, in the order in which the members were given.
    forces
        (n_members, n_atoms, 3), eV/Å.
    """

    energies: Floats
    forces: Floats

    @property
    def energy(self) -> float:
        """Mean over the members, eV."""
        with np.errstate(invalid="ignore", over="ignore"):
            return float(self.energies.mean())

    @property
    def mean_forces(self) -> Floats:
        """Mean over the members, (n_atoms, 3), eV/Å: the gradient of the mean energy, where every member's is one."""
        with np.errstate(invalid="ignore", over="ignore"):
            return np.asarray(self.forces.mean(axis=0))

    @property
    def energy_std(self) -> float:
        """Standard deviation over the members (ddof 1), eV; see the limit above."""
        with np.errstate(invalid="ignore", over="ignore"):
            return float(self.energies.std(ddof=1))

    @property
    def forces_std(self) -> Floats:
        """Standard deviation over the members (ddof 1) of each component, (n_atoms, 3), eV/Å; NaN with any NaN."""
        with np.errstate(invalid="ignore", over="ignore"):
            return np.asarray(self.forces.std(axis=0, ddof=1))


class CommitteeEngine:
    """Energy and forces of one molecule as the mean over engines. It knows the elements that every member knows.

    Parameters
    ----------
    members
        Two engines or more; their cutoffs may differ.

    Attributes
    ----------
    answers
        What the members said of the last molecule; None before the first, and after one on which a member failed.
    """

    def __init__(self, members: Sequence[Engine]) -> None:
        if len(members) < 2:
            raise ValueError(f"a committee needs two members or more, got {len(members)}")
        self.members = list(members)
        self.label = f"committee of {len(members)}: {', '.join(m.label for m in members)}"
        self.elements = frozenset(members[0].elements).intersection(*[m.elements for m in members[1:]])
        self.takes_charge = all(m.takes_charge for m in members)
        self.answers: Answers | None = None

    @property
    def device(self) -> str:
        """Where it computes."""
        return ", ".join(dict.fromkeys(m.device for m in self.members))

    def __call__(
        self, numbers: np.ndarray, positions: np.ndarray, charge: int, multiplicity: int | None
    ) -> tuple[float, np.ndarray]:
        """See `ase_face.Engine`."""
        self.answers = None
        said = [member(numbers, positions, charge, multiplicity) for member in self.members]
        answers = Answers(np.array([energy for energy, _ in said]), np.array([forces for _, forces in said]))
        self.answers = answers
        return answers.energy, answers.mean_forces


def committee_of(
    paths: list[str],
    device: str,
    dtype: str,
    sha256: str | Sequence[str],
    *,
    trust_pickle: bool = False,
    arguments: Mapping[str, Any] | None = None,
) -> tuple[CommitteeEngine, list[str]]:
    """Return the engine of several checkpoints, and the hash of each.

    Parameters
    ----------
    paths
        Two or more, absolute.
    device, dtype
        As `load_calculator` takes them.
    sha256
        The hash that each file must have, or an empty text.
    trust_pickle, arguments
        See `open_model_file`; the same for every member.

    Raises
    ------
    UserError
        See `PotentialEngine`; or if two are the same checkpoint.
    """
    from gmd26_md.calculators.potential_engine import PotentialEngine

    wanted = [""] * len(paths) if sha256 == "" else [sha256] if isinstance(sha256, str) else list(sha256)
    if len(wanted) != len(paths):
        raise UserError(f"a committee of {len(paths)} checkpoints takes as many sha256, or none; got {sha256!r}.")
    members = [
        PotentialEngine(Path(p), device, dtype, sha256=w, trust_pickle=trust_pickle, arguments=arguments)
        for p, w in zip(paths, wanted, strict=True)
    ]
    hashes = [member.sha256 for member in members]
    refuse_twins(paths, hashes)
    return CommitteeEngine(members), hashes


def refuse_twins(paths: Sequence[str], hashes: Sequence[str]) -> None:
    """Raise a UserError if two members are the same file: it would count twice in the mean, and hide the spread."""
    for i, j in itertools.combinations(range(len(paths)), 2):
        if hashes[i] == hashes[j]:
            twin = f"{paths[i]} is given twice" if paths[i] == paths[j] else f"{paths[i]} and {paths[j]} are the same"
            raise UserError(f"{twin}; the members of a committee must differ. Name each checkpoint once.")
