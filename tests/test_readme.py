"""What the README and the documentation promise: every command parses, the quick ones run, and so does the example."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from gmd26_md import cli as command_line

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").rglob("*.md"))]
VENV = "python -m venv .venv && . .venv/bin/activate && "
VERDICT = VENV + "pip install . && gmd26-md stability --model checkpoints/deepset-moe-duplication.pt"
TESTS = VENV + "pip install '.[test]' && pytest"
QUICK = ("tasks", "molecules", "families")


def blocks(page, language):
    """Return the contents of a page's fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def commands():
    """Return (page, arguments) of every gmd26-md command in a shell block."""
    found = []
    for page in PAGES:
        for line in "".join(blocks(page, "sh")).replace("\\\n", " ").splitlines():
            for part in line.split("&&"):
                if part.strip().startswith("gmd26-md "):
                    found.append((page.name, tuple(shlex.split(part)[1:])))
    return found


def parse(arguments):
    """Parse a command line as click would before it calls the command; nothing is run."""
    command, rest = command_line.gmd26_md, list(arguments)
    with click.Context(command) as context:
        while isinstance(command, click.Group):
            default = getattr(command, "default", None)  # of a group that is a command too
            name = default if default and rest[0] not in command.commands else rest.pop(0)
            command = command.get_command(context, name)
            assert command is not None, f"no command {name}"
        command.make_context(name, rest)


def test_the_two_commands_stand_in_the_readme_one_line_to_paste_each():
    lines = "".join(blocks(README, "sh")).splitlines()
    assert VERDICT in lines
    assert TESTS in lines


def test_ci_runs_the_readmes_test_command():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    asked = re.search(r'grep -m 1 -F "(.*)" README.md', script).group(1)
    assert [line for line in README.read_text(encoding="utf-8").splitlines() if asked in line] == [TESTS]
    subprocess.run(["bash", "-n", ROOT / ".ci" / "run"], check=True)


def test_the_pages_have_commands():
    pages = {page for page, _ in commands()}
    assert {
        "README.md",
        "stability.md",
        "relaxation.md",
        "static-errors.md",
        "training.md",
        "checkpoints.md",
        "conservation.md",
        "scan.md",
        "distributions.md",
        "committees.md",
        "static-and-dynamic.md",
        "verdicts.md",
    } <= pages


@pytest.mark.parametrize(("page", "arguments"), commands())
def test_every_command_in_the_pages_parses(page, arguments):
    parse(arguments)
    if "--task" in arguments:
        from gmd26_md import tasks

        tasks.get(arguments[arguments.index("--task") + 1])


def test_a_command_with_a_wrong_option_would_not_parse():
    with pytest.raises(click.UsageError):
        parse(("stability", "--model", "x", "--presett", "quick"))


@pytest.mark.parametrize("arguments", [a for _, a in commands() if a[0] in QUICK])
def test_the_quick_commands_run(cli, arguments):
    code, out, err = cli(*arguments)
    assert (code, err) == (0, "")
    assert out


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "python")], ids=lambda page: page.name)
def test_the_python_examples_run_as_they_stand(page, tiny_model, tmp_path):
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    (folder / "deepset-moe-duplication.pt").write_bytes(tiny_model.read_bytes())
    for shipped in (ROOT / "checkpoints").glob("*.pt"):
        (folder / shipped.name).write_bytes(shipped.read_bytes())
    for example in blocks(page, "python"):
        done = subprocess.run([sys.executable, "-c", example], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert done.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        assert target.startswith("http") or (page.parent / target).exists(), target


def test_the_presets_in_the_page_are_the_presets():
    from gmd26_md.protocols.stability import PRESETS

    page = (ROOT / "docs" / "protocols" / "stability.md").read_text(encoding="utf-8")
    for name, s in PRESETS.items():
        row = f"| {name} | {s.thermalise_ps:g} ps | {s.run_ps:g} ps | {s.n_seeds} | {s.n_label_frames} |"
        assert row in page


def test_the_limits_in_the_page_are_the_limits():
    from gmd26_md.observables.verdict import Thresholds

    page = (ROOT / "docs" / "verdicts.md").read_text(encoding="utf-8")
    t = Thresholds()
    for words in (
        f"{t.temperature_max_ratio:g} times the target, never under {t.temperature_floor_K:g} K",
        f"{t.drift_max_meV_per_atom_per_ps:g} meV/atom/ps; {t.energy_rms_max_meV_per_atom:g} meV/atom; "
        f"{t.energy_change_max_meV_per_atom:g} meV/atom",
        f"{t.force_ratio_max:g}; {t.true_energy_change_max_meV_per_atom:g} meV/atom",
    ):
        assert words in page
