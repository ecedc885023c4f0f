"""What bad input gets: one line (what, got, allowed, cure), exit code 2, no traceback, nothing written over."""

import os
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from gmd26_md.calculators import checkpoint_file

STABILITY = ("stability", "--device", "cpu")
ACETIC = ("--only", "acetic acid")


@pytest.fixture
def refused(cli, tmp_path, monkeypatch):
    """Return a function that runs a command which must be refused, and returns what it said."""
    empty = tmp_path / "nothing-here"
    empty.mkdir()
    monkeypatch.chdir(empty)

    def run(*arguments):
        code, out, err = cli(*arguments)
        assert code == 2, (code, out, err)
        assert out == ""
        assert err.startswith("error: ")
        assert err.count("\n") == 1, err
        assert "Traceback" not in err
        assert not list(empty.iterdir()), "a refused command left something behind"
        return err

    return run


# --- the model ---


@pytest.mark.parametrize("command", ["stability", "static-errors"])
def test_a_shipped_model_of_duplication_is_not_tested_as_unseen_on_its_own_molecules(refused, command):
    shipped = Path(__file__).parents[1] / "checkpoints" / "deepset-moe-duplication.pt"
    said = refused(command, "--model", shipped, "--task", "fusion")  # unseen there: the acids that trained it
    assert "'ethanoic acid' (OOD) of task fusion has trained" in said


def test_a_path_that_does_not_exist(refused, tiny_model):
    assert "does not exist" in refused(*STABILITY, "--model", tiny_model.parent / "nowhere" / "a.pt")


def test_a_mistyped_checkpoint_is_answered_with_its_neighbour(refused, tiny_model):
    assert "Did you mean 'tiny.pt'" in refused(*STABILITY, "--model", tiny_model.parent / "tinny.pt")


def test_a_file_that_is_no_checkpoint(refused, tmp_path):
    (tmp_path / "notes.pt").write_text("shopping list\n")
    assert "not a gmd26-md checkpoint: it is a text file" in refused(*STABILITY, "--model", tmp_path / "notes.pt")


@pytest.mark.parametrize("kept", [0.5, 0.99])
def test_a_truncated_checkpoint(refused, tiny_model, tmp_path, kept):
    whole = tiny_model.read_bytes()
    (tmp_path / "cut.pt").write_bytes(whole[: int(kept * len(whole))])
    assert "truncated or damaged" in refused(*STABILITY, "--model", tmp_path / "cut.pt")


def test_a_checkpoint_of_a_newer_format(refused, tmp_path):
    newer = {"format": checkpoint_file.FORMAT, "version": checkpoint_file.VERSION + 1, "card": "{}", "state_dict": {}}
    torch.save(newer, tmp_path / "newer.pt")
    said = refused(*STABILITY, "--model", tmp_path / "newer.pt")
    assert f"checkpoint format {checkpoint_file.VERSION + 1}" in said
    assert "upgrade" in said


