"""SchNet (Schütt et al., J. Chem. Phys. 148, 241722, 2018): schnetpack's modules as a family."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from gmd26_md.calculators._hyperparameters import checked_elements, merged, one_of
from gmd26_md.calculators.batch import Batch

PACKAGES = ("schnetpack",)

DEFAULTS: dict[str, Any] = {
    "cutoff": 5.0,  # Å
    "n_atom_basis": 64,
    "n_interactions": 3,
    "n_filters": 64,
    "n_rbf": 25,
    "radial_basis": "gaussian",  # or "bessel"
    "activation": "shifted_softplus",  # or "silu"
    "shared_interactions": False,
}


def network(hyperparameters: Mapping[str, Any], elements: tuple[int, ...]) -> nn.Module:
    """Return an untrained SchNet that maps a `Batch` to atomic energies, (n_atoms,).

    The embedding has a row for every element up to the heaviest of `elements`, as schnetpack's has.

    Raises
    ------
    UserError
        An unknown hyperparameter or choice.
    """
    from gmd26_md.calculators._schnetpack import activation, import_schnetpack, radial_basis, with_atomwise

    values = merged("schnet", DEFAULTS, hyperparameters)
    one_of("radial basis", values["radial_basis"], ("bessel", "gaussian"))
    one_of("activation", values["activation"], ("shifted_softplus", "silu"))
    spk = import_schnetpack()
    representation = spk.representation.SchNet(
        n_atom_basis=values["n_atom_basis"],
        n_interactions=values["n_interactions"],
        n_filters=values["n_filters"],
        radial_basis=radial_basis(values["radial_basis"], values["n_rbf"], values["cutoff"]),
        cutoff_fn=spk.nn.CosineCutoff(values["cutoff"]),
        max_z=checked_elements(elements)[-1] + 1,
        activation=activation(values["activation"]),
        shared_interactions=values["shared_interactions"],
    )
    return with_atomwise(representation, values["n_atom_basis"])


def features(network: nn.Module, batch: Batch) -> Tensor:
    """Return the scalar representation of each atom, (n_atoms, n_atom_basis): see `calculators.latent`."""
    from gmd26_md.calculators._schnetpack import scalar_features

    return scalar_features(network, batch)
