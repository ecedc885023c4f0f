"""`gmd26-md train`: train a family on a task."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gmd26_md.commands.numbers import COUNT, POSITIVE

if TYPE_CHECKING:
    from gmd26_md.training.loop import Progress


@click.command(short_help="Train a family of models on a task.")
@click.option("--family", required=True, help="Family of models; see 'gmd26-md families'.")
@click.option("--task", required=True, help="Task, see 'gmd26-md tasks', or a file of your own.")
@click.option(
    "--recipe",
    type=click.Path(path_type=Path),
    default=None,
    help="paper (published hyperparameters) or a TOML file, in place of the small one.",
)
@click.option("--data", type=click.Path(path_type=Path), default=Path("data"), show_default=True)
@click.option("--level", default="gfn2-xtb", show_default=True, help="Level of theory of the data.")
@click.option("--out", type=click.Path(path_type=Path), default=None, help="By default training-runs/<family>-<task>.")
@click.option("--minutes", type=POSITIVE, default=None, help="Time budget; the learning rate anneals within it.")
@click.option("--seed", type=COUNT, default=None)
@click.option("--device", default="auto", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def command(
    family: str,
    task: str,
    recipe: Path | None,
    data: Path,
    level: str,
    out: Path | None,
    minutes: float | None,
    seed: int | None,
    device: str,
    as_json: bool,
) -> None:
    """Train on a task's molecules; a killed training goes on when the same command is given again."""
    from gmd26_md import tasks
    from gmd26_md.commands.common import say_warnings
    from gmd26_md.commands.progress import bar
    from gmd26_md.errors import UserError
    from gmd26_md.training.recipe import load_recipe, named_recipe
    from gmd26_md.training.train import train

    asked = tasks.get(task)
    say_warnings(asked)
    changed: dict[str, Any] = {} if seed is None else {"seed": seed}
    chosen = load_recipe(named_recipe(family, recipe), **changed)
    if chosen.family != family:
        raise UserError(f"{recipe} is a recipe for {chosen.family}, asked is --family {family}; change one of them.")
    folder = out or Path("training-runs") / f"{family}-{asked.name}"
    with bar(f"training {family}") as show:
        best = train(
            asked,
            chosen,
            data,
            folder,
            level_of_theory=level,
            minutes=minutes,
            device=device,
            on_progress=lambda p: show(p.fraction, _words(p)),
        )
    if as_json:
        click.echo(json.dumps({"checkpoint": str(best)}))
    else:
        click.echo(f"best checkpoint: {best}")


def _words(p: Progress) -> str:
    from gmd26_md.commands.progress import duration

    errors = "" if p.validation is None else f", force MAE {p.validation.force_mae_eV_per_A:.4f} eV/Å"
    return f"step {p.step}, {p.steps_per_s:.1f}/s{errors}, {duration(p.eta_s)} left"