class Trap:
    """Unpickled, it would leave a file behind."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("write", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content))])
def test_a_pickle_that_would_execute_code_is_not_run(refused, tmp_path, write):
    sprung = tmp_path / "sprung"
    write({"model": Trap(sprung)}, tmp_path / "trap.pt")
    said = refused(*STABILITY, "--model", tmp_path / "trap.pt")
    assert "nothing in it was run" in said
    assert not sprung.exists()


def test_nan_weights(refused, tiny_model, tmp_path):
    contents = checkpoint_file.read(tiny_model)
    poisoned = {name: tensor.clone() for name, tensor in contents.state_dict.items()}
    next(t for t in poisoned.values() if t.is_floating_point()).view(-1)[0] = float("nan")
    checkpoint_file.write(tmp_path / "nan.pt", contents.card, poisoned)
    assert "NaN or infinite weights" in refused(*STABILITY, "--model", tmp_path / "nan.pt")


@pytest.mark.parametrize("device", ["cuda:99", "mps:7", "gpu"])
def test_a_device_that_is_not_there(refused, tiny_model, device):
    for model in (tiny_model, "gfn2-xtb"):
        assert "device" in refused("stability", "--device", device, "--task", "duplication", "--model", model)


def test_an_unknown_precision_or_engine(refused, tiny_model):
    assert "Did you mean 'float64'" in refused(*STABILITY, "--model", tiny_model, "--dtype", "float46")
    assert "Did you mean 'batched'" in refused(*STABILITY, "--model", tiny_model, "--engine", "batch")


# --- the molecules ---

BAD_FILES = {
    "no-atoms": ("0\n\n", "no atoms"),
    "nan": ("2\n\nH 0 0 0\nH 0 0 nan\n", "not finite"),
    "cell": ('2\nLattice="9 0 0 0 9 0 0 0 9" pbc="T T T"\nH 0 0 0\nH 0 0 0.74\n', "has a cell"),
    "one-place": ("2\n\nH 0 0 0\nH 0 0 0\n", "0.000 Å apart"),
    "empty": ("", "is empty"),
    "prose": ("this is no structure\n", "does not parse"),
    "charge": ("2\ncharge=1\nH 0 0 0\nH 0 0 0.74\n", "neutral molecules only"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_molecule_file_that_is_no_molecule(refused, tiny_model, tmp_path, name):
    content, words = BAD_FILES[name]
    path = tmp_path / f"{name}.xyz"
    path.write_text(content)
    said = refused(*STABILITY, "--model", tiny_model, "--molecules", path)
    assert words in said
    assert path.name in said


def test_a_molecule_file_that_is_not_there(refused, tiny_model, tmp_path):
    assert "no molecule file" in refused(*STABILITY, "--model", tiny_model, "--molecules", tmp_path / "a.xyz")


def test_an_element_that_the_model_does_not_know(refused, tiny_model, tmp_path):
    (tmp_path / "silane.xyz").write_text("5\nname=silane\nSi 0 0 0\nH 1 1 1\nH -1 -1 1\nH -1 1 -1\nH 1 -1 -1\n")
    said = refused(*STABILITY, "--model", tiny_model, "--molecules", tmp_path / "silane.xyz")
    assert "silane has Si; tiny.pt knows H C O" in said
    assert "--skip-unsupported" in said


def test_own_molecules_and_a_task_do_not_mix(refused, tiny_model, tmp_path):
    said = refused(*STABILITY, "--model", tiny_model, "--molecules", tmp_path / "a.xyz", "--task", "fission")
    assert "stands alone" in said


def test_frames_that_are_not_there(refused, tiny_model, tmp_path):
    assert "no folder gfn2-xtb" in refused(*STABILITY, "--model", tiny_model, "--frames", tmp_path)


def test_static_errors_without_frames(refused, tiny_model, frames_folder):
    asked = ("--task", "fusion-hinted", "--only", "ethanamine", "--skip-unsupported", "--frames", frames_folder)
    assert "no reference frames" in refused("static-errors", "--model", tiny_model, *asked)


# --- names and numbers ---


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (("stabilty",), "stability"),
        (("stability", "--model", "MODEL", "--task", "duplicaton"), "duplication"),
        (("stability", "--model", "MODEL", "--preset", "quik"), "quick"),
        (("stability", "--model", "MODEL", "--only", "acetc acid"), "ethanoic acid"),
        (("stability", "--model", "MODEL", "--frames", "FRAMES", *ACETIC, "--reference", "gfn2"), "gfn2-xtb"),
        (("train", "--family", "deepset", "--task", "duplication"), "deepset-moe"),
        (("train", "--family", "mace", "--task", "fussion"), "fusion"),
        (("molecules", "--family", "alkane"), "alkanes"),
        (("data", "generate", "--task", "fision"), "fission"),
        (("data", "generate", "--task", "fission", "--reference", "gfn1-xtb"), "gfn2-xtb"),
        (("data", "subset", "--task", "chain", "--out", "x"), "chain-extension"),
        (("table", "x", "--format", "markdwn"), "markdown"),
    ],
)  # fmt: skip
def test_an_unknown_name_is_answered_with_the_closest(refused, tiny_model, frames_folder, arguments, meant):
    given = [{"MODEL": tiny_model, "FRAMES": frames_folder}.get(a, a) for a in arguments]
    said = refused(*given)
    if meant == "ethanoic acid":  # an everyday name, mistyped: some acid is meant
        assert "Did you mean" in said
    else:
        assert f"Did you mean '{meant}'" in said


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--temperature-K", "nan"), ("--temperature-K", "-300"), ("--temperature-K", "warm"), ("--timestep-fs", "0"),
        ("--nve-ps", "inf"), ("--thermalise-ps", "-1"), ("--n-seeds", "0"), ("--n-seeds", "1.5"), ("--seed", "-1"),
        ("--seed", "1" + 400 * "0"),
        ("--minutes", "nan"), ("--n-label-frames", "-2"), ("--max-force-ratio", "nan"),
    ],
)  # fmt: skip
def test_a_number_that_is_none_or_out_of_bounds(refused, tiny_model, option, value):
    said = refused(*STABILITY, "--model", tiny_model, option, value)
    assert option in said
    assert value in said
    assert "give a" in said


@pytest.mark.parametrize(
    "arguments",
    [
        ("relaxation", "--model", "x", "--fmax-eV-per-A", "nan"),
        ("static-errors", "--model", "x", "--n-frames", "-1"),
        ("train", "--family", "mace", "--task", "fusion", "--minutes", "nan"),
        ("data", "generate", "--task", "fission", "--temperature-K", "nan"),
        ("data", "generate", "--task", "fission", "--n-primary", "0"),
        ("data", "generate", "--task", "fission", "--interval-fs", "0.1"),
        ("data", "subset", "--task", "fission", "--out", "x", "--n-frames", "0"),
    ],
)
def test_bad_numbers_of_the_other_commands(refused, arguments):
    assert arguments[-2].lower() in refused(*arguments).lower()


def test_a_missing_option_and_an_unknown_one(refused):
    assert "--model" in refused("stability")
    assert "--temprature-K" in refused("stability", "--model", "x", "--temprature-K", "3")


def test_training_data_that_is_not_there(refused):
    said = refused("train", "--family", "deepset-moe", "--task", "duplication", "--out", "run")
    assert "no reference data" in said
    assert "gmd26-md data generate" in said


def test_run_folders_that_are_none(refused, tmp_path):
    assert "does not exist" in refused("table", tmp_path / "nowhere")
    assert "no summary.json" in refused("table", tmp_path)
    (tmp_path / "list.json").write_text("[1, 2]")
    assert "no summary of a run" in refused("table", tmp_path / "list.json")
    (tmp_path / "torn.json").write_text('{"model": ')
    assert "not JSON" in refused("table", tmp_path / "torn.json")


# --- where the results go ---


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_run_folder_made_with_other_settings_stays_as_it_is(refused, cli, short_run, new_frames, tmp_path):
    assert cli(*short_run, "--quiet", "--out", tmp_path / "run")[0] == 0
    before = contents(tmp_path / "run")
    said = refused(*short_run, "--out", tmp_path / "run", "--timestep-fs", "0.25")
    assert "timestep_fs = 0.5, asked is 0.25" in said
    assert "--out another folder" in said
    at = short_run.index("oxalic acid")
    fewer = (*short_run[: at - 1], *short_run[at + 1 :])
    assert "other molecules: ethanedioic-acid is gone" in refused(*fewer, "--out", tmp_path / "run")
    other = new_frames(tmp_path / "frames", {"acetic acid": 1, "oxalic acid": 3})
    said = refused(*short_run, "--out", tmp_path / "run", "--frames", other)
    assert "made with other reference frames of ethan" in said
    assert contents(tmp_path / "run") == before


def test_a_folder_of_other_things_and_a_file_stay_as_they_are(refused, short_run, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter-1.txt").write_text("it was a dark night")
    assert "no run folder of ours" in refused(*short_run, "--out", tmp_path / "thesis")
    assert "is a file" in refused(*short_run, "--out", tmp_path / "thesis" / "chapter-1.txt")
    assert list(contents(tmp_path / "thesis").values()) == [b"it was a dark night"]


def test_a_subset_is_never_written_over(refused, cli, frames_folder, tmp_path):
    asked = ("data", "subset", "--task", "duplication", "--data", frames_folder, "--out", tmp_path / "small")
    assert cli(*asked, "--n-frames", 2)[0] == 0
    before = contents(tmp_path / "small")
    assert "is not written over" in refused(*asked)
    assert contents(tmp_path / "small") == before


# --- --debug ---


@pytest.mark.parametrize("place", ["first", "last"])
def test_debug_shows_the_traceback_and_keeps_the_exit_code(cli, tmp_path, place):
    asked = ["stability", "--model", str(tmp_path / "a.pt")]
    code, out, err = cli(*(["--debug", *asked] if place == "first" else [*asked, "--debug"]))
    assert code == 2
    assert out == ""
    assert "Traceback" in err
    assert "UserError" in err
    assert err.splitlines()[-1].startswith("error: ")


def test_numbers_are_checked_by_what_python_calls_finite():
    from gmd26_md.commands.numbers import POSITIVE

    assert POSITIVE.convert("1e-3", None, None) == pytest.approx(1e-3, rel=1e-15)
    assert POSITIVE.convert(str(sys.float_info.max), None, None) == np.finfo(float).max
