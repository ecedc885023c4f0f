"""`gmd26-md data import`: from a folder, and through the hub's client, for which a local folder stands in."""

import json
import runpy
import sys
from pathlib import Path

import pytest

from gmd26_md.datasets import store
from gmd26_md.datasets.published_hub import repository_of
from gmd26_md.datasets.published_parts import LEVEL
from gmd26_md.errors import UserError

_KIT = runpy.run_path(str(Path(__file__).with_name("published_set.py")))
ACID, ETHANE, labelled, put, write_traj = (_KIT[n] for n in ("ACID", "ETHANE", "labelled", "put", "write_traj"))

CLIENT = '''
"""Stands in for the hub's client: copies a folder. Not the thing under test."""
import fnmatch, pathlib, shutil, types
HUB = pathlib.Path({hub!r})

class HfApi:
    def dataset_info(self, repository, revision=None, files_metadata=False):
        if repository != "AmirMasoud/GMD":
            raise RuntimeError("404 Client Error.\\nRepository Not Found")
        files = [p for p in sorted(HUB.rglob("*")) if p.is_file()]
        named = [(p.relative_to(HUB).as_posix(), p.stat().st_size) for p in files]
        siblings = [types.SimpleNamespace(rfilename=name, size=size) for name, size in named]
        return types.SimpleNamespace(sha="0123456789abcdef", siblings=siblings)

def snapshot_download(repository, *, repo_type, revision, allow_patterns, local_dir):
    assert (repo_type, revision) == ("dataset", "0123456789abcdef")
    for path in HUB.rglob("*"):
        name = path.relative_to(HUB).as_posix()
        if path.is_file() and any(fnmatch.fnmatch(name, p) for p in allow_patterns):
            target = pathlib.Path(local_dir) / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    return local_dir
'''


@pytest.fixture
def published(tmp_path):
    """A set with one whole molecule, one without its secondary, a model and a card."""
    folder = tmp_path / "set"
    put(folder)
    write_traj(folder / "data" / "primary_of_ethane.traj", labelled(ETHANE, 9, 3))
    (folder / "trained_models").mkdir()
    (folder / "trained_models" / "schnet.pt").write_bytes(b"PK\x03\x04 cut")
    (folder / "README.md").write_text("# GMD\n")
    return folder


@pytest.fixture
def hub(published, tmp_path, monkeypatch):
    (tmp_path / "client").mkdir()
    (tmp_path / "client" / "huggingface_hub.py").write_text(CLIENT.format(hub=str(published)))
    monkeypatch.syspath_prepend(tmp_path / "client")
    yield tmp_path / "fetched"
    sys.modules.pop("huggingface_hub", None)


def test_a_dry_run_says_what_is_there_and_writes_nothing(cli, published, tmp_path):
    code, said, error = cli("data", "import", published, "--out", tmp_path / "out", "--dry-run")
    assert (code, error) == (0, "")
    assert "ethanoic acid             primary 8 (by path); secondary 6 (by path)" in said
    assert "ethane                    primary 9 (by path); no secondary" in said
    assert "missing: 118 (" in said
    assert "task duplication: 1 of 12 train, 0 of 12 OOD" in said
    assert "2 of 120 molecules would go" in said
    assert not (tmp_path / "out").exists()
    assert max(map(len, said.replace(str(tmp_path), "").splitlines())) <= 110


def test_an_import_of_a_task_takes_its_molecules_and_goes_on_where_it_was(cli, published, tmp_path):
    out = tmp_path / "out"
    code, said, _ = cli("data", "import", published, "--out", out, "--task", "duplication")
    assert code == 0
    assert "1 of 1 molecules were imported" in said
    assert "no minima" in said
    assert store.path_of(out, LEVEL, ACID, "primary").is_file()
    assert not store.folder_of(out, LEVEL, ETHANE).exists()
    code, said, _ = cli("data", "import", published, "--out", out, "--json")
    found = json.loads(said)["molecules"]
    assert found["ethanoic-acid"]["primary"]["outcome"] == "kept"
    assert found["ethane"]["primary"]["outcome"] == "done"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "no folder nowhere"),
        (["SET", "--task", "duplicatoin"], "Did you mean 'duplication'"),
        (["SET", "--only", "ethane", "--task", "duplication"], "ethane is not in the task duplication"),
        (["SET", "--energy-unit", "erg"], "unknown unit of energy 'erg'"),
        (["SET", "--force-unit", "eV"], "'eV' is no unit of force"),
        (["SET", "--map", "energy=E"], "--map energy=E names no field"),
        (["SET", "--map", "energies"], "is not FIELD=NAME"),
        (["SET", "--level", "../elsewhere"], "is no name of a folder"),
        (["SET", "--download", "x"], "are of hub:OWNER/NAME"),
        (["hub:AmirMasoud"], "names no repository"),
    ],
)
def test_a_mistake_gets_one_line_with_its_cure(arguments, words, cli, published, tmp_path):
    given = [published if a == "SET" else a for a in arguments]
    code, _, error = cli("data", "import", *given, "--out", tmp_path / "out")
    assert code == 2
    assert words in error
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_set_that_has_nothing_of_what_was_asked_for_is_no_success(cli, published, tmp_path):
    code, said, _ = cli("data", "import", published, "--task", "combination", "--out", tmp_path / "out")
    assert (code, "0 of 0 molecules were imported" in said) == (1, True)


def test_a_problem_does_not_stop_the_rest_but_is_told_by_the_exit_code(cli, published, tmp_path):
    torn = published / "data" / "torn_primary.traj"
    write_traj(torn, labelled(ETHANE, 9, 4))
    torn.write_bytes(torn.read_bytes()[:-900])
    code, said, _ = cli("data", "import", published, "--out", tmp_path / "out")
    assert code == 1
    assert "problem: " in said
    assert "torn_primary.traj" in said
    assert "2 of 2 molecules were imported" in said


def test_without_the_client_the_hub_asks_for_it(cli, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    code, _, error = cli("data", "import", "hub:AmirMasoud/GMD", "--out", tmp_path / "out")
    assert code == 2
    assert "pip install huggingface_hub" in error


def test_a_hub_is_listed_without_fetching_then_fetched_without_its_models(cli, hub, tmp_path):
    code, said, _ = cli("data", "import", "hub:AmirMasoud/GMD", "--dry-run", "--download", hub)
    assert code == 0
    assert "AmirMasoud/GMD at 0123456789ab: 3 files under data/ (3 .traj)" in said
    assert not hub.exists()
    out = tmp_path / "out"
    code, _, error = cli("data", "import", "hub:AmirMasoud/GMD", "--download", hub, "--out", out)
    assert code == 0, error
    assert not (hub / "trained_models").exists()
    entry = store.read_provenance(store.folder_of(out, LEVEL, ACID))["primary"]
    assert entry["origin"] == {"repository": "AmirMasoud/GMD", "revision": "0123456789abcdef"}


def test_a_repository_that_is_not_there_is_one_line(cli, hub):
    code, _, error = cli("data", "import", "hub:AmirMasoud/GND", "--dry-run")
    assert code == 2
    assert "cannot get AmirMasoud/GND from the hub (404 Client Error.)" in error


def test_only_the_prefix_means_a_hub():
    assert repository_of("data/hub") is None
    assert repository_of("hub:AmirMasoud/GMD") == "AmirMasoud/GMD"
    with pytest.raises(UserError, match="names no repository"):
        repository_of("hub:../GMD")
