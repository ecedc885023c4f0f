"""Units of other people's data: what they are called, and whether energies and forces look like what is claimed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from ase import units as ase_units

from gmd26_md.errors import UserError, unknown_name
from gmd26_md.observables.bonds import Floats, Ints, bond_graph

ENERGY_UNITS = {
    "eV": 1.0,
    "Hartree": ase_units.Hartree,
    "kcal/mol": ase_units.kcal / ase_units.mol,
    "kJ/mol": ase_units.kJ / ase_units.mol,
}
"""In eV."""
LENGTH_UNITS = {"Å": 1.0, "Bohr": ase_units.Bohr, "nm": ase_units.nm}
"""In Å."""

_ALSO = {
    "ev": "eV", "hartree": "Hartree", "ha": "Hartree", "eh": "Hartree", "kcal/mol": "kcal/mol", "kj/mol": "kJ/mol",
    "å": "Å", "a": "Å", "ang": "Å", "angstrom": "Å", "bohr": "Bohr", "a0": "Bohr", "nm": "nm",
}  # fmt: skip

# Energy of an atom in a molecule, eV, by least squares over a dozen of ours (GFN2-xTB by tblite, good to 0.3 %) and
# over seven with two carbon atoms (PBE-D3(BJ)/def2-TZVP by PySCF, good to 0.02 %). Other functionals without a
# pseudopotential count the same electrons and come within the tolerance.
_ATOM_ENERGIES_EV = {
    "gfn2-xtb": {1: -13.68, 6: -58.71, 7: -79.54, 8: -110.37},
    "all-electron": {1: -16.22, 6: -1036.11, 7: -1489.11, 8: -2046.00},
}
_ENERGY_TOLERANCE = 0.03

# The force on a hydrogen along its C-H bond falls by 28.8 ± 0.5 eV/Å a Å of stretch (twelve carboxylic acids,
# GFN2-xTB, 500 K, correlation -0.97); three frames scatter by a third.
_STIFFNESS_EV_PER_A2 = (18.0, 45.0)
_N_STRETCHES = 20
_LEAST_CORRELATION = 0.5


@dataclass(frozen=True)
class Units:
    """Units of a file: of energies, of positions, and of forces as "energy/length"."""

    energy: str
    length: str
    force: str

    @property
    def force_eV_per_A(self) -> float:
        """One of the file's units of force, in eV/Å."""
        energy, _, length = self.force.rpartition("/")
        return ENERGY_UNITS[energy] / LENGTH_UNITS[length]


ASE_UNITS = Units("eV", "Å", "eV/Å")
_FORCE_UNITS = ("eV/Å", "Hartree/Bohr", "kcal/mol/Å", "kJ/mol/nm", "kJ/mol/Å", "Hartree/Å", "eV/Bohr")
"""The usual ones, the likeliest first: only these are suggested."""


def energy_unit(text: str) -> str:
    """Return the unit of energy that a text means; a UserError if none."""
    return _unit("unit of energy", text, ENERGY_UNITS)


def length_unit(text: str) -> str:
    """Return the unit of length that a text means; a UserError if none."""
    return _unit("unit of length", text, LENGTH_UNITS)


def force_unit(text: str) -> str:
    """Return the unit of force that a text means, energy over length; a UserError if none."""
    energy, slash, length = text.rpartition("/")
    if not slash or not energy:
        raise UserError(f"{text!r} is no unit of force; write an energy over a length, eV/Å or Hartree/Bohr.")
    return f"{energy_unit(energy)}/{length_unit(length)}"


def _unit(kind: str, text: str, known: Mapping[str, float]) -> str:
    name = _ALSO.get(text.strip().lower().replace("ångström", "å"), "")
    if name not in known:
        raise unknown_name(kind, text, known)
    return name


