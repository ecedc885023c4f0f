"""What tells references apart: what runs that are kept and folders that are gone on with depend on."""

from types import SimpleNamespace

import pytest

from gmd26_md.calculators import load_calculator
from gmd26_md.errors import UserError
from gmd26_md.files import sha256_of
from gmd26_md.question import Question
from gmd26_md.reference.identity import reference_identity

CODE = """
from ase.calculators.emt import EMT
def make():
    return EMT(fixed_cutoff=True)
"""


@pytest.fixture
def mine(tmp_path):
    (tmp_path / "mine.py").write_text(CODE)
    return tmp_path / "mine.py"


def test_an_engine_is_its_name_and_a_file_its_content(tmp_path, monkeypatch):
    (tmp_path / "gfn2-xtb").write_text("a file of that name is not what is opened")
    monkeypatch.chdir(tmp_path)
    assert reference_identity("gfn2-xtb") == "gfn2-xtb"
    assert reference_identity("pbe-d3bj/def2-svp") == "pbe-d3bj/def2-svp"
    assert reference_identity("./gfn2-xtb") == sha256_of(tmp_path / "gfn2-xtb")


def test_a_function_is_its_code_whatever_it_is_called(mine, tmp_path, monkeypatch):
    before = reference_identity(f"{mine}:make")
    assert before == load_calculator(f"{mine}:make").parameters["sha256"]
    monkeypatch.chdir(tmp_path)
    assert reference_identity("./mine.py:make") == before
    mine.write_text(CODE.replace("True", "False"))
    assert reference_identity(f"{mine}:make") not in (before, f"{mine}:make")
    mine.write_text(CODE)
    assert reference_identity(f"{mine}:make") == before
    emt = "ase.calculators.emt:EMT"
    assert reference_identity(emt) == load_calculator(emt).parameters["sha256"]
    with pytest.raises(UserError, match="nothing"):
        reference_identity(f"{mine}:nothing")


@pytest.mark.parametrize("nested", [False, True])
def test_a_run_folder_is_for_one_reference_and_old_ones_of_engines_go_on(mine, nested):
    subject = SimpleNamespace(source={}, name="m", sha256="aa", dtype="float64", engine="batched")

    def content(reference):
        settings = {"reference": reference}
        return Question(subject, "user", []).content("scan", {"stability": settings} if nested else settings)

    assert "reference_sha256" not in content("gfn2-xtb")
    before = content(f"{mine}:make")
    assert before["reference_sha256"] == reference_identity(f"{mine}:make")
    mine.write_text(CODE.replace("True", "False"))
    assert content(f"{mine}:make") != before
    assert "reference_sha256" not in Question(subject, "user", []).content("conservation", {"timestep_fs": 1.0})
