"""`gmd26-md turning`: does a molecule's energy know where north is?"""

from __future__ import annotations

import click

from gmd26_md.commands.common import Asked, ask, finish, model_options, open_folder
from gmd26_md.commands.numbers import AT_LEAST_ONE, COUNT, POSITIVE


@click.command(short_help="Turn molecules as a whole: does the energy change?")
@model_options
@click.option("--n-turns", type=AT_LEAST_ONE, default=12, show_default=True, help="Orientations a molecule.")
@click.option("--noise-A", "noise", type=POSITIVE, default=0.05, show_default=True, help="Off the minimum.")
@click.option("--max-energy-change-meV", "most", type=POSITIVE, default=0.1, show_default=True)
@click.option("--seed", type=COUNT, default=0, show_default=True)
@click.option("--reference", default=None, help="What gives the minima; by default the model's level of theory.")
def command(asked: Asked, n_turns: int, noise: float, most: float, seed: int, reference: str | None) -> None:
    """Turn each molecule as a whole and see whether its energy stays and its forces turn with it."""
    from dataclasses import asdict

    from gmd26_md.commands.progress import bar
    from gmd26_md.evaluate.turning import measure_turning
    from gmd26_md.protocols.turning import Settings

    settings = Settings(n_turns=n_turns, noise_A=noise, max_energy_change_meV=most, seed=seed)
    with bar("turning", silent=asked.quiet) as show:
        question = ask(asked, n_frames=1, show=show, reference=reference)
        folder = open_folder(asked, question, "turning", asdict(settings))
        measure_turning(question, folder, settings, show)
    finish(asked, question, folder)
