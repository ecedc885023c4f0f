"""Features of atoms: every family shows some, and they know nothing of where a molecule lies and how it is numbered."""

from importlib.util import find_spec

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from gmd26_md.calculators import families, latent
from gmd26_md.calculators.batch import Layout
from gmd26_md.calculators.latent import inputs_of, latent_features
from gmd26_md.errors import UserError

VARIANTS = [
    *((family, {}) for family in families.family_names()),
    ("deepset-moe", {"aggregation": "none"}),
    ("deepset-moe", {"decoder": "identity"}),
    ("gemnet", {"direct_forces": True}),
    ("mace", {"hidden_irreps": "4x0e + 4x1o", "correlation": 1}),
]
# EquiformerV2's grid leaves a little of how a molecule is turned, also the fine one of the small checkpoint.
TOLERANCE = {"equiformer-v2": 1e-5}


@pytest.fixture(scope="module", params=VARIANTS, ids=lambda v: "-".join([v[0], *map(str, v[1].values())]))
def model(request, new_checkpoint):
    family, changed = request.param
    if family == "nequip" and find_spec("nequip") is None:
        pytest.skip("nequip is not installed; see docs/environments.md")
    return family, new_checkpoint(family, **changed).potential()


def test_features_do_not_change_when_a_molecule_is_moved_turned_and_renumbered(model, acid):
    family, potential = model
    turn = Rotation.random(rng=5).as_matrix()
    order = np.random.default_rng(6).permutation(len(acid))
    there = latent_features(family, potential, acid.numbers, acid.positions[None])
    moved = (acid.positions @ turn.T + [1.0, -2.0, 3.0])[None, order]
    back = latent_features(family, potential, acid.numbers[order], moved)
    assert there.shape[:2] == (1, len(acid))
    assert np.isfinite(there).all()
    scale = np.abs(there).max()
    assert scale > 0.0
    assert np.abs(back - there[:, order]).max() < TOLERANCE.get(family, 1e-10) * scale, turn  # sums in another order


def test_features_tell_geometries_apart_and_a_frame_from_its_neighbours_in_the_batch(model, acid, monkeypatch):
    family, potential = model
    frames = np.stack([acid.positions, acid.positions * 1.05, acid.positions * 0.97])
    together = latent_features(family, potential, acid.numbers, frames)
    monkeypatch.setattr(latent, "MAX_ATOMS_AT_ONCE", 2 * len(acid))  # two frames, then one
    apart = latent_features(family, potential, acid.numbers, frames)
    assert np.abs(together - apart).max() < 1e-10 * np.abs(together).max()  # the same sums, in other batches
    assert np.abs(together[0] - together[1]).max() > 1e-4 * np.abs(together).max()  # 5 % longer bonds


def test_a_model_is_as_it_was_after_it_was_asked_for_features(model, acid):
    family, potential = model
    batch = Layout.of([acid.numbers]).batch(torch.as_tensor(acid.positions), potential.cutoff)
    before = potential(batch)[0]
    latent_features(family, potential, acid.numbers, acid.positions[None])
    assert torch.equal(before, potential(batch)[0])
    assert not any(module._forward_pre_hooks for module in potential.modules())


def test_the_last_layer_makes_the_energy_of_the_features(new_checkpoint, acid):
    potential = new_checkpoint("deepset-moe").potential()
    found = latent_features("deepset-moe", potential, acid.numbers, acid.positions[None])[0]
    decoder, own = potential.network.decoder, potential.network.self_energy
    batch = Layout.of([acid.numbers]).batch(torch.as_tensor(acid.positions), potential.cutoff)
    species = potential.network.element_index[batch.numbers]
    energies = decoder.last(torch.as_tensor(found))[:, 0] + own[species]
    assert torch.allclose(energies, potential.network(batch), atol=1e-12)  # one layer of float64


def test_without_a_decoder_the_features_add_up_to_the_pairs_energies(new_checkpoint, acid):
    potential = new_checkpoint("deepset-moe", decoder="identity").potential()
    found = latent_features("deepset-moe", potential, acid.numbers, acid.positions[None])[0]
    batch = Layout.of([acid.numbers]).batch(torch.as_tensor(acid.positions), potential.cutoff)
    own = potential.network.self_energy[potential.network.element_index[batch.numbers]]
    assert np.allclose(found.sum(axis=1), (potential.network(batch) - own).numpy(), atol=1e-12)  # sums of float64


def test_a_family_without_features_says_so(acid, new_checkpoint, monkeypatch):
    potential = new_checkpoint("schnet").potential()
    monkeypatch.delattr(families.family_module("schnet"), "features")
    with pytest.raises(UserError, match=r"family schnet does not show features .* --space soap"):
        latent_features("schnet", potential, acid.numbers, acid.positions[None])


def test_the_hooks_are_gone_after_an_error():
    layer = torch.nn.Linear(2, 1)
    with pytest.raises(RuntimeError), inputs_of([layer]):
        layer(torch.zeros(3))
    assert not layer._forward_pre_hooks