def units_of(stated: Mapping[str, str], asked: Mapping[str, str], *, ase_units: bool) -> Units:
    """Return a file's units: as it states them, else as asked, else those of ASE's formats where it is one.

    Where energy and length are stated and the force is not, the force is their quotient, as in sGDML's archives.

    Parameters
    ----------
    stated, asked
        "energy", "length", "force": a unit. What the file says, and what the user says.
    ase_units
        Whether the file's format defines eV and Å.

    Raises
    ------
    UserError
        For a unit that nobody states, one that is not known, or a file that contradicts the user.
    """
    readers = {"energy": energy_unit, "length": length_unit, "force": force_unit}
    said = {key: readers[key](text) for key, text in stated.items()}
    if {"energy", "length"} <= said.keys():
        said.setdefault("force", f"{said['energy']}/{said['length']}")
    wanted = {key: readers[key](text) for key, text in asked.items()}
    for key in said.keys() & wanted.keys():
        if said[key] != wanted[key]:
            raise UserError(f"states {said[key]} itself, asked is --{key}-unit {wanted[key]}; leave that option out.")
    found = {"energy": "eV", "length": "Å", "force": "eV/Å"} if ase_units else {}
    found |= wanted | said
    for key in readers:
        if key not in found:
            usual = getattr(ASE_UNITS, key)
            raise UserError(f"states no unit of {key}; say it with --{key}-unit, as in --{key}-unit {usual}.")
    return Units(found["energy"], found["length"], found["force"])


def energy_family(level: str) -> str:
    """Return whose atomic energies a level of theory has: GFN2-xTB's (valence only), or all-electron ones."""
    return "gfn2-xtb" if level == "gfn2-xtb" else "all-electron"


def recognise_energies(numbers: Ints, energies: Floats) -> tuple[str, str] | None:
    """Return whose energies these look like ("gfn2-xtb" or "all-electron") and in which unit, or None.

    Compares the median with the sum of atomic energies: tells levels that count the same electrons not apart, and
    knows nothing of energies with a reference taken off.

    Parameters
    ----------
    numbers, energies
        (n_atoms,), of H, C, N and O; (n_frames,), in any unit.
    """
    finite = energies[np.isfinite(energies)]
    if finite.size == 0:
        return None
    typical = float(np.median(finite))
    for family, atoms in _ATOM_ENERGIES_EV.items():
        expected = sum(atoms[z] for z in numbers.tolist())
        for unit, in_eV in ENERGY_UNITS.items():
            if abs(typical * in_eV / expected - 1.0) < _ENERGY_TOLERANCE:
                return family, unit
    return None


def stiffness_eV_per_A2(numbers: Ints, positions: Floats, forces: Floats) -> tuple[float, float] | None:
    """Return how fast the force on hydrogen along C-H falls with the bond's stretch, and the correlation.

    Wrong units, turned signs (gradients) and forces of other atoms or frames all show here.

    Parameters
    ----------
    numbers, positions, forces
        (n_atoms,); (n_frames, n_atoms, 3), Å; the same, eV/Å if all is well.

    Returns
    -------
    None with fewer than 20 stretches to go by.
    """
    stretches, pulls = [], []
    for i, j in bond_graph(numbers, positions[0]).bonds.tolist():
        if {int(numbers[i]), int(numbers[j])} == {1, 6}:
            h, c = (i, j) if numbers[i] == 1 else (j, i)
            vectors = positions[:, h] - positions[:, c]
            lengths = np.linalg.norm(vectors, axis=1)
            stretches.append(lengths - lengths.mean())
            pulls.append(np.einsum("fx,fx->f", forces[:, h], vectors) / lengths)
    x, y = np.ravel(stretches), np.ravel(pulls)
    if x.size < _N_STRETCHES or len(positions) < 2 or x.std() < 1e-4 or not y.std() > 0:
        return None
    covariance = float(np.mean(x * (y - y.mean())))
    return -covariance / float(x.var()), covariance / float(x.std() * y.std())


def complaint_about_forces(found: tuple[float, float] | None, claimed: Units) -> str | None:
    """Return what is wrong with forces of this `stiffness_eV_per_A2`, with the cure; None if nothing is.

    Parameters
    ----------
    found
        As it comes out if the forces are in the unit claimed.
    claimed
        The file's units.
    """
    if found is None:
        return None
    stiffness, correlation = found
    low, high = _STIFFNESS_EV_PER_A2
    if abs(correlation) < _LEAST_CORRELATION:
        return (
            f"the forces do not follow the C-H bonds (correlation {correlation:.2f}, expected -0.97): they belong to "
            "other atoms or frames; look at how the file was made"
        )
    if stiffness < 0:
        return "the forces push C-H bonds apart: they are gradients; turn them with --map forces=-NAME"
    if low <= stiffness <= high:
        return None
    as_written = stiffness / claimed.force_eV_per_A
    fits = [unit for unit in _FORCE_UNITS if low <= as_written * Units("", "", unit).force_eV_per_A <= high]
    words = f"a C-H bond's force constant comes out as {stiffness:.3g} eV/Å², expected about 29"
    return f"{words}: say --force-unit {fits[0]}" if fits else f"{words}; the unit of force is none that is known here"
