"""`gmd26-md verdict`: the reasoning behind the verdicts of a run folder, in words, from its records alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from gmd26_md.records import Record


@click.command(short_help="Why a run got its verdict, in words, with the evidence.")
@click.argument("run", type=click.Path(path_type=Path), metavar="RUN")
@click.argument("molecule", required=False, default=None)
@click.option("--all", "everyone", is_flag=True, help="Also the runs that are faithful.")
@click.option("--json", "as_json", is_flag=True, help="Print the reasoning as JSON.")
def command(run: Path, molecule: str | None, everyone: bool, as_json: bool) -> None:
    """Tell for one MOLECULE, or for each run that is not faithful, what was asked, what decided, and where it broke.

    RUN is a folder that 'gmd26-md stability' made. No model is needed: all is read from the records.
    """
    from gmd26_md import strict_json
    from gmd26_md.report.reasoning_words import in_words

    records = _records(run)
    runs = [r for r in records if r.protocol == "stability"]
    chosen = _chosen(runs, molecule, everyone)
    found = [_reasoning(run, record, records) for record in chosen]
    if as_json:
        click.echo(strict_json.dumps(found))
        return
    if not found:
        click.echo(f"all {len(runs)} runs are faithful; --all tells the reasoning for each.")
    rule = "-" * 100
    click.echo(f"\n{rule}\n\n".join(in_words(f) for f in found), nl=False)


def _records(run: Path) -> list[Record]:
    from gmd26_md.errors import UserError
    from gmd26_md.run_folder import RunFolder

    records = RunFolder(run).records() if run.is_dir() else []
    if not records:
        raise UserError(f"{run} has no records; give a run folder, as 'gmd26-md stability' printed it last.")
    if not any(r.protocol == "stability" for r in records):
        protocols = ", ".join(sorted({r.protocol for r in records}))
        raise UserError(f"{run} has records of {protocols}; a verdict is given by 'gmd26-md stability'.")
    return records


def _chosen(runs: list[Record], molecule: str | None, everyone: bool) -> list[Record]:
    """Return the runs of one molecule, by any of its names, or those that are not faithful, or all."""
    if molecule is None:
        return [r for r in runs if everyone or r.verdict != "faithful"]
    from gmd26_md.errors import UserError, unknown_name

    names = {r.molecule for r in runs}
    name = molecule
    if name not in names:
        from gmd26_md import molecules

        try:
            name = molecules.get(molecule).name
        except UserError:
            name = next((n for n in names if n.lower() == molecule.lower()), molecule)
    if name not in names:
        raise unknown_name("molecule of this folder", molecule, names)
    return [r for r in runs if r.molecule == name]


def _reasoning(run: Path, record: Record, records: list[Record]) -> dict[str, Any]:
    """Return the reasoning for a run, with the paths of its frames and the command that repeats it."""
    from gmd26_md.report.reasoning import reasoning
    from gmd26_md.report.repeat import model_at_hand, repeat_command
    from gmd26_md.run_folder import RunFolder

    found = reasoning(record, records)
    for kind, name in found["files"].items():
        if name is not None:
            path = run / name
            found["files"][kind] = str(path) if path.is_file() else f"{path}, which is gone"
    asked = RunFolder(run).asked()
    return found | {"repeat": repeat_command(record, None if asked else model_at_hand(record), asked)}
