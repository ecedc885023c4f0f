"""What the pages promise: commands parse, and run unless the page says why not; Python runs; links lead somewhere."""

import re
import runpy
import shlex
import shutil
import sys
from itertools import pairwise
from pathlib import Path

import click
import pytest

from gmd26_md import cli as command_line

ROOT = Path(__file__).parents[2]
MOST_NOT_RUN = 98
"""Commands that the pages mark as not run, but for those of docs/results. Whoever adds one has to say so here too."""
NEW_COMMANDS = {"turning"}  # of worked examples: there only in the copy that test_worked_examples.py makes
NEW_FAMILIES = {"pair-net"}


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


def shown(block, arguments):
    return f"{block.place}: {shlex.join(arguments)}"


def not_run(pages, blocks):
    """Return (command, reason) of every command that is only parsed, and of every such block of Python."""
    found = []
    for page in pages:
        for block in blocks(page):
            if block.language == "sh":
                marked = [(c, block.mark("not run", " ".join(c[1:]))) for c in block.commands()]
                found += [(shown(block, c), why) for c, why in marked if why is not None]
            elif block.mark("not run") is not None:
                found.append((block.place, block.mark("not run")))
    return found


def test_every_command_parses(shell_block):
    for arguments in shell_block.commands():
        if arguments[0] == "gmd26-md" and arguments[1] not in NEW_COMMANDS:
            parse(arguments[1:])


def test_a_command_with_a_wrong_option_would_not_parse():
    with pytest.raises(click.UsageError):
        parse(("stability", "--model", "x", "--presett", "quick"))


def test_every_task_and_family_in_a_command_is_one(shell_block, monkeypatch):
    from gmd26_md import tasks
    from gmd26_md.calculators import families

    monkeypatch.chdir(ROOT)
    for arguments in shell_block.commands():
        named = dict(pairwise(arguments))
        if "--task" in named and named["--task"] != "my-task.yaml":
            tasks.get(named["--task"])
        if arguments[:2] == ["gmd26-md", "train"]:
            assert named["--family"] in {*families.family_names(), *NEW_FAMILIES}


def test_what_is_not_run_is_counted_and_has_a_reason(pages, blocks):
    found = not_run([page for page in pages if page.parent.name != "results"], blocks)
    listing = "\n".join(f"{what}: {why}" for what, why in found)
    print(listing)  # pytest -rP shows it
    assert all(len(why.split()) > 1 for _, why in found), listing
    assert len(found) <= MOST_NOT_RUN, f"{len(found)} commands are not run:\n{listing}"


def test_the_commands_of_a_page_run(page, blocks, desk, stand_in, as_it_stands, monkeypatch, capsys):
    """In their order, in one folder; what an earlier one made, a later one finds."""
    for block in blocks(page):
        for name in (block.mark("stand-ins") or "").split():
            stand_in(name)
        for arguments in block.commands() if block.language == "sh" else ():
            called = " ".join(arguments[1:])
            if block.mark("not run", called) is not None:
                continue
            more = [] if as_it_stands else shlex.split(block.mark("with", called) or "")
            run(arguments + more, monkeypatch)
            assert capsys.readouterr().out or arguments[0] == "cp", shown(block, arguments)


def run(arguments, monkeypatch):
    """Run `gmd26-md ...` or `python file.py ...` in this process."""
    program, *rest = arguments
    if program == "gmd26-md":
        with pytest.raises(SystemExit) as end:
            command_line.main(rest)
        assert not end.value.code, shlex.join(arguments)
    elif program == "cp":
        shutil.copy(*rest)
    elif program == "python" and rest[0].endswith(".py"):
        monkeypatch.setattr(sys, "argv", rest)
        runpy.run_path(rest[0], run_name="__main__")
    else:
        raise AssertionError(f"{shlex.join(arguments)} is not run by this test; mark it: <!-- not run: WHY -->")


def test_the_python_of_a_page_runs(page, blocks, desk, stand_in, capsys):
    for block in blocks(page):
        if block.language != "python" or block.mark("file") or block.mark("into") or block.mark("not run"):
            continue
        for name in (block.mark("stand-ins") or "").split():
            stand_in(name)
        exec(compile(block.text, block.place, "exec"), {"__name__": "__main__"})
        assert capsys.readouterr().out, f"{block.place} prints nothing"


def test_a_block_that_is_a_file_is_that_file(page, blocks):
    for block in blocks(page):
        if (path := block.mark("file")) is not None:
            assert block.text == (ROOT / path).read_text(encoding="utf-8"), f"{block.place} differs from {path}"


def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)\)", page.read_text(encoding="utf-8")):
        assert target.startswith("http") or (page.parent / target).exists(), target
