"""MACE (Batatia et al., NeurIPS 2022): mace-torch's ScaleShiftMACE as a family."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from gmd26_md.calculators._hyperparameters import checked_elements, merged, one_of
from gmd26_md.calculators._rebuilt import reduced
from gmd26_md.calculators.batch import Batch
from gmd26_md.calculators.latent import inputs_of
from gmd26_md.models.mace_forward import MACEForward, is_plain

PACKAGES = ("mace-torch", "e3nn")

DEFAULTS: dict[str, Any] = {
    "cutoff": 5.0,  # Å (r_max)
    "hidden_irreps": "32x0e",
    "max_ell": 2,
    "correlation": 2,
    "num_interactions": 2,
    "num_bessel": 8,
    "num_polynomial_cutoff": 6,
    "radial_MLP": [32, 32],
    "MLP_irreps": "16x0e",
    "avg_num_neighbors": 14.0,
    # What follows is for models that others have trained: any of it is evaluated by mace-torch's own forward.
    "interaction_cls": "RealAgnosticResidualInteractionBlock",
    "interaction_cls_first": "RealAgnosticInteractionBlock",
    "readout_cls": "NonLinearReadoutBlock",
    "gate": "silu",
    "radial_type": "bessel",
    "distance_transform": "None",
    "pair_repulsion": False,  # Ziegler-Biersack-Littmark
    "edge_irreps": "",  # those of the features
    "apply_cutoff": True,
    "use_edge_irreps_first": False,
    "use_reduced_cg": True,
    "use_so3": False,
    "use_agnostic_product": False,
    "use_last_readout_only": False,
    "keep_last_layer_irreps": False,
}
_FAST = tuple(DEFAULTS)[tuple(DEFAULTS).index("interaction_cls") :]  # at their defaults, `MACEForward` knows the model
_CHOICES = {
    "radial_type": ("bessel", "gaussian", "chebyshev"),
    "distance_transform": ("None", "Agnesi", "Soft"),
    "gate": ("silu", "tanh", "abs", "None"),
}


def network(hyperparameters: Mapping[str, Any], elements: tuple[int, ...]) -> nn.Module:
    """Return an untrained MACE that maps a `Batch` to atomic energies, (n_atoms,).

    It comes in float64, for the sake of its constants; cast it with `.to(dtype)`.

    Raises
    ------
    UserError
        An unknown hyperparameter or choice.
    """
    values = merged("mace", DEFAULTS, hyperparameters)
    for name, allowed in _CHOICES.items():
        one_of(f"mace {name}", values[name], allowed)
    known = checked_elements(elements)
    return MACENetwork(values, known)


def features(network: nn.Module, batch: Batch) -> Tensor:
    """Return the scalars among what the readouts are given of each atom, (n_atoms, n): see `calculators.latent`.

    By mace-torch's own road, in which the readouts are called.
    """
    mace = cast(MACENetwork, network)
    readouts: Any = mace.vendor.readouts
    with inputs_of(readouts) as seen:
        mace.vendor_forward(batch)
    found = []
    for readout, given in zip(readouts, seen, strict=True):
        irreps = (readout.linear_1 if hasattr(readout, "linear_1") else readout.linear).irreps_in
        parts = zip(irreps, irreps.slices(), strict=True)
        found += [given[:, part] for (_, ir), part in parts if (ir.l, ir.p) == (0, 1)]
    return torch.cat(found, dim=1)


class MACENetwork(nn.Module):
    """mace-torch's module behind a `Batch`: its own graph building is not used, its energies of atoms are.

    The state dict holds the learned weights only. Constants (Clebsch-Gordan coefficients, the cutoff, and so on) are
    those of this process's build: a file written from float32 does not spoil them for float64, and they do not tie it
    to a version of e3nn. For the same reason a pickle or a copy holds the hyperparameters and the weights and builds
    the module anew: e3nn's own way compiles TorchScript for every copy.
    """

    element_index: Tensor

    def __init__(self, hyperparameters: Mapping[str, Any], elements: tuple[int, ...]) -> None:
        super().__init__()
        self.hyperparameters, self.elements = dict(hyperparameters), tuple(elements)
        self.vendor = _vendor_module(self.hyperparameters, self.elements)
        usual = all(self.hyperparameters[name] == DEFAULTS[name] for name in _FAST)
        self.own = MACEForward(self.vendor) if usual and is_plain(self.vendor) else None
        self.register_buffer("element_index", element_index(elements), persistent=False)
        self.register_state_dict_post_hook(_drop_constants)
        self.register_load_state_dict_pre_hook(_add_constants)

    def forward(self, batch: Batch) -> Tensor:
        """Return atomic energies, (n_atoms,), in units of the potential's `energy_scale`."""
        if self.own is None:
            return self.vendor_forward(batch)
        species = self.element_index.index_select(0, batch.numbers)
        energy: Tensor = self.own(self.vendor, batch.positions, species, batch.pairs)
        return energy

    def vendor_forward(self, batch: Batch) -> Tensor:
        """Return what `forward` does by mace-torch's own road: for any hyperparameters, several times slower."""
        species = self.element_index.index_select(0, batch.numbers)
        graph = vendor_graph(batch, species, len(self.elements))
        energy: Tensor = self.vendor(graph, compute_force=False)["node_energy"]
        return energy.to(batch.positions.dtype)

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what pickling and copying need to build the same network again."""
        return reduced(self)


def element_index(elements: tuple[int, ...]) -> Tensor:
    """Return the place among `elements` of every atomic number, (120,); their count for one that is not there."""
    index = torch.full((120,), len(elements), dtype=torch.int64)
    index[list(elements)] = torch.arange(len(elements))
    return index


def vendor_graph(batch: Batch, species: Tensor, n_elements: int, head: int = 0) -> dict[str, Tensor]:
    """Return a batch in mace's words; no cell, no shifts, one head for all.

    Parameters
    ----------
    species
        Element index of each atom, (n_atoms,).
    """
    like, counts = batch.positions, torch.bincount(batch.system_idx, minlength=batch.n_systems)
    table = torch.eye(n_elements, dtype=like.dtype, device=like.device)
    centre, neighbour = batch.pairs
    no_shift = like.new_zeros((batch.pairs.shape[1], 3))
    return {
        "positions": like,
        "node_attrs": table.index_select(0, species),  # raises for an element that is not known
        "edge_index": torch.stack([neighbour, centre]),  # (sender, receiver)
        "shifts": no_shift,
        "unit_shifts": no_shift,
        "cell": like.new_zeros((3 * batch.n_systems, 3)),
        "batch": batch.system_idx,
        "ptr": torch.cat([counts.new_zeros(1), counts.cumsum(0)]),
        "head": counts.new_full((batch.n_systems,), head),
    }


def _vendor_module(values: Mapping[str, Any], elements: tuple[int, ...]) -> nn.Module:
    """Return mace-torch's ScaleShiftMACE in float64: energies of isolated atoms zero, scale one, shift zero."""
    from gmd26_md.calculators._mace_import import built_in_float64, mace_imports

    with mace_imports():
        from e3nn import o3
        from mace.modules import gate_dict, interaction_classes, readout_classes
        from mace.modules.models import ScaleShiftMACE
    for name in ("interaction_cls", "interaction_cls_first"):
        one_of(f"mace {name}", values[name], interaction_classes)
    one_of("mace readout_cls", values["readout_cls"], readout_classes)
    with built_in_float64():
        vendor: nn.Module = ScaleShiftMACE(
            atomic_inter_scale=1.0,
            atomic_inter_shift=0.0,
            r_max=float(values["cutoff"]),
            num_bessel=values["num_bessel"],
            num_polynomial_cutoff=values["num_polynomial_cutoff"],
            max_ell=values["max_ell"],
            interaction_cls=interaction_classes[values["interaction_cls"]],
            interaction_cls_first=interaction_classes[values["interaction_cls_first"]],
            num_interactions=values["num_interactions"],
            num_elements=len(elements),
            hidden_irreps=o3.Irreps(values["hidden_irreps"]),
            MLP_irreps=o3.Irreps(values["MLP_irreps"]),
            gate=gate_dict[values["gate"]],
            atomic_energies=torch.zeros(len(elements)).numpy(),
            avg_num_neighbors=float(values["avg_num_neighbors"]),
            atomic_numbers=list(elements),
            correlation=values["correlation"],
            radial_MLP=list(values["radial_MLP"]),
            radial_type=values["radial_type"],
            distance_transform=values["distance_transform"],
            readout_cls=readout_classes[values["readout_cls"]],
            edge_irreps=o3.Irreps(values["edge_irreps"]) if values["edge_irreps"] else None,
            **{name: values[name] for name in _FAST if isinstance(DEFAULTS[name], bool)},
        )
    return vendor


def _constants(module: nn.Module) -> dict[str, Tensor]:
    """Return the constants of the vendor's module by name, as a state dict names them."""
    return {name: tensor for name, tensor in module.named_buffers() if name.startswith("vendor.")}


def _drop_constants(module: nn.Module, state_dict: dict[str, Tensor], prefix: str, _: Any) -> None:
    """Leave the constants out of a state dict (a hook of torch)."""
    for name in _constants(module):
        state_dict.pop(prefix + name, None)


def _add_constants(module: nn.Module, state_dict: dict[str, Tensor], prefix: str, *_: Any) -> None:
    """Put the module's own constants into a state dict that is about to be loaded (a hook of torch)."""
    for name, tensor in _constants(module).items():
        state_dict[prefix + name] = tensor
