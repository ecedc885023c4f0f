"""A checkpoint comes back as it was saved; a card or weights that cannot be are refused in one line."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from gmd26_md.calculators import checkpoint_file
from gmd26_md.calculators.checkpoint import load_checkpoint, save_checkpoint
from gmd26_md.errors import UserError
from gmd26_md.files import sha256_of

FAMILY = "deepset-moe"  # needs no vendor, so these tests are quick


@pytest.fixture
def saved(new_checkpoint, tmp_path):
    path = tmp_path / "model.pt"
    save_checkpoint(new_checkpoint(FAMILY), path)
    return path


def refusal(path) -> str:
    """Return the one line with which loading is refused."""
    with pytest.raises(UserError) as caught:
        load_checkpoint(path)
    message = str(caught.value)
    assert "\n" not in message
    return message


def card_and_weights(path) -> tuple[dict, dict]:
    contents = checkpoint_file.read(path)
    return json.loads(contents.card), contents.state_dict


# --- what is saved comes back


def test_a_checkpoint_comes_back_as_it_was_saved(saved, new_checkpoint):
    wanted, got = new_checkpoint(FAMILY), load_checkpoint(saved)
    for name in (
        "family",
        "hyperparameters",
        "elements",
        "cutoff",
        "element_energies",
        "energy_scale",
        "recipe",
        "task",
    ):
        assert getattr(got, name) == getattr(wanted, name), name
    assert got.training["steps"] == 3
    assert np.isnan(got.training["force_mae_eV_per_A"][1])  # a diverged validation survives strict JSON
    assert set(got.state_dict) == set(wanted.state_dict)
    assert all(torch.equal(got.state_dict[name], wanted.state_dict[name]) for name in got.state_dict)
    assert got.sha256 == sha256_of(saved)
    assert got.path == saved


def test_the_same_checkpoint_gives_the_same_bytes_whatever_the_file_is_called(saved, new_checkpoint, tmp_path):
    save_checkpoint(new_checkpoint(FAMILY), tmp_path / "other-name.pt")
    assert sha256_of(saved) == sha256_of(tmp_path / "other-name.pt")


def test_saving_what_was_loaded_changes_nothing(saved, tmp_path):
    assert save_checkpoint(load_checkpoint(saved), tmp_path / "again.pt") == sha256_of(saved)


def test_a_slice_of_a_large_tensor_is_saved_without_the_rest(new_checkpoint, tmp_path, saved):
    checkpoint = new_checkpoint(FAMILY)
    views = {name: torch.cat([w.reshape(-1), torch.zeros(10**5)])[: w.numel()].reshape(w.shape)
             for name, w in checkpoint.state_dict.items()}  # fmt: skip
    save_checkpoint(replace(checkpoint, state_dict=views), tmp_path / "views.pt")
    assert (tmp_path / "views.pt").stat().st_size < 2 * saved.stat().st_size


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_potential_is_ready_to_evaluate_and_frozen(saved, dtype):
    potential = load_checkpoint(saved).potential("cpu", dtype)
    assert not potential.training
    assert all(p.dtype == getattr(torch, dtype) and not p.requires_grad for p in potential.parameters())
    assert potential.energy_scale == 1.5
    assert potential.element_energies[8] == -102.5


def test_two_potentials_of_one_checkpoint_share_no_weights(saved):
    checkpoint = load_checkpoint(saved)
    first, second = checkpoint.potential(), checkpoint.potential()
    with torch.no_grad():
        for weight in first.parameters():
            weight.zero_()
    assert any(weight.abs().sum() > 0 for weight in second.parameters())
    assert any(weight.abs().sum() > 0 for weight in checkpoint.state_dict.values())


def test_a_failed_save_leaves_the_old_file_and_no_litter(saved, new_checkpoint):
    before = saved.read_bytes()
    diverged = {name: weight * float("nan") for name, weight in new_checkpoint(FAMILY).state_dict.items()}
    with pytest.raises(UserError, match="NaN or infinite weights"):
        save_checkpoint(replace(new_checkpoint(FAMILY), state_dict=diverged), saved)
    assert saved.read_bytes() == before
    assert [p.name for p in saved.parent.iterdir()] == ["model.pt"]


# --- cards and weights that cannot be


def without(name):
    return lambda card: card.pop(name)


def setting(**values):
    return lambda card: card.update(values)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (without("cutoff"), "lacks cutoff in its card"),
        (without("element_energies"), "lacks element_energies"),
        (setting(family="deepset-mo"), "Did you mean 'deepset-moe'"),
        (setting(family=3), "family = 3"),
        (setting(elements=[1, 6, 200]), "atomic numbers from 1 to 118"),
        (setting(elements=[1, 1, 6]), "different atomic numbers"),
        (setting(elements=[]), "elements = []"),
        (setting(elements="CHO"), "should be list"),
        (setting(element_energies={"1": 0.0}), "element_energies for ['1']"),
        (setting(element_energies={"1": "NaN", "6": 0.0, "8": 0.0}), "only finite numbers"),
        (setting(element_energies={"1": None, "6": 0.0, "8": 0.0}), "only finite numbers"),
        (setting(element_energies_from="guess"), "allowed: isolated-atoms, least-squares, zero"),
        (setting(cutoff=-5.0), "cutoff = -5.0"),
        (setting(cutoff=4.0), "5.0 Å among the hyperparameters"),
        (setting(energy_scale=0), "energy_scale = 0"),
        (setting(energy_scale=True), "energy_scale = True"),
        (setting(forces_are_gradient="yes"), "forces_are_gradient = 'yes'"),
    ],
)
def test_a_card_that_cannot_be_is_refused(saved, change, said):
    card, weights = card_and_weights(saved)
    change(card)
    checkpoint_file.write(saved, json.dumps(card), weights)
    assert said in refusal(saved)


@pytest.mark.parametrize("card", ["{", "[]", '"text"', "[" * 100_000, '{"cutoff": ' + "9" * 5000 + "}"])
def test_a_card_that_is_no_object_is_refused(saved, card):
    _, weights = card_and_weights(saved)
    checkpoint_file.write(saved, card, weights)
    assert "card" in refusal(saved)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_one_weight_that_is_not_finite_is_enough_to_be_refused(saved, value):
    card, weights = card_and_weights(saved)
    name = next(name for name, weight in weights.items() if weight.is_floating_point())
    weights[name].view(-1)[0] = value
    checkpoint_file.write(saved, json.dumps(card), weights)
    assert "NaN or infinite weights in " + name in refusal(saved)


def potential_refusal(path, change) -> str:
    card, weights = card_and_weights(path)
    change(weights)
    checkpoint_file.write(path, json.dumps(card), weights)
    with pytest.raises(UserError) as caught:
        load_checkpoint(path).potential()
    return str(caught.value)


def test_missing_weights_are_refused(saved):
    assert "lacks 1 weights of deepset-moe" in potential_refusal(saved, lambda w: w.pop(sorted(w)[0]))


def test_weights_too_many_are_refused(saved):
    assert "has 1 weights deepset-moe has not, spare first" in potential_refusal(
        saved, lambda w: w.update(spare=torch.zeros(1))
    )


def test_weights_of_another_shape_are_refused(saved):
    def widen(weights):
        name = next(n for n in sorted(weights) if weights[n].ndim == 2)
        weights[name] = torch.zeros(1, *weights[name].shape)

    assert "deepset-moe needs" in potential_refusal(saved, widen)


def test_hyperparameters_that_the_family_does_not_have_are_refused(saved):
    card, weights = card_and_weights(saved)
    card["hyperparameters"]["expert_widht"] = 8
    checkpoint_file.write(saved, json.dumps(card), weights)
    with pytest.raises(UserError, match="Did you mean 'expert_width'"):
        load_checkpoint(saved).potential()


@pytest.mark.parametrize("size", [10**9, [8, 10**9]])
def test_a_size_that_no_weight_has_is_refused_before_anything_is_built(saved, size):
    card, weights = card_and_weights(saved)
    card["hyperparameters"]["expert_width"] = size
    checkpoint_file.write(saved, json.dumps(card), weights)
    assert "expert_width = 1000000000 in its card, and no weights of that size" in refusal(saved)


def test_whole_numbers_in_place_of_weights_are_refused(saved):
    def truncate(weights):
        name = next(n for n in sorted(weights) if weights[n].is_floating_point())
        weights[name] = weights[name].long()

    assert "int64, deepset-moe needs float" in potential_refusal(saved, truncate)


def test_a_card_that_says_otherwise_of_the_forces_is_refused(saved, new_checkpoint):
    save_checkpoint(replace(new_checkpoint(FAMILY), forces_are_gradient=False), saved)
    with pytest.raises(UserError, match="does the opposite"):
        load_checkpoint(saved).potential()
