"""`gmd26-md reproduce`: from nothing to the paper's table of a task."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gmd26_md.commands.numbers import AT_LEAST_ONE, COUNT, POSITIVE

if TYPE_CHECKING:
    from gmd26_md.reproduction import Ended, Plan

_ENDINGS = {"text": "txt", "markdown": "md", "latex": "tex", "csv": "csv"}


@click.command(short_help="Data, training, static errors, dynamics, table: all of it.")
@click.option("--task", "task_names", multiple=True, required=True, help="Task, or a file of one; may be repeated.")
@click.option("--families", required=True, help="As deepset-moe,schnet,painn,mace; see 'gmd26-md families'.")
@click.option("--minutes", type=POSITIVE, default=None, help="Of training, for each; by default the recipe's steps.")
@click.option("--recipe", default=None, help="paper or a TOML file; see 'train'.")
@click.option("--seed", type=COUNT, default=None, help="Of training.")
@click.option("--data", type=click.Path(path_type=Path), default=Path("data"), show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path("reproduction"), show_default=True)
@click.option("--level", default="gfn2-xtb", show_default=True, help="Level of theory of the data.")
@click.option("--n-primary", type=AT_LEAST_ONE, default=None, help="Primary frames a molecule, as 'data generate'.")
@click.option("--n-secondary", type=AT_LEAST_ONE, default=None, help="Secondary frames a molecule.")
@click.option("--workers", type=AT_LEAST_ONE, default=None, show_default="all cores", help="Of the data.")
@click.option("--preset", default="quick", show_default=True, help="Of the dynamics: quick, standard, thorough, none.")
@click.option("--device", default="auto", show_default=True)
@click.option("--python", "pythons", multiple=True, metavar="FAMILY=PATH", help="What runs a family; may be repeated.")
@click.option("--dry-run", is_flag=True, help="Print the commands, and run none.")
def command(
    task_names: tuple[str, ...],
    families: str,
    minutes: float | None,
    recipe: str | None,
    seed: int | None,
    data: Path,
    out: Path,
    level: str,
    n_primary: int | None,
    n_secondary: int | None,
    workers: int | None,
    preset: str,
    device: str,
    pythons: tuple[str, ...],
    dry_run: bool,
) -> int:
    """Make the data of tasks, train families, measure static errors, run dynamics, and table it as the paper does.

    Every stage is a command of its own, printed as it starts; a killed call goes on where it was when the same command
    is given again. A family that fails is left out of the table, and said.
    """
    from gmd26_md.calculators import families as known
    from gmd26_md.errors import UserError, unknown_name
    from gmd26_md.protocols import stability
    from gmd26_md.reproduction import Plan, checked_pythons, reproduce, stages

    names = tuple(dict.fromkeys(name.strip() for name in families.split(",") if name.strip()))
    for name in names:
        if name not in known.family_names():
            raise unknown_name("family", name, known.family_names())
    if not names:
        raise UserError("--families names none; write --families deepset-moe,mace.")
    if preset != "none":
        stability.preset(preset)  # complain now
    counts = (("--n-primary", n_primary), ("--n-secondary", n_secondary), ("--workers", workers))
    plan = Plan(
        task_names=tuple(dict.fromkeys(task_names)),
        families=names,
        data=data,
        out=out,
        minutes=minutes,
        seed=seed,
        recipe=recipe,
        preset="" if preset == "none" else preset,
        level=level,
        data_options=tuple(part for option, n in counts if n is not None for part in (option, str(n))),
        device=device,
        pythons=checked_pythons(pythons),
    )
    if dry_run:
        for stage in stages(plan):
            click.echo(stage.command)
        return 0
    ended = reproduce(plan, on_stage=lambda stage: click.echo(f"$ {stage.command}"))
    for one in ended:
        if one.outcome in ("failed", "left out"):
            click.echo(f"{one.outcome}: {one.stage.name}: {one.reason}", err=True)
    _write_tables(plan, ended)
    return 1 if any(one.outcome in ("failed", "left out") for one in ended) else 0


def _write_tables(plan: Plan, ended: list[Ended]) -> None:
    """Write each task's table in every form, and print it."""
    from gmd26_md import tasks
    from gmd26_md.commands.table import paper, summary_of
    from gmd26_md.errors import UserError
    from gmd26_md.files import write_text_whole
    from gmd26_md.reproduction import folders_of

    summaries = [summary_of(folder) for folder in folders_of(ended)]
    for given in plan.task_names:
        name = tasks.get(given).name
        try:
            for form, ending in _ENDINGS.items():
                text = paper(given, summaries, form, published=True, with_findings=True)
                write_text_whole(plan.out / "tables" / f"{name}.{ending}", text)
        except UserError as problem:
            click.echo(f"no table of {name}: {problem}", err=True)
            continue
        click.echo(paper(given, summaries, "text", published=True, with_findings=True), nl=False)
    seconds = sum(one.seconds for one in ended)
    click.echo(f"{seconds / 60:.1f} min in this call; tables are in {plan.out / 'tables'}.")
