"""`gmd26-md conservation`: is energy kept, and if not, why not?"""

from __future__ import annotations

from typing import Any

import click

from gmd26_md.commands.common import Asked, ask, finish, model_options, open_folder
from gmd26_md.commands.numbers import AT_LEAST_ONE, COUNT, POSITIVE


@click.command(short_help="Is energy kept? If not: the step, the precision, the surface, or the forces?")
@model_options
@click.option("--temperature-K", type=POSITIVE, default=300.0, show_default=True, help="Of the thermalisation.")
@click.option("--thermalise-ps", type=POSITIVE, default=0.25, show_default=True, help="Langevin dynamics before.")
@click.option("--friction-per-fs", type=POSITIVE, default=0.02, show_default=True)
@click.option("--timestep-fs", type=POSITIVE, default=0.5, show_default=True, help="Run at half, once and twice it.")
@click.option("--run-ps", "--nve-ps", type=POSITIVE, default=0.5, show_default=True, help="Length of each run.")
@click.option("--sample-every-fs", type=POSITIVE, default=2.0, show_default=True, help="Between frames.")
@click.option("--reversal-fs", type=POSITIVE, default=100.0, show_default=True, help="After so long, all the way back.")
@click.option(
    "--n-frames", type=AT_LEAST_ONE, default=4, show_default=True, help="Frames on which forces are examined."
)
@click.option("--n-directions", type=AT_LEAST_ONE, default=8, show_default=True, help="Differences on each of them.")
@click.option("--difference-step-A", type=POSITIVE, default=5e-4, show_default=True, help="Of central differences.")
@click.option("--exact-to-atoms", type=COUNT, default=30, show_default=True, help="Above: the curl by random probes.")
@click.option("--n-probes", type=AT_LEAST_ONE, default=24, show_default=True, help="So many of them.")
@click.option("--seed", type=COUNT, default=0, show_default=True)
@click.option("--reference", default=None, help="What gives the minima; by default the model's level of theory.")
@click.option("--max-drift-meV-per-atom-per-ps", type=POSITIVE, default=5.0, show_default=True)
@click.option("--max-rms-meV-per-atom", type=POSITIVE, default=5.0, show_default=True, help="About the line.")
@click.option("--min-order", type=POSITIVE, default=1.5, show_default=True, help="In the time step; 2 is right.")
@click.option("--max-gradient-error-ratio", type=POSITIVE, default=1e-4, show_default=True)
@click.option("--max-curl-ratio", type=POSITIVE, default=1e-4, show_default=True)
def command(
    asked: Asked,
    max_drift_mev_per_atom_per_ps: float,
    max_rms_mev_per_atom: float,
    min_order: float,
    max_gradient_error_ratio: float,
    max_curl_ratio: float,
    reference: str | None,
    **chosen: Any,
) -> None:
    """Run at constant energy at three time steps and back, and examine the forces; name what is wrong, if anything.

    A killed run goes on when the same command is given again.
    """
    from dataclasses import asdict

    from gmd26_md import evaluate
    from gmd26_md.commands.progress import bar
    from gmd26_md.observables.diagnosis import Limits
    from gmd26_md.protocols.conservation import Settings

    limits = Limits(
        max_drift_meV_per_atom_per_ps=max_drift_mev_per_atom_per_ps,
        max_rms_meV_per_atom=max_rms_mev_per_atom,
        min_order=min_order,
        max_gradient_error_ratio=max_gradient_error_ratio,
        max_curl_ratio=max_curl_ratio,
    )
    chosen["temperature_K"] = chosen.pop("temperature_k")
    chosen["difference_step_A"] = chosen.pop("difference_step_a")
    settings = Settings(**chosen, limits=limits)
    with bar(f"conservation, {asked.short}", silent=asked.quiet) as show:
        question = ask(asked, n_frames=1, show=show, reference=reference)
        folder = open_folder(asked, question, "conservation", asdict(settings))
        evaluate.measure_conservation(question, folder, settings, show)
    finish(asked, question, folder)
