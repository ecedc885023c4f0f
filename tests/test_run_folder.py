"""A run folder belongs to one question, and says which part differs."""

import numpy as np
import pytest

from gmd26_md.errors import UserError
from gmd26_md.observables.atom_forces import AtomForces
from gmd26_md.observables.bonds import BondGraph
from gmd26_md.run_folder import RunFolder, open_run_folder

QUESTION = {
    "protocol": "stability",
    "model": "painn",
    "model_sha256": "aa",
    "molecules": {"ethane": "01", "propane": "02"},
    "frames": {"ethane": None, "propane": "ff"},
    "settings": {"stability": {"nve_ps": 2.0}},
}


def changed(**parts):
    return QUESTION | parts


def test_the_same_question_opens_the_same_folder_again(tmp_path):
    first = open_run_folder(tmp_path / "run", QUESTION)
    first.write_static("ethane", np.arange(8.0).reshape(1, 8))
    again = open_run_folder(tmp_path / "run", dict(reversed(QUESTION.items())))
    np.testing.assert_array_equal(again.static_tables()["ethane"], np.arange(8.0).reshape(1, 8))
    assert again.records() == []


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (changed(settings={"stability": {"nve_ps": 5.0}}), "stability.nve_ps = 2.0, asked is 5.0"),
        (changed(model_sha256="bb"), "another checkpoint of this name"),
        (changed(molecules={"ethane": "01"}, frames={"ethane": None}), "other molecules: propane is gone"),
        (changed(molecules={"ethane": "01", "propane": "03"}), "other molecules: propane differs"),
        (changed(frames={"ethane": "ee", "propane": "ff"}), "other reference frames of ethane"),
        (changed(reference_sha256="cc"), "a reference whose file or code is not noted there"),
        (changed(protocol="relaxation"), "protocol = stability, asked is relaxation"),
    ],
)
def test_another_question_is_refused_by_what_differs(tmp_path, asked, words):
    open_run_folder(tmp_path / "run", QUESTION)
    before = (tmp_path / "run" / "run.json").read_bytes()
    with pytest.raises(UserError, match="made with") as refusal:
        open_run_folder(tmp_path / "run", asked)
    assert words in str(refusal.value)
    assert "--out another folder" in str(refusal.value)
    assert (tmp_path / "run" / "run.json").read_bytes() == before


def test_another_reference_of_the_same_name_is_told(tmp_path):
    open_run_folder(tmp_path / "run", changed(reference_sha256="cc"))
    with pytest.raises(UserError, match="was made with another reference of this name"):
        open_run_folder(tmp_path / "run", changed(reference_sha256="dd"))


def test_how_it_was_named_is_no_part_of_the_question_and_the_latest_is_kept(tmp_path):
    path = tmp_path / "run"
    assert open_run_folder(path, QUESTION).asked() == {}
    assert open_run_folder(path, QUESTION, {"words": ["a"]}).asked() == {"words": ["a"]}
    assert open_run_folder(path, QUESTION).asked() == {"words": ["a"]}
    assert open_run_folder(path, QUESTION, {"words": ["b"]}).asked() == {"words": ["b"]}
    with pytest.raises(UserError, match="model = painn, asked is mace"):
        open_run_folder(path, changed(model="mace"), {"words": ["b"]})
    (path / "run.json").write_text("[]")
    assert RunFolder(path).asked() == {}


def test_what_a_kill_left_of_the_first_file_is_no_obstacle(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".run.json.123.part").write_text("{")
    open_run_folder(tmp_path / "run", QUESTION)
    assert (tmp_path / "run" / "run.json").is_file()


def test_a_marker_that_does_not_parse_is_refused(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("{torn")
    with pytest.raises(UserError, match="does not parse"):
        open_run_folder(tmp_path / "run", QUESTION)


def test_a_damaged_table_of_static_errors_is_named(tmp_path):
    folder = open_run_folder(tmp_path / "run", {"a": 1})
    folder.write_static("x", np.zeros((2, 8)))
    path = tmp_path / "run" / "static" / "x.npy"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match=r"x\.npy is damaged"):
        folder.static_tables()


def water_forces():
    graph = BondGraph(np.array([8, 1, 1]), np.array([[0, 1], [0, 2]]), np.array([0.96, 0.96]))
    reference = np.random.default_rng(0).normal(size=(5, 3, 3))
    return AtomForces(graph, 1.1 * reference, reference)


def test_forces_by_atom_come_back_in_single_precision(tmp_path):
    folder = open_run_folder(tmp_path / "run", {"a": 1})
    assert folder.forces_of("water") is None
    kept = water_forces()
    folder.write_forces("water", kept)
    again = folder.forces_of("water")
    np.testing.assert_allclose(again.predicted, kept.predicted, rtol=1e-7)
    np.testing.assert_allclose(again.reference, kept.reference, rtol=1e-7)
    np.testing.assert_array_equal(again.graph.bonds, kept.graph.bonds)


def test_damaged_forces_are_named_with_the_cure(tmp_path):
    folder = open_run_folder(tmp_path / "run", {"a": 1})
    folder.write_forces("water", water_forces())
    path = tmp_path / "run" / "static-forces" / "water.npz"
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(UserError, match=r"water\.npz is damaged .*; delete it and give the command again"):
        folder.forces_of("water")
