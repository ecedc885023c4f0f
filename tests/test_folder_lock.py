"""Two processes never write one run folder: tried with two real ones."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gmd26_md import folder_lock
from gmd26_md.errors import UserError
from gmd26_md.run_folder import RunFolder, open_run_folder

QUESTION = {"protocol": "stability", "model": "painn"}
WRITER = """
import sys
from pathlib import Path
from gmd26_md.run_folder import open_run_folder
folder = open_run_folder(Path(sys.argv[1]), {"protocol": "stability", "model": "painn"})
print("open", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def other(tmp_path):
    """Start another process that has the folder open, and end it."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, tmp_path / "run"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        yield process
        process.kill()


def left_in(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


def test_a_second_process_is_told_who_has_the_folder_and_changes_nothing(other, tmp_path):
    before = left_in(tmp_path / "run")
    assert before == {"run.json", ".lock"}
    with pytest.raises(UserError, match=rf"run is being written by process {other.pid} on .+; wait .* --out another"):
        open_run_folder(tmp_path / "run", QUESTION)
    assert left_in(tmp_path / "run") == before
    assert RunFolder(tmp_path / "run").records() == [], "reading needs no lock"
    with pytest.raises(UserError, match="was made with model = painn, asked is schnet"):
        open_run_folder(tmp_path / "run", QUESTION | {"model": "schnet"})


def test_the_lock_ends_with_the_process_that_has_it(other, tmp_path):
    other.stdin.close()
    assert other.wait(30) == 0
    assert left_in(tmp_path / "run") == {"run.json"}
    open_run_folder(tmp_path / "run", QUESTION)


def test_the_lock_ends_with_a_kill_too(other, tmp_path):
    other.kill()
    other.wait(30)
    assert ".lock" in left_in(tmp_path / "run"), "if this fails, the test kills nothing"
    folder = open_run_folder(tmp_path / "run", QUESTION)
    del folder
    assert left_in(tmp_path / "run") == {"run.json"}


def test_one_process_may_open_a_folder_as_often_as_it_likes_and_lets_go_with_the_last(tmp_path):
    first = open_run_folder(tmp_path / "run", QUESTION)
    again = open_run_folder(tmp_path / "run", QUESTION)
    assert again == first
    del first
    assert ".lock" in left_in(tmp_path / "run")
    del again
    assert ".lock" not in left_in(tmp_path / "run")


def test_a_lock_that_was_taken_away_while_we_waited_for_it_is_none(tmp_path, monkeypatch):
    """The one who had it removed its file after we had opened it: another process may lock a new file of that name."""
    real, taken = folder_lock.fcntl.flock, []

    def flock(descriptor: int, how: int) -> None:
        if not taken:
            taken.append(descriptor)
            (tmp_path / ".lock").unlink()
        real(descriptor, how)

    monkeypatch.setattr(folder_lock.fcntl, "flock", flock)
    lock = folder_lock.locked(tmp_path)
    assert lock is not None
    assert left_in(tmp_path) == {".lock"}


def test_where_the_system_knows_no_locks_folders_open_without(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_lock, "fcntl", None)
    assert open_run_folder(tmp_path / "run", QUESTION).lock is None
