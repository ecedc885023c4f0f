"""`gmd26-md report`: one page from the records of any number of models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


@click.command(short_help="One page to look at, from the records of any number of models.")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN [RUN ...]")
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), default=Path("report.html"), show_default=True, help="The page."
)
@click.option("--title", default="", help="Its heading; by default the tasks.")
@click.option(
    "--figures", "folder", type=click.Path(path_type=Path), help="Also write each figure into this folder, for a paper."
)
@click.option("--format", "form", default="pdf", show_default=True, help="Of those figures: pdf, svg or png.")
@click.option(
    "--distance",
    "distances",
    multiple=True,
    type=click.Path(path_type=Path),
    help="What 'gmd26-md distance errors --json' printed; may be repeated.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what was made as JSON.")
def command(
    runs: tuple[Path, ...],
    out: Path,
    title: str,
    folder: Path | None,
    form: str,
    distances: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Make one self-contained page: answers, tables, figures, and a section a molecule with its runs in words and 3D.

    RUN is a run folder of any protocol of any model. The page needs no network and opens from disk. Trajectories are
    read where they lie in the run folders; without them the page has no temperatures, energies and 3D views.
    """
    from gmd26_md.commands.progress import bar
    from gmd26_md.page.paper import check_form, draw_all
    from gmd26_md.page.sources import gather
    from gmd26_md.page.write import made, write
    from gmd26_md.report.repeat import model_at_hand

    if out.is_dir():
        out = out / "report.html"
    if folder is not None:
        check_form(form)
    sources = gather(runs)
    with bar("page", silent=as_json) as show:
        page = made(sources, model_at_hand, show, distances)
        write(page, out, title)
        drawn = [] if folder is None else draw_all(page.figures, folder, form, show)
    told = {
        "page": str(out),
        "bytes": out.stat().st_size,
        "records": len(sources.records),
        "tasks": [task.content.name for task in page.tasks],
        "figures": [str(path) for path in drawn],
        "notes": sources.notes,
    }
    _tell(told, as_json)


def _tell(told: dict[str, Any], as_json: bool) -> None:
    from gmd26_md import strict_json

    if as_json:
        click.echo(strict_json.dumps(told))
        return
    for note in told["notes"]:
        click.echo(f"note: {note}")
    if told["figures"]:
        click.echo(f"{len(told['figures'])} figures in {Path(told['figures'][0]).parent}")
    click.echo(f"{told['page']}: {told['records']} records, {told['bytes'] / 1e6:.1f} MB; open it in a browser.")
