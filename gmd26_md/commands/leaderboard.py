"""`gmd26-md leaderboard`: models ranked by how faithful their dynamics on unseen molecules is."""

from __future__ import annotations

from pathlib import Path

import click

from gmd26_md.commands.correlate import read_runs
from gmd26_md.commands.forms import format_option, line_width


@click.command(short_help="Models ranked by how faithful their dynamics is.")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN [RUN ...]")
@click.option("--task", "only", default=None, help="Only this task; by default all, side by side.")
@click.option("--condition", default=None, help="As '300 K, NVE, 10 ps'; by default that of most models.")
@format_option()
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def command(runs: tuple[Path, ...], only: str | None, condition: str | None, form: str, as_json: bool) -> None:
    """Rank models by the share of their runs on unseen molecules that are faithful, a row a model, ties as ties.

    RUN is a run folder of stability, or of static-errors for the errors beside, or a folder that holds some. A model
    that was trained once a task has one row if its name is the same but for the task.
    """
    from gmd26_md import strict_json
    from gmd26_md.errors import unknown_name
    from gmd26_md.record_columns import record_files
    from gmd26_md.report.leaderboard import leaderboard
    from gmd26_md.report.leaderboard_table import board_notes, leaderboard_written

    records, static = read_runs(tuple(file.parent for file in record_files(runs)))
    if only is not None:
        if only not in {r.task for r in records}:
            raise unknown_name("task of these folders", only, {r.task for r in records})
        records = [r for r in records if r.task == only]
    board = leaderboard(records, static, condition)
    if as_json:
        click.echo(strict_json.dumps(board | {"notes": board_notes(board)}))
        return
    click.echo(leaderboard_written(board, form, width=line_width()), nl=False)
