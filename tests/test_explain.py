"""An energy explained: the parts add up, each to its own place, and the command says so in every form."""

import csv
import io
import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from ase.io import write
from click.testing import CliRunner

from gmd26_md.calculators import families
from gmd26_md.calculators.checkpoint import Checkpoint, save_checkpoint
from gmd26_md.commands.explain import command
from gmd26_md.errors import UserError
from gmd26_md.explanation import explained, use_of_experts
from gmd26_md.report.explained import atom_rows, expert_rows, pair_rows

# (aggregation, decoder, routing): sums that a decoder turns to energies, decoded pairs, plain sums of pairs
SWITCHES = [("sum", "mlp", "both"), ("sum", "mlp", "spatial"), ("none", "mlp", "both"), ("sum", "identity", "both")]


def checkpoint_of(aggregation: str = "sum", decoder: str = "mlp", routing: str = "both") -> Checkpoint:
    small = {"n_features": 8, "expert_width": 8, "n_products": 8, "n_triples": 8, "decoder_width": 8}
    values = {
        **families.default_hyperparameters("deepset-moe"), **small,
        "aggregation": aggregation, "decoder": decoder, "routing": routing,
    }  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        network = families.build_network("deepset-moe", values, (1, 6, 8))
    return Checkpoint(
        family="deepset-moe", hyperparameters=values, elements=(1, 6, 8), cutoff=values["cutoff"],
        element_energies={1: -10.0, 6: -50.0, 8: -100.0}, element_energies_from="zero", energy_scale=1.5,
        level_of_theory="gfn2-xtb", task="duplication", recipe={}, forces_are_gradient=True, training={},
        state_dict=network.state_dict(),
    )  # fmt: skip


def acid() -> Atoms:
    atoms = molecule("CH3COOH")
    atoms.rattle(0.05, seed=1)
    return atoms


@pytest.mark.parametrize(("aggregation", "decoder", "routing"), SWITCHES)
def test_the_parts_add_up_to_the_models_energy(aggregation, decoder, routing):
    checkpoint, atoms = checkpoint_of(aggregation, decoder, routing), acid()
    found = explained(checkpoint, atoms)
    calculator_energy = found["interaction_energy_eV"]
    own = sum(atom["self_energy_eV"] for atom in found["atoms"])
    assert found["pairs_are_additive"] == ((aggregation, decoder) != ("sum", "mlp"))
    assert abs(calculator_energy - own) > 0.1, "if this fails, the toy's pairs say nothing"
    for total in (
        sum(atom["energy_eV"] for atom in found["atoms"]),
        own + sum(pair["energy_eV"] for pair in found["pairs"]),
        own + sum(expert["energy_eV"] for pair in found["pairs"] for expert in pair["experts"]),
        own + sum(expert["energy_eV"] for expert in found["experts"]),
    ):
        assert total == pytest.approx(calculator_energy, abs=1e-9)  # eV; float64 sums, and the integral's 1e-11
    for atom in found["atoms"]:
        assert atom["self_energy_eV"] + atom["pairs_energy_eV"] == pytest.approx(atom["energy_eV"], abs=1e-9)
    assert sum(entry["pairs"] for entry in found["experts"]) == pytest.approx(len(found["pairs"]))
    assert found["element_energy_eV"] == -10.0 * 4 - 50.0 * 2 - 100.0 * 2


def test_shares_are_the_integral_of_the_slopes_by_each_pairs_presence():
    """Three atoms in a row of neighbours; the integral is taken anew, by Simpson, from energies alone."""
    checkpoint, atoms = checkpoint_of(), Atoms("HOH", [[-0.9, 0, 0], [0, 0, 0], [0.3, 3.5, 0]])
    pairs = {(p["centre"], p["neighbour"]): p["energy_eV"] for p in explained(checkpoint, atoms)["pairs"]}
    potential = checkpoint.potential("cpu", "float64")
    from gmd26_md.calculators.batch import Layout

    batch = Layout.of([atoms.numbers]).batch(torch.as_tensor(atoms.positions), potential.cutoff)
    encoder = potential.network.encoder
    plain = encoder.route

    def energy(presence: torch.Tensor) -> float:
        def weaker(*given):
            routed = plain(*given)
            return replace(routed, gate=routed.gate * presence[routed.pair])

        encoder.route = weaker
        return float(potential(batch)[0])

    numbers = {tuple(pair): n for n, pair in enumerate(batch.pairs.T.tolist())}
    h, points = 1e-4, np.linspace(0.0, 1.0, 65)
    for atoms_of_pair in ((1, 0), (1, 2)):
        step = torch.zeros(len(numbers), dtype=torch.float64)
        step[numbers[atoms_of_pair]] = h
        slopes = [
            (energy(torch.full_like(step, s) + step) - energy(torch.full_like(step, s) - step)) / 2 / h for s in points
        ]
        weights = np.array([1.0, *[4.0, 2.0] * 31, 4.0, 1.0]) / (3 * 64)
        # Simpson of a smooth function on 64 intervals, slopes to h^2
        assert pairs[atoms_of_pair] == pytest.approx(float(weights @ slopes), rel=1e-5)


def test_an_expert_that_says_nothing_gets_nothing():
    checkpoint = checkpoint_of()
    checkpoint.state_dict["encoder.output_weight"][1, 0] = 0.0  # carbon's, of bonds
    for entry in explained(checkpoint, acid())["experts"]:
        silent = entry["centre"] == "C" and entry["shell_A"][0] == 0.0
        assert (abs(entry["energy_eV"]) < 1e-15) == silent


