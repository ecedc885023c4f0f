"""`gmd26-md campaign`: many models, many molecules, on whatever machines there are."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gmd26_md.commands.numbers import AT_LEAST_ONE

if TYPE_CHECKING:
    from gmd26_md.campaign.description import Campaign
    from gmd26_md.campaign.drive import Progress
    from gmd26_md.campaign.units import Unit

_EVERY_S = 60.0  # a line of progress where there is no terminal


@click.group(short_help="Many models, tasks and protocols from one file; resumable.")
def command() -> None:
    """Run many models on many molecules by many protocols, as one file says; docs/campaigns.md has one."""


@command.command(short_help="Run what is missing of a campaign.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Say what would run, how long, and how much disk; run nothing.")
@click.option(
    "--engine", default="processes", show_default=True,
    help="processes, dask, dask:ADDRESS, slurm:FILE.yaml, or MODULE:FUNCTION of an executor.",
)  # fmt: skip
@click.option("--workers", type=AT_LEAST_ONE, default=None, show_default="all cores", help="How many.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
def run(file: Path, dry_run: bool, engine: str, workers: int | None, as_json: bool, quiet: bool) -> int:
    """Run the units that are missing or changed, and bring all records together.

    A call that is killed goes on where it was when the same command is given again; a model that is added adds its
    runs. Exit code 1: some units failed.
    """
    from gmd26_md.campaign.drive import run_missing
    from gmd26_md.campaign.units import units_of
    from gmd26_md.commands.progress import bar

    campaign = _read(file)
    units = units_of(campaign)
    if dry_run:
        _print_plan(campaign, units, as_json, workers)
        return 0
    with bar("campaign", silent=quiet or as_json, line_every_s=_EVERY_S) as show:
        progress = run_missing(
            campaign,
            units,
            engine=engine,
            n_workers=workers,
            on_progress=lambda p: show(len(p.done) / max(1, len(units)), _words(p)),
        )
    return _finish(campaign, units, progress.failed, as_json, quiet)


@command.command(short_help="How far a campaign is, and what came out so far.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def status(file: Path, as_json: bool) -> int:
    """Bring together what is done so far, and say what is missing or failed; nothing is run."""
    from gmd26_md.campaign.units import units_of

    campaign = _read(file)
    units = units_of(campaign)
    return _finish(campaign, units, _failures(campaign, units), as_json, False)


def _read(file: Path) -> Campaign:
    from gmd26_md.campaign.description import read_campaign

    return read_campaign(file)


def _failures(campaign: Campaign, units: list[Unit]) -> dict[str, str]:
    """Return why units failed in earlier calls."""
    found = {}
    for unit in units:
        path = campaign.out / "failed" / f"{unit.key}.json"
        if path.is_file():
            found[unit.key] = str(json.loads(path.read_text(encoding="utf-8"))["reasons"][-1])
    return found


def _print_plan(campaign: Campaign, units: list[Unit], as_json: bool, workers: int | None) -> None:
    import sys

    from gmd26_md.campaign.engines import threads_of
    from gmd26_md.campaign.estimate import as_rows, costs

    found = costs(campaign.out, units, sys.executable, threads_of(workers))
    if as_json:
        click.echo(json.dumps(as_rows(found), indent=1, allow_nan=False))
        return
    click.echo(f"{'model':<28} {'protocol':<15} {'task':<15} {'units':>5} {'done':>5} {'hours':>7} {'MB':>7}")
    for c in found:
        counts = f"{c.n_units:>5} {c.n_done:>5} {_hours(c.hours):>7} {c.disk_MB:>7.0f}"
        click.echo(f"{c.model:<28} {c.protocol:<15} {c.task:<15} {counts}")
    known = [c.hours for c in found if c.hours == c.hours]
    left = sum(c.n_units - c.n_done for c in found)
    unknown = len(found) - len(known)
    click.echo(
        f"{left} of {len(units)} units are to be run: about {sum(known):.1f} hours of one worker"
        + (f" and {unknown} lines that could not be timed" if unknown else "")
        + "."
    )
    for model, why in dict.fromkeys((c.model, c.source) for c in found if c.hours != c.hours):
        click.echo(f"{model}: {why}")
    click.echo(_disk_words(campaign, units, sum(c.disk_MB for c in found)))


def _disk_words(campaign: Campaign, units: list[Unit], all_mb: float) -> str:
    """Say what each rule of keeping raw trajectories costs on disk."""
    from gmd26_md.campaign.drive import is_done, verdicts_of

    so_far: Counter[str] = Counter()
    for unit in units:
        if unit.arguments[0] == "stability" and is_done(campaign.out, unit):
            so_far.update(verdicts_of(campaign.out, unit))
    so_far.pop("static-errors", None)
    failed = 1.0 - so_far["faithful"] / so_far.total() if so_far.total() else None
    failures = "at most as much" if failed is None else f"{failed * all_mb:.0f} MB ({100 * failed:.0f} % so far)"
    kept = campaign.keep_trajectories
    return (
        f"Raw trajectories of stability still to come: all {all_mb:.0f} MB, failures {failures}, none 0 MB; a fraction "
        f"f keeps the failures and f of the rest. The file says {kept}."
    )


def _hours(value: float) -> str:
    return f"{value:.2f}" if value == value else "?"


def _finish(campaign: Campaign, units: list[Unit], failed: dict[str, str], as_json: bool, quiet: bool) -> int:
    """Gather the records, say how the campaign stands, and return the exit code."""
    from gmd26_md.campaign.drive import is_done
    from gmd26_md.campaign.gather import gather

    folders = gather(campaign.out, units, failed)
    done = {unit.key for unit in units if is_done(campaign.out, unit)}
    failed = {key: reason for key, reason in failed.items() if key not in done}  # another driver may have done it
    n_done = len(done)
    if as_json:
        told = {u.label: failed[u.key] for u in units if u.key in failed}
        outcome = {
            "n_units": len(units), "n_done": n_done, "failed": told, "runs": [str(f) for f in folders],
            "standing": _standing(units, done, failed),
        }  # fmt: skip
        click.echo(json.dumps(outcome, indent=1))
    elif not quiet:
        _print_standing(units, done, failed)
        _print_summaries(folders)
        where = f"; their records are in {campaign.out / 'runs'}" if n_done else ""
        click.echo(f"{n_done} of {len(units)} units are done{where}.")
    for unit in units:
        if unit.key in failed and not as_json:
            click.echo(f"failed: {unit.label}: {failed[unit.key]}", err=True)
    return 1 if failed else 0


def _standing(units: list[Unit], done: set[str], failed: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return how many units of each model and task are there, done and failed."""
    found = {}
    for pair in dict.fromkeys((unit.model, unit.task) for unit in units):
        mine = [unit.key for unit in units if (unit.model, unit.task) == pair]
        counts = {"n_done": sum(key in done for key in mine), "n_failed": sum(key in failed for key in mine)}
        found[pair] = {"model": pair[0], "task": pair[1], "n_units": len(mine)} | counts
    return list(found.values())


