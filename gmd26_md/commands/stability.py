"""`gmd26-md stability`: run short dynamics with a model and judge them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gmd26_md.commands.common import ask, finish, model_options, open_folder


@click.command()
@model_options
@click.option("--preset", default="quick", show_default=True, help="quick, standard or thorough.")
@click.option("--temperature-K", type=float, default=None, help="Of the thermalisation.")
@click.option("--timestep-fs", type=float, default=None)
@click.option("--thermalise-ps", type=float, default=None, help="Langevin dynamics before the run proper.")
@click.option("--friction-per-fs", type=float, default=None)
@click.option("--nve-ps", type=float, default=None, help="Constant-energy dynamics.")
@click.option("--save-every-fs", type=float, default=None, help="Between frames.")
@click.option("--n-seeds", type=int, default=None, help="Runs a molecule.")
@click.option("--seed", type=int, default=None, help="The first seed.")
@click.option("--n-label-frames", type=int, default=None, help="Frames a run labelled with the reference.")
@click.option("--reference", default=None, help="What labels them; by default the model's level of theory.")
@click.option("--n-static-frames", type=int, default=0, show_default="all", help="Reference frames a molecule.")
@click.option("--max-drift-meV-per-atom-per-ps", type=float, default=None, help="Threshold of 'drifting'.")
@click.option("--max-force-ratio", type=float, default=None, help="Threshold of 'silent': relative force error.")
@click.option("--max-true-energy-change-meV-per-atom", type=float, default=None, help="Threshold of 'silent'.")
@click.option("--minutes", type=float, default=None, help="Time limit of the dynamics; what it cuts is censored.")
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
    preset: str,
    n_static_frames: int,
    max_drift_mev_per_atom_per_ps: float | None,
    max_force_ratio: float | None,
    max_true_energy_change_mev_per_atom: float | None,
    minutes: float | None,
    **changed: Any,
) -> None:
    """Thermalise, run at constant energy, and judge: alive, conserved, and true by the reference's labels.

    Every setting of the preset can be overridden. A killed run goes on when the same command is given again.
    """
    from dataclasses import asdict, replace

    from gmd26_md import evaluate
    from gmd26_md.commands.progress import bar
    from gmd26_md.observables.verdict import Thresholds
    from gmd26_md.protocols import stability

    changed["temperature_K"] = changed.pop("temperature_k")
    settings = stability.preset(preset, **changed)
    given = {
        "drift_max_meV_per_atom_per_ps": max_drift_mev_per_atom_per_ps,
        "force_ratio_max": max_force_ratio,
        "true_energy_change_max_meV_per_atom": max_true_energy_change_mev_per_atom,
    }
    thresholds = replace(Thresholds(), **{k: v for k, v in given.items() if v is not None})  # type: ignore[arg-type]
    with bar("stability") as show:
        question = ask(
            "stability",
            model=model,
            task=task,
            molecules=molecules,
            only=only,
            frames=frames,
            device=device,
            dtype=dtype,
            engine=engine,
            skip_unsupported=skip_unsupported,
            n_frames=n_static_frames or None,
            show=show,
        )
        asked = {"stability": asdict(settings), "thresholds": asdict(thresholds), "n_static_frames": n_static_frames}
        folder = open_folder(out, question, "stability", asked)
        evaluate.measure_static_errors(question, folder, n_static_frames, show)
        evaluate.measure_stability(question, folder, settings, thresholds, minutes=minutes, show=show)
    finish(folder, as_json=as_json, quiet=quiet)
