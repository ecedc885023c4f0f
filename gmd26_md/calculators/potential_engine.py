"""A trained potential as an engine: one molecule is a batch of one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gmd26_md.calculators.batch import Layout
from gmd26_md.calculators.device import choose_device
from gmd26_md.calculators.model_file import open_model_file
from gmd26_md.calculators.potential import Potential, energy_and_forces
from gmd26_md.errors import UserError


class PotentialEngine:
    """Energy and forces of one molecule from a checkpoint, or from a trusted model file of another package.

    Pickles and copies carry path, hash, device and precision; the weights are read again on first use.

    Parameters
    ----------
    path
        The file, absolute.
    device, dtype
        As `load_calculator` takes them.
    sha256
        If not empty, the model must have this hash.
    trust_pickle, arguments
        See `open_model_file`.

    Raises
    ------
    UserError
        See `open_model_file`; or if the file is another one than `sha256` says.
    """

    takes_charge = False

    def __init__(
        self,
        path: Path,
        device: str,
        dtype: str,
        sha256: str = "",
        *,
        trust_pickle: bool = False,
        arguments: Mapping[str, Any] | None = None,
    ) -> None:
        self._path = path
        self._trusted, self._arguments = trust_pickle, dict(arguments or {})
        self._wanted = device
        self.dtype = dtype
        self.device = str(choose_device(device, dtype))
        self.sha256 = sha256
        self._potential: Potential | None = None
        self._known: _KnownMolecule | None = None
        self._load()

    def __call__(
        self, numbers: np.ndarray, positions: np.ndarray, charge: int, multiplicity: int | None
    ) -> tuple[float, np.ndarray]:
        """See `ase_face.Engine`; charge and multiplicity have been checked to be a neutral singlet's."""
        potential = self._potential if self._potential is not None else self._load()
        if self._known is None or not np.array_equal(self._known.numbers, numbers):
            self._known = _KnownMolecule(numbers, potential, self.device)
        known = self._known
        if self.dtype == "float32":  # far from the origin, positions of few digits would blur the distances
            positions = positions - positions.mean(axis=0)
        at = torch.as_tensor(positions, dtype=getattr(torch, self.dtype), device=self.device)
        energy, forces = energy_and_forces(potential, known.layout.batch(at, potential.cutoff))
        return float(energy) + known.reference_energy, np.array(forces.cpu().numpy(), dtype=np.float64)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out weights and tensors."""
        return {**self.__dict__, "_potential": None, "_known": None}

    def _load(self) -> Potential:
        """Read the checkpoint, make sure that it is the same file as before, and keep its potential."""
        checkpoint = open_model_file(self._path, trust_pickle=self._trusted, arguments=self._arguments)
        if self.sha256 and checkpoint.sha256 != self.sha256:
            raise UserError(
                f"{self._path} is another file than when this calculator was made (sha256 {checkpoint.sha256[:12]}, "
                f"was {self.sha256[:12]}); load the calculator again."
            )
        self.sha256 = checkpoint.sha256
        self.label = f"{self._path.name} ({checkpoint.family})"
        self.elements = frozenset(checkpoint.elements)
        self.device = str(choose_device(self._wanted, self.dtype))  # "auto" may mean another one in this process
        self._potential = checkpoint.potential(self.device, self.dtype)
        return self._potential


class _KnownMolecule:
    """What does not change while atoms move: who is who, and the sum of the per-element energies."""

    def __init__(self, numbers: np.ndarray, potential: Potential, device: str) -> None:
        self.numbers = numbers.copy()
        self.layout = Layout.of([numbers], device)
        nowhere = torch.zeros((len(numbers), 3), device=device)
        self.reference_energy = float(potential.reference_energy(self.layout.batch(nowhere, 0.0)))  # eV
