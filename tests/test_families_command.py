"""`gmd26-md families`: what runs here, told without importing it."""

import json
import subprocess
import sys

import pytest

from gmd26_md.calculators import families

EVERYTHING = (*families.family_names(), *families.engine_names())


@pytest.fixture
def listed(cli):
    code, out, err = cli("families", "--json")
    assert (code, err) == (0, "")
    return json.loads(out)


def test_families_and_engines_say_whether_they_run_here_and_on_what(listed):
    assert set(listed["here"]) == set(EVERYTHING) == {*listed["families"], *listed["calculators"]}
    assert listed["here"]["harmonic"] == {"runs": True, "packages": {}, "install": None}
    assert set(listed["here"]["schnet"]["packages"]) == {"schnetpack"}
    for name, here in listed["here"].items():
        assert here["runs"] == (None not in here["packages"].values()), name
        assert here["runs"] == (here["install"] is None), name


def test_a_package_that_is_not_installed_is_named_with_what_installs_it(cli, monkeypatch):
    real = families.version

    def without_nequip(package):
        if package == "nequip":
            raise families.PackageNotFoundError(package)
        return real(package)

    monkeypatch.setattr(families, "version", without_nequip)
    _, out, _ = cli("families")
    line = next(line for line in out.splitlines() if line.startswith("nequip "))
    assert line.split(maxsplit=1)[1] == "does not run here, for want of nequip: bash scripts/all-families.sh"
    assert "nequip" not in families.installed_versions()


@pytest.mark.parametrize("family", families.family_names())
def test_the_defaults_read_from_the_source_are_those_that_an_import_gives(family):
    assert families.written_defaults(family) == families.default_hyperparameters(family)


@pytest.mark.parametrize("name", EVERYTHING)
def test_every_package_of_a_family_is_one_that_its_file_knows(name):
    """If this fails, the listing names a package that the family does not use."""
    module = families.family_module(name) if name in families.family_names() else families.engine_module(name)
    assert tuple(families.packages(name)) == getattr(module, "PACKAGES", ())


def test_listing_imports_neither_torch_nor_any_package_of_a_family():
    code = (
        "import sys; from gmd26_md.cli import main\n"
        "try: main(['families', '--json'])\n"
        "except SystemExit: print(*sorted({name.split('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["families"]
    loaded = set(done.stderr.split())
    assert "click" in loaded
    assert not loaded & {"torch", "numpy", "ase", "schnetpack", "mace", "e3nn", "nequip", "tblite", "pyscf"}


def test_the_packages_of_families_stand_among_the_versions_of_a_record():
    from gmd26_md.question import versions

    assert families.installed_versions().items() <= versions().items()
    assert {"gmd26-md", "ase", "numpy", "torch", "python", "schnetpack", "tblite"} <= set(versions())
