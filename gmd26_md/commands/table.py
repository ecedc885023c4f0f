"""`gmd26-md table`: several run folders as one table, a row a model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from gmd26_md.commands.forms import format_option, line_width, width


@click.command(short_help="Several run folders as one table, a row a model.")
@click.argument("runs", nargs=-1, type=click.Path(path_type=Path), metavar="[RUN ...]")
@click.option("--task", default=None, help="The paper's table of this task, ours beside the published, and findings.")
@format_option()
@click.option("--published/--no-published", default=True, show_default=True, help="Add the published rows of the task.")
@click.option("--findings/--no-findings", "with_findings", default=True, show_default=True, help="With --task.")
def command(runs: tuple[Path, ...], task: str | None, form: str, published: bool, with_findings: bool) -> None:
    """Put models side by side: static errors ID and OOD, energies with and without the offset, alive, faithful, drift.

    RUN is a run folder, or a summary.json; folders of one model share a row. With --task it is the paper's table: its
    columns, our rows beside the published ones, and each published finding: confirmed, not confirmed, not tested.
    Without RUN, every run folder under runs/ is taken; with --task those of other tasks serve the findings.
    """
    from gmd26_md.errors import UserError
    from gmd26_md.report.comparison import compare
    from gmd26_md.report.forms import written

    chosen = list(runs) or _under(Path("runs"))
    if task is not None:
        chosen = [run for run in chosen if not _is_of_another_content(run, task)]
    found = [summary_of(run) for run in chosen]
    for run in chosen:
        say_unfinished(run)
    if not found and task is None:
        raise UserError("runs/ holds no finished run folder; name some, or run a protocol first.")
    if task is None:
        click.echo(written(compare(found, published=published), form, width=line_width()), nl=False)
    else:
        click.echo(paper(task, found, form, published=published, with_findings=with_findings), nl=False)


def paper(task: str, summaries: Sequence[dict[str, Any]], form: str, *, published: bool, with_findings: bool) -> str:
    """Return the paper's table of a task and the findings, as one text.

    Raises
    ------
    UserError
        For an unknown task, or one with neither published rows nor a summary of ours.
    """
    from gmd26_md import tasks
    from gmd26_md.errors import UserError
    from gmd26_md.report.findings import findings
    from gmd26_md.report.findings_table import findings_written
    from gmd26_md.report.paper_table import paper_rows, paper_written
    from gmd26_md.report.static_results import measured

    wide = width()
    name = tasks.get(task).name
    models = measured(summaries)
    rows = [row for row in paper_rows(name, models) if published or not (row.published or not row.errors)]
    if not rows:
        raise UserError(
            f"no run folder has static errors of {name}, ID and OOD, and none are published; make them with "
            f"'gmd26-md static-errors --task {task}'."
        )
    levels = sorted({m.level_of_theory for m in models if m.task == name and m.level_of_theory})
    text = paper_written(rows, form, task=name, level_of_theory=", ".join(levels), width=wide)
    if with_findings:
        text += "\n" + findings_written(findings(models), form, width=wide)
    return text


def _is_of_another_content(run: Path, task: str) -> bool:
    """Tell, and say, whether a run folder is of a task of one's own that had this one's name and other molecules."""
    from gmd26_md import tasks
    from gmd26_md.run_folder import RunFolder

    asked = tasks.get(task)
    if not asked.sha256 or not run.is_dir():
        return False
    if all(r.task_sha256 == asked.sha256 for r in RunFolder(run).records() if r.task == asked.name):
        return False
    words = f"{run} is of a task {asked.name} with other molecules or splits than {task} has now, and is left out"
    click.echo(f"note: {words}; give another name to the task, or the commands again.", err=True)
    return True


def say_unfinished(run: Path) -> None:
    """Say on the standard error what a run folder was asked for and has no record of: it is in no denominator."""
    from gmd26_md.report.unfinished import unfinished
    from gmd26_md.run_folder import RunFolder

    if run.is_dir():
        for words in unfinished(run, RunFolder(run).records()):
            click.echo(f"note: {words}", err=True)


def summary_of(run: Path) -> dict[str, Any]:
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


def _under(folder: Path) -> list[Path]:
    """Return the run folders under a folder, by name; one without a summary is said and left out."""
    from gmd26_md.errors import UserError
    from gmd26_md.record_columns import record_files

    try:
        found = [file.parent for file in record_files([folder])]
    except UserError:  # there is none
        return []
    without = [run for run in found if not (run / "summary.json").is_file()]
    for run in without:
        click.echo(f"note: {run} has no summary.json yet and is left out.", err=True)
    return [run for run in found if run not in without]
