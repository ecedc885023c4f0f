"""`gmd26-md stability`: run short dynamics with a model and judge them."""

from __future__ import annotations

from typing import Any

import click

from gmd26_md.commands.common import Asked, ask, finish, model_options, open_folder
from gmd26_md.commands.numbers import AT_LEAST_ONE, COUNT, NOT_NEGATIVE, POSITIVE


@click.command(short_help="Run dynamics with a model: alive, conserved, true?")
@model_options
@click.option("--preset", default="quick", show_default=True, help="quick, standard or thorough.")
@click.option("--temperature-K", "temperatures", type=POSITIVE, multiple=True, help="Of the runs; may be repeated.")
@click.option("--ensemble", "ensembles", multiple=True, help="nve (the default) or nvt; may be repeated.")
@click.option("--timestep-fs", type=POSITIVE, default=None)
@click.option("--thermalise-ps", type=NOT_NEGATIVE, default=None, help="Langevin dynamics before the run proper.")
@click.option("--friction-per-fs", type=NOT_NEGATIVE, default=None)
@click.option("--run-ps", "--nve-ps", type=POSITIVE, default=None, help="Length of the run proper.")
@click.option("--save-every-fs", type=POSITIVE, default=None, help="Between frames.")
@click.option("--n-seeds", type=AT_LEAST_ONE, default=None, help="Runs a molecule.")
@click.option("--seed", type=COUNT, default=None, help="The first seed.")
@click.option("--n-label-frames", type=COUNT, default=None, help="Frames a run labelled with the reference.")
@click.option("--reference", default=None, help="What labels them; by default the model's level of theory.")
@click.option("--n-static-frames", type=COUNT, default=0, show_default="all", help="Reference frames a molecule.")
@click.option("--max-drift-meV-per-atom-per-ps", type=POSITIVE, default=None, help="Threshold of 'drifting'.")
@click.option("--max-force-ratio", type=POSITIVE, default=None, help="Threshold of 'silent': relative force error.")
@click.option("--max-true-energy-change-meV-per-atom", type=POSITIVE, default=None, help="Threshold of 'silent'.")
@click.option("--minutes", type=POSITIVE, default=None, help="Time limit of the dynamics; what it cuts is censored.")
def command(
    asked: Asked,
    preset: str,
    temperatures: tuple[float, ...],
    ensembles: tuple[str, ...],
    n_static_frames: int,
    max_drift_mev_per_atom_per_ps: float | None,
    max_force_ratio: float | None,
    max_true_energy_change_mev_per_atom: float | None,
    minutes: float | None,
    reference: str | None,
    **changed: Any,
) -> None:
    """Thermalise, run at constant energy, and judge: alive, conserved, and true by the reference's labels.

    Every setting of the preset can be overridden. Several temperatures, and both ensembles, are run in one batch. A
    killed run goes on when the same command is given again, and more seeds may join a folder later.
    """
    from dataclasses import asdict, replace

    from gmd26_md import evaluate
    from gmd26_md.commands.progress import bar
    from gmd26_md.observables.verdict import Thresholds
    from gmd26_md.protocols import stability
    from gmd26_md.protocols.stability_settings import of_a_run

    variants = [
        stability.preset(preset, temperature_K=temperature_K, ensemble=ensemble, **changed)
        for temperature_K in dict.fromkeys(temperatures or (None,))
        for ensemble in dict.fromkeys(ensembles or (None,))
    ]
    given = {
        "drift_max_meV_per_atom_per_ps": max_drift_mev_per_atom_per_ps,
        "force_ratio_max": max_force_ratio,
        "true_energy_change_max_meV_per_atom": max_true_energy_change_mev_per_atom,
    }
    thresholds = replace(Thresholds(), **{k: v for k, v in given.items() if v is not None})  # type: ignore[arg-type]
    with bar(f"stability, {asked.short}", silent=asked.quiet) as show:
        n_labels = sum(v.n_seeds * v.n_label_frames for v in variants)
        question = ask(asked, n_frames=n_static_frames or None, show=show, reference=reference, n_labels=n_labels)
        level = evaluate.reference_of(question.subject, reference)
        variants = [replace(v, reference=level) for v in variants]
        wanted = {
            "stability": of_a_run(variants[0])
            | {name: [getattr(v, name) for v in variants] for name in ("temperature_K", "ensemble")},
            "thresholds": asdict(thresholds),
            "n_static_frames": n_static_frames,
        }
        seeds = {"seed": variants[0].seed, "n_seeds": variants[0].n_seeds}
        folder = open_folder(asked, question, "stability", wanted, seeds)
        evaluate.measure_static_errors(question, folder, n_static_frames, show)
        evaluate.measure_stability(question, folder, variants, thresholds, minutes=minutes, show=show)
    finish(asked, question, folder)
