"""The documentation builds, with every warning an error: broken links and headings, pages that nobody finds."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("sphinx", reason="the builder is not installed: pip install '.[docs]'")
pytest.importorskip("myst_parser", reason="the builder is not installed: pip install '.[docs]'")

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_documentation_builds_without_a_warning(tmp_path):
    command = [sys.executable, "-m", "sphinx", "-nW", "--keep-going", "-q", "-j", "1", "-c", "docs"]
    done = subprocess.run([*command, ".", str(tmp_path / "site")], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    front = (tmp_path / "site" / "docs" / "index.html").read_text(encoding="utf-8")
    assert 'href="tutorial.html"' in front
    assert 'href="../README.html"' in front
    # a script that a page links to comes along
    assert list((tmp_path / "site" / "_downloads").rglob("uma.py"))
