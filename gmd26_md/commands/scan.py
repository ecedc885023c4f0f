"""`gmd26-md scan`: bonds turned and stretched, model beside reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from gmd26_md.commands.common import Asked, ask, finish, model_options, open_folder
from gmd26_md.commands.numbers import AT_LEAST_ONE, POSITIVE

if TYPE_CHECKING:
    from ase import Atoms


@click.command(short_help="Turn and stretch bonds: right barriers, one minimum, smooth?")
@model_options
@click.option("--n-torsion-points", type=AT_LEAST_ONE, default=24, show_default=True, help="Points of a full turn.")
@click.option("--clash-eV", type=POSITIVE, default=2.0, show_default=True, help="Turns above it are left out.")
@click.option(
    "--bonds",
    default="kinds",
    show_default=True,
    help="Stretched: kinds (one of each kind, nearest to a group), or all that symmetry tells apart.",
)
@click.option("--stretch-from-ratio", type=POSITIVE, default=0.8, show_default=True, help="Of the bond's length.")
@click.option("--stretch-to-ratio", type=POSITIVE, default=1.5, show_default=True, help="Of the bond's length.")
@click.option("--stretch-step-A", type=POSITIVE, default=0.01, show_default=True)
@click.option("--label-every", type=AT_LEAST_ONE, default=4, show_default=True, help="Stretch points a label.")
@click.option("--near-eV", type=POSITIVE, default=1.0, show_default=True, help="How high 'near the minimum' goes.")
@click.option("--min-depth-meV", type=POSITIVE, default=10.0, show_default=True, help="Depth that makes a minimum.")
@click.option("--reach-eV", type=POSITIVE, default=2.0, show_default=True, help="False minima beyond are not judged.")
@click.option("--max-misplaced-meV", type=POSITIVE, default=26.0, show_default=True, help="Turns: 'wrong minimum'.")
@click.option("--max-barrier-error-meV", type=POSITIVE, default=43.0, show_default=True, help="'Wrong barrier'.")
@click.option("--max-rms-meV", type=POSITIVE, default=26.0, show_default=True, help="Turns: 'wrong curve'.")
@click.option("--max-roughness-meV", type=POSITIVE, default=1.0, show_default=True, help="'Rough'.")
@click.option("--max-work-error-meV", type=POSITIVE, default=5.0, show_default=True, help="'No gradient'.")
@click.option("--max-bond-error-A", type=POSITIVE, default=0.02, show_default=True, help="Stretches: 'wrong minimum'.")
@click.option("--max-near-rms-meV", type=POSITIVE, default=43.0, show_default=True, help="Stretches: 'wrong curve'.")
@click.option("--reference", default=None, help="What labels the scans; by default the model's level of theory.")
def command(asked: Asked, reference: str | None, **given: float | str) -> None:
    """Turn bonds that join functional groups and stretch bonds of every kind, from the reference minimum.

    Curves of model and reference are written as CSV. A killed run goes on when the same command is given again.
    """
    from dataclasses import asdict, fields
    from typing import Any

    from gmd26_md import evaluate
    from gmd26_md.commands.progress import bar
    from gmd26_md.protocols.scan import scans_at
    from gmd26_md.protocols.scan_settings import Settings

    # click writes its names in small letters
    named: dict[str, Any] = {entry.name: given[entry.name.lower()] for entry in fields(Settings)}
    settings = Settings(**named)

    def n_labels(atoms: Atoms) -> int:
        return sum(len(scan.asked) for scan in scans_at(atoms.numbers, atoms.positions, settings))

    with bar(f"scan, {asked.short}", silent=asked.quiet) as show:
        question = ask(asked, n_frames=None, show=show, reference=reference, n_labels=n_labels)
        level = evaluate.reference_of(question.subject, reference)
        folder = open_folder(asked, question, "scan", asdict(settings) | {"reference": level})
        evaluate.measure_scan(question, folder, settings, level, show)
    finish(asked, question, folder)
