"""GemNet-T and GemNet-dT (Gasteiger, Becker, Günnemann, NeurIPS 2021, arXiv 2106.08903) as a family.

The architecture is in `models.gemnet`; small defaults, the paper's values are in its recipe and page.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from gmd26_md.calculators._hyperparameters import checked_elements, merged, one_of
from gmd26_md.calculators.batch import Batch, Layout
from gmd26_md.calculators.latent import inputs_of
from gmd26_md.models.gemnet import GemNetT
from gmd26_md.models.gemnet_layers import fit_scales

DEFAULTS: dict[str, Any] = {
    "cutoff": 5.0,  # Å
    "num_blocks": 2,
    "num_spherical": 7,  # harmonics of angles, degrees 0 to 6
    "num_radial": 6,
    "envelope_exponent": 5,
    "circular_basis": "by-degree",  # spherical Bessel functions of each degree; "shared": one radial basis for all
    "emb_size_atom": 64,
    "emb_size_edge": 64,
    "emb_size_trip": 32,
    "emb_size_rbf": 16,
    "emb_size_cbf": 16,
    "emb_size_bil_trip": 32,
    "num_before_skip": 1,
    "num_after_skip": 1,
    "num_concat": 1,
    "num_atom": 2,
    "direct_forces": False,  # a force along each edge in place of the energy's gradient: GemNet-dT
    "forces_coupled": False,  # of direct forces: equal and opposite for the two directions of an edge
}
CIRCULAR_BASES = ("by-degree", "shared")
MAY_BE_ZERO = ("num_before_skip", "num_after_skip", "num_concat", "num_atom")


def network(hyperparameters: Mapping[str, Any], elements: tuple[int, ...]) -> nn.Module:
    """Return an untrained network that maps a `Batch` to atomic energies, or to energies and direct forces.

    Its scaling factors are fitted to its first weights, on three small molecules; they stand in the state dict.

    Raises
    ------
    UserError
        An unknown hyperparameter or choice, or a value out of range.
    """
    values = merged("gemnet", DEFAULTS, hyperparameters, may_be_zero=MAY_BE_ZERO)
    one_of("circular_basis", values["circular_basis"], CIRCULAR_BASES)
    known = checked_elements(elements)
    gemnet = GemNetT(values, known)
    fit_scales(gemnet, _example(known, float(values["cutoff"])))
    return gemnet


def features(network: nn.Module, batch: Batch) -> Tensor:
    """Return what makes the energies of all blocks, (n_atoms, n): see `calculators.latent`."""
    outputs: Any = cast(GemNetT, network).outputs
    with inputs_of([output.energy for output in outputs]) as seen:
        network(batch)
    return torch.cat(seen, dim=1)


def _example(elements: tuple[int, ...], cutoff: float) -> Batch:
    """Return acetic acid, butane and spiropentane; elements that are not known give way to some that are."""
    from ase.build import molecule

    systems = [molecule(name) for name in ("CH3COOH", "trans-butane", "C5H8")]
    numbers = [[z if z in elements else elements[z % len(elements)] for z in atoms.numbers] for atoms in systems]
    layout = Layout.of([np.array(z) for z in numbers])
    positions = np.concatenate([atoms.positions for atoms in systems])
    return layout.batch(torch.as_tensor(positions, dtype=torch.get_default_dtype()), cutoff)
