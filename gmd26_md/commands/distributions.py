"""`gmd26-md distributions`: does the model's dynamics visit, and vibrate, as the reference's does?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gmd26_md.commands.common import Asked, ask, finish, model_options, open_folder
from gmd26_md.commands.numbers import AT_LEAST_ONE, COUNT, NOT_NEGATIVE, POSITIVE


@click.command(short_help="Geometries and vibrations in dynamics, against the reference's own.")
@model_options
@click.option("--temperature-K", type=POSITIVE, default=300.0, show_default=True)
@click.option("--timestep-fs", type=POSITIVE, default=0.5, show_default=True)
@click.option("--friction-per-fs", type=POSITIVE, default=0.01, show_default=True, help="Of the Langevin thermostat.")
@click.option("--equilibrate-ps", type=NOT_NEGATIVE, default=0.5, show_default=True, help="Left out at the start.")
@click.option(
    "--run-ps", type=POSITIVE, default=5.0, show_default=True, help="Of every run; noise falls with its root."
)
@click.option("--save-every-fs", type=POSITIVE, default=2.0, show_default=True, help="Between frames; 4 at most.")
@click.option("--window-ps", type=POSITIVE, default=1.0, show_default=True, help="Of the spectra.")
@click.option("--n-runs", type=AT_LEAST_ONE, default=2, show_default=True, help="Of model and of reference, 2 or more.")
@click.option("--seed", type=COUNT, default=0, show_default=True)
@click.option("--max-ratio", type=POSITIVE, default=2.5, show_default=True, help="Mean distance over noise of 'off'.")
@click.option("--max-kind-ratio", type=POSITIVE, default=4.0, show_default=True, help="The same of the worst kind.")
@click.option(
    "--max-noise-ratio", type=POSITIVE, default=1.0, show_default=True, help="Noise over spread, 'unsettled'."
)
@click.option("--reference", default=None, help="What to compare with; by default the model's level of theory.")
@click.option(
    "--reference-runs",
    type=click.Path(path_type=Path),
    default=None,
    help="Folder that keeps the reference's runs, for all models; by default the run folder's own.",
)
@click.option("--max-hours", type=POSITIVE, default=12.0, show_default=True, help="Refuse longer reference dynamics.")
def command(
    asked: Asked,
    reference: str | None,
    reference_runs: Path | None,
    max_hours: float,
    **given: Any,
) -> None:
    """Run model and reference alike, and compare h(r), bonds, angles, torsions and vibrations with the noise.

    The noise is what two runs of the reference differ by. Reference runs are kept and used again. A killed call goes on
    when the same command is given again.
    """
    from dataclasses import asdict

    from gmd26_md import evaluate
    from gmd26_md.commands.progress import bar
    from gmd26_md.protocols.distributions import Settings

    given["temperature_K"] = given.pop("temperature_k")
    settings = Settings(**given)

    def tell(words: str) -> None:
        if not asked.quiet:
            click.echo(words, err=True)

    with bar(f"distributions, {asked.short}", silent=asked.quiet) as show:
        question = ask(asked, n_frames=None, show=show, reference=reference)
        level = evaluate.reference_of(question.subject, reference)
        folder = open_folder(asked, question, "distributions", asdict(settings) | {"reference": level})
        evaluate.measure_distributions(
            question,
            folder,
            settings,
            level,
            reference_runs=reference_runs,
            max_hours=max_hours,
            tell=tell,
            show=show,
        )
    finish(asked, question, folder)
