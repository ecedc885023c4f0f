"""`gmd26-md relaxation`: where a model comes to rest, and whether the reference agrees."""

from __future__ import annotations

from typing import Any

import click

from gmd26_md.commands.common import Asked, ask, finish, model_options, open_folder
from gmd26_md.commands.numbers import AT_LEAST_ONE, POSITIVE

_ALL = "reference-minimum, perturbed-minimum, structure, rdkit-conformer"  # known without loading the protocol


@click.command(short_help="Relax with the model; does it rest at the reference minimum?")
@model_options
@click.option("--start", "starts", multiple=True, metavar="KIND", help=f"{_ALL}; may be repeated, by default all.")
@click.option("--n-perturbed", type=AT_LEAST_ONE, default=None, help="Perturbed starts a molecule.  [2]")
@click.option(
    "--perturbation-A", type=POSITIVE, default=None, help="Spread of every coordinate's displacement.  [0.05]"
)
@click.option("--n-conformers", type=AT_LEAST_ONE, default=None, help="RDKit conformers a molecule.  [2]")
@click.option("--fmax-eV-per-A", type=POSITIVE, default=None, help="Largest force at convergence.  [0.001]")
@click.option("--max-steps", type=AT_LEAST_ONE, default=None, help="More are not converged.  [2000]")
@click.option("--max-rmsd-A", type=POSITIVE, default=None, help="Heavy-atom RMSD of another minimum.  [0.3]")
@click.option("--max-torsion-deg", type=POSITIVE, default=None, help="Torsion of another minimum.  [60]")
@click.option("--max-drop-meV-per-atom", type=POSITIVE, default=None, help="Reference energy of 'strained'.  [10]")
@click.option(
    "--modes/--no-modes",
    default=True,
    show_default=True,
    help="Compare normal modes at the reference minimum: 6 labels of the reference an atom.",
)
@click.option("--modes-max-atoms", type=AT_LEAST_ONE, default=None, help="Not of larger molecules.  [50]")
@click.option("--modes-step-A", type=POSITIVE, default=None, help="Displacement of the differences.  [0.005]")
@click.option("--imaginary-per-cm", type=POSITIVE, default=None, help="Modes below minus this are imaginary.  [20]")
@click.option("--reference", default=None, help="What labels the minima; by default the model's level of theory.")
def command(asked: Asked, reference: str | None, **changed: Any) -> None:
    """Relax from several starts, label where the model stops, and relax on from there with the reference.

    A killed run goes on when the same command is given again.
    """
    from dataclasses import asdict, fields

    from gmd26_md import evaluate
    from gmd26_md.commands.progress import bar
    from gmd26_md.protocols.relaxation_settings import Settings

    named = {entry.name.lower(): entry.name for entry in fields(Settings)}  # click knows small letters only
    settings = Settings(**{named[name]: value for name, value in changed.items() if value not in (None, ())})
    with bar(f"relaxation, {asked.short}", silent=asked.quiet) as show:
        question = ask(
            asked, n_frames=None, show=show, reference=reference, n_labels=settings.n_labels, n_rests=settings.n_starts
        )
        level = evaluate.reference_of(question.subject, reference)
        folder = open_folder(asked, question, "relaxation", asdict(settings) | {"reference": level})
        evaluate.measure_relaxation(question, folder, settings, level, show)
    finish(asked, question, folder)
