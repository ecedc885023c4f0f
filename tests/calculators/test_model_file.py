"""A model file of another package is told by its content, and nothing in it runs before the user trusts it."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
import torch

from gmd26_md import load_calculator
from gmd26_md.calculators.model_file import open_model_file
from gmd26_md.calculators.vendors import recognise
from gmd26_md.errors import UserError


class Planted:
    """Unpickles to a call that creates a file, and then looks like a model of the package that it names."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


def mace_like(marker: Path) -> object:
    """Return an object whose pickle begins with mace's class and hides a call."""
    from gmd26_md.calculators._mace_import import mace_imports

    with mace_imports():
        from mace.modules.models import ScaleShiftMACE
    model = ScaleShiftMACE.__new__(ScaleShiftMACE)
    torch.nn.Module.__init__(model)
    model.planted = Planted(marker)
    return model


def refusal(path: Path, **how) -> str:
    with pytest.raises(UserError) as caught:
        open_model_file(path, **how)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_hostile_model_runs_nothing_without_trust_by_any_door(tmp_path, protocol, cli):
    marker, path = tmp_path / "code-was-run", tmp_path / "harmless-name.pt"
    torch.save(mace_like(marker), path, pickle_protocol=protocol)
    said = refusal(path)
    assert "a whole model pickled by mace-torch" in said
    assert "nothing in it was run" in said
    assert "--trust-pickle" in said
    assert "gmd26-md convert" in said
    with pytest.raises(UserError):
        load_calculator(path)
    for command in (["stability", "--model", path], ["convert", path, "-o", tmp_path / "out.pt"]):
        code, _, err = cli(*command)
        assert (code, err.count("\n")) == (2, 1)
    assert not marker.exists(), "if this fails, code from an untrusted file was run"
    refusal(path, trust_pickle=True)  # the positive control: it is no model, but its code does run
    assert marker.exists(), "if this fails, the planted file does nothing and this test shows nothing"


def test_the_name_of_a_file_means_nothing(checkpoint_path, tmp_path):
    path = tmp_path / "best_model.model"
    path.write_bytes(checkpoint_path("deepset-moe").read_bytes())
    assert open_model_file(path).family == "deepset-moe"


@pytest.mark.parametrize("kept", [0.3, 0.9, -30])
def test_a_truncated_model_is_called_that_even_if_trusted(tmp_path, kept):
    path = tmp_path / "cut.model"
    torch.save(mace_like(tmp_path / "marker"), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content)) if isinstance(kept, float) else kept])
    assert "truncated or damaged" in refusal(path, trust_pickle=True)
    assert not (tmp_path / "marker").exists()


def test_a_record_without_its_checksum_is_damage_and_does_not_run(tmp_path):
    path, marker = tmp_path / "flipped.model", tmp_path / "marker"
    torch.save(mace_like(marker), path)
    content = bytearray(path.read_bytes())
    content[content.index(b"ScaleShiftMACE") + 30] ^= 1
    path.write_bytes(content)
    assert "damaged" in refusal(path, trust_pickle=True)
    assert not marker.exists()


def test_weights_alone_are_told_how_to_become_a_checkpoint(tmp_path):
    torch.save(torch.nn.Linear(2, 2).state_dict(), tmp_path / "weights.pt")
    assert "--family NAME --hyperparameters FILE.toml" in refusal(tmp_path / "weights.pt")


def test_a_training_state_of_mace_is_told_which_file_to_give(tmp_path):
    state = {"model": {"interactions.0.linear_up.weight": torch.zeros(2)}, "optimizer": {}, "lr_scheduler": {}}
    torch.save(state, tmp_path / "tiny_run-3_epoch-0.pt")
    assert "give the .model file" in refusal(tmp_path / "tiny_run-3_epoch-0.pt", trust_pickle=True)


def test_a_foreign_script_or_module_is_named(tmp_path):
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), tmp_path / "script.pt")
    assert "a TorchScript model (torch.nn.modules.linear" in refusal(tmp_path / "script.pt", trust_pickle=True)
    torch.save(torch.nn.Linear(2, 2), tmp_path / "module.pt")
    assert "import and run torch.nn.modules.linear.Linear" in refusal(tmp_path / "module.pt", trust_pickle=True)


@pytest.mark.parametrize(
    ("records", "kind"),
    [
        ({"m/.data/extern_modules": b"", "m/nequip/model.py": b""}, recognise.NEQUIP),  # nequip-package
        ({"m/data/aotinductor/model/x.wrapper_metadata.json": b'{"type_names": "H"}'}, recognise.NEQUIP_COMPILED),
        ({"m/.data/extern_modules": b"", "m/mine.py": b""}, recognise.Kind("foreign", "a package of torch.package")),
        (
            {"m/data/aotinductor/model/x.wrapper_metadata.json": b"{}"},
            recognise.Kind("foreign", "a model compiled by AOTInductor"),
        ),
    ],
)
def test_packages_and_compiled_files_are_told_apart(tmp_path, records, kind):
    path = tmp_path / "any.name"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in records.items():
            archive.writestr(name, content)
    assert recognise.kind_of(path.read_bytes()) == kind


def test_arguments_that_a_checkpoint_does_not_take_are_refused(checkpoint_path):
    said = refusal(checkpoint_path("deepset-moe"), arguments={"head": "x"})
    assert "takes no arguments, got 'head'" in said
