"""The explanation of an energy (see `gmd26_md.explanation`) as tables and a few words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Rows = list[list[str]]


def words(found: dict[str, Any]) -> list[str]:
    """Return what the tables are tables of, a sentence a line."""
    total, beside = found["interaction_energy_eV"], found["element_energy_eV"]
    chosen = "the element of the centre and the distance" if found["experts_are_chosen_by_centre"] else "the distance"
    shares = (
        "This model is a sum over pairs: their energies are its own."
        if found["pairs_are_additive"]
        else "This model decodes the sum over an atom's pairs. A pair's share is what the energy changes by because of "
        "it while all pairs come in together (Aumann and Shapley)."
    )
    return [
        f"{found['molecule']} by {found['model']}: interaction energy {total:.6f} eV, "
        f"beside {beside:.6f} eV of its elements.",
        f"{shares} Experts are chosen by {chosen}.",
    ]


def atom_rows(found: dict[str, Any]) -> Rows:
    """Return the table of atoms, most binding first."""
    rows = [["atom", "energy, eV", "alone, eV", "its pairs, eV"]]
    for entry in sorted(found["atoms"], key=lambda entry: entry["energy_eV"]):
        values = (entry["energy_eV"], entry["self_energy_eV"], entry["pairs_energy_eV"])
        rows.append([_called(entry["atom"], entry["element"]), *[f"{value:.6f}" for value in values]])
    return rows


def expert_rows(found: dict[str, Any]) -> Rows:
    """Return the table of who spoke: centre, distances, neighbour; a pair between two experts counts by weight."""
    rows = [["centre", "distance, Å", "neighbour", "pairs", "energy, eV", "a pair, eV"]]
    for entry in found["experts"]:
        each = entry["energy_eV"] / entry["pairs"]
        counts = [f"{entry['pairs']:.2f}", f"{entry['energy_eV']:.6f}", f"{each:.6f}"]
        rows.append([entry["centre"], _shell(entry["shell_A"]), entry["neighbour"], *counts])
    return rows


def use_rows(use: Sequence[dict[str, Any]]) -> Rows:
    """Return the table of `explanation.use_of_experts`."""
    rows = [["centre", "distance, Å", "neighbour", "of all pairs, %", "a pair, eV", "spread, eV", "structures"]]
    for entry in use:
        spread = entry["pair_energy_std_eV"]
        numbers = [
            f"{100 * entry['pairs_fraction']:.2f}",
            f"{entry['pair_energy_eV']:.6f}",
            "-" if spread is None else f"{spread:.6f}",
            str(entry["n_structures"]),
        ]
        rows.append([entry["centre"], _shell(entry["shell_A"]), entry["neighbour"], *numbers])
    return rows


def pair_rows(found: dict[str, Any], largest: int = 0) -> Rows:
    """Return the table of pairs, both directions together, largest first; `largest` keeps so many, 0 all."""
    rows = [
        ["pair", "distance, Å", "experts' distances, Å", "energy, eV", "first sees second, eV", "second sees first, eV"]
    ]
    together = undirected(found)
    for there, back in together[: largest or len(together)]:
        (i, j), (first, second) = (there["centre"], there["neighbour"]), there["elements"]
        shells = ", ".join(_shell(expert["shell_A"]) for expert in there["experts"])
        energies = (there["energy_eV"] + back["energy_eV"], there["energy_eV"], back["energy_eV"])
        name = f"{_called(i, first)}-{_called(j, second)}"
        rows.append([name, f"{there['distance_A']:.3f}", shells, *[f"{energy:.6f}" for energy in energies]])
    return rows


def undirected(found: dict[str, Any]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return both directions of each pair of atoms, the pair with the largest energy first."""
    by_atoms = {(pair["centre"], pair["neighbour"]): pair for pair in found["pairs"]}
    both = [(pair, by_atoms[j, i]) for (i, j), pair in by_atoms.items() if i < j]
    return sorted(both, key=lambda ends: -abs(ends[0]["energy_eV"] + ends[1]["energy_eV"]))


def _called(number: int, element: str) -> str:
    return f"{element}{number + 1}"  # atoms are counted from 1, as viewers do


def _shell(ends: Sequence[float]) -> str:
    return f"{ends[0]:g} to {ends[1]:g}"
