"""EquiformerV2 as a family: its hyperparameters, checked, and its network (architecture in `models.equiformer`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from torch import Tensor, nn

from gmd26_md.calculators._hyperparameters import checked_elements, merged
from gmd26_md.calculators.batch import Batch
from gmd26_md.calculators.latent import inputs_of
from gmd26_md.errors import UserError
from gmd26_md.models.equiformer import EquiformerV2

MAX_DEGREE = 10
DEFAULTS: dict[str, Any] = {
    "cutoff": 5.0,  # Å
    "direct_forces": False,  # True: a force head, as published; the forces are then no gradient
    "smooth_cutoff": True,  # False: messages end abruptly at the cutoff, as published
    "num_layers": 2,
    "sphere_channels": 32,
    "attn_hidden_channels": 32,
    "num_heads": 4,
    "attn_alpha_channels": 16,
    "attn_value_channels": 8,
    "ffn_hidden_channels": 64,
    "use_grid_mlp": False,  # True: a small network at each point of the grid in place of one activation
    "lmax": 2,
    "mmax": 2,
    "edge_channels": 32,
    "num_distance_basis": 64,
    "avg_degree": 14.0,  # neighbours of an atom, by which the first sum over them is divided
    "edge_grid": [4, 14],  # latitudes and longitudes of the grid in an edge's frame; only longitudes touch equivariance
    "node_grid": [12, 24],  # of the grid on an atom's features
}


def network(hyperparameters: Mapping[str, Any], elements: tuple[int, ...]) -> nn.Module:
    """Return an untrained network that maps a `Batch` to atomic energies, (n_atoms,).

    With `direct_forces` it gives forces too, and `forces_are_gradient` is False.

    Raises
    ------
    UserError
        An unknown hyperparameter, or a value out of range.
    """
    values = merged("equiformer-v2", DEFAULTS, hyperparameters, may_be_zero=("mmax",))
    lmax, mmax = values["lmax"], values["mmax"]
    if lmax > MAX_DEGREE:
        raise UserError(f"equiformer-v2 lmax is {lmax}; it may be 1 to {MAX_DEGREE}.")
    if mmax > lmax:
        raise UserError(f"equiformer-v2 mmax is {mmax}; it may be 0 to lmax, which is {lmax}.")
    for name, least in (("edge_grid", 2 * mmax + 1), ("node_grid", 2 * lmax + 1)):
        _check_grid(name, list(values[name]), lmax + 1, least)
    return EquiformerV2(values, checked_elements(elements))


def features(network: nn.Module, batch: Batch) -> Tensor:
    """Return the scalars that the energy is made of, (n_atoms, sphere_channels): see `calculators.latent`."""
    with inputs_of([cast(EquiformerV2, network).energy]) as seen:
        network(batch)
    scalars: Tensor = seen[0][:, 0]
    return scalars


def _check_grid(name: str, grid: list[Any], latitudes: int, longitudes: int) -> None:
    """Raise unless a grid has two numbers, and points enough to give back what is put on it."""
    if len(grid) != 2 or grid[0] < latitudes or grid[1] < longitudes:
        raise UserError(
            f"equiformer-v2 {name} is {grid}; it must be [latitudes, longitudes], at least [{latitudes}, {longitudes}] "
            "for this lmax and mmax."
        )
