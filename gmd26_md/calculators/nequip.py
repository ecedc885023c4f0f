"""NequIP (Batzner et al., Nat. Commun. 13, 2453, 2022): the interaction layers of the `nequip` package as a family.

The package wants e3nn 0.6, mace-torch 0.4.4: the two share an environment by `scripts/all-families.sh` only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from ase.data import chemical_symbols
from torch import Tensor, nn

from gmd26_md.calculators._hyperparameters import checked_elements, merged, one_of
from gmd26_md.calculators._rebuilt import reduced
from gmd26_md.calculators.batch import Batch
from gmd26_md.calculators.latent import inputs_of
from gmd26_md.errors import UserError

PACKAGES = ("nequip", "e3nn")
INSTALL = "bash scripts/all-families.sh"

# The names are those of nequip's `NequIPGNNModel`, but for `cutoff` (r_max).
DEFAULTS: dict[str, Any] = {
    "cutoff": 5.0,  # Å (r_max)
    "num_layers": 3,
    "l_max": 1,  # largest degree of the features and of the spherical harmonics
    "parity": False,  # whether features of both parities are kept for each degree
    "num_features": 32,  # of each degree; or a list, one count for each degree from 0
    "type_embed_num_features": 0,  # of the element's embedding; 0: as many as features of degree 0
    "radial_mlp_depth": 1,
    "radial_mlp_width": 64,
    "num_bessels": 8,
    "bessel_trainable": False,
    "polynomial_cutoff_p": 6,
    "avg_num_neighbors": 14.0,  # or a list, one for each element by ascending atomic number
    "readout_mlp_hidden_layers_depth": 0,
    "readout_mlp_hidden_layers_width": 0,  # 0: as many as features of degree 0
    "readout_mlp_nonlinearity": "silu",
    "per_type_energy_scales": 1.0,  # in units of `energy_scale`; or a list, one for each element
}
NONLINEARITIES = ("silu", "mish", "gelu", "ssp", "tanh")
_ZERO_MEANS_DEFAULT = ("type_embed_num_features", "readout_mlp_hidden_layers_width")
_MAY_BE_ZERO = (*_ZERO_MEANS_DEFAULT, "l_max", "readout_mlp_hidden_layers_depth")
_MAY_BE_LISTS = ("num_features", "avg_num_neighbors", "per_type_energy_scales")


def network(hyperparameters: Mapping[str, Any], elements: tuple[int, ...]) -> nn.Module:
    """Return an untrained NequIP that maps a `Batch` to atomic energies, (n_atoms,).

    It comes in float64, for the sake of its constants; cast it with `.to(dtype)`.

    Raises
    ------
    UserError
        An unknown hyperparameter, a value that cannot be, or nequip is not installed.
    """
    known = checked_elements(elements)
    return NequIPNetwork(_checked(hyperparameters, len(known)), known)


def features(network: nn.Module, batch: Batch) -> Tensor:
    """Return the scalars that the readout is given of each atom, (n_atoms, n): see `calculators.latent`."""
    vendor: Any = cast(NequIPNetwork, network).vendor
    with inputs_of([vendor.per_atom_energy_readout]) as seen:
        network(batch)
    scalars: Tensor = seen[0]["node_features"]  # the last layer keeps no other degree
    return scalars


class NequIPNetwork(nn.Module):
    """nequip's modules up to the atoms' energies, behind a `Batch`; its neighbour list and force module are not used.

    The state dict holds the learned weights only, named as nequip names them. Constants are those of this process's
    build, exact whatever precision a file was written in. For the same reason a pickle or a copy holds the
    hyperparameters and the weights, and builds the modules anew.
    """

    element_index: Tensor

    def __init__(self, hyperparameters: Mapping[str, Any], elements: tuple[int, ...]) -> None:
        super().__init__()
        self.hyperparameters, self.elements = dict(hyperparameters), tuple(elements)
        self.vendor = _vendor_module(self.hyperparameters, self.elements)
        for module in self.vendor.modules():
            for name, constant in list(module.named_buffers(recurse=False)):
                module.register_buffer(name, constant, persistent=False)
        index = torch.full((120,), len(elements), dtype=torch.int64)
        index[list(elements)] = torch.arange(len(elements))
        self.register_buffer("element_index", index, persistent=False)

    def forward(self, batch: Batch) -> Tensor:
        """Return atomic energies, (n_atoms,), in units of the potential's `energy_scale`."""
        data = {
            "pos": batch.positions,  # for their number only
            "atom_types": self.element_index.index_select(0, batch.numbers),
            "edge_index": batch.pairs,  # (centre, neighbour), as nequip has it
            "edge_vectors": batch.pair_vectors(),
        }
        for layer in self.vendor:
            data = layer(data)
        energy: Tensor = data["atomic_energy"].view(-1)
        return energy

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what pickling and copying need to build the same network again."""
        return reduced(self)

    def _apply(self, *args: Any, **kwargs: Any) -> NequIPNetwork:
        """Cast and move (a hook of torch); nequip's modules keep beside their weights the precision to answer in."""
        super()._apply(*args, **kwargs)
        dtype = next(self.parameters()).dtype
        for module in self.vendor.modules():
            for name in ("_output_dtype", "out_dtype", "model_dtype"):
                if hasattr(module, name):
                    setattr(module, name, dtype)
        return self


