"""`gmd26-md table`: several run folders as one table, a row a model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click


@click.command(short_help="Several run folders as one table, a row a model.")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN [RUN ...]")
@click.option("--format", "form", default="text", show_default=True, help="text, markdown or csv.")
@click.option("--published/--no-published", default=True, show_default=True, help="Add the published rows of the task.")
def command(runs: tuple[Path, ...], form: str, published: bool) -> None:
    """Put models side by side: static errors ID and OOD, energies with and without the offset, alive, faithful, drift.

    RUN is a run folder, or a summary.json. Folders of one model share a row.
    """
    from gmd26_md.errors import unknown_name
    from gmd26_md.report.comparison import FORMATS, compare, written

    if form not in FORMATS:
        raise unknown_name("format", form, FORMATS)
    rows = compare([_summary(run) for run in runs], published=published)
    click.echo(written(rows, form), nl=False)


def _summary(run: Path) -> dict[str, Any]:
    """Return the summary of a run folder, or of a summary file itself."""
    from gmd26_md import strict_json
    from gmd26_md.errors import UserError

    path = run / "summary.json" if run.is_dir() else run
    if not run.exists():
        raise UserError(f"{run} does not exist; give a run folder, as a command printed it last.")
    if not path.is_file():
        raise UserError(f"{run} has no summary.json; give the command that made it again, to finish it.")
    try:
        found = strict_json.decoded(json.loads(path.read_text(encoding="utf-8")))
    except (json.JSONDecodeError, UnicodeDecodeError) as problem:
        raise UserError(f"{path} is not JSON ({problem}); give the command that made it again.") from problem
    if not isinstance(found, dict) or not {"splits", "model", "model_sha256", "family", "task"} <= set(found):
        raise UserError(f"{path} is no summary of a run; give a run folder.")
    return found
