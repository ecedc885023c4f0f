"""`data verify` as it is used: exit codes, lines, JSON, hash lists, and what cannot be asked."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from gmd26_md.datasets import store

LEVEL = "gfn2-xtb"


@pytest.fixture
def data(sound_data, tmp_path) -> Path:
    """A copy of sound data that a test may spoil."""
    return Path(shutil.copytree(sound_data, tmp_path / "data"))


@pytest.fixture
def verify(cli, data):
    """Return a function that runs the command on the data, in this process."""
    return lambda *asked: cli("data", "verify", "--data", data, "--workers", "1", *asked)


def test_sound_data_is_exit_code_0_and_a_table_that_fits(verify, data):
    code, out, err = verify()
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].split() == ["the", "worst", "of", "all", "seen", "limit", "where"]
    assert any(line.startswith("force off the slope of the energy, eV/Å") for line in lines)
    assert lines[-1] == f"1 molecule, 120 frames in {data / LEVEL}: no problem."
    assert max(map(len, lines[:-1])) <= 110


def test_a_problem_is_a_line_and_exit_code_1(verify, data, ethane):
    store.path_of(data, LEVEL, ethane, "secondary").unlink()
    code, out, err = verify("--quick")
    assert (code, err) == (1, "")
    assert out.startswith("ethane, secondary: secondary.extxyz is not there")
    assert out.endswith(": 1 problem in 1; labels were not computed anew.\n")


def test_json_has_problems_and_measurements(verify, data, ethane):
    store.path_of(data, LEVEL, ethane, "secondary").write_text("torn")
    code, out, err = verify("--quick", "--json")
    assert (code, err) == (1, "")
    told = json.loads(out)
    assert [(p["molecule"], p["stage"], p["kind"], p["frame"]) for p in told["problems"]] == [
        ("ethane", "secondary", "hash", None),
        ("ethane", "secondary", "unreadable", None),
    ]
    assert told["molecules"]["ethane"]["primary"]["n_frames"] == told["n_frames"] == 60
    assert told["units"] == {"energies": "eV", "forces": "eV/Å", "positions": "Å", "time": "fs"}


def test_a_task_asks_for_all_its_molecules(verify):
    code, out, err = verify("--task", "chain-extension", "--quick")
    assert (code, err) == (1, "")
    assert sum(": no data in " in line for line in out.splitlines()) == 11  # alkanes 3 to 13
    assert "\n12 molecules, 120 frames" in out


def test_all_asks_for_120(verify):
    code, out, _err = verify("--all", "--quick", "--json")
    assert code == 1
    assert len(json.loads(out)["problems"]) == 119


def test_a_folder_that_is_no_molecule_is_not_passed_over(verify, data):
    (data / LEVEL / "unobtainane").mkdir()
    code, out, _err = verify("--quick")
    assert code == 1
    assert out.startswith("unobtainane: is no molecule of the benchmark, and was not checked")


# --- hash lists ---


def test_a_hash_list_is_written_checked_and_read_by_sha256sum(verify, data, tmp_path):
    listed = tmp_path / "sha256.txt"
    code, _out, err = verify("--quick", "--write-hashes", listed)
    assert (code, err) == (0, "")
    assert [line.split("  ")[1] for line in listed.read_text().splitlines()] == [
        f"gfn2-xtb/ethane/{stage}.extxyz" for stage in store.STAGES
    ]
    assert verify("--quick", "--hashes", listed)[0] == 0
    if shutil.which("sha256sum"):
        subprocess.run(["sha256sum", "-c", "--quiet", listed], cwd=data, check=True)


def test_what_differs_from_a_hash_list_is_named(verify, data, tmp_path, ethane):
    listed = tmp_path / "sha256.txt"
    verify("--quick", "--write-hashes", listed)
    folder = store.folder_of(data, LEVEL, ethane)
    frames, entry = store.read_frames(folder / "primary.extxyz"), store.read_provenance(folder)["primary"]
    store.write_stage(
        folder, "primary", frames.part(slice(0, 59)), entry | {"settings": entry["settings"] | {"n_frames": 59}}
    )
    shutil.copy(folder / "minimum.extxyz", folder / "more.extxyz")
    lost = listed.read_text() + f"{'0' * 64}  gfn2-xtb/propane/primary.extxyz\n"
    listed.write_text(lost)
    code, out, err = verify("--quick", "--hashes", listed)
    assert (code, err) == (1, "")
    lines = out.splitlines()
    assert lines[0] == "gfn2-xtb/ethane/more.extxyz: is there and not in the hash list"
    assert lines[1].startswith("gfn2-xtb/ethane/primary.extxyz: has hash ")
    assert lines[2] == "gfn2-xtb/propane/primary.extxyz: is in the hash list and not there"
    assert lines[-1].endswith(": 3 problems; labels were not computed anew.")  # in no molecule of itself


def test_no_hash_list_is_made_of_data_with_problems(verify, data, tmp_path, ethane):
    store.path_of(data, LEVEL, ethane, "secondary").unlink()
    code, out, _err = verify("--quick", "--write-hashes", tmp_path / "sha256.txt")
    assert code == 1
    assert "is not written" in out
    assert not (tmp_path / "sha256.txt").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot read the hash list"),
        ("", "is empty"),
        ("abc  gfn2-xtb/ethane/primary.extxyz\n", "line 1 of the hash list"),
        (f"{'0' * 64}  a\n{'1' * 64}  a\n", "line 2 of the hash list"),
        (b"\xff\xfe", "cannot read the hash list"),
    ],
)
def test_a_hash_list_that_is_none_is_one_line(verify, tmp_path, content, words):
    listed = tmp_path / "sha256.txt"
    if content is not None:
        listed.write_bytes(content if isinstance(content, bytes) else content.encode())
    code, out, err = verify("--quick", "--hashes", listed)
    assert (code, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1


# --- what cannot be asked ---


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (("--all", "--task", "fusion"), "not both"),
        (("--task", "fussion"), "fusion"),
        (("--level", "gfn1-xtb"), "has no folder gfn1-xtb"),
        (("--workers", "0"), "--workers"),
        (("--n-label-frames", "0"), "--n-label-frames"),
        (("--n-primary", "many"), "--n-primary"),
    ],
)
def test_what_cannot_be_asked_is_one_line(cli, sound_data, asked, words):
    code, out, err = cli("data", "verify", "--data", sound_data, *asked)
    assert (code, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1


def test_a_folder_without_data_is_one_line(cli, tmp_path):
    (tmp_path / LEVEL).mkdir()
    for folder, words in ((tmp_path, "has no data"), (tmp_path / "none", "has no folder gfn2-xtb")):
        code, out, err = cli("data", "verify", "--data", folder)
        assert (code, out) == (2, "")
        assert words in err


def test_a_level_without_a_reference_is_one_line(cli, sound_data, tmp_path):
    shutil.copytree(sound_data / LEVEL, tmp_path / "ccsd")
    code, out, err = cli("data", "verify", "--data", tmp_path, "--level", "ccsd", "--workers", "1")
    assert (code, out) == (2, "")
    assert "ccsd" in err
    code, out, err = cli("data", "verify", "--data", tmp_path, "--level", "ccsd", "--workers", "1", "--quick")
    assert code == 1
    assert "ethane, primary: its provenance says level of theory gfn2-xtb, want ccsd" in out
