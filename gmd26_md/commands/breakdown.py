"""`gmd26-md breakdown`: where static errors sit, from run folders that are there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gmd26_md.commands.forms import colour, format_option, width

if TYPE_CHECKING:
    from gmd26_md.report.static_breakdown import Measured

SHORT = ("length", "element", "bonds")
"""What is shown where nothing was asked for."""


@click.command(short_help="Where static errors sit: by chain length, element, bonds from the new fragment.")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN [RUN ...]")
@click.option(
    "--by",
    multiple=True,
    help="total, molecule, length, element, bonds, element-bonds, length-bonds, magnitude or atom; may be repeated. "
    "By default length, element and bonds.",
)
@click.option("--only", multiple=True, metavar="NAME", help="Only this molecule; may be repeated.")
@format_option()
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def command(runs: tuple[Path, ...], by: tuple[str, ...], only: tuple[str, ...], form: str, as_json: bool) -> None:
    """Break static errors down, ID beside OOD: which molecules and atoms, and whether direction or length is wrong.

    RUN is a folder that static-errors or stability made. A spread draws molecules first, frames second.
    """
    from gmd26_md import strict_json
    from gmd26_md.report.static_breakdown import SUMMARISED, break_down
    from gmd26_md.report.static_breakdown_table import comma_separated

    dimensions = chosen(by) or (SUMMARISED if as_json else SHORT)
    named = [(heading, break_down(measured, dimensions)) for heading, measured in (_read(run, only) for run in runs)]
    if as_json:
        click.echo(strict_json.dumps([{"run": str(r), "model": m} | f for r, (m, f) in zip(runs, named, strict=True)]))
    elif form == "csv":
        click.echo(comma_separated(named, dimensions), nl=False)
    else:
        click.echo("\n".join(_text(heading, found, dimensions, form) for heading, found in named), nl=False)


def chosen(by: Sequence[str]) -> tuple[str, ...]:
    """Return the dimensions asked for, in their order; none where none was.

    Raises
    ------
    UserError
        For one that is not known.
    """
    from gmd26_md.errors import unknown_name
    from gmd26_md.report.static_breakdown import DIMENSIONS

    for name in by:
        if name not in DIMENSIONS:
            raise unknown_name("--by", name, DIMENSIONS)
    return tuple(d for d in DIMENSIONS if d in by)


def _read(run: Path, only: Sequence[str]) -> tuple[str, list[Measured]]:
    """Return the model of a run folder as "name (family), task", and what it holds of the molecules wanted.

    What the folder was asked for and does not hold is said on the standard error.
    """
    from gmd26_md.errors import unknown_name
    from gmd26_md.report.static_folder import measured_in
    from gmd26_md.report.unfinished import unfinished
    from gmd26_md.run_folder import RunFolder

    folder = RunFolder(run)
    measured = measured_in(folder)
    first = folder.records()[0]
    names = [m.molecule for m in measured]
    wanted = {_full_name(name) for name in only}
    for name in wanted:
        if name not in names:
            raise unknown_name("molecule", name, names)
    for line in unfinished(run, folder.records()):
        click.echo(f"note: {line}", err=True)
    kept = [m for m in measured if not wanted or m.molecule in wanted]
    return f"{first.model} ({first.family}), {first.task}", kept


def _full_name(name: str) -> str:
    """Return a molecule's systematic name, or the name itself where it is one of the user's own."""
    from gmd26_md import molecules
    from gmd26_md.errors import UserError

    try:
        return molecules.get(name).name
    except UserError:
        return name


def _text(heading: str, found: dict[str, Any], by: Sequence[str], form: str) -> str:
    from gmd26_md.report import forms
    from gmd26_md.report.static_breakdown_table import breakdown_written, render_breakdown

    if form != "text":
        return f"{forms.heading(heading, form)}\n{breakdown_written(found, by, form)}"
    return f"{heading}\n{render_breakdown(found, by, width=width(), colour=colour())}"
