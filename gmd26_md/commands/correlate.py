"""`gmd26-md correlate`: static beside dynamic, and which cheap number predicts trouble."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gmd26_md.commands.numbers import COUNT


@click.command(short_help="Static beside dynamic: which cheap number predicts trouble?")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN [RUN ...]")
@click.option("--split", default="all", show_default=True, help="Correlate over all molecules, id or ood.")
@click.option("--top", type=COUNT, default=20, show_default=True, help="Correlations shown; 0 shows all.")
@click.option("--format", "form", default="text", show_default=True, help="text, markdown or csv (csv shows all).")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def command(runs: tuple[Path, ...], split: str, top: int, form: str, as_json: bool) -> None:
    """Put static errors beside dynamics, a row a model, and rank-correlate every cheap number with every outcome.

    RUN is a run folder of any protocol (stability, static-errors, relaxation, conservation, scan, ...) of any model;
    they are joined by model and molecule.
    """
    from gmd26_md import strict_json
    from gmd26_md.errors import unknown_name
    from gmd26_md.report.comparison import FORMATS
    from gmd26_md.report.static_dynamic import static_beside_dynamic

    splits = ("all", "id", "ood")
    if form not in FORMATS:
        raise unknown_name("format", form, FORMATS)
    if split not in splits:
        raise unknown_name("split", split, splits)
    records, static = _read(runs)
    found = static_beside_dynamic(records, static, split=split)
    if as_json:
        click.echo(strict_json.dumps(found))
        return
    for task in found:
        click.echo(_text(task, form, top), nl=False)


def _read(runs: tuple[Path, ...]) -> tuple[list[Any], dict[str, dict[str, Any]]]:
    """Return the records of all folders, and static errors by frame by model and molecule; the first given count."""
    from gmd26_md.errors import UserError
    from gmd26_md.run_folder import RunFolder

    records, static = [], {}  # type: ignore[var-annotated]
    for run in runs:
        folder = RunFolder(run)
        mine = folder.records() if run.is_dir() else []
        if not mine:
            raise UserError(f"{run} has no records; give a run folder, as a command printed it last.")
        records += mine
        for model in {r.model_sha256 for r in mine}:
            static[model] = folder.static_tables() | static.get(model, {})
    return records, static


def _text(found: dict[str, Any], form: str, top: int) -> str:
    """Return one task's answer, its table and its correlations."""
    from gmd26_md.report.comparison import written
    from gmd26_md.report.static_dynamic_table import correlation_rows, model_rows
    from gmd26_md.report.static_dynamic_words import sentences

    defined = [c for c in found["correlations"] if c["rho"] is not None]
    shown = defined if top == 0 or form == "csv" else defined[:top]
    table, pairs = written(model_rows(found), form), written(correlation_rows(shown), form)
    if form == "csv":
        return f"{table}\n{pairs}"
    said = sentences(found)
    words = "\n".join(said) if form == "text" else "\n\n".join(said).replace("\n\n- ", "\n- ")
    more = f"\n{len(defined) - len(shown)} more with --top 0\n" if len(shown) < len(defined) else ""
    over = "" if found["split"] == "all" else f", correlated over {found['split'].upper()} molecules"
    title = f"Static beside dynamic, {found['task']}{over}"
    heading = f"## {title}\n" if form == "markdown" else f"{title}\n"
    parts = [heading, words + "\n", table, pairs + more] if shown else [heading, words + "\n", table]
    return "\n".join(parts) + "\n"
