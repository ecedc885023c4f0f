"""Small models with seeded random weights, saved as real checkpoints: toys in place of mocks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule

from gmd26_md.calculators import families
from gmd26_md.calculators.checkpoint import Checkpoint, save_checkpoint

# What makes a family small beside its widths, which `tiny_hyperparameters` cuts to 8.
SMALLER: dict[str, dict[str, Any]] = {
    "mace": {"hidden_irreps": "4x0e + 4x1o", "MLP_irreps": "4x0e", "radial_MLP": [8]},
    # Its own first weights are zero in the last layer, which makes no forces; more blocks of this width make wild ones.
    "dimenet-plus-plus": {"output_initializer": "glorot_orthogonal", "num_blocks": 1, "num_radial": 3},
    # A grid so fine that promises hold to the last digits; what the default one leaves is measured in tests/models.
    "equiformer-v2": {"edge_grid": [4, 36], "node_grid": [24, 48]},
}
ELEMENT_ENERGIES = {1: -10.7, 6: -48.8, 8: -102.5}  # eV; as large as GFN2-xTB's, so that lost digits show


def tiny_hyperparameters(family: str) -> dict[str, Any]:
    """Return the defaults with every whole number from 16 on cut to 8: a new family is small without a word here."""
    defaults = families.default_hyperparameters(family)
    cut = {name: 8 for name, value in defaults.items() if type(value) is int and value >= 16}
    return {**defaults, **cut, **SMALLER.get(family, {})}


def tiny_checkpoint(family: str, seed: int = 7, **others: Any) -> Checkpoint:
    hyperparameters = {**tiny_hyperparameters(family), **others}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = families.build_network(family, hyperparameters, tuple(ELEMENT_ENERGIES))
    return Checkpoint(
        family=family,
        hyperparameters=hyperparameters,
        elements=tuple(ELEMENT_ENERGIES),
        cutoff=hyperparameters["cutoff"],
        element_energies=ELEMENT_ENERGIES,
        element_energies_from="isolated-atoms",
        energy_scale=1.5,
        level_of_theory="gfn2-xtb",
        task="duplication",
        recipe={"batch_size": 10, "learning_rate": 1e-3},
        forces_are_gradient=getattr(network, "forces_are_gradient", True),
        training={"steps": 3, "seed": seed, "force_mae_eV_per_A": [0.5, float("nan")]},
        state_dict=network.state_dict(),
    )


@pytest.fixture(scope="session")
def new_checkpoint():
    """Return a function: family, and hyperparameters that differ -> Checkpoint, not saved."""
    return tiny_checkpoint


@pytest.fixture(scope="session")
def checkpoint_path(tmp_path_factory):
    """Return a function: family, and hyperparameters that differ -> path of a saved checkpoint, made once a session."""
    folder: Path = tmp_path_factory.mktemp("checkpoints")

    def path_of(family: str, **others: Any) -> Path:
        path = folder / f"{'-'.join([family, *(f'{name}={value}' for name, value in others.items())])}.pt"
        if not path.exists():
            save_checkpoint(tiny_checkpoint(family, **others), path)
        return path

    return path_of


@pytest.fixture
def acid() -> Atoms:
    """Return acetic acid, a little off its minimum so that no force is zero by symmetry."""
    atoms = molecule("CH3COOH")
    atoms.positions += np.random.default_rng(3).normal(scale=0.05, size=atoms.positions.shape)
    return atoms


@pytest.fixture
def alcohol() -> Atoms:
    """Return ethanol, off its minimum too."""
    atoms = molecule("CH3CH2OH")
    atoms.positions += np.random.default_rng(4).normal(scale=0.05, size=atoms.positions.shape)
    return atoms


MACE_ALONE = np.array([-13.6, -1030.0, -2040.0])  # eV, as large as DFT's, so that lost digits show


def untrained_mace(dtype: torch.dtype = torch.float64, name: str = "ScaleShiftMACE", **changed):
    """Return a module of mace-torch's, built in the default precision as mace_run_train does."""
    from gmd26_md.calculators._mace_import import mace_imports
    from gmd26_md.calculators.side_effects import contained

    with mace_imports():
        from e3nn import o3
        from mace import modules
    blocks = modules.interaction_classes
    for key, kinds in (
        ("interaction_cls", blocks),
        ("interaction_cls_first", blocks),
        ("readout_cls", modules.readout_classes),
    ):
        if key in changed:
            changed[key] = kinds[changed[key]]
    scaled = {"atomic_inter_scale": 0.7, "atomic_inter_shift": 0.3} if name == "ScaleShiftMACE" else {}
    given = {
        **{"r_max": 3.5, "num_bessel": 4, "num_polynomial_cutoff": 5, "max_ell": 1, "num_interactions": 2},
        **{"interaction_cls": blocks["RealAgnosticResidualInteractionBlock"], "correlation": 2},
        **{"interaction_cls_first": blocks["RealAgnosticInteractionBlock"], "num_elements": 3, "radial_MLP": [4]},
        **{"hidden_irreps": o3.Irreps("2x0e"), "MLP_irreps": o3.Irreps("2x0e"), "gate": torch.nn.functional.silu},
        **{"atomic_energies": MACE_ALONE, "avg_num_neighbors": 8.3, "atomic_numbers": [1, 6, 8]},
        **scaled,
        **changed,
    }
    with contained():
        torch.set_default_dtype(dtype)
        torch.manual_seed(3)
        return getattr(modules, name)(**given)


@pytest.fixture(scope="session")
def mace_module():
    """Return a function that builds a small module of mace-torch's for H, C and O, with E0 as in `MACE_ALONE`."""
    return untrained_mace