def _checked(hyperparameters: Mapping[str, Any], n_elements: int) -> dict[str, Any]:
    """Return complete hyperparameters, the lists among them of the right length."""
    lists = {name: hyperparameters[name] for name in _MAY_BE_LISTS if isinstance(hyperparameters.get(name), list)}
    values = merged(
        "nequip", DEFAULTS, {k: v for k, v in hyperparameters.items() if k not in lists}, may_be_zero=_MAY_BE_ZERO
    )
    one_of("nequip readout_mlp_nonlinearity", values["readout_mlp_nonlinearity"], NONLINEARITIES)
    if values["polynomial_cutoff_p"] < 2:
        raise UserError(f"nequip polynomial_cutoff_p is {values['polynomial_cutoff_p']}; it must be at least 2.")
    for name, several in lists.items():
        for one in several:  # each is held to what a single one is
            merged("nequip", DEFAULTS, {name: one})
        per_degree = name == "num_features"
        wanted, what = (values["l_max"] + 1, "degree from 0 to l_max") if per_degree else (n_elements, "element")
        if len(several) != wanted:
            raise UserError(f"nequip {name} has {len(several)} numbers; it must have {wanted}, one for each {what}.")
    return {**values, **lists}


def _vendor_module(values: Mapping[str, Any], elements: tuple[int, ...]) -> nn.Sequential:
    """Return nequip's sequence of modules from elements and pair vectors to atomic energies, in float64.

    nequip's builders are called without their decorator: that one wants the whole process configured first (seeds,
    default precision, environment, multiprocessing), and seeds by itself.
    """
    from gmd26_md.calculators._nequip_import import built_in_float64, nequip_imports

    with nequip_imports():
        from nequip.model import FullNequIPGNNModel  # first: where it is not, e3nn is another
    from e3nn.o3 import Irreps

    l_max, counts = values["l_max"], values["num_features"]
    counts = counts if isinstance(counts, list) else [counts] * (l_max + 1)
    parities = [(1, -1) if values["parity"] else ((-1) ** degree,) for degree in range(l_max + 1)]
    hidden = Irreps([(counts[degree], (degree, p)) for degree in range(l_max + 1) for p in parities[degree]])
    n_layers = values["num_layers"]
    same = ("num_bessels", "bessel_trainable", "polynomial_cutoff_p", "readout_mlp_hidden_layers_depth")
    names = [chemical_symbols[z] for z in elements]
    scales = values["per_type_energy_scales"]
    with built_in_float64():
        whole = FullNequIPGNNModel.__wrapped__(
            r_max=float(values["cutoff"]),
            type_names=names,
            irreps_edge_sh=repr(Irreps.spherical_harmonics(l_max)),
            type_embed_num_features=values["type_embed_num_features"] or counts[0],
            feature_irreps_hidden=[repr(hidden)] * (n_layers - 1) + [f"{counts[0]}x0e"],
            radial_mlp_depth=[values["radial_mlp_depth"]] * n_layers,
            radial_mlp_width=[values["radial_mlp_width"]] * n_layers,
            readout_mlp_hidden_layers_width=values["readout_mlp_hidden_layers_width"] or None,
            readout_mlp_nonlinearity=values["readout_mlp_nonlinearity"],
            avg_num_neighbors=_by_name(names, values["avg_num_neighbors"]),
            per_type_energy_scales=None if scales == 1.0 else _by_name(names, scales),
            **{name: values[name] for name in same},
        )
        sequence: nn.Sequential = whole.func
    del sequence.total_energy_sum  # the potential's part
    return sequence


def _by_name(names: list[str], value: Any) -> Any:
    """Return a number for all elements as it is, a list by the elements' names."""
    return dict(zip(names, map(float, value), strict=True)) if isinstance(value, list) else float(value)
