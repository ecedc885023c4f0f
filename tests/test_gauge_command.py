"""`gauge` and `breakdown` as they are used, on a model of random weights."""

import copy
import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from gmd26_md import tasks
from gmd26_md.calculators.checkpoint import load_checkpoint, save_checkpoint
from gmd26_md.calculators.gfn2_xtb import isolated_atom_energy
from gmd26_md.constitution import constitution
from gmd26_md.errors import UserError
from gmd26_md.evaluate.gauge import _training_compositions
from gmd26_md.own_molecules import from_smiles
from gmd26_md.report.gauge_table import gauge_notes, gauge_rows
from gmd26_md.run_folder import RunFolder
from gmd26_md.tasks import Task


@pytest.fixture(scope="module")
def made(tmp_path_factory, tiny_model, frames_folder):
    """Return a folder for run folders, and the options that make them: the whole task, of which two have frames."""
    out = tmp_path_factory.mktemp("gauge")
    return out, ("--model", tiny_model, "--frames", frames_folder, "--device", "cpu", "--quiet")


@pytest.fixture
def found(cli, made, minima):
    out, options = made
    code, text, _ = cli("gauge", *options, "--out", out, "--json")
    assert code == 0
    (one,) = json.loads(text)
    return one


@pytest.fixture
def minima(monkeypatch):
    """The molecules of the task without frames need no minimum here, which would take the test's whole time."""
    from gmd26_md.protocols import cases

    monkeypatch.setattr(cases, "minima", lambda structures, *rest, **more: [None] * len(structures))


def way(found, name):
    return next(w for w in found["ways"] if w["pinned_to"] == name)


def mae(found, name, split):
    return way(found, name)["errors"][split]["energy_mae_eV"]["value"]


def test_pins_move_unseen_molecules_only(found):
    assert found["identifiable"] == {"ethanoic acid": True, "ethanedioic acid": False}
    assert (found["rank"], found["elements"]) == (2, [1, 6, 8])
    for one in found["ways"]:
        assert one["training_shift_max_eV"] < 1e-6
        assert mae(found, one["pinned_to"], "id") == pytest.approx(mae(found, "as trained", "id"), abs=1e-6)
    assert mae(found, "best possible", "ood") < mae(found, "isolated atoms", "ood")
    assert abs(mae(found, "smallest norm", "ood") - mae(found, "as trained", "ood")) > 1.0


def test_the_pin_to_isolated_atoms_is_that_of_arithmetic(found):
    # the tiny model has -20 eV for every element; the open direction is (1, -2, 0) / sqrt(5) for H, C, O
    isolated = np.array([isolated_atom_energy(z) for z in (1, 6, 8)])
    direction = np.array([1.0, -2.0, 0.0]) / np.sqrt(5.0)
    change = direction * (direction @ (isolated + 20.0))
    pinned = np.array(way(found, "isolated atoms")["element_energies_eV"])
    np.testing.assert_allclose(pinned, -20.0 + change, atol=1e-9)
    offset = [way(found, n)["errors"]["ood"]["energy_offset_eV"]["value"] for n in ("as trained", "isolated atoms")]
    assert offset[1] - offset[0] == pytest.approx(np.array([2, 2, 4]) @ change, abs=1e-9)  # oxalic acid


def test_the_table_names_every_way_and_what_is_open(cli, made, minima):
    out, options = made
    code, text, err = cli("gauge", *options, "--out", out)
    assert (code, err) == (0, "")
    for words in ("as trained", "smallest norm", "mean of atoms", "isolated atoms", "best possible"):
        assert words in text
    assert "which leave the energies of 1 of 2 molecules open" in text
    assert max(map(len, text.splitlines())) <= 120
    assert len(cli("gauge", *options, "--out", out, "--format", "csv")[1].splitlines()) == 6


def test_static_errors_say_where_they_sit_and_breakdown_says_it_again(cli, made, minima):
    out, options = made
    folder = out / "static-errors-tiny-duplication"
    options = [o for o in options if o != "--quiet"]
    code, text, _ = cli("static-errors", *options, "--out", folder, "--by", "element")
    assert code == 0
    assert "by element\n" in text
    again = cli("breakdown", folder, "--by", "element")[1]
    assert again.split("by element\n")[1].strip() == text.split("by element\n")[1].split("everything is in")[0].strip()
    summary = json.loads((folder / "summary.json").read_text())
    bonds = {row["key"] for row in summary["splits"]["ood"]["breakdown"]["bonds"]}
    assert bonds == {"0"}  # oxalic acid is nothing but its two groups
    (as_json,) = json.loads(cli("breakdown", folder, "--json", "--by", "bonds")[1])
    assert as_json["bonds_from"] == summary["bonds_from"] == "the nearest functional group"


