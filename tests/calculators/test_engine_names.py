"""Names with a variant, and an extra that is not installed: none of this needs PySCF."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from gmd26_md import UserError, load_calculator
from gmd26_md.calculators import families

# Makes an import fail as it does where the package is not installed, and drops what was imported before.
WITHOUT_PYSCF = """
    import sys

    class Absent:
        def find_spec(self, name, path=None, target=None):
            if name.split(".")[0] == "pyscf":
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    sys.meta_path.insert(0, Absent())
"""


def run_fresh(code: str) -> subprocess.CompletedProcess[str]:
    whole = textwrap.dedent(WITHOUT_PYSCF) + textwrap.dedent(code)
    return subprocess.run([sys.executable, "-c", whole], capture_output=True, text=True, check=False)


def test_an_engine_of_several_kinds_has_a_full_name():
    assert families.full_name("pbe-d3bj") == "pbe-d3bj/def2-svp"
    assert families.full_name("pbe-d3bj/def2-tzvp") == "pbe-d3bj/def2-tzvp"
    assert families.full_name("gfn2-xtb") == "gfn2-xtb"
    assert "basis" in families.engine_options("pbe-d3bj")
    assert "basis" not in families.engine_options("pbe-d3bj/def2-svp")  # the name settles it


@pytest.mark.parametrize(
    "name", ["gfn2-xtb/model.pt", "harmonic/model.pt", "folder/pbe-d3bj", "/pbe-d3bj", "pbe-d3bj/"]
)
def test_other_words_with_a_slash_are_paths(name):
    assert not families.is_engine(name)
    assert families.is_engine("pbe-d3bj/whatever"), "if this fails, nothing with a slash is a name and the rest is idle"


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("pbe-d3bj/def2-svpp", {}, "unknown basis of pbe-d3bj 'def2-svpp'. Did you mean 'def2-svp'?"),
        ("pbe-d3bj", {"basis": "sto-3g"}, "unknown basis of pbe-d3bj 'sto-3g'"),
        ("pbe-d3bj/def2-svp", {"basis": "def2-tzvp"}, "unknown option of pbe-d3bj/def2-svp 'basis'"),
        ("pbe-d3bj", {"grid_levl": 1}, "Did you mean 'grid_level'"),
        ("pbe-d3bj", {"grid_level": 10}, "grid_level is 10; it must be a whole number from 0 to 9"),
        ("pbe-d3bj", {"max_cycles": True}, "max_cycles is True"),
        ("pbe-d3bj", {"n_threads": 0}, "n_threads is 0"),
        ("pbe-d3bj", {"scf_tolerance_Hartree": float("nan")}, "must be a positive number"),
        ("pbe-d3bj", {"device": "cuda"}, "computes on the cpu"),
        ("pbe-d3bj/def2-svp", {"dtype": "float32"}, "computes in float64"),
    ],
)
def test_what_cannot_be_is_refused_in_words_before_a_package_is_looked_for(name, options, said):
    with pytest.raises(UserError) as caught:
        load_calculator(name, **options)
    assert said in str(caught.value)


def test_without_the_package_the_names_are_there_and_the_calculator_says_what_to_install():
    done = run_fresh("""
        from gmd26_md import UserError, load_calculator
        from gmd26_md.calculators import families
        assert "pbe-d3bj" in families.engine_names()
        try:
            load_calculator("pbe-d3bj/def2-tzvp")
        except UserError as error:
            print(error)
    """)
    assert done.returncode == 0, done.stderr
    assert "pip install 'gmd26-md[dft]'" in done.stdout
    assert done.stdout.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("option", [("--reference", "pbe-d3bj"), ("--model", "pbe-d3bj/def2-svp")])
def test_without_the_package_a_command_stops_at_once_with_one_line(option, tmp_path):
    asked = {"--model": "gfn2-xtb", "--task": "duplication", "--only": "acetic acid"} | dict([option])
    arguments = ["stability", *(word for pair in asked.items() for word in pair), "--out", str(tmp_path / "run")]
    done = run_fresh(f"""
        from gmd26_md.cli import main
        sys.argv = ["gmd26-md", *{arguments!r}]
        main()
    """)
    assert done.returncode == 2, done.stderr
    assert "pip install 'gmd26-md[dft]'" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()
