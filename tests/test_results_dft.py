"""The figures in docs/results/dft-offset.md are those of the frames that ship."""

from pathlib import Path

import numpy as np
import pytest

from gmd26_md import molecules
from gmd26_md.datasets import store
from gmd26_md.datasets.level_offset import pairs_of

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "results" / "dft-offset.md"
FRAMES = ROOT / "checkpoints" / "frames"
LEVELS = ("pbe-d3bj/def2-svp", "pbe-d3bj/def2-tzvp")
SHIPPED = [path.parent for level in LEVELS for path in sorted((FRAMES / level).glob("*/provenance.json"))]


@pytest.mark.parametrize(
    "levels", [("gfn2-xtb", LEVELS[0]), ("gfn2-xtb", LEVELS[1]), LEVELS], ids=lambda levels: " ".join(levels)
)
def test_every_table_of_two_levels_is_what_the_command_prints(levels, cli):
    asked = ("data", "compare", *levels, "--task", "duplication", "--data", FRAMES, "--format", "markdown")
    code, printed, _ = cli(*asked)
    assert code == 0
    said = PAGE.read_text(encoding="utf-8")
    for line in (line for line in printed.splitlines() if line.startswith("|")):
        assert line in said


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: f"{folder.parent.name} {folder.name}")
def test_shipped_labels_are_whole_and_say_who_sampled_and_who_labelled(folder):
    told = store.read_provenance(folder)
    assert told
    for stage, entry in told.items():
        assert entry["status"] == "done"
        assert entry["level_of_theory"] == f"pbe-d3bj/{folder.parent.name}"
        assert entry["sampled_by"] == "gfn2-xtb"
        assert entry.get("failed_frames", []) == []
        frames = store.read_frames(folder / f"{stage}.extxyz")
        # the grid moves with the atoms, and its response is in the gradient: seen 1.4e-11 eV/Å
        assert np.abs(frames.forces.sum(axis=1)).max() < 1e-8


def test_shipped_geometries_are_those_that_gfn2_xtb_sampled():
    pairs = [(molecules.get(name), "id") for name in {folder.name.replace("-", " ") for folder in SHIPPED}]
    for level in LEVELS:
        for pair in pairs_of(pairs, (FRAMES, "gfn2-xtb"), (FRAMES, level)):
            assert pair.n_unmatched == 0
