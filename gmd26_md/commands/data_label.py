"""`gmd26-md data label`: labels of one level of theory for geometries that another one sampled."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gmd26_md import host
from gmd26_md.commands.numbers import AT_LEAST_ONE, COUNT, POSITIVE

if TYPE_CHECKING:
    from gmd26_md.molecules import Molecule
    from gmd26_md.tasks import Task


@click.command(short_help="Label at DFT, say, what a cheaper level sampled.")
@click.option("--reference", required=True, help="Level of the labels: pbe-d3bj/def2-svp, pbe-d3bj/def2-tzvp, ...")
@click.option("--sampled-by", default="gfn2-xtb", show_default=True, help="Level that sampled the geometries.")
@click.option("--task", required=True, help="Whose molecules; see 'gmd26-md tasks'.")
@click.option("--only", multiple=True, metavar="NAME", help="Only this molecule of the task; may be repeated.")
@click.option("--shortest", type=COUNT, default=0, help="Only so many ID and so many OOD molecules, the smallest.")
@click.option("--data", type=click.Path(path_type=Path), default=Path("data"), show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=None, show_default="--data", help="For the labels.")
@click.option("--n-test", type=COUNT, default=20, show_default=True, help="Held-out frames a molecule, which test.")
@click.option("--n-primary", type=COUNT, default=0, show_default=True, help="Primary frames, which train.")
@click.option("--n-secondary", type=COUNT, default=0, show_default=True, help="Of the 100 frames that validate.")
@click.option("--minimum/--no-minimum", default=True, show_default=True, help="Relax each molecule at the new level.")
@click.option("--fmax-eV-per-A", type=POSITIVE, default=0.01, show_default=True, help="Force left at the minimum.")
@click.option("--workers", type=AT_LEAST_ONE, default=None, show_default="all cores", help="One-thread processes.")
@click.option("--dry-run", is_flag=True, help="Say what it would cost, and make nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def label(
    reference: str,
    sampled_by: str,
    task: str,
    only: tuple[str, ...],
    shortest: int,
    data: Path,
    out: Path | None,
    n_test: int,
    n_primary: int,
    n_secondary: int,
    minimum: bool,
    fmax_ev_per_a: float,
    workers: int | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Compute energies and forces at one level of theory for frames that another level's dynamics visited.

    For references that are too dear for dynamics of their own. Each label is kept as it is made: stop it at will and
    run the same command to go on.
    """
    from gmd26_md import tasks
    from gmd26_md.calculators import families
    from gmd26_md.commands.progress import LINE_EVERY_S, bar
    from gmd26_md.datasets.relabel import cost, relabel
    from gmd26_md.datasets.relabel_jobs import LabelSettings, open_jobs

    level = families.full_name(reference) if families.is_engine(reference) else reference
    settings = LabelSettings(level, sampled_by, n_test, n_primary, n_secondary, minimum, fmax_ev_per_a)
    asked = tasks.get(task)
    chosen = [(m, asked.frames_of(m)) for m in chosen_molecules(asked, only, shortest)]
    n_workers, target = workers or host.n_cores(), out or data
    jobs = open_jobs(chosen, data, target, settings, shlex.join(["gmd26-md", *sys.argv[1:]]))
    price = cost(jobs, level, n_workers)
    if price.words:
        click.echo(price.words, err=True)
    if dry_run:
        left = {"n_labels": sum(len(job.missing) for job in jobs), "n_minima": sum(j.source is None for j in jobs)}
        _say(
            as_json,
            {**left, "seconds": price.seconds},
            f"To be made: {left['n_labels']} labels, {left['n_minima']} minima.",
        )
        return 0
    with bar(level, line_every_s=LINE_EVERY_S) as show:
        made = relabel(jobs, settings, n_workers, show)
    failed, told = _outcome(made)
    whole = f"{target / level} has the labels of {_counted(len(chosen), 'molecule')}"
    told.insert(0, f"{whole}, but for {_counted(failed, 'stage')}." if failed else f"{whole}.")
    _say(as_json, {"molecules": [m.slug for m, _ in chosen], "made": made}, "\n".join(told))
    return 1 if failed else 0


def _outcome(made: dict[str, dict[str, dict[str, Any]]]) -> tuple[int, list[str]]:
    """Return how many stages failed, and a line for each and for each with frames that did."""
    failed, lines = 0, []
    for slug, stages in made.items():
        for stage, entry in stages.items():
            frames = entry.get("failed_frames")
            if entry["status"] == "failed":
                failed += 1
                lines.append(f"failed: {slug}, {stage}: {entry['reason']}")
            elif frames:
                first = f"the first at {frames[0]['time_fs']:g} fs: {frames[0]['reason']}"
                lines.append(f"left out: {_counted(len(frames), 'frame')} of {slug}, {stage}; {first}")
    return failed, lines


def chosen_molecules(task: Task, only: Sequence[str], shortest: int) -> list[Molecule]:
    """Return the molecules that are asked for, the smallest first."""
    from gmd26_md.errors import UserError

    if only and shortest:
        raise UserError("give either --only or --shortest, not both.")
    found = list(dict.fromkeys(task.find(name) for name in only)) or list(task.molecules)
    found.sort(key=lambda molecule: len(molecule.atoms()))
    if shortest:
        by_split = [[m for m in found if task.split_of(m) == split] for split in ("id", "ood")]
        found = [m for group in by_split for m in group[:shortest]]
    return found


def _counted(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def _say(as_json: bool, found: dict[str, Any], words: str) -> None:
    from gmd26_md import strict_json

    click.echo(strict_json.dumps(found) if as_json else words)
