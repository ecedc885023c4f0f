"""A model file of another package is told by its content, and nothing in it runs before the user trusts it."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import pytest
import torch
from torch.package import PackageExporter, PackageImporter

from gmd26_md import load_calculator
from gmd26_md.calculators import nequip_files
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


def records_of(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def archive_of(records: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in records.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def parts_of(archive: bytes) -> tuple[bytes, int, bytearray]:
    """Return the records of a plain archive as they lie there, their number, and its directory."""
    number, size, begin = struct.unpack("<HLL", archive[-12:-2])
    return archive[:begin], number, bytearray(archive[begin : begin + size])


def two_in_one(for_torch: bytes, for_zipfile: bytes) -> bytes:
    """Return an archive with two directories: torch reads the one that its end names, zipfile the one before its end.

    The first archive must be larger than the second, and have the longer directory or none that is much shorter.
    """
    one, number, directory = parts_of(for_torch)
    other, _, last = parts_of(for_zipfile)
    size = max(len(directory), len(last))
    if len(last) < size:  # made as long by a comment of its last entry
        struct.pack_into("<H", last, last.rindex(b"PK\1\2") + 32, size - len(last))
        last += b" " * (size - len(last))
    at = 0
    while at < size:  # zipfile takes what lies between for something in front, and adds its length to every place
        lengths, begin = struct.unpack_from("<3H", last, at + 28), struct.unpack_from("<L", last, at + 42)[0]
        struct.pack_into("<L", last, at + 42, begin + len(one) - len(other))
        at += 46 + sum(lengths)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, number, number, size, len(one), 0)
    return one + bytes(directory).ljust(size, b"\0") + other + bytes(last) + end


@pytest.fixture
def trained_and_package(tmp_path) -> tuple[dict[str, bytes], bytes]:
    """Return the records of what is told as a checkpoint of nequip-train, and a package whose code leaves a mark."""
    held = {"pytorch-lightning_version": "2.4", "state_dict": {"model.sole_model.x": torch.zeros(1)}}
    torch.save(held | {"hyper_parameters": {"model": {"_target_": "mine"}}}, tmp_path / "plain.ckpt")
    with PackageExporter(tmp_path / "mine.zip") as package:
        package.save_source_string("nequip_mine", f"open({str(tmp_path / 'marker')!r}, 'w').close()\n")
        package.save_text("model", "filler", 20000 * "0")
    return records_of(tmp_path / "plain.ckpt"), archive_of(records_of(tmp_path / "mine.zip"))


@pytest.mark.parametrize("how", ["the words of a package in a record", "a package to torch, and not to zipfile"])
def test_what_is_read_without_trust_is_never_run_as_a_package(tmp_path, monkeypatch, trained_and_package, how):
    """Such a file needs no trust, for it is tensors and settings: so nothing else in it may be taken for the model."""
    (trained, package), path, marker = trained_and_package, tmp_path / "last.ckpt", tmp_path / "marker"
    content = archive_of(trained | {"plain/note": b"/.data/extern_modules"})
    path.write_bytes(two_in_one(package, content) if how.startswith("a package") else content)
    if how.startswith("a package"):
        PackageImporter(str(path)).import_module("nequip_mine")
        assert marker.exists(), "if this fails, the planted code does nothing and this test shows nothing"
        marker.unlink()

    def run(path: Path, content: bytes) -> None:
        PackageImporter(str(path)).import_module("nequip_mine")

    monkeypatch.setattr(nequip_files, "_packaged", run)
    assert recognise.kind_of(path.read_bytes()) == recognise.NEQUIP_LIGHTNING
    for trusted in (False, True):
        assert "holds a model of mine; only nequip.model.NequIPGNNModel" in refusal(path, trust_pickle=trusted)
    assert not marker.exists(), "if this fails, code from an untrusted file was run"


def test_a_second_pickle_that_torch_could_find_by_another_spelling_is_refused(tmp_path, trained_and_package):
    path, (trained, _) = tmp_path / "last.ckpt", trained_and_package
    path.write_bytes(archive_of({"plain/DATA.PKL": b"anything"} | trained))
    assert "is another kind of archive" in refusal(path)


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
