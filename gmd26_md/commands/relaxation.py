"""`gmd26-md relaxation`: where a model comes to rest, and whether the reference agrees."""

from __future__ import annotations

from pathlib import Path

import click

from gmd26_md.commands.common import ask, finish, model_options, open_folder


@click.command()
@model_options
@click.option("--fmax-eV-per-A", default=0.02, show_default=True, help="Largest force at convergence.")
@click.option("--max-steps", default=2000, show_default=True)
@click.option("--max-rmsd-A", default=0.3, show_default=True, help="Heavy-atom RMSD that counts as moved away.")
@click.option("--max-reference-force-eV-per-A", default=0.5, show_default=True, help="At the model's minimum.")
@click.option("--reference", default=None, help="What labels the minima; by default the model's level of theory.")
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
    fmax_ev_per_a: float,
    max_steps: int,
    max_rmsd_a: float,
    max_reference_force_ev_per_a: float,
    reference: str | None,
) -> None:
    """Relax from the reference minimum and from the structure as built, and label where the model stops."""
    from dataclasses import asdict

    from gmd26_md import evaluate
    from gmd26_md.commands.progress import bar
    from gmd26_md.protocols.relaxation import Settings

    settings = Settings(
        fmax_eV_per_A=fmax_ev_per_a,
        max_steps=max_steps,
        max_rmsd_A=max_rmsd_a,
        max_reference_force_eV_per_A=max_reference_force_ev_per_a,
    )
    with bar("relaxation") as show:
        question = ask(
            "relaxation",
            model=model,
            task=task,
            molecules=molecules,
            only=only,
            frames=frames,
            device=device,
            dtype=dtype,
            engine=engine,
            skip_unsupported=skip_unsupported,
            n_frames=None,
            show=show,
        )
        level = reference or question.subject.level_of_theory
        folder = open_folder(out, question, "relaxation", asdict(settings) | {"reference": level})
        evaluate.measure_relaxation(question, folder, settings, level, show)
    finish(folder, as_json=as_json, quiet=quiet)
