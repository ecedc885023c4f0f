"""What SchNet and PaiNN share: importing schnetpack without a trace, and feeding its modules from a `Batch`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.utils.data import dataloader

from gmd26_md.calculators.batch import Batch
from gmd26_md.calculators.latent import inputs_of
from gmd26_md.calculators.side_effects import contained
from gmd26_md.models.painn_forward import painn_features
from gmd26_md.models.schnet_forward import schnet_features

# Evaluations of our own for weights that do not learn, by the class that they know; subclasses may do anything.
_FORWARDS: dict[str, Callable[[Any, Batch], Tensor]] = {
    "schnetpack.representation.schnet.SchNet": schnet_features,
    "schnetpack.representation.painn.PaiNN": painn_features,
}


def import_schnetpack() -> ModuleType:
    """Return schnetpack, imported; the import's own warnings, and its filter for them, are not kept."""
    with schnetpack_imports(), contained(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import schnetpack
        import schnetpack.atomistic
        import schnetpack.representation
    return schnetpack


@contextmanager
def schnetpack_imports() -> Iterator[None]:
    """Let schnetpack and its parts be imported inside the block, also by a pickle that asks for them.

    Trap: schnetpack 2.0.4 takes the type variable `T_co` from `torch.utils.data.dataloader`, where torch 2.13 has
    none; it is lent for the time of the block.
    """
    lent = not hasattr(dataloader, "T_co")
    if lent:
        dataloader.T_co = TypeVar("T_co", covariant=True)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        if lent:
            del dataloader.T_co  # type: ignore[attr-defined]


def radial_basis(name: str, n_rbf: int, cutoff: float) -> nn.Module:
    """Return schnetpack's radial basis of that name ("gaussian" or "bessel")."""
    layers = import_schnetpack().nn
    basis: nn.Module = (layers.GaussianRBF if name == "gaussian" else layers.BesselRBF)(n_rbf=n_rbf, cutoff=cutoff)
    return basis


class AtomicEnergies(nn.Module):
    """A representation and an atomwise output network of schnetpack, from a `Batch` to (n_atoms,) energies.

    While a weight learns, the vendor's own evaluation is used, which can be differentiated as often as one likes. When
    none does, as in dynamics, the same numbers come from one that is faster and can be differentiated once.
    """

    def __init__(self, representation: nn.Module, atomwise: nn.Module) -> None:
        super().__init__()
        self.representation = representation
        self.atomwise = atomwise

    def forward(self, batch: Batch) -> Tensor:
        """Return atomic energies, (n_atoms,), in units of the potential's `energy_scale`."""
        learns = any(weight.requires_grad for weight in self.parameters())
        features = _vendor_features if learns else _forward_of(self.representation)
        energy: Tensor = self.atomwise({"scalar_representation": features(self.representation, batch)})["atom_energy"]
        return energy[:, 0]


def _forward_of(representation: nn.Module) -> Callable[[Any, Batch], Tensor]:
    """Return the fastest evaluation of a representation: representation, batch -> features."""
    kind = type(representation)
    if getattr(representation, "share_filters", False):
        return _vendor_features
    return _FORWARDS.get(f"{kind.__module__}.{kind.__qualname__}", _vendor_features)


def _vendor_features(representation: nn.Module, batch: Batch) -> Tensor:
    """Return the scalar features of each atom, (n_atoms, n_atom_basis), as the vendor's own forward has them."""
    inputs: dict[str, Any] = {
        "_atomic_numbers": batch.numbers,
        "_Rij": batch.pair_vectors(),
        "_idx_i": batch.pairs[0],
        "_idx_j": batch.pairs[1],
    }
    features: Tensor = representation(inputs)["scalar_representation"]
    return features


def with_atomwise(representation: nn.Module, n_atom_basis: int) -> AtomicEnergies:
    """Return the representation with schnetpack's two-layer atomwise network on top, one output an atom."""
    spk = import_schnetpack()
    atomwise = spk.atomistic.Atomwise(
        n_in=n_atom_basis, output_key="energy", per_atom_output_key="atom_energy", aggregation_mode=None
    )
    return AtomicEnergies(representation, atomwise)


def scalar_features(network: nn.Module, batch: Batch) -> Tensor:
    """Return what the output network is given of each atom, (n_atoms, n_atom_basis)."""
    with inputs_of([cast(AtomicEnergies, network).atomwise]) as seen:
        network(batch)
    features: Tensor = seen[0]["scalar_representation"]
    return features


def activation(name: str) -> Any:
    """Return schnetpack's activation function of that name ("shifted_softplus" or "silu")."""
    return torch.nn.functional.silu if name == "silu" else import_schnetpack().nn.shifted_softplus
