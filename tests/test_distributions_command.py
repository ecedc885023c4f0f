"""`gmd26-md distributions` as a user meets it: a dimer on a spring, model and reference alike."""

import json

import pytest
from ase import Atoms
from ase.io import write

SHORT = ("--run-ps", 0.5, "--equilibrate-ps", 0.1, "--window-ps", 0.25, "--timestep-fs", 1, "--device", "cpu")


@pytest.fixture
def arguments(tmp_path):
    write(tmp_path / "n2.xyz", Atoms("N2", positions=[[0, 0, 0], [1.1, 0, 0]]))
    asked = ("distributions", "--model", "harmonic", "--molecules", tmp_path / "n2.xyz", *SHORT)
    return (*asked, "--out", tmp_path / "run", "--reference-runs", tmp_path / "shared")


def records_in(folder):
    return [json.loads(line) for line in (folder / "records.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_what_takes_too_long_is_refused_and_nothing_is_made_twice(cli, arguments, tmp_path):
    code, _, err = cli(*arguments, "--max-hours", 1e-9)
    assert code == 2
    assert err.startswith("error: 2 runs of harmonic, 1200 steps in all, about")
    assert not (tmp_path / "run" / "records.jsonl").exists()
    code, out, err = cli(*arguments)  # goes on with the model's runs
    assert code == 0, err
    assert "reference dynamics: 2 runs of harmonic, 1200 steps in all, about" in err
    record = records_in(tmp_path / "run")[0]
    assert record["reason"].split(":")[0] in ("within noise", "off", "unsettled")  # 0.5 ps is too short to say
    assert record["metrics"]["torsion_wasserstein_ratio"] is None
    assert "against reference dynamics at 300 K" in out
    kept = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "shared").iterdir()}
    assert sorted(kept) == sorted(f"{name}.npz" for name in record["evidence"]["reference_runs"])
    code, _, err = cli(*arguments)
    assert (code, err) == (0, "")
    assert len(records_in(tmp_path / "run")) == 1
    other = [tmp_path / "again" if a == tmp_path / "run" else a for a in arguments]
    code, _, err = cli(*other)  # another run folder, the same reference runs
    assert (code, err) == (0, "")
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "shared").iterdir()} == kept
    assert records_in(tmp_path / "again")[0]["metrics"] == record["metrics"]


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (("--n-runs", 1), "give 2 or more"),
        (("--save-every-fs", 10), "do not see O-H stretches"),
        (("--run-ps", "nan"), "finite number above 0"),
        (("--reference", "gfn3"), "gfn3"),
    ],
)
def test_bad_input_is_refused_in_a_line(cli, arguments, option, words):
    code, out, err = cli(*arguments, *option)
    assert (code, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1
