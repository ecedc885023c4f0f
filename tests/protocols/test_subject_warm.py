"""Models that stay open from one command to the next, in a process that runs many."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from gmd26_md import molecules
from gmd26_md.protocols.subject import keep_warm, open_subject

CHECKPOINTS = Path(__file__).resolve().parents[2] / "checkpoints"


@pytest.fixture
def warm():
    keep_warm(2)
    yield
    keep_warm(0)


@pytest.fixture
def model(tmp_path):
    return Path(shutil.copy(CHECKPOINTS / "schnet-duplication.pt", tmp_path / "model.pt"))


def energies(subject):
    atoms = molecules.get("ethanoic acid").atoms()
    return subject.provider.bind([atoms.numbers])(torch.as_tensor(atoms.positions))


def test_the_same_content_is_opened_once_and_answers_alike(warm, model):
    first = open_subject(str(model))
    before = energies(first)
    again = open_subject(str(model))
    assert again is first
    keep_warm(0)
    fresh = open_subject(str(model))
    assert fresh is not first
    for kept, new in zip(before, energies(fresh), strict=True):
        assert np.array_equal(kept.numpy(), new.numpy())


def test_other_content_precision_or_arguments_are_another_model(warm, model):
    first = open_subject(str(model))
    assert open_subject(str(model), dtype="float32").dtype == "float32"
    shutil.copy(CHECKPOINTS / "painn-duplication.pt", model)
    assert open_subject(str(model)).family == "painn" != first.family


def test_no_more_are_kept_than_asked_for(warm, model):
    first = open_subject(str(model))
    open_subject(str(model), dtype="float32")
    assert open_subject(str(model)) is first  # and is the one used last
    open_subject(str(CHECKPOINTS / "painn-duplication.pt"))
    assert open_subject(str(model)) is first
    assert open_subject(str(model), dtype="float32") is open_subject(str(model), dtype="float32")
    assert open_subject(str(CHECKPOINTS / "painn-duplication.pt")).family == "painn"
    assert open_subject(str(model)) is not first


def test_calculators_of_ase_are_not_kept_for_they_hold_a_state(warm, model):
    assert open_subject(str(model), engine="ase") is not open_subject(str(model), engine="ase")
