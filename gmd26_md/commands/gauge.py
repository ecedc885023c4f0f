"""`gmd26-md gauge`: what of an energy error is a choice of per-element energies that training left open."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gmd26_md.commands.common import Asked, ask, open_folder
from gmd26_md.commands.forms import format_option, line_width
from gmd26_md.commands.numbers import COUNT


@click.command(short_help="Energy errors under several ways of pinning per-element energies.")
@click.option("--model", required=True, multiple=True, help="A checkpoint file; may be repeated, a row each.")
@click.option("--task", default=None, help="Task to run, or its file; by default the one it was trained on.")
@click.option("--frames", type=click.Path(path_type=Path), default=None, help="Folder with reference frames.")
@click.option("--n-frames", type=COUNT, default=0, show_default="all", help="Reference frames a molecule.")
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("runs"), show_default=True, help="Run folders go in."
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, mps.")
@click.option("--dtype", default="float64", show_default=True, help="float64 or float32.")
@click.option("--trust-pickle", is_flag=True, help="Let another package's model file run code from itself.")
@click.option("--level-of-theory", default=None, help="Of the model's training labels, where it does not say.")
@format_option()
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.option("--quiet", is_flag=True, help="No progress.")
def command(model: tuple[str, ...], n_frames: int, out: Path, form: str, as_json: bool, **given: Any) -> None:
    """Show how much of the OOD energy error is the choice of per-element energies.

    Training fixes energies of elements only as far as its molecules' compositions do. What is left open is moved here,
    after training, in several ways: no training energy changes, forces do not either, and OOD energies may by tens of
    eV. The model runs once, in the run folder that static-errors makes.
    """
    from gmd26_md import strict_json
    from gmd26_md.commands.progress import bar
    from gmd26_md.report import forms
    from gmd26_md.report.gauge_table import gauge_notes, gauge_rows

    found = []
    with bar("gauge", silent=given["quiet"]) as show:
        for name in model:
            found.append(_measured(_asked(name, given), n_frames, out, show))
    if as_json:
        click.echo(strict_json.dumps(found))
        return
    wide = line_width()
    table, notes = forms.written(gauge_rows(found), form, width=wide), forms.said(gauge_notes(found), form, width=wide)
    click.echo(forms.put_together([table, notes]), nl=False)


def _asked(model: str, given: dict[str, Any]) -> Asked:
    """Return the options of one model, as every command on a model has them."""
    return Asked(
        model=(model,), molecules=None, only=(), out=None, engine="auto", skip_unsupported=True, as_json=False, **given
    )


def _measured(asked: Asked, n_frames: int, out: Path, show: Any) -> dict[str, Any]:
    """Return what `evaluate.gauge` finds of one model, in its run folder."""
    from dataclasses import replace

    from gmd26_md.errors import UserError
    from gmd26_md.evaluate.gauge import measure_gauge

    question = ask(asked, n_frames=n_frames or None, show=show)
    if all(case.frames is None for case in question.cases):
        raise UserError(
            f"no reference frames for {question.task}; make them with 'gmd26-md data generate --task {question.task}', "
            "or name their folder with --frames."
        )
    path = out / f"static-errors-{question.subject.name}-{question.task}"
    folder = open_folder(replace(asked, out=path), question, "static-errors", {"n_frames": n_frames})
    return measure_gauge(question, folder, n_frames, show)