def test_a_lone_atom_is_itself():
    found = explained(checkpoint_of(), Atoms("O"))
    assert (found["pairs"], found["experts"]) == ([], [])
    assert found["atoms"][0]["self_energy_eV"] == found["interaction_energy_eV"]
    assert [len(rows) for rows in (atom_rows(found), expert_rows(found), pair_rows(found))] == [2, 1, 1]


@pytest.fixture
def files(tmp_path):
    model, structure = tmp_path / "model.pt", tmp_path / "acid.xyz"
    save_checkpoint(checkpoint_of(), model)
    write(structure, acid())
    return str(model), str(structure)


def asked(*arguments: str):
    return CliRunner().invoke(command, list(arguments))


def test_every_form_tells_the_same(files, tmp_path):
    model, structure = files
    found = json.loads(asked(structure, "--model", model, "--json").output)
    text = asked(structure, "--model", model, "--top", "3").output
    assert f"interaction energy {found['interaction_energy_eV']:.6f} eV" in text
    assert f"{8 * 7 // 2 - 3} more pairs with --top 0" in text
    tables = asked(structure, "--model", model, "--format", "csv").output.split("\n\n")
    rows = [list(csv.DictReader(io.StringIO(table))) for table in tables]
    own = sum(float(row["alone, eV"]) for row in rows[0])
    for table in rows[1:]:  # six digits a row
        total = own + sum(float(row["energy, eV"]) for row in table)
        assert total == pytest.approx(found["interaction_energy_eV"], abs=1e-6 * len(table))
    assert len(rows[2]) == 8 * 7 // 2


def test_a_molecule_may_be_named(files):
    found = json.loads(asked("ethanoic acid", "--model", files[0], "--json").output)
    assert (found["molecule"], len(found["atoms"])) == ("ethanoic acid", 8)


def test_the_picture_is_drawn(files, tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "energy.png"
    assert asked(files[1], "--model", files[0], "--picture", str(path)).exit_code == 0
    assert path.read_bytes().startswith(b"\x89PNG")
    assert path.stat().st_size > 10_000


def test_without_matplotlib_the_cure_is_named(files, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UserError, match="pip install matplotlib"):
        CliRunner().invoke(
            command, [files[1], "--model", files[0], "--picture", str(tmp_path / "a.png")], standalone_mode=False,
            catch_exceptions=False,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--format", "xml"], "xml"),
        (["--frame", "2"], "has 1; give 1 to 1"),
        (["--picture", "energy.gif"], "must end in one of .png"),
        (["--picture", "no-folder/energy.png"], "folder does not exist"),
    ],
)
def test_mistakes_are_named(files, more, words):
    with pytest.raises(UserError, match=words):
        CliRunner().invoke(command, [files[1], "--model", files[0], *more], catch_exceptions=False)


def test_other_families_and_elements_are_refused():
    with pytest.raises(UserError, match="has no experts"):
        explained(replace(checkpoint_of(), family="mace"), acid())
    with pytest.raises(UserError, match="has N"):
        explained(checkpoint_of(), molecule("NH3"))


@pytest.mark.parametrize(("stated", "words"), [({"charge": 1}, r"charge \+1"), ({"spin": 3}, "multiplicity 3")])
def test_an_ion_or_a_radical_is_not_explained_as_the_neutral_molecule(stated, words):
    atoms = acid()
    atoms.info |= stated
    with pytest.raises(UserError, match=f"{words}; deepset-moe knows neutral closed-shell molecules only"):
        explained(checkpoint_of(), atoms)


def test_the_use_of_experts_over_a_data_set_is_the_mean_of_its_structures():
    checkpoint, first = checkpoint_of(), acid()
    second = first.copy()
    second.rattle(0.05, seed=2)
    use = use_of_experts(checkpoint, [first, second])
    each = [explained(checkpoint, atoms)["experts"] for atoms in (first, second)]
    assert sum(entry["pairs_fraction"] for entry in use) == pytest.approx(1.0)
    found = next(e for e in use if (e["centre"], e["neighbour"], e["shell_A"][0]) == ("C", "O", 0.0))
    mine = [
        next(e for e in experts if (e["centre"], e["neighbour"], e["shell_A"][0]) == ("C", "O", 0.0))
        for experts in each
    ]
    assert found["n_structures"] == 2
    assert found["pair_energy_eV"] == pytest.approx(sum(e["energy_eV"] for e in mine) / sum(e["pairs"] for e in mine))
    means = [e["energy_eV"] / e["pairs"] for e in mine]
    assert found["pair_energy_std_eV"] == pytest.approx(abs(means[0] - means[1]) / np.sqrt(2))
    assert all(e["pair_energy_std_eV"] is None for e in use_of_experts(checkpoint, [first]))


def test_the_command_tables_the_use_over_a_folder(tmp_path):
    save_checkpoint(checkpoint_of(), tmp_path / "model.pt")
    (tmp_path / "frames").mkdir()
    write(tmp_path / "frames" / "two.extxyz", [acid(), molecule("CH4")])
    arguments = ["--model", str(tmp_path / "model.pt"), "--all-frames"]
    result = CliRunner().invoke(command, [str(tmp_path / "frames"), *arguments, "--format", "csv"])
    rows = list(csv.DictReader(io.StringIO(result.output)))
    assert sum(float(row["of all pairs, %"]) for row in rows) == pytest.approx(100.0, abs=0.1)
    assert {row["structures"] for row in rows} == {"1", "2"}  # methane has no oxygen
    (tmp_path / "empty").mkdir()
    empty = CliRunner().invoke(command, [str(tmp_path / "empty"), *arguments])
    assert isinstance(empty.exception, UserError)
    assert "no .extxyz file" in str(empty.exception)
