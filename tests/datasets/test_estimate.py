"""What reference data will cost: nothing for what is there, the rest for what is half done, and nothing made."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from gmd26_md import molecules
from gmd26_md.datasets import store
from gmd26_md.datasets.estimate import estimate
from gmd26_md.errors import UserError

LEVEL = "gfn2-xtb"
TINY = ("--n-primary", "3", "--n-secondary", "3", "--equilibrate-ps", "0.005", "--interval-fs", "2.5", "--workers", "1")


@pytest.fixture
def data(untouched_data, tmp_path) -> Path:
    """A copy of the sampled data that a test may spoil."""
    return Path(shutil.copytree(untouched_data, tmp_path / "data"))


def test_nothing_left_costs_nothing(untouched_data, ethane, few_steps):
    found = estimate([ethane], untouched_data, LEVEL, few_steps, 2)
    assert (found.n_molecules, found.n_frames, found.core_s, found.wall_s, found.n_bytes) == (0, 0, 0, 0, 0)
    assert found.words == "Nothing is left to make."


def test_no_molecules_cost_nothing(tmp_path, few_steps):
    assert estimate([], tmp_path, LEVEL, few_steps, 2).n_molecules == 0


def test_what_is_half_done_costs_only_the_rest(data, ethane, few_steps):
    store.path_of(data, LEVEL, ethane, "secondary").unlink()
    found = estimate([ethane, molecules.get("propane")], data, LEVEL, few_steps, 1)
    assert found.n_molecules == 2
    assert found.n_frames == 3 + 6  # the secondary of one, both trajectories of the other
    alone = estimate([ethane], data, LEVEL, few_steps, 1)
    assert (alone.n_molecules, alone.n_frames) == (1, 3)


def test_a_torn_file_is_counted_as_missing(data, ethane, few_steps):
    path = store.path_of(data, LEVEL, ethane, "primary")
    path.write_text("torn")
    assert estimate([ethane], data, LEVEL, few_steps, 1).n_frames == 3


def test_the_bytes_are_those_that_come_out(untouched_data, tmp_path, ethane, few_steps):
    written = sum(store.path_of(untouched_data, LEVEL, ethane, s).stat().st_size for s in ("primary", "secondary"))
    # numbers of a trajectory are of 17 or 18 digits; the first frame's info adds a little
    assert estimate([ethane], tmp_path, LEVEL, few_steps, 1).n_bytes == pytest.approx(written, rel=0.1)


def test_workers_share_the_work_but_not_one_molecule(tmp_path, ethane, few_steps):
    alone = estimate([ethane], tmp_path, LEVEL, few_steps, 8)
    assert alone.wall_s == pytest.approx(alone.core_s)
    both = [ethane, molecules.get("ethanol")]
    two = estimate(both, tmp_path, LEVEL, few_steps, 2)
    assert two.core_s / 2 <= two.wall_s < two.core_s


def test_twice_the_frames_are_twice_the_bytes(tmp_path, ethane, few_steps):
    one = estimate([ethane], tmp_path, LEVEL, replace(few_steps, n_primary=10, n_secondary=10), 1)
    other = estimate([ethane], tmp_path, LEVEL, replace(few_steps, n_primary=20, n_secondary=20), 1)
    assert (one.n_frames, other.n_frames) == (20, 40)
    assert other.n_bytes == pytest.approx(2 * one.n_bytes)


@pytest.mark.parametrize("changed", [{"temperature_K": 300.0}, {"n_primary": 4}, {"accuracy": 0.1}])
def test_data_of_other_settings_is_met_before_anything_is_timed(untouched_data, ethane, few_steps, changed):
    name = next(iter(changed)).replace("n_primary", "n_frames")
    with pytest.raises(UserError, match=f"{name}=.* asked is {name}="):
        estimate([ethane], untouched_data, LEVEL, replace(few_steps, **changed), 1)


def test_a_dry_run_says_the_cost_and_makes_nothing(cli, tmp_path):
    asked = ("data", "generate", "--all", "--out", tmp_path / "data", "--dry-run", *TINY)
    code, out, err = cli(*asked)
    assert (code, err) == (0, "")
    assert re.fullmatch(
        r"To be made: 720 frames of 120 molecules, about [\d.]+ core hours \(.* with these workers\) and \d+ MB\.\n",
        out,
    )
    code, out, err = cli(*asked, "--json")
    assert code == 0
    told = json.loads(out)
    assert (told["n_molecules"], told["n_frames"]) == (120, 720)
    assert told["wall_s"] == pytest.approx(told["core_s"])  # one worker
    assert err.startswith("To be made: 720 frames")
    assert not (tmp_path / "data").exists()


def test_a_dry_run_meets_data_of_other_settings(cli, untouched_data):
    code, out, err = cli("data", "generate", "--all", "--out", untouched_data, "--dry-run", *TINY[:-2], "--seed", "5")
    assert (code, out) == (2, "")
    assert "seed=26, asked is seed=5" in err


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ((), "either --task"),
        (("--all", "--task", "duplication"), "either --task"),
        (("--all", "--split", "ood"), "--split ood is of a task"),
        (("--task", "duplicate"), "duplication"),
        (("--all", "--workers", "0"), "--workers"),
        (("--all", "--interval-fs", "0.5"), "--interval-fs 0.5 is shorter"),
    ],
)
def test_what_cannot_be_asked_is_one_line(cli, tmp_path, asked, words):
    code, out, err = cli("data", "generate", "--out", tmp_path / "data", "--dry-run", *asked)
    assert (code, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1
    assert not (tmp_path / "data").exists()


def test_a_generation_ends_with_what_there_is_and_what_it_took(cli, tmp_path):
    asked = ("data", "generate", "--task", "chain-extension", "--split", "train", "--out", tmp_path, *TINY)
    code, out, err = cli(*asked)
    assert code == 0
    assert err.startswith("To be made: 30 frames of 5 molecules")
    lines = out.splitlines()
    assert lines[0] == f"5 of 5 molecules are whole in {tmp_path / LEVEL}."
    assert re.fullmatch(r"30 frames, 0\.\d MB; 30 made now, in \d+ s\.", lines[1])
    (tmp_path / LEVEL / "ethane" / "primary.extxyz").unlink()
    code, out, err = cli(*asked, "--json")
    assert (code, err[:43]) == (0, "To be made: 3 frames of 1 molecules, about ")
    told = json.loads(out)
    assert (told["n_frames"], told["n_frames_made"]) == (30, 3)
    assert told["n_bytes"] == sum(path.stat().st_size for path in tmp_path.rglob("*.*") if path.is_file())
    assert told["wall_s"] > 0
