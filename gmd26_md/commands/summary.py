"""`gmd26-md summary`: the table of a run folder again, in any form, as its records stand now."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gmd26_md.commands.forms import colour, format_option, width


@click.command(short_help="The table of a run folder again, in any form.")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN [RUN ...]")
@format_option("csv has every number")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON; of several folders a list.")
def command(runs: tuple[Path, ...], form: str, as_json: bool) -> None:
    """Print what the records of a run folder come to, as the command that made it does; nothing is run or written.

    RUN is a run folder of any protocol, finished or still at work: the records that are there are counted.
    """
    from gmd26_md import strict_json
    from gmd26_md.commands.table import say_unfinished
    from gmd26_md.report.summary_forms import summaries_written

    found = [_summary(run) for run in runs]
    for run in runs:
        say_unfinished(run)
    if as_json:
        click.echo(strict_json.dumps(found[0] if len(found) == 1 else found))
        return
    click.echo(summaries_written(found, form, width=width(), colour=colour()), nl=False)


def _summary(run: Path) -> dict[str, Any]:
    """Return the summary of the records as they stand, with what only the finished one knows of model and task."""
    from gmd26_md.commands.table import summary_of
    from gmd26_md.errors import UserError
    from gmd26_md.report.summary import summarise
    from gmd26_md.run_folder import RunFolder

    folder = RunFolder(run)
    records = folder.records() if run.is_dir() else []
    if not records:
        if run.is_dir() and not (run / "summary.json").is_file():
            raise UserError(f"{run} has no records; give a run folder, as a command printed it last.")
        return summary_of(run)
    finished = summary_of(run) if (run / "summary.json").is_file() else {}
    kept = {name: finished[name] for name in ("level_of_theory", "training") if name in finished}
    summary = summarise(records, folder.static_tables(), finished.get("composition")) | kept
    for split, part in summary["splits"].items():
        breakdown = finished.get("splits", {}).get(split, {}).get("breakdown")
        part |= {} if breakdown is None else {"breakdown": breakdown}
    return summary
