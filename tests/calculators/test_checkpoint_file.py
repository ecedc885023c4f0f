"""A file that is no sound checkpoint is refused in one line, and nothing in it is ever run."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from pathlib import Path

import pytest
import torch

from gmd26_md.calculators import checkpoint_file
from gmd26_md.calculators.checkpoint import load_checkpoint, save_checkpoint
from gmd26_md.errors import UserError

FAMILY = "deepset-moe"  # needs no vendor, so these tests are quick


class Planted:
    """Unpickles to a call that creates a file: what a hostile file would do."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


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


# --- no code from a file is ever run


def hostile_files(marker: Path, folder: Path) -> dict[str, Path]:
    """Write one file of each kind that would run code, by what is in it."""
    planted = Planted(marker)
    payload = {"format": checkpoint_file.FORMAT, "version": 1, "card": planted, "state_dict": {}}
    writers = {
        "plain-pickle": lambda f: f.write_bytes(pickle.dumps(planted)),
        "old-pickle": lambda f: f.write_bytes(pickle.dumps(planted, protocol=0)),
        "torch-archive": lambda f: torch.save(planted, f),
        "torch-legacy": lambda f: torch.save(planted, f, _use_new_zipfile_serialization=False),
        "inside-our-format": lambda f: torch.save(payload, f),
        "newer-protocol": lambda f: torch.save(payload, f, pickle_protocol=4),
    }
    for name, write in writers.items():
        write(folder / f"{name}.pt")
    return {name: folder / f"{name}.pt" for name in writers}


@pytest.mark.filterwarnings("ignore:Environment variable TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD")
@pytest.mark.parametrize("environment", ["as it is", "after importing mace"])
def test_a_pickle_that_would_run_code_is_refused_and_runs_nothing(tmp_path, monkeypatch, environment):
    marker = tmp_path / "code-was-run"
    files = hostile_files(marker, tmp_path)
    if environment == "after importing mace":
        monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
        torch.load(files["inside-our-format"])  # the positive control: an ordinary load does run it
        assert marker.exists(), "if this fails, the planted file does nothing and this test shows nothing"
        marker.unlink()
    for name, path in files.items():
        assert "not a gmd26-md checkpoint" in refusal(path), name
        assert not marker.exists(), f"{name}: loading ran code from the file"


def test_code_does_not_run_even_if_somebody_called_it_safe(tmp_path):
    marker = tmp_path / "code-was-run"
    files = hostile_files(marker, tmp_path)
    with torch.serialization.safe_globals([Path.touch, type(tmp_path)]):
        assert "would import and run" in refusal(files["inside-our-format"])
    assert not marker.exists()


@pytest.mark.filterwarnings("ignore")  # else torch's warning, made an error, would stop what is to be seen
def test_the_second_lock_holds_when_the_first_is_open(tmp_path, monkeypatch):
    """Without our scan, torch's own safe loading refuses, although the environment asks for the unsafe one."""
    marker = tmp_path / "code-was-run"
    path = hostile_files(marker, tmp_path)["inside-our-format"]
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    monkeypatch.setattr(checkpoint_file, "_check_pickle", lambda *_: None)
    assert "cannot be read" in refusal(path)
    assert not marker.exists(), "if this fails, weights_only is not passed, or torch changed what the variable does"


def test_a_whole_model_of_another_package_is_named_as_such(tmp_path):
    path = tmp_path / "vendor.pt"
    torch.save(torch.nn.Sequential(torch.nn.Linear(2, 2)), path)
    message = refusal(path)
    assert "torch.nn.modules" in message
    assert "nothing in it was run" in message
    assert "as --model FILE.py:FUNCTION" in message


def test_a_file_of_an_old_torch_is_told_how_to_become_a_new_one(tmp_path):
    path = tmp_path / "old.model"
    torch.save(torch.nn.Linear(2, 2), path, _use_new_zipfile_serialization=False)
    assert "is a pickle (nothing in it was run)" in refusal(path)
    assert "load it where it was made and save it anew" in refusal(path)


# --- files that are no checkpoint


def test_a_path_that_does_not_exist_names_the_closest_file(saved):
    message = refusal(saved.with_name("modle.pt"))
    assert "does not exist" in message
    assert "Did you mean 'model.pt'" in message


