"""Reference data: whole, repeatable, never made twice, never mixed, and honest about failures."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from ase.calculators.calculator import Calculator, all_changes

from gmd26_md.calculators import load_calculator
from gmd26_md.datasets import store
from gmd26_md.datasets.generate import generate
from gmd26_md.datasets.heldout import heldout_frames
from gmd26_md.datasets.sample import SamplingSettings
from gmd26_md.errors import UserError
from gmd26_md.files import sha256_of
from gmd26_md.seeds import seed_of

LEVEL = "gfn2-xtb"
DONE = {"minimum": "done", "primary": "done", "secondary": "done"}
KILL_ME = Path(__file__).with_name("kill_me.py")


class Springs(Calculator):
    """Springs that hold what they first see; raises after so many calculations."""

    implemented_properties = ("energy", "forces")

    def __init__(self, n_calls):
        super().__init__()
        self.springs, self.left = load_calculator("harmonic"), n_calls

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        if self.left == 0:
            raise RuntimeError("the reference gave up")
        self.left -= 1
        energy = self.springs.get_potential_energy(atoms)
        self.results = {"energy": energy, "forces": self.springs.get_forces(atoms)}


@pytest.fixture
def data(untouched_data, tmp_path) -> Path:
    """A copy of the sampled data that a test may spoil."""
    return Path(shutil.copytree(untouched_data, tmp_path / "data"))


def fingerprint(folder):
    return {path.name: (sha256_of(path), path.stat().st_mtime_ns) for path in sorted(folder.iterdir())}


def frames_of(data, molecule, stage):
    return store.read_frames(store.path_of(data, LEVEL, molecule, stage))


def test_the_files_of_a_molecule_are_whole_and_say_what_made_them(untouched_data, ethane, few_steps):
    folder = store.folder_of(untouched_data, LEVEL, ethane)
    assert {p.name for p in folder.iterdir()} == {f"{s}.extxyz" for s in store.STAGES} | {"provenance.json"}
    told = store.read_provenance(folder)
    for stage, n_frames in (("minimum", 1), ("primary", 3), ("secondary", 3)):
        assert told[stage]["sha256"] == sha256_of(folder / f"{stage}.extxyz")
        assert told[stage]["n_frames"] == n_frames == frames_of(untouched_data, ethane, stage).n_frames
        assert told[stage]["level_of_theory"] == LEVEL
        assert told[stage]["command"] == "a test"
        assert told[stage]["versions"]["tblite"]
    wanted = {k: v for k, v in asdict(few_steps).items() if k not in ("n_primary", "n_secondary")}
    assert told["primary"]["settings"] == wanted | {"n_frames": 3}
    assert told["primary"]["stream_seed"] == seed_of(26, "ethane", "primary")
    assert store.missing(untouched_data, LEVEL, [ethane], store.STAGES) == []


def test_frames_carry_the_energies_and_forces_of_the_reference(untouched_data, ethane):
    frames = frames_of(untouched_data, ethane, "primary")
    assert frames.time_fs.tolist() == [0.0, 2.5, 5.0]
    atoms = ethane.atoms()
    atoms.calc = load_calculator(LEVEL)
    for index in range(frames.n_frames):
        atoms.positions = frames.positions[index]
        # sampled at accuracy 1, which leaves up to 5e-4 eV/Å in the forces; asked here at 0.01
        assert frames.energies[index] == pytest.approx(atoms.get_potential_energy(), abs=1e-4)
        assert frames.forces[index] == pytest.approx(atoms.get_forces(), abs=2e-3)


def test_the_minimum_is_at_rest(untouched_data, ethane):
    minimum = frames_of(untouched_data, ethane, "minimum")
    assert np.linalg.norm(minimum.forces[0], axis=-1).max() < 0.01


def test_primary_and_secondary_are_independent_and_another_seed_is_another_trajectory(
    untouched_data, tmp_path, ethane, few_steps, sampled
):
    sampled(ethane, tmp_path, replace(few_steps, seed=27))
    primary, secondary = (frames_of(untouched_data, ethane, stage) for stage in ("primary", "secondary"))
    # 5 fs at 500 K move atoms by some hundredths of an Å
    assert np.abs(primary.positions - secondary.positions).max() > 0.01
    assert np.abs(primary.positions - frames_of(tmp_path, ethane, "primary").positions).max() > 0.01


def test_the_same_seed_gives_the_same_structures(untouched_data, tmp_path, ethane, few_steps, sampled):
    sampled(ethane, tmp_path, few_steps)
    for stage in store.STAGES:
        one, other = frames_of(untouched_data, ethane, stage), frames_of(tmp_path, ethane, stage)
        assert one.positions == pytest.approx(other.positions, abs=1e-9)  # one machine, one thread count


def test_finished_data_is_never_made_again(data, ethane, few_steps, sampled):
    before = fingerprint(store.folder_of(data, LEVEL, ethane))
    assert generate([ethane], data, settings=few_steps) == {"ethane": DONE}
    assert sampled(ethane, data, few_steps, make=lambda: Springs(0)) == DONE
    assert fingerprint(store.folder_of(data, LEVEL, ethane)) == before


@pytest.mark.parametrize("lost", ["nothing", "minimum.extxyz"])
@pytest.mark.parametrize("changed", [{"temperature_K": 300.0}, {"n_secondary": 4}, {"seed": 27}])
def test_data_of_other_settings_is_refused_and_left_alone(data, ethane, few_steps, changed, lost):
    folder = store.folder_of(data, LEVEL, ethane)
    (folder / lost).unlink(missing_ok=True)
    before = fingerprint(folder)
    with pytest.raises(UserError, match=next(iter(changed)).replace("n_secondary", "n_frames")):
        generate([ethane], data, settings=replace(few_steps, **changed))
    assert fingerprint(folder) == before


@pytest.mark.parametrize("harm", ["cut inside a frame", "cut after a frame", "garbled"])
def test_a_torn_file_is_never_read_as_data_and_is_made_again(data, ethane, few_steps, sampled, harm):
    path = store.path_of(data, LEVEL, ethane, "primary")
    whole = frames_of(data, ethane, "primary")
    lines = path.read_text().splitlines(keepends=True)
    torn = {"cut inside a frame": lines[:13], "cut after a frame": lines[:10], "garbled": ["\0" * 100]}[harm]
    path.write_text("".join(torn))
    with pytest.raises(UserError, match=r"primary\.extxyz"):
        heldout_frames(data, LEVEL, ethane, "ood")
    others = {k: v for k, v in fingerprint(path.parent).items() if k in ("minimum.extxyz", "secondary.extxyz")}
    assert sampled(ethane, data, few_steps) == DONE
    assert frames_of(data, ethane, "primary").positions == pytest.approx(whole.positions, abs=1e-9)
    assert others.items() <= fingerprint(path.parent).items()


def test_provenance_that_is_no_json_is_one_line(data, ethane, few_steps):
    (store.folder_of(data, LEVEL, ethane) / "provenance.json").write_text('{"minimum": {')
    with pytest.raises(UserError, match="is not JSON"):
        generate([ethane], data, settings=few_steps)


def test_a_reference_that_fails_is_recorded_and_leaves_no_data(tmp_path, ethane, few_steps, sampled):
    made = iter([Springs(1000), Springs(4), Springs(1000)])  # for minimum, primary, secondary
    statuses = sampled(ethane, tmp_path, few_steps, make=lambda: next(made))
    assert statuses == {"minimum": "done", "primary": "failed", "secondary": "done"}
    folder = store.folder_of(tmp_path, LEVEL, ethane)
    told = store.read_provenance(folder)["primary"]
    assert told["status"] == "failed"
    # call 5 is step 4 of 2.5 fs
    assert told["reason"] == "error at 10.0 fs: RuntimeError: the reference gave up"
    assert not (folder / "primary.extxyz").exists()
    assert not store.is_done(folder, "primary", {})
    assert sampled(ethane, tmp_path, few_steps, make=lambda: Springs(1000))["primary"] == "done"


def test_a_failure_leaves_no_torn_file_behind(data, ethane, few_steps, sampled):
    path = store.path_of(data, LEVEL, ethane, "secondary")
    path.write_text("torn")
    assert sampled(ethane, data, few_steps, make=lambda: Springs(4))["secondary"] == "failed"
    assert not path.exists()


def test_a_minimum_that_is_not_found_is_recorded(tmp_path, ethane, few_steps, sampled):
    assert sampled(ethane, tmp_path, few_steps, make=lambda: Springs(0)) == {"minimum": "failed"}
    assert "did not converge" in store.read_provenance(store.folder_of(tmp_path, LEVEL, ethane))["minimum"]["reason"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("interval_fs", 0.4),
        ("interval_fs", 9.0),
        ("timestep_fs", 0.0),
        ("n_primary", 0),
        ("temperature_K", float("nan")),
        ("seed", -1),
    ],
)
def test_settings_that_cannot_be_are_one_line(name, value):
    with pytest.raises(UserError, match=name):
        SamplingSettings(**{name: value})


def test_a_killed_generation_goes_on_where_it_was(tmp_path, ethane, few_steps):
    settings = replace(few_steps, n_secondary=150)
    arguments = [str(KILL_ME), str(tmp_path), json.dumps(asdict(settings))]
    started = subprocess.Popen([sys.executable, *arguments], env=os.environ | {"OMP_NUM_THREADS": "1"})
    folder = store.folder_of(tmp_path, LEVEL, ethane)
    try:
        wait_for(lambda: store.read_provenance(folder).get("primary"), started)
        workers = children_of(started.pid)
    finally:
        started.send_signal(signal.SIGKILL)
        started.wait()
    wait_for(lambda: not any(is_alive(pid) for pid in workers))  # nobody is left to compute for nobody
    assert "secondary" not in store.read_provenance(folder)
    before = fingerprint(folder)
    assert generate([ethane], tmp_path, settings=settings, n_workers=1) == {"ethane": DONE}
    after = fingerprint(folder)
    assert (after["minimum.extxyz"], after["primary.extxyz"]) == (before["minimum.extxyz"], before["primary.extxyz"])
    assert frames_of(tmp_path, ethane, "secondary").n_frames == 150


def wait_for(happened, process=None):
    deadline = time.monotonic() + 300.0  # a loaded machine; a quiet one needs three seconds
    while not happened():
        assert time.monotonic() < deadline
        assert process is None or process.poll() is None, "it ended before it could be killed"
        time.sleep(0.01)


def children_of(pid):
    children = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in children.read_text().split()] if children.is_file() else []


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("content", [b"[1, 2]", b'{"minimum": 3}', b"\xff\xfe"])
def test_a_provenance_that_says_nothing_is_named(tmp_path, content):
    (tmp_path / "provenance.json").write_bytes(content)
    with pytest.raises(UserError, match=r"provenance\.json .* delete the folder"):
        store.read_provenance(tmp_path)
