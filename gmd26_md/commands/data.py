"""`gmd26-md data`: make reference data."""

from __future__ import annotations

import json
import shlex
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gmd26_md import host
from gmd26_md.commands.data_compare import compare
from gmd26_md.commands.data_import import import_command
from gmd26_md.commands.data_label import label
from gmd26_md.commands.data_verify import verify
from gmd26_md.commands.numbers import AT_LEAST_ONE, COUNT, NOT_NEGATIVE, POSITIVE

if TYPE_CHECKING:
    from gmd26_md.tasks import Task


@click.group(short_help="Make reference data, and small sets of it.")
def command() -> None:
    """Make and look at reference data."""


command.add_command(label)
command.add_command(verify)
command.add_command(import_command)
command.add_command(compare)


@command.command(short_help="Sample and label what a task needs.")
@click.option("--task", help="Every molecule that this task needs; see 'gmd26-md tasks'.")
@click.option("--all", "everything", is_flag=True, help="All ten families, which every task of the benchmark uses.")
@click.option(
    "--split", type=click.Choice(["all", "train", "ood"]), default="all", show_default=True, help="Of --task."
)
@click.option("--reference", default="gfn2-xtb", show_default=True, help="Level of theory.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("data"), show_default=True)
@click.option("--temperature-K", type=POSITIVE, default=500.0, show_default=True, help="Of the Langevin thermostat.")
@click.option("--timestep-fs", type=POSITIVE, default=2.5, show_default=True)
@click.option(
    "--hydrogen-mass-u",
    type=POSITIVE,
    default=4.0,
    show_default=True,
    help="Heavy hydrogen allows the long step and changes no distribution of positions; 1.008 wants --timestep-fs 1.",
)
@click.option("--equilibrate-ps", type=NOT_NEGATIVE, default=1.0, show_default=True)
@click.option("--interval-fs", type=POSITIVE, default=10.0, show_default=True, help="Between kept frames.")
@click.option("--n-primary", type=AT_LEAST_ONE, default=2000, show_default=True, help="Primary frames.")
@click.option("--n-secondary", type=AT_LEAST_ONE, default=500, show_default=True, help="Secondary frames.")
@click.option("--seed", type=COUNT, default=26, show_default=True)
@click.option("--workers", type=AT_LEAST_ONE, default=None, show_default="all cores", help="Worker processes.")
@click.option("--dry-run", is_flag=True, help="Say what it would cost, and make nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def generate(
    task: str | None,
    everything: bool,
    split: str,
    reference: str,
    out: Path,
    temperature_k: float,
    timestep_fs: float,
    hydrogen_mass_u: float,
    equilibrate_ps: float,
    interval_fs: float,
    n_primary: int,
    n_secondary: int,
    seed: int,
    workers: int | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Sample and label the primary and the secondary trajectory of every molecule of a task, or of all tasks.

    What is finished is never computed again; stop it at will and run the same command to go on.
    """
    from gmd26_md import tasks
    from gmd26_md.commands.progress import duration, generation_bar
    from gmd26_md.datasets.estimate import estimate
    from gmd26_md.datasets.generate import generate as make
    from gmd26_md.datasets.sample import SamplingSettings
    from gmd26_md.datasets.store import contents
    from gmd26_md.errors import UserError, unknown_name
    from gmd26_md.molecules import all_molecules

    if (task is None) != everything:
        raise UserError("give either --task with a name of 'gmd26-md tasks', or --all.")
    if everything and split != "all":
        raise UserError(
            f"--split {split} is of a task, and --all is every molecule; give --task, or leave --split out."
        )
    asked = [tasks.get(name) for name in ([task] if task else tasks.TASKS)]
    if interval_fs < timestep_fs:
        raise UserError(f"--interval-fs {interval_fs:g} is shorter than --timestep-fs {timestep_fs:g}; make it longer.")
    if reference.partition("/")[0] == "pbe-d3bj":
        raise UserError(
            f"dynamics with {reference} would take weeks; label frames that gfn2-xtb sampled: "
            f"gmd26-md data label --reference {reference} --task {task or 'duplication'} --shortest 2."
        )
    if reference != "gfn2-xtb":
        raise unknown_name("reference", reference, ["gfn2-xtb"])
    chosen = (
        all_molecules()
        if everything
        else {"all": asked[0].molecules, "train": asked[0].train, "ood": asked[0].ood}[split]
    )
    n_workers = workers or host.n_cores()
    settings = SamplingSettings(
        temperature_K=temperature_k,
        timestep_fs=timestep_fs,
        hydrogen_mass_u=hydrogen_mass_u,
        equilibrate_ps=equilibrate_ps,
        interval_fs=interval_fs,
        n_primary=n_primary,
        n_secondary=n_secondary,
        seed=seed,
    )
    price = estimate(chosen, out, reference, settings, n_workers)
    click.echo(price.words, err=as_json or not dry_run)
    if dry_run:
        if as_json:
            click.echo(json.dumps(asdict(price), indent=1))
        return 0
    began = time.monotonic()
    with generation_bar() as show:
        statuses = make(
            chosen,
            out,
            level=reference,
            settings=settings,
            n_workers=n_workers,
            command=_this_command(),
            on_progress=show,
        )
    wall_s = time.monotonic() - began
    n_frames, n_bytes = contents(out, reference, chosen)
    n_made = price.n_frames - (len(chosen) * (n_primary + n_secondary) - n_frames)  # what was left less what is left
    failed = {slug: found for slug, found in statuses.items() if "failed" in found.values()}
    ranks = {one.name: _rank_report(one) for one in asked}
    if as_json:
        rank = ranks if everything else ranks[asked[0].name]
        made = {"n_frames": n_frames, "n_frames_made": n_made, "n_bytes": n_bytes, "wall_s": wall_s}
        click.echo(json.dumps({"molecules": statuses, "composition": rank} | made, indent=1))
    else:
        click.echo(f"{len(statuses) - len(failed)} of {len(statuses)} molecules are whole in {out / reference}.")
        click.echo(f"{n_frames} frames, {n_bytes / 1e6:.1f} MB; {n_made} made now, in {duration(wall_s)}.")
        for slug in failed:
            click.echo(f"failed: {slug}; the reason is in {out / reference / slug / 'provenance.json'}")
        for rank in ranks.values():
            click.echo(rank["words"])
    return 1 if failed else 0


@command.command(short_help="Copy a thin set of test frames, fit to travel.")
@click.option("--task", required=True, help="Task whose molecules to take; see 'gmd26-md tasks'.")
@click.option("--data", type=click.Path(path_type=Path), default=Path("data"), show_default=True)
@click.option("--level", default="gfn2-xtb", show_default=True, help="Level of theory.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="New folder; checkpoints look in ./frames.")
@click.option("--n-frames", type=AT_LEAST_ONE, default=20, show_default=True, help="Frames a molecule.")
def subset(task: str, data: Path, level: str, out: Path, n_frames: int) -> None:
    """Write the minimum and a few evenly spread test frames of every molecule of a task that has them.

    A checkpoint with such a folder beside it, named `frames`, gives a complete table on a machine without the data.
    """
    from gmd26_md import tasks
    from gmd26_md.datasets.heldout import write_small_set
    from gmd26_md.errors import UserError

    asked = tasks.get(task)
    if not (data / level).is_dir():
        raise UserError(f"{data} has no folder {level} with reference data; make it with 'gmd26-md data generate'.")
    if (out / level).exists():
        raise UserError(
            f"{out / level} is there already and is not written over; delete it, or give --out a new folder."
        )
    pairs = [(m, asked.frames_of(m)) for m in asked.tested]
    written = write_small_set(data, level, pairs, out, n_frames, _this_command())
    if not written:
        raise UserError(f"{data / level} has no test frames of {task}; make them with 'gmd26-md data generate'.")
    absent = [m.name for m, _ in pairs if m.slug not in {path.name for path in written}]
    click.echo(f"{len(written)} of {len(pairs)} molecules, {n_frames} frames each at most, are in {out / level}.")
    if absent:
        click.echo(f"without test frames: {', '.join(absent)}")


def _this_command() -> str:
    return shlex.join(["gmd26-md", *sys.argv[1:]])


def _rank_report(task: Task) -> dict[str, object]:
    """Say whether per-element energies can be told from the training compositions."""
    from gmd26_md.datasets.composition import composition_report

    return composition_report(task)
