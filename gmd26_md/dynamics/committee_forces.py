"""A committee on either road to forces: the mean of several providers, and what each of them says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from gmd26_md.dynamics.forces import BoundForces, ForceProvider
from gmd26_md.dynamics.predict import predict
from gmd26_md.trajectory import Trajectory


class CommitteeForces:
    """Mean energies and forces of several providers for any list of molecules.

    Parameters
    ----------
    members
        Two or more, on one device. They are asked one after the other, so that a batch takes the memory of the
        hungriest alone.

    Raises
    ------
    ValueError
        For fewer than two members, or members that keep positions on different devices.
    """

    def __init__(self, members: Sequence[ForceProvider]) -> None:
        if len(members) < 2 or len({str(m.device) for m in members}) != 1:
            places = [str(m.device) for m in members]
            raise ValueError(f"a committee needs two members or more, on one device; got {places}")
        self.members = tuple(members)
        self.device = members[0].device

    def bind(self, numbers: Sequence[np.ndarray]) -> BoundCommittee:
        """See `ForceProvider.bind`."""
        return BoundCommittee([m.bind(numbers) for m in self.members])

    def cost(self, numbers: np.ndarray, positions: np.ndarray) -> float:
        """See `ForceProvider.cost`: the sum over members, as it is for the time."""
        return sum(m.cost(numbers, positions) for m in self.members)

    def capacity(self) -> float:
        """See `ForceProvider.capacity`: the least of the members', in which the sum of costs leaves room."""
        return min(m.capacity() for m in self.members)


class BoundCommittee:
    """See `BoundForces`."""

    def __init__(self, bound: Sequence[BoundForces]) -> None:
        self._bound = tuple(bound)
        self.errors: dict[int, str] = {}
        self._gather_errors()

    def __call__(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """See `BoundForces`. What is NaN for one member is NaN for the committee."""
        answers = [bound(positions) for bound in self._bound]
        self._gather_errors()
        energies = torch.stack([energy for energy, _ in answers])  # (n_members, n_systems)
        forces = torch.stack([force for _, force in answers])  # (n_members, n_atoms, 3)
        return energies.mean(dim=0), forces.mean(dim=0)

    def only(self, chosen: Sequence[int]) -> BoundCommittee:
        """See `BoundForces.only`."""
        return BoundCommittee([bound.only(chosen) for bound in self._bound])

    def joined(self, other: BoundCommittee) -> BoundCommittee:
        """See `BoundForces.joined`."""
        return BoundCommittee([a.joined(b) for a, b in zip(self._bound, other._bound, strict=True)])

    def _gather_errors(self) -> None:
        for bound in self._bound:
            for index, words in bound.errors.items():
                self.errors.setdefault(index, words)


def predict_members(committee: CommitteeForces, frames: Trajectory) -> tuple[np.ndarray, np.ndarray]:
    """Return what each member says of the frames of one molecule.

    Energies (n_members, n_frames), eV, and forces (n_members, n_frames, n_atoms, 3), eV/Å. A frame on which a member
    fails is NaN in its row.
    """
    answers = [predict(member, frames) for member in committee.members]
    return np.array([energies for energies, _ in answers]), np.array([forces for _, forces in answers])
