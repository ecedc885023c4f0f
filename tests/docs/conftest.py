"""Pages of documentation, their blocks of code, and a folder in which these are run.

A comment of one line right above a block says what a test does with it; readers do not see it:

    <!-- not run: WHY -->              it is only parsed
    <!-- not run train: WHY -->        the command `train` in it is only parsed
    <!-- with: --run-ps 0.01 -->       options added to its commands, so that they take seconds
    <!-- with data generate: ... -->   the same, for this command in it (* stands for any characters)
    <!-- stand-ins: runs/a data -->    small ones of these are put in place first
    <!-- file: examples/ase/md.py -->  it is this file, to the letter
    <!-- into: FILE after: LINE -->    it goes into a copy of the package, after the line that reads so

With GMD26_DOCS=long options of `with` are left out: everything is run as it stands, which takes hours on a few cores.
"""

import os
import re
import shlex
import shutil
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *(ROOT / folder / "README.md" for folder in ("checkpoints", "benchmarks")),
]
RESULTS = ROOT / "docs" / "results"  # their commands took hours
LONG = os.environ.get("GMD26_DOCS") == "long"
MARK = re.compile(r"<!-- (not run|with|stand-ins|file|into)((?: [^:>]+)?): ?(.*?) ?-->")
FENCE = re.compile(r"^```(\S*)$")


@dataclass(frozen=True)
class Block:
    """A fenced block: where it stands, its language and text, and its marks, (kind, command) to words."""

    page: Path
    line: int
    language: str
    text: str
    marks: dict[tuple[str, str], str] = field(default_factory=dict)

    @property
    def place(self):
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    def mark(self, kind, command=""):
        """Return the words of the mark that knows most of this command ("data generate --out x"); None without."""
        of_it = {its: words for (its_kind, its), words in self.marks.items() if its_kind == kind}
        known = [its for its in of_it if not its or fnmatchcase(f"{command} ", f"{its} *")]
        if known:
            return of_it[max(known, key=len)]
        made_results = kind == "not run" and RESULTS in self.page.parents
        return "it made the results; their records are kept" if made_results else None

    def commands(self):
        """Return the arguments of each command in a shell block; comments are left out."""
        lines = self.text.replace("\\\n", " ").splitlines()
        words = [shlex.split(part, comments=True) for line in lines for part in line.split("&&")]
        return [found for found in words if found]


def blocks_of(page):
    """Return the blocks of a page."""
    found, marks, language, start, text = [], {}, None, 0, []
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        fence = FENCE.match(line)
        if language is not None:
            if line == "```":
                found.append(Block(page, start, language, "".join(f"{t}\n" for t in text), marks))
                language, marks = None, {}
            else:
                text.append(line)
        elif fence:
            language, start, text = fence.group(1), number, []
        elif mark := MARK.fullmatch(line):
            marks = marks | {(mark.group(1), mark.group(2).strip()): mark.group(3)}
        else:
            marks = {}
    assert language is None, f"{page.name}: the block of line {start} does not end"
    return found


def pytest_generate_tests(metafunc):
    """Give a test that asks for `page` every page, one that asks for `block` every block with code."""
    if "page" in metafunc.fixturenames:
        metafunc.parametrize("page", PAGES, ids=[str(p.relative_to(ROOT)) for p in PAGES])
    if "shell_block" in metafunc.fixturenames:
        blocks = [b for page in PAGES for b in blocks_of(page) if b.language == "sh"]
        metafunc.parametrize("shell_block", blocks, ids=[b.place for b in blocks])


@pytest.fixture(scope="session")
def blocks():
    """Return `blocks_of`."""
    return blocks_of


@pytest.fixture(scope="session")
def pages():
    """Return all pages."""
    return PAGES


@pytest.fixture(scope="session")
def as_it_stands():
    """Return whether commands are run without what shortens them."""
    return LONG


@pytest.fixture(scope="session")
def small_run(tmp_path_factory, tiny_model, frames_folder):
    """Return a finished run folder of two molecules."""
    from gmd26_md.cli import main

    folder = tmp_path_factory.mktemp("run") / "stability"
    with pytest.raises(SystemExit) as end:
        main(
            [
                *("stability", "--quiet", "--model", str(tiny_model), "--frames", str(frames_folder)),
                *("--only", "acetic acid", "--only", "oxalic acid", "--device", "cpu", "--out", str(folder)),
                *("--temperature-K", "1", "--thermalise-ps", "0.005", "--nve-ps", "0.01", "--save-every-fs", "1"),
                *("--n-label-frames", "2"),
            ]
        )
    assert not end.value.code
    return folder


def write_structures(path):
    """Write acetic acid; as a trajectory (.extxyz) two frames with labels of nought."""
    from ase.build import molecule
    from ase.calculators.singlepoint import SinglePointCalculator
    from ase.io import write

    frames = [molecule("CH3COOH") for _ in range(2 if path.suffix == ".extxyz" else 1)]
    for index, atoms in enumerate(frames):
        atoms.rattle(0.02, seed=index)
        atoms.info["time_fs"] = 10.0 * index
        atoms.calc = SinglePointCalculator(atoms, energy=0.0, forces=0.0 * atoms.positions)
    write(path, frames if path.suffix == ".extxyz" else frames[0])


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """Return an empty working folder with the checkout's checkpoints and examples in it, and go there."""
    (tmp_path / "checkpoints").mkdir()
    for path in (ROOT / "checkpoints").iterdir():
        (tmp_path / "checkpoints" / path.name).symlink_to(path)
    for name in ("examples", "scripts"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def stand_in(desk, small_run, frames_folder):
    """Return a function that puts a small thing where a page's command expects one."""

    def put(name):
        path = desk / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            return
        if name.startswith("runs/"):
            shutil.copytree(small_run, path)
        elif name.startswith("campaigns/"):
            shutil.copytree(small_run, path / "runs" / "stability-tiny-duplication")
        elif name == "data":
            shutil.copytree(frames_folder, path)
        elif path.suffix in (".xyz", ".extxyz"):
            write_structures(path)
        else:
            raise AssertionError(f"no stand-in is known for {name}")

    return put
