"""Options of the scans, with the reason for each limit."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from gmd26_md.errors import UserError
from gmd26_md.observables.smoothness import MAX_STEP_A, WINDOW_A

BONDS = ("kinds", "all")
_WIDEST_LABELS_A = 0.05


@dataclass(frozen=True)
class Settings:
    """Options of the protocol.

    Attributes
    ----------
    n_torsion_points
        Points of a full turn: 24, every 15 degrees.
    clash_eV
        A point that the reference puts this far above its lowest one is left out: atoms sit in each other, and no model
        is asked to know how much so. 2 eV, 46 kT at 500 K.
    bonds
        Which bonds are stretched: "kinds" or "all" (`observables.scans.stretched_bonds`).
    stretch_from_ratio, stretch_to_ratio
        First and last length over the reference minimum's.
    stretch_step_A
        Grid of a stretch.
    label_every
        The reference is asked for every so many points of a stretch; it is the slow one, and its curve is smooth.
    near_eV
        Points up to this far above the minimum, in the reference, count in the error near the minimum: 1 eV, more than
        what a bond holds in dynamics (its mean at 500 K is 0.04 eV).
    min_depth_meV
        A minimum less deep than this is none: 10 meV, less than half of kT at 300 K, which holds nothing back.
    reach_eV
        A false minimum of a stretch behind a higher pass is counted and not judged: 2 eV, which a bond crosses once
        in a millisecond at 1000 K (1e13/s times a Boltzmann factor).
    max_misplaced_meV
        "Wrong minimum" of a torsion: by the reference, the model's lowest point costs more. 26 meV, kT at 300 K.
    max_barrier_error_meV
        "Wrong barrier": 43 meV, 1 kcal/mol, "chemical accuracy"; at 300 K a rate is wrong by a factor of five.
    max_rms_meV
        "Wrong curve" of a torsion: 26 meV, kT at 300 K.
    max_roughness_meV
        "Rough": 1 meV, as where the force jumps by 0.2 eV/Å. A smooth bond has up to 0.2.
    max_work_error_meV
        "No gradient": energy and integrated force differ by more. 5 meV; 0.01 by the integration.
    max_bond_error_A
        "Wrong minimum" of a stretch: 0.02 Å, what the better density functionals reach.
    max_near_rms_meV
        "Wrong curve" of a stretch: 43 meV, 1 kcal/mol.

    Raises
    ------
    UserError
        For a value that makes no scan, or a limit that is not a positive number.
    """

    n_torsion_points: int = 24
    clash_eV: float = 2.0
    bonds: str = "kinds"
    stretch_from_ratio: float = 0.8
    stretch_to_ratio: float = 1.5
    stretch_step_A: float = 0.01
    label_every: int = 4
    near_eV: float = 1.0
    min_depth_meV: float = 10.0
    reach_eV: float = 2.0
    max_misplaced_meV: float = 26.0
    max_barrier_error_meV: float = 43.0
    max_rms_meV: float = 26.0
    max_roughness_meV: float = 1.0
    max_work_error_meV: float = 5.0
    max_bond_error_A: float = 0.02
    max_near_rms_meV: float = 43.0

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = getattr(self, entry.name)
            if not isinstance(value, str) and not (math.isfinite(value) and value > 0):
                raise UserError(f"{entry.name} = {value}; give a finite number above 0.")
        if self.bonds not in BONDS:
            raise UserError(f"bonds = {self.bonds!r}; allowed: {', '.join(BONDS)}.")
        if self.n_torsion_points < 12:
            raise UserError(f"n_torsion_points = {self.n_torsion_points}; give 12 or more: 30 degrees miss no minimum.")
        if not self.stretch_step_A <= MAX_STEP_A:
            raise UserError(f"stretch_step_A = {self.stretch_step_A}; give {MAX_STEP_A} or less: ripples are short.")
        if not self.label_every * self.stretch_step_A <= _WIDEST_LABELS_A:
            raise UserError(
                f"label_every = {self.label_every} with steps of {self.stretch_step_A} Å; give steps of the labels of "
                f"{_WIDEST_LABELS_A} Å or less: a stiff bond has few points up to near_eV."
            )
        if not (self.stretch_from_ratio <= 0.9 and self.stretch_to_ratio >= 1.2):
            raise UserError(
                f"a stretch from {self.stretch_from_ratio} to {self.stretch_to_ratio} of the length; give 0.9 or less "
                f"and 1.2 or more: smoothness is looked for over {WINDOW_A} Å."
            )
