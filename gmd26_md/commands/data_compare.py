"""`gmd26-md data compare`: how far the labels of one level of theory are from those of another."""

from __future__ import annotations

from pathlib import Path

import click

from gmd26_md.commands.forms import format_option, line_width

_WIDTH = 105


@click.command(short_help="How far one level of theory is from another.")
@click.argument("level")
@click.argument("against")
@click.option("--task", required=True, help="Whose molecules, and which are ID and OOD; see 'gmd26-md tasks'.")
@click.option("--only", multiple=True, metavar="NAME", help="Only this molecule of the task; may be repeated.")
@click.option("--data", type=click.Path(path_type=Path), default=Path("data"), show_default=True)
@click.option("--against-data", type=click.Path(path_type=Path), default=None, show_default="--data")
@format_option("csv has all digits")
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
    from gmd26_md.report import forms
    from gmd26_md.report.level_offset_table import offset_columns, offset_rows, offset_words

    asked = tasks.get(task)
    molecules = sorted(((m, asked.split_of(m)) for m in chosen_molecules(asked, only, 0)), key=lambda pair: pair[1])
    pairs = pairs_of(molecules, (data, level), (against_data or data, against))
    found = {"task": task, **compared(pairs, level, against)}
    if as_json:
        click.echo(strict_json.dumps(found))
    elif form == "csv":
        click.echo(forms.written(offset_columns(found), form), nl=False)
    else:
        wide = line_width()
        words = [forms.said([sentence], form, width=wide or _WIDTH) for sentence in offset_words(found)]
        click.echo(forms.put_together([forms.written(offset_rows(found), form, width=wide), *words]), nl=False)