def _print_standing(units: list[Unit], done: set[str], failed: Mapping[str, str]) -> None:
    click.echo(f"{'model':<28} {'task':<22} {'units':>5} {'done':>5} {'failed':>6}")
    for s in _standing(units, done, failed):
        click.echo(f"{s['model']:<28} {s['task']:<22} {s['n_units']:>5} {s['n_done']:>5} {s['n_failed']:>6}")


def _print_summaries(folders: list[Path]) -> None:
    for folder in folders:
        with contextlib.suppress(FileNotFoundError):  # another driver's, for the moment of a rename
            summary: dict[str, Any] = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
            click.echo(f"{folder.name}: {summary['answer']}")


def _words(progress: Progress) -> str:
    from gmd26_md.commands.progress import duration

    open_units = [u for u in progress.units if u.key not in progress.done and u.key not in progress.failed]
    left_of = Counter(f"{unit.model} on {unit.task}" for unit in open_units)
    left = "" if progress.seconds_left is None else f"{duration(progress.seconds_left)} left; "
    failed = f"{len(progress.failed)} failed; " if progress.failed else ""
    done = f"{len(progress.done)} of {len(progress.units)} units; "
    return f"{done}{left}{failed}{_verdicts(progress)}to do: " + ", ".join(
        f"{name} {count}" for name, count in left_of.most_common(3)
    )


def _verdicts(progress: Progress) -> str:
    """Return what came out so far, "faithful 30, silent 2; " and no static errors among it."""
    total: Counter[str] = sum(progress.verdicts.values(), Counter())
    total.pop("static-errors", None)
    return ", ".join(f"{name} {count}" for name, count in total.most_common(4)) + "; " if total else ""
