"""A DeepSet-MoE energy explained: what each atom, each pair and each expert adds to it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import stdev
from typing import TYPE_CHECKING, Any, cast

from gmd26_md.errors import UserError

if TYPE_CHECKING:
    from ase import Atoms

    from gmd26_md.calculators.checkpoint import Checkpoint

FAMILY = "deepset-moe"


def explained(checkpoint: Checkpoint, atoms: Atoms) -> dict[str, Any]:
    """Return where the energy of a molecule comes from, JSON-safe, computed in float64 on the CPU.

    Parameters
    ----------
    checkpoint
        Of a DeepSet-MoE.
    atoms
        The molecule; `info["name"]` is taken as its name.

    Returns
    -------
    explanation
        `interaction_energy_eV` is the sum over `atoms` of their `self_energy_eV` and, over `pairs` (directed: what the
        centre makes of the neighbour), of `energy_eV`; `element_energy_eV` stands beside it. A pair's `experts` share
        its energy, and `experts` adds them up by centre, shell of distances and neighbour. `pairs_are_additive` tells
        whether the model itself is a sum over pairs; else see `models.deepset_shares`.

    Raises
    ------
    UserError
        For another family, or a molecule that the model cannot take.
    """
    if checkpoint.family != FAMILY:
        raise UserError(
            f"the model is {checkpoint.family}, which has no experts; give a checkpoint of the family {FAMILY}."
        )
    import torch

    from gmd26_md.calculators.batch import Layout
    from gmd26_md.calculators.molecule_checks import (
        check_molecule,
        check_neutral_closed_shell,
        spin_multiplicity,
        total_charge,
    )
    from gmd26_md.models.deepset_moe import DeepSetMoE
    from gmd26_md.models.deepset_shares import with_shares

    check_molecule(atoms, checkpoint.elements, FAMILY)
    check_neutral_closed_shell(atoms, total_charge(atoms, None), spin_multiplicity(atoms, None), FAMILY)
    potential = checkpoint.potential("cpu", "float64")
    batch = Layout.of([atoms.numbers]).batch(torch.as_tensor(atoms.positions), potential.cutoff)
    network = cast(DeepSetMoE, potential.network)
    parts, additive = with_shares(network, batch)
    scale, symbols = potential.energy_scale, atoms.get_chemical_symbols()
    edges = [0.0, *network.encoder.boundaries, potential.cutoff]
    shells = [[low, high] for low, high in pairwise(edges)]
    split = cast(torch.Tensor, parts.expert_energy).mul(scale).tolist()
    own, whole = parts.atom_self_energy.mul(scale).tolist(), parts.atom_energy.mul(scale).tolist()
    pairs = [
        {
            "centre": i,
            "neighbour": j,
            "elements": [symbols[i], symbols[j]],
            "distance_A": distance,
            "energy_eV": sum(energies),
            "experts": [
                {"shell_A": shells[s], "weight": gates[s], "energy_eV": energies[s]}
                for s in range(len(shells))
                if gates[s] > 0.0
            ],
        }
        for (i, j), distance, gates, energies in zip(
            parts.pairs.T.tolist(), parts.distance.tolist(), parts.gates.tolist(), split, strict=True
        )
    ]
    return {
        "molecule": str(atoms.info.get("name", atoms.symbols)),
        "model": checkpoint.path.name if checkpoint.path else FAMILY,
        "model_sha256": checkpoint.sha256,
        "experts_are_chosen_by_centre": network.encoder.by_element,
        "pairs_are_additive": additive,
        "interaction_energy_eV": float(potential(batch)[0]),
        "element_energy_eV": float(potential.reference_energy(batch)),
        "atoms": [
            {"atom": n, "element": symbols[n], "energy_eV": whole[n], "self_energy_eV": own[n],
             "pairs_energy_eV": sum(pair["energy_eV"] for pair in pairs if pair["centre"] == n)}
            for n in range(len(symbols))
        ],
        "pairs": pairs,
        "experts": _experts(pairs),
    }  # fmt: skip


def use_of_experts(checkpoint: Checkpoint, structures: Sequence[Atoms]) -> list[dict[str, Any]]:
    """Return how experts are used over a data set, by centre's element, shell and neighbour's element; JSON-safe.

    Parameters
    ----------
    checkpoint, structures
        As `explained` takes them; one structure or more.

    Returns
    -------
    use
        Of each: `pairs_fraction`, its part of all pairs (they add up to 1); `pair_energy_eV`, the mean over its pairs,
        where a pair between two experts counts by its weights; `pair_energy_std_eV`, the standard deviation over
        structures of each structure's mean, None for a single one; `n_structures` in which it speaks.

    Raises
    ------
    UserError
        As `explained`, naming the structure.
    """
    seen: dict[tuple[str, float, str], list[dict[str, Any]]] = {}
    for number, atoms in enumerate(structures, start=1):
        try:
            found = explained(checkpoint, atoms)
        except UserError as problem:
            raise UserError(f"structure {number} of {len(structures)}: {problem}") from problem
        for entry in found["experts"]:
            seen.setdefault((entry["centre"], entry["shell_A"][0], entry["neighbour"]), []).append(entry)
    total = sum(entry["pairs"] for entries in seen.values() for entry in entries)
    return [_use(seen[key], total) for key in sorted(seen)]


def _use(entries: list[dict[str, Any]], total: float) -> dict[str, Any]:
    pairs = sum(entry["pairs"] for entry in entries)
    means = [entry["energy_eV"] / entry["pairs"] for entry in entries]
    return {
        "centre": entries[0]["centre"],
        "shell_A": entries[0]["shell_A"],
        "neighbour": entries[0]["neighbour"],
        "pairs_fraction": pairs / total,
        "pair_energy_eV": sum(entry["energy_eV"] for entry in entries) / pairs,
        "pair_energy_std_eV": stdev(means) if len(means) > 1 else None,
        "n_structures": len(entries),
    }


def _experts(pairs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the energies added up by centre's element, shell and neighbour's element, in this order."""
    found: dict[tuple[str, float, str], dict[str, Any]] = {}
    for pair in pairs:
        (centre, neighbour), experts = pair["elements"], pair["experts"]
        for expert in experts:
            entry = found.setdefault(
                (centre, expert["shell_A"][0], neighbour),
                {
                    "centre": centre,
                    "shell_A": expert["shell_A"],
                    "neighbour": neighbour,
                    "pairs": 0.0,
                    "energy_eV": 0.0,
                },
            )
            entry["pairs"] += expert["weight"]
            entry["energy_eV"] += expert["energy_eV"]
    return [found[key] for key in sorted(found)]
