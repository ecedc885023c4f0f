"""`gmd26-md relaxation`: where a model comes to rest, and whether the reference agrees."""

from __future__ import annotations

import click

from gmd26_md.commands.common import Asked, ask, finish, model_options, open_folder
from gmd26_md.commands.numbers import AT_LEAST_ONE, POSITIVE


@click.command(short_help="Relax with the model; does it rest at the reference minimum?")
@model_options
@click.option("--fmax-eV-per-A", type=POSITIVE, default=0.02, show_default=True, help="Largest force at convergence.")
@click.option("--max-steps", type=AT_LEAST_ONE, default=2000, show_default=True)
@click.option("--max-rmsd-A", type=POSITIVE, default=0.3, show_default=True, help="Heavy-atom RMSD of 'moved away'.")
@click.option(
    "--max-drop-meV-per-atom", type=POSITIVE, default=10.0, show_default=True, help="Reference energy of 'strained'."
)
@click.option("--reference", default=None, help="What labels the minima; by default the model's level of theory.")
def command(
    asked: Asked,
    fmax_ev_per_a: float,
    max_steps: int,
    max_rmsd_a: float,
    max_drop_mev_per_atom: float,
    reference: str | None,
) -> None:
    """Relax from the reference minimum and from the structure as built, and label where the model stops.

    A killed run goes on when the same command is given again.
    """
    from dataclasses import asdict

    from gmd26_md import evaluate
    from gmd26_md.commands.progress import bar
    from gmd26_md.protocols.relaxation import Settings

    settings = Settings(
        fmax_eV_per_A=fmax_ev_per_a,
        max_steps=max_steps,
        max_rmsd_A=max_rmsd_a,
        max_drop_meV_per_atom=max_drop_mev_per_atom,
    )
    with bar("relaxation", silent=asked.quiet) as show:
        question = ask(asked, n_frames=None, show=show, reference=reference)
        level = evaluate.reference_of(question.subject, reference)
        folder = open_folder(asked, question, "relaxation", asdict(settings) | {"reference": level})
        evaluate.measure_relaxation(question, folder, settings, level, show)
    finish(asked, question, folder)
