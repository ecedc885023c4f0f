"""`gmd26-md static-errors`: a model's errors on reference frames."""

from __future__ import annotations

from pathlib import Path

import click

from gmd26_md.commands.common import ask, finish, model_options, open_folder


@click.command()
@model_options
@click.option("--n-frames", type=int, default=0, show_default="all", help="Reference frames a molecule.")
def command(
    model: str,
    task: str | None,
    molecules: Path | None,
    only: tuple[str, ...],
    frames: Path | None,
    out: Path | None,
    device: str,
    dtype: str,
    engine: str,
    skip_unsupported: bool,
    as_json: bool,
    quiet: bool,
    n_frames: int,
) -> None:
    """Measure force and energy errors on reference frames, ID beside OOD, in the published columns."""
    from gmd26_md import evaluate
    from gmd26_md.commands.progress import bar
    from gmd26_md.errors import UserError

    if molecules is not None:
        raise UserError("static errors need reference frames; use --task, and --frames for your own folder of them.")
    with bar("static errors") as show:
        question = ask(
            "static-errors",
            model=model,
            task=task,
            molecules=molecules,
            only=only,
            frames=frames,
            device=device,
            dtype=dtype,
            engine=engine,
            skip_unsupported=skip_unsupported,
            n_frames=n_frames or None,
            show=show,
        )
        if all(case.frames is None for case in question.cases):
            raise UserError(
                f"no reference frames for {question.task}; make them with 'gmd26-md data generate --task "
                f"{question.task}', or name their folder with --frames."
            )
        folder = open_folder(out, question, "static-errors", {"n_frames": n_frames})
        evaluate.measure_static_errors(question, folder, n_frames, show)
    finish(folder, as_json=as_json, quiet=quiet)
