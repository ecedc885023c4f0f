"""`gmd26-md convert`: another package's file once, or weights alone, into a checkpoint; and a run without it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from ase.build import molecule

from gmd26_md import load_calculator, load_checkpoint
from gmd26_md.calculators.vendors.weights import of_weights
from gmd26_md.errors import UserError
from gmd26_md.records import read_records

ETHANOL = molecule("CH3CH2OH")
ETHANOL.rattle(0.05, seed=1)


def same_answer(one, other, tolerance: float = 1e-9) -> bool:
    both = [(c.get_property("energy", ETHANOL), c.get_property("forces", ETHANOL)) for c in (one, other)]
    assert np.abs(both[0][1]).max() > 1e-4, "if this fails, there is nothing to compare"
    return abs(both[0][0] - both[1][0]) < tolerance and np.abs(both[0][1] - both[1][1]).max() < tolerance


def test_a_model_is_converted_once_and_then_needs_no_trust(cli, mace_module, tmp_path):
    torch.save(mace_module(), tmp_path / "tiny.model")
    given = ("convert", tmp_path / "tiny.model", "-o", tmp_path / "new" / "model.pt")
    code, out, err = cli(*given)
    assert (code, out) == (2, "")
    assert "--trust-pickle" in err
    (tmp_path / "new").mkdir()
    code, out, err = cli(*given, "--trust-pickle", "--level-of-theory", "pbe", "--task", "duplication")
    assert (code, err) == (0, "")
    assert "mace, H C O, cutoff 3.5 Å" in out
    checkpoint = load_checkpoint(tmp_path / "new" / "model.pt")
    assert (checkpoint.level_of_theory, checkpoint.task) == ("pbe", "duplication")
    trusted = load_calculator(tmp_path / "tiny.model", device="cpu", trust_pickle=True)
    assert same_answer(load_calculator(tmp_path / "new" / "model.pt", device="cpu"), trusted)
    code, _, err = cli(*given, "--trust-pickle")
    assert (code, "exists; give -o another name" in err) == (2, True)
    code, _, err = cli("convert", tmp_path / "new" / "model.pt", "-o", tmp_path / "twice.pt")
    assert (code, "is a checkpoint of ours already" in err) == (2, True)


def test_a_trusted_file_runs_through_stability_as_it_is(cli, mace_module, frames_folder, tmp_path):
    torch.save(mace_module(), tmp_path / "tiny.model")
    code, out, err = cli(
        *("stability", "--model", tmp_path / "tiny.model", "--trust-pickle", "--level-of-theory", "gfn2-xtb"),
        *("--task", "duplication", "--only", "acetic acid", "--frames", frames_folder, "--temperature-K", 1),
        *("--thermalise-ps", 0.002, "--run-ps", 0.003, "--save-every-fs", 1, "--n-label-frames", 0, "--json"),
        *("--device", "cpu", "--out", tmp_path / "run"),
    )
    assert code == 0, err
    assert "it runs as our mace, which was held against the original" in err
    json.loads(out)
    records = read_records(tmp_path / "run" / "records.jsonl")
    assert {r.protocol for r in records} == {"stability", "static-errors"}
    assert {r.family for r in records} == {"mace"}
    assert "batched" in records[0].device


# --- weights alone


def toml_of(tmp_path, text: str):
    (tmp_path / "hyper.toml").write_text(text)
    return tmp_path / "hyper.toml"


SCHNET = """
elements = ["H", "C", "O"]
energy_scale = 1.5
level_of_theory = "gfn2-xtb"
[element_energies]
H = -10.7
C = -48.8
O = -102.5
[hyperparameters]
n_atom_basis = 8
n_filters = 8
n_rbf = 8
"""


@pytest.mark.parametrize("names", ["ours", "schnetpack's", "a trainer's"])
def test_weights_with_a_family_and_hyperparameters_become_a_checkpoint(cli, checkpoint_path, tmp_path, names):
    weights = load_checkpoint(checkpoint_path("schnet")).state_dict
    if names == "schnetpack's":
        weights = {n.replace("atomwise.", "output_modules.0."): w for n, w in weights.items()}
    saved = weights if names != "a trainer's" else {"state_dict": {f"model.{n}": w for n, w in weights.items()}}
    torch.save(saved, tmp_path / "weights.pt")
    code, out, err = cli(
        *("convert", tmp_path / "weights.pt", "--family", "schnet", "-o", tmp_path / "model.pt", "--json"),
        *("--hyperparameters", toml_of(tmp_path, SCHNET)),
    )
    assert (code, err) == (0, "")
    assert json.loads(out)["family"] == "schnet"
    made = load_calculator(tmp_path / "model.pt", device="cpu")
    assert same_answer(made, load_calculator(checkpoint_path("schnet"), device="cpu"))


MACE = """
elements = ["C", "H", "O"]
[hyperparameters]
cutoff = 3.5
num_bessel = 4
num_polynomial_cutoff = 5
max_ell = 1
correlation = 2
radial_MLP = [4]
hidden_irreps = "2x0e"
MLP_irreps = "2x0e"
avg_num_neighbors = 8.3
"""


@pytest.mark.parametrize("alone", ["in the file", "in the hyperparameters"])
def test_a_state_dict_of_mace_brings_its_energies_and_its_scale(cli, mace_module, tmp_path, alone):
    weights, text = mace_module().state_dict(), MACE
    if alone != "in the file":
        energies = weights.pop("atomic_energies_fn.atomic_energies").flatten().tolist()
        lines = [f"{symbol} = {energy}" for symbol, energy in zip("HCO", energies, strict=True)]
        text += "\n".join(["[element_energies]", *lines])
    torch.save(weights, tmp_path / "weights.pt")
    torch.save(mace_module(), tmp_path / "whole.model")
    given = ("convert", tmp_path / "weights.pt", "--family", "mace", "--hyperparameters", toml_of(tmp_path, text))
    code, _, err = cli(*given, "-o", tmp_path / "model.pt")
    assert (code, err) == (0, "")
    made = load_calculator(tmp_path / "model.pt", device="cpu")
    assert same_answer(made, load_calculator(tmp_path / "whole.model", device="cpu", trust_pickle=True))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (MACE + "[element_energies]\nH = -13.6", "has energies of isolated atoms; leave element_energies out of"),
        (MACE.replace("num_polynomial_cutoff = 5", ""), "radial_embedding.cutoff_fn.p = 5, by hyper.toml 6"),
        (MACE.replace("avg_num_neighbors = 8.3", ""), "lacks avg_num_neighbors, which weights do not tell"),
        (MACE.replace('"O"', '"N"'), "is of the elements [1, 6, 8]"),
    ],
)
def test_what_a_state_dict_of_mace_says_otherwise_or_does_not_say_is_refused(mace_module, tmp_path, text, said):
    torch.save(mace_module().state_dict(), tmp_path / "weights.pt")
    with pytest.raises(UserError) as caught:
        of_weights(tmp_path / "weights.pt", "mace", toml_of(tmp_path, text))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("elements = [", "is no TOML"),
        ('elements = ["H", "Xx"]', "write their symbols"),
        ('element = ["H"]', "Did you mean 'elements'"),
        ('elements = ["H"]\n[element_energies]\nC = 1.0', "element_energies of C"),
        ('elements = ["H"]\n[element_energies]\nH = nan', "no finite number"),
        (SCHNET.replace("n_rbf = 8", "n_rbf = 9"), "of shape"),
        (SCHNET.replace("n_rbf = 8", "n_rfb = 8"), "Did you mean 'n_rbf'"),
        (
            SCHNET.replace("n_rbf = 8", "n_rbf = 8\nn_interactions = 1"),
            "weights that schnet with these hyperparameters",
        ),
    ],
)
def test_hyperparameters_that_cannot_be_are_refused_in_a_line(cli, checkpoint_path, tmp_path, text, said):
    torch.save(load_checkpoint(checkpoint_path("schnet")).state_dict, tmp_path / "weights.pt")
    given = ("convert", tmp_path / "weights.pt", "--family", "schnet", "-o", tmp_path / "model.pt")
    code, _, err = cli(*given, "--hyperparameters", toml_of(tmp_path, text))
    assert (code, err.count("\n")) == (2, 1)
    assert said in err
    assert not (tmp_path / "model.pt").exists()


def test_options_that_go_together_or_do_not(cli, tmp_path):
    (tmp_path / "x.pt").write_bytes(b"")
    code, _, err = cli("convert", tmp_path / "x.pt", "--family", "schnet", "-o", tmp_path / "y.pt")
    assert (code, "--family and --hyperparameters go together" in err) == (2, True)
    code, _, err = cli("convert", tmp_path / "x.pt", "--task", "duplicatoin", "-o", tmp_path / "y.pt")
    assert (code, "Did you mean 'duplication'" in err) == (2, True)
