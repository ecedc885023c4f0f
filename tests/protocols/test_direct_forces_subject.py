"""A model whose forces are no gradient is another kind of model, in every report."""

from __future__ import annotations

import torch

from gmd26_md.calculators import families
from gmd26_md.calculators.checkpoint import Checkpoint, save_checkpoint
from gmd26_md.protocols.subject import open_subject

ENERGIES = {1: -10.7, 6: -48.8, 8: -102.5}
SMALL = {"emb_size_atom": 8, "emb_size_edge": 8, "num_blocks": 1}


def saved(path, direct):
    hyperparameters = {**families.default_hyperparameters("gemnet"), **SMALL, "direct_forces": direct}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = families.build_network("gemnet", hyperparameters, tuple(ENERGIES))
    save_checkpoint(
        Checkpoint(
            family="gemnet", hyperparameters=hyperparameters, elements=tuple(ENERGIES), task="duplication",
            cutoff=hyperparameters["cutoff"], element_energies=ENERGIES, element_energies_from="isolated-atoms",
            energy_scale=1.0, level_of_theory="gfn2-xtb", recipe={}, forces_are_gradient=not direct, training={},
            state_dict=network.state_dict(),
        ),
        path,
    )  # fmt: skip
    return str(path)


def test_the_family_of_a_model_with_direct_forces_says_so(tmp_path):
    gradient, direct = (saved(tmp_path / f"{kind}.pt", kind == "direct") for kind in ("gradient", "direct"))
    assert open_subject(gradient, device="cpu").family == "gemnet"
    assert open_subject(direct, device="cpu").family == "gemnet, direct forces"
    assert open_subject([gradient, direct], device="cpu").family == "gemnet+gemnet, direct forces"
