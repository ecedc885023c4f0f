"""`gmd26-md static-errors`: a model's errors on reference frames."""

from __future__ import annotations

import click

from gmd26_md.commands.common import Asked, ask, finish, model_options, open_folder
from gmd26_md.commands.numbers import COUNT


@click.command(short_help="Errors on reference frames, ID beside OOD.")
@model_options
@click.option("--n-frames", type=COUNT, default=0, show_default="all", help="Reference frames a molecule.")
def command(asked: Asked, n_frames: int) -> None:
    """Measure force and energy errors on reference frames, ID beside OOD, in the published columns."""
    from gmd26_md import evaluate
    from gmd26_md.commands.progress import bar
    from gmd26_md.errors import UserError

    if asked.molecules is not None:
        raise UserError("static errors need reference frames; use --task, and --frames for your own folder of them.")
    with bar("static errors", silent=asked.quiet) as show:
        question = ask(asked, n_frames=n_frames or None, show=show)
        if all(case.frames is None for case in question.cases):
            raise UserError(
                f"no reference frames for {question.task}; make them with 'gmd26-md data generate --task "
                f"{asked.task or question.task}', or name their folder with --frames."
            )
        folder = open_folder(asked, question, "static-errors", {"n_frames": n_frames})
        evaluate.measure_static_errors(question, folder, n_frames, show)
    finish(asked, question, folder)
