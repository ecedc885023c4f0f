"""`gmd26-md data compare`: how far the labels of one level of theory are from those of another."""

from __future__ import annotations

import textwrap
from pathlib import Path

import click

_WIDTH = 105


@click.command(short_help="How far one level of theory is from another.")
@click.argument("level")
@click.argument("against")
@click.option("--task", required=True, help="Whose molecules, and which are ID and OOD; see 'gmd26-md tasks'.")
@click.option("--only", multiple=True, metavar="NAME", help="Only this molecule of the task; may be repeated.")
@click.option("--data", type=click.Path(path_type=Path), default=Path("data"), show_default=True)
@click.option("--against-data", type=click.Path(path_type=Path), default=None, show_default="--data")
@click.option("--format", "form", default="text", show_default=True, help="text, markdown or csv (csv has all digits).")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def compare(
    level: str,
    against: str,
    task: str,
    only: tuple[str, ...],
    data: Path,
    against_data: Path | None,
    form: str,
    as_json: bool,
) -> None:
    """Hold the forces and relative energies of LEVEL against those of AGAINST, on the geometries that both labelled.

    It says how right a model can be that was trained on LEVEL, where AGAINST is what counts. LEVEL may be a checkpoint
    too, whose answers are computed.
    """
    from gmd26_md import strict_json, tasks
    from gmd26_md.commands.data_label import chosen_molecules
    from gmd26_md.datasets.level_offset import compared, pairs_of
    from gmd26_md.errors import unknown_name
    from gmd26_md.report.comparison import FORMATS, written
    from gmd26_md.report.level_offset_table import offset_columns, offset_rows, offset_words

    if form not in FORMATS:
        raise unknown_name("format", form, FORMATS)
    asked = tasks.get(task)
    molecules = sorted(((m, asked.split_of(m)) for m in chosen_molecules(asked, only, 0)), key=lambda pair: pair[1])
    pairs = pairs_of(molecules, (data, level), (against_data or data, against))
    found = {"task": task, **compared(pairs, level, against)}
    if as_json:
        click.echo(strict_json.dumps(found))
    elif form == "csv":
        click.echo(written(offset_columns(found), form), nl=False)
    else:
        said = offset_words(found)
        said = said if form == "markdown" else [textwrap.fill(words, _WIDTH) for words in said]
        click.echo(written(offset_rows(found), form) + "\n" + "\n\n".join(said))
