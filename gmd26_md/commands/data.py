"""`gmd26-md data`: make reference data."""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path

import click


@click.group()
def command() -> None:
    """Make and look at reference data."""


@command.command()
@click.option("--task", required=True, help="Every molecule that this task needs; see 'gmd26-md tasks'.")
@click.option("--split", type=click.Choice(["all", "train", "ood"]), default="all", show_default=True)
@click.option("--reference", default="gfn2-xtb", show_default=True, help="Level of theory.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("data"), show_default=True)
@click.option("--temperature-K", default=500.0, show_default=True, help="Of the Langevin thermostat.")
@click.option("--timestep-fs", default=1.0, show_default=True)
@click.option("--equilibrate-ps", default=2.0, show_default=True)
@click.option("--interval-fs", default=10.0, show_default=True, help="Between frames that are kept.")
@click.option("--n-primary", default=2000, show_default=True, help="Frames of the primary trajectory.")
@click.option("--n-secondary", default=500, show_default=True, help="Frames of the secondary trajectory.")
@click.option("--seed", default=26, show_default=True)
@click.option("--workers", default=os.cpu_count() or 1, show_default="all cores", help="Worker processes.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def generate(
    task: str,
    split: str,
    reference: str,
    out: Path,
    temperature_k: float,
    timestep_fs: float,
    equilibrate_ps: float,
    interval_fs: float,
    n_primary: int,
    n_secondary: int,
    seed: int,
    workers: int,
    as_json: bool,
) -> int:
    """Sample and label the primary and the secondary trajectory of every molecule of a task.

    What is finished is never computed again; stop it at will and run the same command to go on.
    """
    from gmd26_md import tasks
    from gmd26_md.commands.progress import generation_bar
    from gmd26_md.datasets.generate import generate as make
    from gmd26_md.datasets.sample import SamplingSettings
    from gmd26_md.errors import unknown_name

    asked = tasks.get(task)
    if reference != "gfn2-xtb":
        raise unknown_name("reference", reference, ["gfn2-xtb"])
    chosen = {"all": asked.molecules, "train": asked.train, "ood": asked.ood}[split]
    settings = SamplingSettings(
        temperature_K=temperature_k,
        timestep_fs=timestep_fs,
        equilibrate_ps=equilibrate_ps,
        interval_fs=interval_fs,
        n_primary=n_primary,
        n_secondary=n_secondary,
        seed=seed,
    )
    with generation_bar() as show:
        statuses = make(
            chosen,
            out,
            level=reference,
            settings=settings,
            n_workers=workers,
            command=_this_command(),
            on_progress=show,
        )
    failed = {slug: found for slug, found in statuses.items() if "failed" in found.values()}
    rank = _rank_report(asked)
    if as_json:
        click.echo(json.dumps({"molecules": statuses, "composition": rank}, indent=1))
    else:
        click.echo(f"{len(statuses) - len(failed)} of {len(statuses)} molecules are whole in {out / reference}.")
        for slug in failed:
            click.echo(f"failed: {slug}; the reason is in {out / reference / slug / 'provenance.json'}")
        click.echo(rank["words"])
    return 1 if failed else 0


def _this_command() -> str:
    return shlex.join(["gmd26-md", *sys.argv[1:]])


def _rank_report(task: object) -> dict[str, object]:
    """Say whether per-element energies can be told from the training compositions."""
    from gmd26_md.datasets.composition import composition_report
    from gmd26_md.tasks import Task

    if not isinstance(task, Task):
        raise TypeError(f"want a Task, got {type(task)}")
    return composition_report(task)
