"""Tensor files are whole or absent, also where there is no room for them."""

import resource

import pytest
import torch

from gmd26_md.tensor_files import save_whole


def test_what_was_saved_comes_back(tmp_path):
    save_whole({"x": torch.arange(3)}, tmp_path / "a.pt")
    assert torch.equal(torch.load(tmp_path / "a.pt", weights_only=True)["x"], torch.arange(3))


def test_no_room_is_an_oserror_and_the_old_file_stays(tmp_path):
    path = tmp_path / "a.pt"
    save_whole({"x": torch.zeros(1)}, path)
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))  # bytes; stands for a full disk
    try:
        with pytest.raises(OSError):  # noqa: PT011 - which errno depends on what is full
            save_whole({"x": torch.zeros(100_000)}, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