def test_a_folder_from_before_forces_were_kept_is_completed_by_its_command(cli, made, found, minima):
    out, options = made
    folder = out / "static-errors-tiny-duplication"
    path = folder / "static-forces" / "ethanoic-acid.npz"
    records = (folder / "records.jsonl").read_bytes()
    path.unlink()
    code, _, err = cli("breakdown", folder)
    assert code == 2
    assert "no forces by atom of ethanoic acid" in err
    assert "Give the command that made it again" in err
    assert cli("static-errors", *options, "--out", folder)[0] == 0
    assert RunFolder(folder).forces_of("ethanoic-acid") is not None
    assert (folder / "records.jsonl").read_bytes() == records


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["breakdown", "nowhere"], "nowhere has no static errors"),
        (["breakdown", "{folder}", "--by", "elemnt"], "Did you mean 'element'?"),
        (["breakdown", "{folder}", "--format", "latx"], "Did you mean 'latex'"),
        (["breakdown", "{folder}", "--only", "acetik acid"], "unknown molecule 'acetik acid'"),
        (["gauge", "--model", "gfn2-xtb", "--task", "duplication", "--frames", "{frames}"], "give one checkpoint"),
        (["gauge", "--model", "{model}", "--frames", "{folder}"], "has no folder gfn2-xtb with reference frames"),
        (["static-errors", "--model", "{model}", "--by", "colour"], "unknown --by 'colour'"),
    ],
)
def test_bad_input_is_one_line(cli, made, found, minima, tiny_model, frames_folder, arguments, words):
    names = {"folder": made[0] / "static-errors-tiny-duplication", "frames": frames_folder, "model": tiny_model}
    code, _, err = cli(*[a.format(**names) for a in arguments])
    assert code == 2
    assert words in err
    assert err.count("\n") == 1


def test_frames_without_forces_are_refused(cli, made, minima, tiny_model, frames_folder, tmp_path):
    shutil.copytree(frames_folder, tmp_path / "frames")
    broken = tmp_path / "frames" / "gfn2-xtb" / "ethanoic-acid"
    text = (broken / "test.extxyz").read_text()
    assert ":forces:R:3" in text
    (broken / "test.extxyz").write_text(text.replace(":forces:R:3", ":colour:R:3"))
    (broken / "provenance.json").unlink()
    code, _, err = cli("static-errors", "--model", tiny_model, "--frames", tmp_path / "frames", "--quiet")
    assert code == 2
    assert err.count("\n") == 1
    assert "ethanoic-acid/test.extxyz" in err
    assert "forces:R:3" in err  # what it should have


def compositions(trained_on, task="", asked=None, elements=(1, 6, 8)):
    """Return what trained a model whose file says this, asked on a task."""
    question = SimpleNamespace(subject=SimpleNamespace(name="m", trained_on=tuple(trained_on)), definition=asked)
    return _training_compositions(question, task, list(elements)).tolist()


def test_what_trained_a_model_is_what_its_file_says_and_never_the_task_that_is_asked():
    acids, ethanol, water = tasks.get("duplication"), ("ethanol", ""), from_smiles("O", name="water")
    assert compositions([ethanol], "fusion", acids) == [[6, 2, 1]]
    assert compositions([("water", constitution(water))], "mine", acids) == [[2, 0, 1]]
    assert compositions([], "duplication", tasks.get("fusion")) == [[2 * n, n, 2] for n in range(2, 14)]
    mine = Task("mine", "", (water,), (from_smiles("CO"),))
    assert compositions([], "mine", mine) == [[2, 0, 1]]
    for trained_on, task in (([], ""), ([], "other"), ([("my own", "")], "mine"), ([ethanol, ("x", "(")], "mine")):
        with pytest.raises(UserError, match="m does not say what trained it"):
            compositions(trained_on, task, mine)
    with pytest.raises(UserError, match=r"cannot have been trained on combination: .* elements \(1, 6, 7\)"):
        compositions([], "combination", acids)


def test_a_model_that_does_not_say_what_trained_it_is_refused(cli, made, minima, tiny_model, frames_folder, tmp_path):
    save_checkpoint(replace(load_checkpoint(tiny_model), task=""), tmp_path / "from-elsewhere.pt")
    options = ("--task", "duplication", "--frames", frames_folder, "--device", "cpu", "--quiet", "--out", tmp_path)
    code, _, err = cli("gauge", "--model", tmp_path / "from-elsewhere.pt", *options)
    assert code == 2
    assert "from-elsewhere does not say what trained it" in err
    assert err.count("\n") == 1


def test_energies_of_a_task_that_did_not_train_the_model_are_not_said_to_stay(found):
    rows, notes = gauge_rows([found]), " ".join(gauge_notes([found]))
    assert rows[0][-1] == "ID moved, eV"
    assert "ID energies stay" in notes
    other = copy.deepcopy(found)
    other["ways"][1]["errors"]["id"]["energy_offset_eV"]["value"] += 10.0
    rows, notes = gauge_rows([other]), " ".join(gauge_notes([other]))
    assert rows[0][-1] == "trained moved, eV"
    assert "ID energies stay" not in notes
    assert "ID molecules of this task did not train the model, and their energies move" in notes


def test_breakdown_says_what_a_folder_does_not_hold(cli, made, found):
    code, _, err = cli("breakdown", made[0] / "static-errors-tiny-duplication")
    assert code == 0
    assert "is not finished: 2 of 24 molecules have a record of static-errors." in err
