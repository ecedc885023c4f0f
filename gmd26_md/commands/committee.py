"""`gmd26-md committee`: does the spread of several models tell how wrong they are, and does it warn in time?"""

from __future__ import annotations

from pathlib import Path

import click

from gmd26_md.commands.common import model_arguments
from gmd26_md.commands.forms import colour, format_option, width
from gmd26_md.commands.numbers import POSITIVE, Number


@click.command(short_help="Does the spread of several models warn before a run fails?")
@click.argument("run", type=click.Path(path_type=Path), metavar="RUN")
@click.option("--model", multiple=True, required=True, help="A model file of the committee; give two or more.")
@click.option("--model-arg", "model_args", multiple=True, metavar="NAME=VALUE", help="Of every member; JSON.")
@click.option("--trust-pickle", is_flag=True, help="Let another package's model files run code from themselves.")
@click.option(
    "--percentile", type=Number(above=0), default=99.0, show_default=True, help="Of the ID spread: warned above it."
)
@click.option("--threshold-eV-per-A", type=POSITIVE, default=None, help="Warned above this spread, instead.")
@click.option(
    "--max-force-ratio", type=POSITIVE, default=0.2, show_default=True, help="Error of a wrong frame, of the RMS force."
)
@click.option("--limit-eV-per-A", type=POSITIVE, default=None, help="Error of a wrong frame, instead.")
@click.option("--out", type=click.Path(path_type=Path), default=None, help="Folder of committee.json; by default RUN.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, mps.")
@click.option("--dtype", default="float64", show_default=True, help="float64 or float32.")
@format_option()
@click.option("--json", "as_json", is_flag=True, help="Print what is in committee.json.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
def command(
    run: Path,
    model: tuple[str, ...],
    model_args: tuple[str, ...],
    trust_pickle: bool,
    percentile: float,
    threshold_ev_per_a: float | None,
    max_force_ratio: float,
    limit_ev_per_a: float | None,
    out: Path | None,
    device: str,
    dtype: str,
    form: str,
    as_json: bool,
    quiet: bool,
) -> None:
    """Ask a committee about the frames of RUN, a folder that `gmd26-md stability` made with any model.

    Limits are chosen on the ID runs and held against the OOD runs.
    """
    from gmd26_md import strict_json
    from gmd26_md.commands.progress import bar
    from gmd26_md.errors import UserError
    from gmd26_md.evaluate.committee import measure_committee
    from gmd26_md.protocols.committee import Settings
    from gmd26_md.protocols.subject import open_subject
    from gmd26_md.report.committee import committee_written
    from gmd26_md.run_folder import RunFolder

    settings = Settings(
        percentile=percentile,
        threshold_eV_per_A=threshold_ev_per_a,
        max_force_ratio=max_force_ratio,
        limit_eV_per_A=limit_ev_per_a,
    )
    if not run.is_dir():
        raise UserError(f"{run} is no folder; give a run folder that 'gmd26-md stability' made.")
    if out is not None and out.is_file():
        raise UserError(f"{out} is a file; give --out a folder.")
    with bar("committee", silent=quiet) as show:
        subject = open_subject(
            model,
            device=device,
            dtype=dtype,
            engine="auto",
            trust_pickle=trust_pickle,
            arguments=model_arguments(model_args),
        )
        answer = measure_committee(subject, RunFolder(run), out or run, settings, show)
    if as_json:
        click.echo(strict_json.dumps(answer))
    elif not quiet:
        click.echo(committee_written(answer, form, width=width(), colour=colour()))
        if form == "text":
            click.echo(f"everything is in {(out or run) / 'committee.json'}")
