"""The options of the relaxation protocol, each default with its reason."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Any

from ase import Atoms

from gmd26_md.errors import UserError, unknown_name
from gmd26_md.protocols.starts import STARTS


@dataclass(frozen=True)
class Settings:
    """Options of the protocol.

    Attributes
    ----------
    starts
        Where relaxations begin, of `starts.STARTS`.
    n_perturbed, n_conformers
        Starts a molecule of these kinds. Two: the fewest that show whether one was chance; each costs a relaxation of
        the model and one of the reference.
    perturbation_A
        Standard deviation of every coordinate's displacement. 0.05 Å stretches a bond by 0.07, twice the thermal spread
        of a stiff one (30 eV/Å²) at 500 K: well off the minimum, and hardly ever so far that a bond counts as broken.
    fmax_eV_per_A
        Largest force on an atom at which a relaxation has converged, of the model and of the reference. A chain's
        softest torsion, 50 1/cm, has 0.1 eV/Å²: 0.001 eV/Å leaves it 0.01 Å from its minimum. GFN2-xTB, relaxed as its
        own model to 0.02, stood on shoulders that it left by up to 0.8 Å and 0.09 eV: a "false minimum" of nobody's.
    max_steps
        After so many steps it has not.
    max_rmsd_A
        A heavy-atom RMSD above this, to where the reference comes to rest from the same place, is a "false minimum"; to
        the reference minimum that the model started from, "moved away". 0.3 Å, which MLIPAudit calls bad.
    max_torsion_deg
        And so is a torsion turned further than this, hydroxyl groups included, whose hydrogen no heavy-atom RMSD sees.
        60: half the way between two of three staggered wells, so what turns further was in another well.
    max_drop_meV_per_atom
        More reference energy set free by relaxing on is "strained": 10, as for the true energy along a run.
    modes
        Whether to compare normal modes, from the reference minimum only: one minimum a molecule, 6 n_atoms labels of
        the reference, a third more of everything.
    modes_max_atoms
        Not of larger molecules. 50 lets in every molecule of the benchmark.
    modes_step_A
        Displacement of the differences. Their error by curvature goes as its square: for acetic acid with GFN2-xTB
        0.3 1/cm of the O-H stretch and 1.3 of the methyl rotor at 0.005 Å, five times that at 0.01. The noise of
        float32 forces (1e-5 eV/Å) is still a hundredth of a soft torsion's force constant.
    imaginary_per_cm
        Modes below minus this are imaginary. 20: its quantum, 2.5 meV, is a tenth of the thermal energy at 300 K, so
        nothing that moves sees such a hump, and the errors above stay under it.
    """

    starts: tuple[str, ...] = tuple(STARTS)
    n_perturbed: int = 2
    perturbation_A: float = 0.05
    n_conformers: int = 2
    fmax_eV_per_A: float = 0.001
    max_steps: int = 2000
    max_rmsd_A: float = 0.3
    max_torsion_deg: float = 60.0
    max_drop_meV_per_atom: float = 10.0
    modes: bool = True
    modes_max_atoms: int = 50
    modes_step_A: float = 0.005
    imaginary_per_cm: float = 20.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "starts", tuple(dict.fromkeys(self.starts)))
        if not self.starts:
            raise UserError(f"no start to relax from; give at least one of {', '.join(STARTS)}.")
        for start in self.starts:
            if start not in STARTS:
                raise unknown_name("start", start, STARTS)
        for entry in fields(self):
            value = getattr(self, entry.name)
            if entry.name not in ("starts", "modes") and not (value > 0 and math.isfinite(value)):
                raise UserError(f"{entry.name} is {value!r}; give a finite number above 0.")

    def n_of(self, start: str) -> int:
        """Return how many relaxations of a molecule begin at this kind of start."""
        return {"perturbed-minimum": self.n_perturbed, "rdkit-conformer": self.n_conformers}.get(start, 1)

    @property
    def n_starts(self) -> int:
        """How many relaxations of a molecule there are."""
        return sum(self.n_of(start) for start in self.starts)

    def n_labels(self, atoms: Atoms) -> int:
        """Return how many labels of this molecule the reference is asked for, beside its own relaxations."""
        modes = self.modes and "reference-minimum" in self.starts and len(atoms) <= self.modes_max_atoms
        return self.n_starts + (6 * len(atoms) if modes else 0)

    def of_start(self, start: str, reference: str) -> dict[str, Any]:
        """Return what a record of one start rests on."""
        return {k: v for k, v in asdict(self).items() if k != "starts"} | {"start": start, "reference": reference}