def test_a_path_in_a_folder_that_does_not_exist_says_so(tmp_path):
    assert "nor does its folder" in refusal(tmp_path / "nowhere" / "model.pt")


def test_a_folder_is_refused(tmp_path):
    assert "is a folder" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"epochs: 3\n", "a text file that begins with 'epochs: 3'"),
        (b'2\nProperties=species:S:1:pos:R:3 pbc="F F F"\nH 0 0 0\nH 0 0 1\n', "a text file that begins with '2'"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "a PNG image"),
        (b"\xff\xd8\xff\xe0" + bytes(50), "a JPEG image"),
        (bytes(range(256)), "unknown kind"),
        (b"PK", "truncated or damaged"),
    ],
)
def test_a_file_that_is_no_checkpoint_is_called_what_it_is(tmp_path, content, said):
    path = tmp_path / "file.pt"
    path.write_bytes(content)
    assert said in refusal(path)


def test_an_archive_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "archive.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("frames.txt", "not a model")
    assert "another kind of archive" in refusal(path)


def test_tensors_without_our_card_are_refused(tmp_path):
    torch.save({"weight": torch.zeros(3)}, tmp_path / "weights.pt")
    assert "tensors without our card" in refusal(tmp_path / "weights.pt")


@pytest.mark.parametrize("kept", [1, 4, 30, 100, 0.1, 0.5, 0.9, -100, -22, -1])
def test_a_truncated_checkpoint_is_refused(saved, kept):
    content = saved.read_bytes()
    saved.write_bytes(content[: int(kept * len(content)) if isinstance(kept, float) else kept])
    assert "model.pt" in refusal(saved)


def test_a_flipped_bit_is_noticed_or_changes_nothing(tmp_path):
    """Every second byte of a small file gets one bit flipped; padding between records may change without harm."""
    path, weights = tmp_path / "small.pt", {"a": torch.arange(5.0), "b": torch.zeros(2, 2, dtype=torch.float64)}
    checkpoint_file.write(path, '{"x": 1}', weights)
    content, refused = path.read_bytes(), 0
    for place in range(0, len(content), 2):
        broken = bytearray(content)
        broken[place] ^= 1 << (place // 2 % 8)
        path.write_bytes(broken)
        try:
            got = checkpoint_file.read(path)
        except UserError:
            refused += 1
            continue
        assert got.card == '{"x": 1}', place
        assert got.state_dict.keys() == weights.keys(), place
        assert all(torch.equal(got.state_dict[name], weight) for name, weight in weights.items()), place
    assert refused > len(content) // 6  # about half of so small a file is padding


def test_what_torch_reads_is_what_was_checked(saved, tmp_path):
    """An archive that holds two records of one name could show one to the check and the other to torch."""
    marker = tmp_path / "code-was-run"
    torch.save(Planted(marker), tmp_path / "hostile.pt")
    with zipfile.ZipFile(tmp_path / "hostile.pt") as hostile, zipfile.ZipFile(saved) as good:
        evil = next(hostile.read(name) for name in hostile.namelist() if name.endswith("/data.pkl"))
        names = {name: good.read(name) for name in good.namelist()}
    pickle_name = next(name for name in names if name.endswith("/data.pkl"))
    with zipfile.ZipFile(saved, "w") as both:
        both.writestr(pickle_name, evil)
        for name, record in names.items():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # zipfile warns of the duplicate
                both.writestr(name, record)
    assert "another kind of archive" in refusal(saved)
    assert not marker.exists()


def test_a_compressed_archive_is_refused(saved):
    """torch never compresses; a few bytes that unpack to gigabytes do."""
    with zipfile.ZipFile(saved) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(saved, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, record in records.items():
            archive.writestr(name, record)
    assert "another kind of archive" in refusal(saved)


@pytest.mark.parametrize(
    ("version", "said"), [(2, "upgrade it with `pip install --upgrade gmd26-md`"), ("x", "format version is 'x'")]
)
def test_a_version_that_is_not_known_is_refused(saved, version, said):
    payload = torch.load(saved, weights_only=True)
    torch.save({**payload, "version": version}, saved)
    assert said in refusal(saved)
