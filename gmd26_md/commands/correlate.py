"""`gmd26-md correlate`: static beside dynamic, and which cheap number predicts trouble."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gmd26_md.commands.forms import format_option, line_width
from gmd26_md.commands.numbers import COUNT


@click.command(short_help="Static beside dynamic: which cheap number predicts trouble?")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN [RUN ...]")
@click.option("--split", default="all", show_default=True, help="Correlate over all molecules, id or ood.")
@click.option("--top", type=COUNT, default=20, show_default=True, help="Correlations shown; 0 shows all.")
@format_option("csv shows all")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def command(runs: tuple[Path, ...], split: str, top: int, form: str, as_json: bool) -> None:
    """Put static errors beside dynamics, a row a model, and rank-correlate every cheap number with every outcome.

    RUN is a run folder of any protocol (stability, static-errors, relaxation, conservation, scan, ...) of any model;
    they are joined by model and molecule.
    """
    from gmd26_md import strict_json
    from gmd26_md.errors import unknown_name
    from gmd26_md.report.static_dynamic import static_beside_dynamic

    splits = ("all", "id", "ood")
    if split not in splits:
        raise unknown_name("split", split, splits)
    records, static = read_runs(runs)
    found = static_beside_dynamic(records, static, split=split)
    if as_json:
        click.echo(strict_json.dumps(found))
        return
    for task in found:
        click.echo(_text(task, form, top), nl=False)


def read_runs(runs: tuple[Path, ...]) -> tuple[list[Any], dict[str, dict[str, Any]]]:
    """Return the records of all folders, and static errors by frame by model and molecule; the first given count.

    What a folder was asked for and has no record of is said on the standard error: it is in no denominator.
    """
    from gmd26_md.errors import UserError
    from gmd26_md.report.unfinished import unfinished
    from gmd26_md.run_folder import RunFolder

    records, static = [], {}  # type: ignore[var-annotated]
    for run in runs:
        folder = RunFolder(run)
        mine = folder.records() if run.is_dir() else []
        if not mine:
            raise UserError(f"{run} has no records; give a run folder, as a command printed it last.")
        for words in unfinished(run, mine):
            click.echo(f"note: {words}", err=True)
        records += mine
        for model in {r.model_sha256 for r in mine}:
            static[model] = folder.static_tables() | static.get(model, {})
    return records, static


def _text(found: dict[str, Any], form: str, top: int) -> str:
    """Return one task's answer, its table and its correlations."""
    from gmd26_md.report import forms
    from gmd26_md.report.static_dynamic_table import correlation_rows, model_rows
    from gmd26_md.report.static_dynamic_words import sentences

    defined = [c for c in found["correlations"] if c["rho"] is not None]
    shown = defined if top == 0 or form == "csv" else defined[:top]
    wide = line_width()
    title = f"Static beside dynamic, {found['task']}"
    title += "" if found["split"] == "all" else f", correlated over {found['split'].upper()} molecules"
    table = forms.written(model_rows(found), form, width=wide, n_keys=2)
    pairs = forms.written(correlation_rows(shown), form, width=wide, n_keys=3) if shown or form == "csv" else ""
    more = forms.said([f"{len(defined) - len(shown)} more with --top 0"], form) if len(shown) < len(defined) else ""
    words = forms.said(sentences(found), form, width=wide)
    if form == "markdown":  # one list, not paragraphs
        words = words.replace("\n\n- ", "\n- ")
    parts = [forms.heading(title, form), words, table, pairs, more]
    return forms.put_together(parts) + ("" if form == "csv" else "\n")
