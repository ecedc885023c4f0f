"""What was fitted for the shipped checkpoints belongs to them, is small, and says what the page says."""

import json
from pathlib import Path

import numpy as np
import pytest

from gmd26_md.descriptors.reference import load_reference
from gmd26_md.files import sha256_of

CHECKPOINTS = Path(__file__).resolve().parent.parent / "checkpoints"
MODELS = sorted(CHECKPOINTS.glob("*-duplication.pt"))


@pytest.mark.parametrize("model", MODELS, ids=lambda path: path.stem)
def test_each_checkpoint_has_its_own_space(model):
    path = model.with_suffix(".distance.npz")
    reference = load_reference(path)
    assert reference.identity["sha256"] == sha256_of(model)
    assert reference.made_of["task"] == "duplication"
    assert sorted(reference.elements) == [1, 6, 8]
    assert path.stat().st_size < 300_000


def test_all_checkpoints_share_soap_space_and_oxalic_acid_is_far_in_it(cli):
    path = CHECKPOINTS / "duplication-gfn2-xtb.soap.npz"
    assert path.stat().st_size < 300_000
    assert load_reference(path).made_of["environments"]["O"] == {"n_train": 2400, "n_heldout": 2400}
    frames = CHECKPOINTS / "frames" / "gfn2-xtb"
    means = {}
    for name in ("ethanedioic-acid", "pentanoic-acid"):
        asked = ("distance", "--model", MODELS[0], frames / name / "test.extxyz", "--space", "soap", "--json")
        code, out, _ = cli(*asked)
        assert code == 0
        found = json.loads(out)["molecules"]
        means[name] = np.mean([one["summary"]["soap"]["mahalanobis_mean"] for one in found])
    assert means["pentanoic-acid"] == pytest.approx(1.0, abs=0.2)  # it trains; the mean of all atoms, not their median
    assert means["ethanedioic-acid"] > 10.0  # two COOH bonded to each other: nothing in training is like it
