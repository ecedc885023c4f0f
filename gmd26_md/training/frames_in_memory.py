"""All training frames as flat tensors on the device, and batches of them without loops over atoms or pairs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from gmd26_md.calculators.batch import LARGE, Batch, Layout


class LabelledFrames(Protocol):
    """Frames of one molecule with energies and forces; `datasets.store.Frames` is one."""

    @property
    def numbers(self) -> np.ndarray:
        """Atomic numbers, (n_atoms,)."""
        ...

    @property
    def positions(self) -> np.ndarray:
        """Positions, (n_frames, n_atoms, 3), Å."""
        ...

    @property
    def energies(self) -> np.ndarray:
        """Total energies, (n_frames,), eV."""
        ...

    @property
    def forces(self) -> np.ndarray:
        """Forces, (n_frames, n_atoms, 3), eV/Å."""
        ...


@dataclass(frozen=True)
class LabelledBatch:
    """A batch, and what a potential should say about it.

    Attributes
    ----------
    batch
        The systems.
    energies
        Interaction energies: totals less the per-element energies, (n_systems,), eV.
    forces
        (n_atoms, 3), eV/Å.
    n_atoms
        Atoms of each system, (n_systems,), in the precision of the energies.
    """

    batch: Batch
    energies: Tensor
    forces: Tensor
    n_atoms: Tensor


@dataclass(frozen=True)
class FramesInMemory:
    """Frames of several molecules, one after the other.

    Attributes
    ----------
    numbers, positions, forces
        Of all atoms of all frames, (n_all_atoms,), (n_all_atoms, 3), (n_all_atoms, 3); Å, eV/Å.
    energies
        Interaction energies, (n_frames,), eV.
    first_atom, n_atoms, molecule_idx
        Of each frame, (n_frames,): where its atoms begin, how many they are, which molecule it shows.
    candidates, first_candidate, n_candidates
        Ordered pairs of all molecules of up to `LARGE` atoms, (2, n_all_candidates), counted from a molecule's first
        atom, and for each molecule, (n_molecules,), where its pairs begin and how many they are.
    any_large
        Whether there are larger ones, whose pairs are looked for anew in every batch.
    """

    numbers: Tensor
    positions: Tensor
    forces: Tensor
    energies: Tensor
    first_atom: Tensor
    n_atoms: Tensor
    molecule_idx: Tensor
    candidates: Tensor
    first_candidate: Tensor
    n_candidates: Tensor
    any_large: bool = False

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return len(self.energies)

    def batch(self, frame_idx: Tensor, cutoff: float) -> LabelledBatch:
        """Return these frames, (n_systems,), int64, as one batch with the pairs closer than `cutoff`, Å."""
        counts = self.n_atoms[frame_idx]
        system_idx, within = _ragged_arange(counts)
        atoms = self.first_atom[frame_idx][system_idx] + within  # (n_atoms,)
        molecule = self.molecule_idx[frame_idx]
        pair_system, pair_within = _ragged_arange(self.n_candidates[molecule])
        pairs = self.candidates[:, self.first_candidate[molecule][pair_system] + pair_within]
        begin = counts.cumsum(0) - counts
        pairs = pairs + begin[pair_system]  # (2, n_candidates)
        large = _large_spans(begin, counts) if self.any_large else ()  # asked of the device only where there are some
        layout = Layout(self.numbers[atoms], system_idx, len(frame_idx), pairs, large)
        return LabelledBatch(
            batch=layout.batch(self.positions[atoms], cutoff),
            energies=self.energies[frame_idx],
            forces=self.forces[atoms],
            n_atoms=counts.to(self.energies.dtype),
        )


def frames_in_memory(
    molecules: Sequence[LabelledFrames],
    element_energies: Mapping[int, float],
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> FramesInMemory:
    """Put the frames of several molecules on the device.

    The per-element energies are taken off in float64, before rounding to `dtype`: totals are thousands of eV.
    """
    n_frames = [len(m.energies) for m in molecules]
    n_atoms = np.repeat([len(m.numbers) for m in molecules], n_frames)
    layouts = [Layout.of([np.asarray(m.numbers)]).candidates for m in molecules]
    n_candidates = torch.tensor([c.shape[1] for c in layouts])
    reference = [sum(element_energies[int(z)] for z in m.numbers) for m in molecules]
    energies = np.concatenate([m.energies - e for m, e in zip(molecules, reference, strict=True)])

    def real(values: np.ndarray) -> Tensor:
        return torch.as_tensor(np.ascontiguousarray(values), dtype=dtype, device=device)

    def whole(values: np.ndarray | Tensor) -> Tensor:
        return torch.as_tensor(values, dtype=torch.int64, device=device)

    return FramesInMemory(
        numbers=whole(np.concatenate([np.tile(m.numbers, n) for m, n in zip(molecules, n_frames, strict=True)])),
        positions=real(np.concatenate([m.positions.reshape(-1, 3) for m in molecules])),
        forces=real(np.concatenate([m.forces.reshape(-1, 3) for m in molecules])),
        energies=real(energies),
        first_atom=whole(np.cumsum(n_atoms) - n_atoms),
        n_atoms=whole(n_atoms),
        molecule_idx=whole(np.repeat(np.arange(len(molecules)), n_frames)),
        candidates=whole(torch.cat(layouts, dim=1)),
        first_candidate=whole(n_candidates.cumsum(0) - n_candidates),
        n_candidates=whole(n_candidates),
        any_large=any(len(m.numbers) > LARGE for m in molecules),
    )


def force_rms(molecules: Sequence[LabelledFrames]) -> float:
    """Return the root mean square force component over all frames and atoms, eV/Å."""
    total = sum(float(np.sum(np.square(m.forces))) for m in molecules)
    return float(np.sqrt(total / sum(m.forces.size for m in molecules)))


def digest(molecules: Sequence[LabelledFrames]) -> str:
    """Return a SHA-256 over all numbers, positions, energies and forces: the identity of a training set."""
    sha = hashlib.sha256()
    for m in molecules:
        for values in (np.asarray(m.numbers, dtype=np.int64), m.positions, m.energies, m.forces):
            sha.update(np.ascontiguousarray(values).tobytes())
    return sha.hexdigest()


def _large_spans(begin: Tensor, counts: Tensor) -> tuple[tuple[int, int], ...]:
    """Return first atom and end of each system of more than `LARGE` atoms."""
    spans = zip(begin.tolist(), counts.tolist(), strict=True)
    return tuple((first, first + n) for first, n in spans if n > LARGE)


def _ragged_arange(counts: Tensor) -> tuple[Tensor, Tensor]:
    """Return for rows of these lengths the row of each entry and its place in the row, both (sum of counts,)."""
    rows = torch.repeat_interleave(torch.arange(len(counts), device=counts.device), counts)
    begin = counts.cumsum(0) - counts
    return rows, torch.arange(len(rows), device=counts.device) - begin[rows]
