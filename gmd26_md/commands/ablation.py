"""`gmd26-md ablation`: train variants of a family alike, and table their errors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gmd26_md.commands.forms import format_option, line_width
from gmd26_md.commands.numbers import AT_LEAST_ONE, COUNT, POSITIVE

if TYPE_CHECKING:
    from gmd26_md.tasks import Task
    from gmd26_md.training.recipe import Recipe

_VARIED = {"deepset-moe": ("routing", "aggregation", "decoder")}
"""What is varied where nothing is named: the switches that the family's authors leave open."""


@click.command(short_help="Train variants of a family alike, and table their errors.")
@click.option("--family", default="deepset-moe", show_default=True, help="See 'gmd26-md families'.")
@click.option("--task", required=True, help="Task, see 'gmd26-md tasks', or a file of your own.")
@click.option(
    "--vary",
    multiple=True,
    metavar="NAME=VALUE,VALUE",
    help="Values of a hyperparameter; may be repeated. For DeepSet-MoE by default every routing, aggregation, decoder.",
)
@click.option("--crossed", is_flag=True, help="All combinations, not one change at a time.")
@click.option("--recipe", type=click.Path(path_type=Path), default=None, help="paper or a TOML file; see 'train'.")
@click.option("--data", type=click.Path(path_type=Path), default=Path("data"), show_default=True)
@click.option("--frames", type=click.Path(path_type=Path), default=None, help="Folder with test frames.  [the data]")
@click.option("--level", default="gfn2-xtb", show_default=True, help="Level of theory of the data.")
@click.option("--out", type=click.Path(path_type=Path), default=None, help="By default ablations/<family>-<task>.")
@click.option("--minutes", type=POSITIVE, default=None, help="Of training, for each.")
@click.option("--steps", type=AT_LEAST_ONE, default=None, help="Of training, for each; by default the recipe's.")
@click.option("--seed", type=COUNT, default=None)
@click.option("--device", default="auto", show_default=True)
@format_option()
def command(
    family: str,
    task: str,
    vary: tuple[str, ...],
    crossed: bool,
    recipe: Path | None,
    data: Path,
    frames: Path | None,
    level: str,
    out: Path | None,
    minutes: float | None,
    steps: int | None,
    seed: int | None,
    device: str,
    form: str,
) -> None:
    """Train the recipe as it is and every variant of it, with the same data and budget, and table their static errors.

    A killed call goes on when the same command is given again; what is trained is not trained again.
    """
    from gmd26_md import tasks
    from gmd26_md.commands.progress import bar
    from gmd26_md.errors import UserError
    from gmd26_md.report.comparison import compare, without_empty_columns
    from gmd26_md.report.forms import written
    from gmd26_md.training.model import all_hyperparameters
    from gmd26_md.training.recipe import load_recipe, named_recipe
    from gmd26_md.training.variants import parsed, variants

    asked = tasks.get(task)
    changed = {name: value for name, value in {"n_steps": steps, "seed": seed}.items() if value is not None}
    named = named_recipe(family, recipe)
    chosen = load_recipe(named, **changed)
    if chosen.family != family:
        raise UserError(f"{recipe} is a recipe for {chosen.family}, asked is --family {family}; change one of them.")
    found = variants(all_hyperparameters(chosen), parsed(vary) or _default_choices(family), crossed=crossed)
    each = [load_recipe(named, **changed, hyperparameters=v.hyperparameters) for v in found]
    for one in each:
        _build(one)  # complain of the last one before the first is trained
    folder = out or Path("ablations") / f"{family}-{asked.name}"
    summaries = []
    for n, (variant, one) in enumerate(zip(found, each, strict=True), start=1):
        with bar(f"{n} of {len(found)}: {variant.name}") as show:
            place = folder / variant.name
            _train(one, place, asked, data, level, minutes, device, show)
            summaries.append(_measured(place, variant.name, task, frames or data, device, show))
    rows = without_empty_columns(compare(summaries, published=False))
    click.echo(written(rows, form, width=line_width()), nl=False)


def _default_choices(family: str) -> dict[str, list[Any]]:
    from gmd26_md.calculators.families import family_module
    from gmd26_md.errors import UserError

    if family not in _VARIED:
        raise UserError(f"say what to vary in {family} with --vary NAME=VALUE,VALUE; may be repeated.")
    choices = family_module(family).CHOICES
    return {name: list(choices[name]) for name in _VARIED[family]}


def _build(recipe: Recipe) -> None:
    from gmd26_md.calculators.families import build_network
    from gmd26_md.training.model import all_hyperparameters

    build_network(recipe.family, all_hyperparameters(recipe), (1, 6, 8))


def _train(
    recipe: Recipe, place: Path, task: Task, data: Path, level: str, minutes: float | None, device: str, show: Any
) -> None:
    from gmd26_md.training.train import train

    train(
        task,
        recipe,
        data,
        place,
        level_of_theory=level,
        minutes=minutes,
        device=device,
        on_progress=lambda p: show(p.fraction, f"step {p.step}, {p.steps_per_s:.1f}/s"),
    )


def _measured(place: Path, name: str, task: str, frames: Path, device: str, show: Any) -> dict[str, Any]:
    """Return the summary of a variant's static errors, under the variant's name."""
    from gmd26_md.commands.common import Asked, ask, open_folder
    from gmd26_md.evaluate import measure_static_errors
    from gmd26_md.report.summary import summarise

    asked = Asked(
        model=(str(place / "best.pt"),), task=task, molecules=None, only=(), frames=frames, out=place / "static-errors",
        device=device, dtype="float64", engine="auto", skip_unsupported=False, as_json=False, quiet=True,
    )  # fmt: skip
    question = ask(asked, n_frames=None, show=show)
    run = open_folder(asked, question, "static-errors", {"n_frames": 0})
    measure_static_errors(question, run, 0, show)
    return summarise(run.records(), run.static_tables(), None) | {"model": name}
