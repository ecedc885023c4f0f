"""The worked examples of "how to add": put into a copy of the package exactly as their pages say, and used there."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
CALCULATOR, PROTOCOL = (ROOT / "docs" / f"add-a-{what}.md" for what in ("calculator", "protocol"))


@pytest.fixture(scope="module")
def extended(tmp_path_factory, blocks):
    """Return a folder with a copy of the package that has what the two pages add."""
    folder = tmp_path_factory.mktemp("extended")
    shutil.copytree(ROOT / "gmd26_md", folder / "gmd26_md", ignore=shutil.ignore_patterns("__pycache__"))
    for page in (CALCULATOR, PROTOCOL):
        for block in blocks(page):
            if block.mark("file") and "/gmd26_md/" in block.mark("file"):
                _, _, home = block.mark("file").partition("/gmd26_md/")
                assert not (folder / "gmd26_md" / home).exists(), home
                (folder / "gmd26_md" / home).write_text(block.text, encoding="utf-8")
            if block.mark("into"):
                home, _, line = block.mark("into").partition(" after: ")
                insert(folder / home.strip(), line.strip(), block.text)
    return folder


def insert(path, line, text):
    """Put text below the only line that reads so."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    (at,) = [i for i, found in enumerate(lines) if found.strip() == line]
    path.write_text("".join([*lines[: at + 1], text, *lines[at + 1 :]]), encoding="utf-8")


def in_the_copy(folder, *arguments):
    """Run Python so that it imports the copy, which lies in its working folder."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def pytest_in_the_copy(folder, *arguments):
    return in_the_copy(
        folder,
        *("-m", "pytest", "-c", str(ROOT / "pyproject.toml"), "-n", "0", "-p", "no:cacheprovider", "-rA", *arguments),
    )


def test_the_new_protocol_keeps_its_tests(extended):
    said = pytest_in_the_copy(extended, str(ROOT / "examples" / "add_a_protocol" / "test_turning.py"))
    assert "PASSED" in said
    assert "test_a_field_is_found" in said


def test_the_new_family_keeps_the_ten_promises(extended):
    said = pytest_in_the_copy(extended, str(ROOT / "tests" / "calculators" / "test_contract.py"), "-k", "pair-net")
    assert said.count("PASSED") >= 10


def test_family_and_protocol_are_found_and_imports_still_point_down(extended):
    assert "pair-net" in in_the_copy(extended, "-m", "gmd26_md", "families")
    assert "Turn molecules as a whole" in in_the_copy(extended, "-m", "gmd26_md", "--help")
    said = pytest_in_the_copy(extended, str(ROOT / "tests" / "test_layers.py"))
    assert "FAILED" not in said
