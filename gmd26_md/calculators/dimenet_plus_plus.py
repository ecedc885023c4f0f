"""DimeNet++ (Gasteiger, Giri, Margraf, Günnemann, arXiv 2011.14115): torch_geometric's blocks as a family."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import Any, cast

import torch
from torch import Tensor, nn

from gmd26_md.calculators._hyperparameters import checked_elements, merged, one_of
from gmd26_md.calculators.batch import Batch
from gmd26_md.calculators.latent import inputs_of
from gmd26_md.calculators.side_effects import contained
from gmd26_md.errors import UserError
from gmd26_md.models.dimenet_basis import SphericalBessel
from gmd26_md.models.dimenet_forward import atomic_energies
from gmd26_md.models.smooth_activation import twice_differentiable_silu

PACKAGES = ("torch-geometric",)

DEFAULTS: dict[str, Any] = {
    "cutoff": 5.0,  # Å
    "hidden_channels": 64,
    "num_blocks": 3,
    "int_emb_size": 32,
    "basis_emb_size": 8,
    "out_emb_channels": 64,
    "num_spherical": 7,
    "num_radial": 6,
    "envelope_exponent": 5,
    "num_before_skip": 1,
    "num_after_skip": 2,
    "num_output_layers": 3,
    "output_initializer": "zeros",  # or "glorot_orthogonal"
    "detached_angles": False,  # an experiment: True leaves the angles out of the forces, as one published code does
}
_WIDTHS = ("hidden_channels", "int_emb_size", "basis_emb_size", "out_emb_channels")
_HEAVIEST = 94  # rows of the vendor's embedding, less the one for no element


def network(hyperparameters: Mapping[str, Any], elements: tuple[int, ...]) -> nn.Module:
    """Return an untrained DimeNet++ that maps a `Batch` to atomic energies, (n_atoms,).

    Raises
    ------
    UserError
        An unknown hyperparameter or choice, a width of 1, or an element beyond plutonium.
    """
    values = merged("dimenet-plus-plus", DEFAULTS, hyperparameters)
    one_of("output_initializer", values["output_initializer"], ("zeros", "glorot_orthogonal"))
    narrow = [name for name in _WIDTHS if values[name] < 2]
    if narrow:  # the vendor's first weights divide by their variance
        raise UserError(f"dimenet-plus-plus {narrow[0]} is {values[narrow[0]]}; it must be at least 2.")
    heaviest = checked_elements(elements)[-1]
    if heaviest > _HEAVIEST:
        raise UserError(f"dimenet-plus-plus knows elements up to {_HEAVIEST}, not {heaviest}; use another family.")
    return DimeNetPlusPlus(values)


def features(network: nn.Module, batch: Batch) -> Tensor:
    """Return what makes the energies of all blocks, (n_atoms, n): see `calculators.latent`."""
    blocks: Any = cast(DimeNetPlusPlus, network).output_blocks
    with inputs_of([block.lin for block in blocks]) as seen:
        network(batch)
    return torch.cat(seen, dim=1)


class DimeNetPlusPlus(nn.Module):
    """torch_geometric's blocks behind a `Batch`, with pairs, triplets and a basis of our own.

    Weights have the names and shapes of torch_geometric's `DimeNetPlusPlus`.

    Parameters
    ----------
    hyperparameters
        All of `DEFAULTS`, checked.
    """

    def __init__(self, hyperparameters: Mapping[str, Any]) -> None:
        super().__init__()
        values = dict(hyperparameters)
        vendor, act = _blocks(), twice_differentiable_silu
        self.cutoff, self.detached_angles = float(values["cutoff"]), bool(values["detached_angles"])
        self.forces_are_gradient = not self.detached_angles
        self.bessel = SphericalBessel(values["num_spherical"], values["num_radial"])
        n_radial, width = values["num_radial"], values["hidden_channels"]
        self.rbf = vendor.BesselBasisLayer(n_radial, self.cutoff, values["envelope_exponent"])
        self.emb = vendor.EmbeddingBlock(n_radial, width, act)
        self.output_blocks = nn.ModuleList(
            vendor.OutputPPBlock(
                n_radial,
                width,
                values["out_emb_channels"],
                1,
                values["num_output_layers"],
                act,
                values["output_initializer"],
            )
            for _ in range(values["num_blocks"] + 1)
        )
        self.interaction_blocks = nn.ModuleList(
            vendor.InteractionPPBlock(
                width,
                values["int_emb_size"],
                values["basis_emb_size"],
                values["num_spherical"],
                n_radial,
                values["num_before_skip"],
                values["num_after_skip"],
                act,
            )
            for _ in range(values["num_blocks"])
        )

    def forward(self, batch: Batch) -> Tensor:
        """Return atomic energies, (n_atoms,), in units of the potential's `energy_scale`."""
        return atomic_energies(self, batch)


def _blocks() -> ModuleType:
    """Return torch_geometric's module of DimeNet's blocks, imported.

    Traps. The import adds its own classes to those that torch.load takes for safe, sets an environment variable of
    torch's compiler, and changes the filters of warnings: all taken back.
    """
    safe = torch.serialization.get_safe_globals()
    with contained(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = import_module("torch_geometric.nn.models.dimenet")
    kept = [one for one in torch.serialization.get_safe_globals() if one in safe or _is_torchs(one)]
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals(kept)
    return module


def _is_torchs(safe_global: Any) -> bool:
    """Tell whether this comes from torch, some of whose modules are imported here for the first time."""
    module: str = getattr(safe_global, "__module__", "")
    return module.split(".")[0] == "torch"
