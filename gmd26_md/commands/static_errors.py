"""`gmd26-md static-errors`: a model's errors on reference frames."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from gmd26_md.commands.breakdown import SHORT, chosen
from gmd26_md.commands.common import Asked, ask, finish, model_options, open_folder
from gmd26_md.commands.forms import colour, width
from gmd26_md.commands.numbers import COUNT

if TYPE_CHECKING:
    from gmd26_md.evaluate import Question
    from gmd26_md.run_folder import RunFolder


@click.command(short_help="Errors on reference frames, ID beside OOD.")
@model_options
@click.option("--n-frames", type=COUNT, default=0, show_default="all", help="Reference frames a molecule.")
@click.option(
    "--by",
    multiple=True,
    help="Where the errors sit: molecule, length, element, bonds, element-bonds, length-bonds, magnitude, atom; may be "
    "repeated. By default length, element and bonds.",
)
def command(asked: Asked, n_frames: int, by: tuple[str, ...]) -> None:
    """Measure force and energy errors on reference frames, ID beside OOD, in the published columns.

    Then where they sit: by chain length, element, bonds from the new fragment, and whether the direction of a force is
    wrong or its length. 'gmd26-md breakdown' prints more of it later.
    """
    from gmd26_md import evaluate
    from gmd26_md.commands.progress import bar
    from gmd26_md.errors import UserError

    shown = chosen(by) or SHORT
    if asked.molecules is not None:
        raise UserError("static errors need reference frames; use --task, and --frames for your own folder of them.")
    with bar(f"static errors, {asked.short}", silent=asked.quiet) as show:
        question = ask(asked, n_frames=n_frames or None, show=show, compute_minima=False)
        if all(case.frames is None for case in question.cases):
            raise UserError(
                f"no reference frames for {question.task}; make them with 'gmd26-md data generate --task "
                f"{asked.task or question.task}', or name their folder with --frames."
            )
        folder = open_folder(asked, question, "static-errors", {"n_frames": n_frames})
        evaluate.measure_static_errors(question, folder, n_frames, show)
    _finish(asked, question, folder, shown)


def _finish(asked: Asked, question: Question, folder: RunFolder, shown: tuple[str, ...]) -> None:
    """Write summary and table with the breakdown, and print one of them."""
    from gmd26_md import strict_json
    from gmd26_md.report.static_breakdown import DIMENSIONS, SUMMARISED, break_down, with_breakdown
    from gmd26_md.report.static_breakdown_table import breakdown_written, comma_separated, render_breakdown
    from gmd26_md.report.static_folder import measured_in
    from gmd26_md.report.summary_forms import summaries_written
    from gmd26_md.report.tables import render

    summary = finish(replace(asked, as_json=False, quiet=True), question, folder)
    found = break_down(measured_in(folder), [d for d in DIMENSIONS if d in {*SUMMARISED, *shown}])
    summary = with_breakdown(summary, found)
    folder.write_summary(summary, f"{render(summary)}\n{render_breakdown(found, shown)}")
    if asked.as_json:
        click.echo(strict_json.dumps(summary))
    elif not asked.quiet:
        click.echo(summaries_written([summary], asked.form, width=width(), colour=colour()))
        if asked.form == "text":
            click.echo(render_breakdown(found, shown, width=width(), colour=colour()))
            click.echo(f"everything is in {folder.path}")
        elif asked.form == "csv":
            click.echo(comma_separated([(summary["model"], found)], shown), nl=False)
        else:
            click.echo(breakdown_written(found, shown, asked.form), nl=False)
