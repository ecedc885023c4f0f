"""The command line: finds a command, runs it, and turns mistakes into one line and exit code 2.

Nothing heavy is imported here, nor by the command files before they run.
"""

from __future__ import annotations

import errno
import importlib
import sys
import traceback
from typing import Any

import click

from gmd26_md.errors import UserError, unknown_name

# name -> module in gmd26_md.commands, in the order of the work
COMMANDS = {
    "stability": "stability",
    "relaxation": "relaxation",
    "conservation": "conservation",
    "scan": "scan",
    "distributions": "distributions",
    "committee": "committee",
    "static-errors": "static_errors",
    "breakdown": "breakdown",
    "gauge": "gauge",
    "verdict": "verdict",
    "correlate": "correlate",
    "explain": "explain",
    "distance": "distance",
    "table": "table",
    "summary": "summary",
    "leaderboard": "leaderboard",
    "report": "report",
    "records": "records",
    "replay": "replay",
    "reproduce": "reproduce",
    "campaign": "campaign",
    "train": "train",
    "convert": "convert",
    "ablation": "ablation",
    "data": "data",
    "molecules": "molecules",
    "tasks": "tasks",
    "families": "families",
}


class _Commands(click.Group):
    """Loads a command's file only when it is asked for, and answers errors in one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"gmd26_md.commands.{COMMANDS[cmd_name]}")
        command: click.Command = module.command
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            raise unknown_name("command", name, COMMANDS)
        return super().resolve_command(ctx, args)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(package_name="gmd26-md")
def gmd26_md(debug: bool) -> None:
    """Can this machine-learned potential be trusted in dynamics on molecules it has never seen?

    \b
    Start with:
      gmd26-md stability --model checkpoints/deepset-moe-duplication.pt
    """  # noqa: D301 - click reads the backspace as "do not wrap"


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 2 a mistake in the input, 130 interrupted."""
    arguments = sys.argv[1:] if arguments is None else arguments
    sys.exit(_run(arguments))


def _run(arguments: list[str]) -> int:
    # --debug may stand anywhere, as one adds it to a command that has just failed
    debug = "--debug" in arguments
    try:
        result = gmd26_md.main([a for a in arguments if a != "--debug"], prog_name="gmd26-md", standalone_mode=False)
    except click.exceptions.Exit as done:
        return int(done.exit_code)
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted; the same command goes on from what is finished.", err=True)
        return 130
    except (UserError, click.ClickException, OSError) as problem:
        if debug:
            traceback.print_exc()
        return _answer(problem)
    return result if isinstance(result, int) else 0


def _answer(problem: Exception) -> int:
    """Print one line for a mistake, and return the exit code."""
    if isinstance(problem, getattr(click.exceptions, "NoArgsIsHelpError", ())):  # click 8.2 and later
        click.echo(str(problem.format_message()))  # type: ignore[attr-defined]
        return 0
    if isinstance(problem, click.ClickException):
        text = problem.format_message()
    elif isinstance(problem, OSError):
        text = _os_words(problem)
    else:
        text = str(problem)
    click.echo("error: " + " ".join(text.split()), err=True)
    return 2


def _os_words(problem: OSError) -> str:
    where = f" ({problem.filename})" if problem.filename else ""
    if problem.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full{where}; make room and run the same command again, finished parts are kept."
    if problem.errno == errno.EFBIG:
        return f"a file would pass the size limit of this shell or disk{where}; raise it (ulimit -f) and run again."
    if problem.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
        return f"no permission to write{where}; choose another --out."
    return f"{problem.strerror or problem}{where}"
