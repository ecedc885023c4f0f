"""`gmd26-md tasks`: list the tasks of the benchmark."""

from __future__ import annotations

import json

import click


@click.command(short_help="List the tasks: what trains, what is unseen.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def command(as_json: bool) -> None:
    """List the tasks: what trains, what is unseen, and the question."""
    from gmd26_md import tasks

    everyone = [tasks.get(name) for name in tasks.TASKS]
    if as_json:
        rows = [
            {
                "name": t.name,
                "note": t.note,
                "models_of": t.models_of,
                "train": [m.name for m in t.train],
                "ood": [m.name for m in t.ood],
            }
            for t in everyone
        ]
        click.echo(json.dumps(rows, indent=1))
        return
    click.echo(f"{'task':<24} {'train':>5} {'OOD':>4}  question")
    for t in everyone:
        click.echo(f"{t.name:<24} {len(t.train):>5} {len(t.ood):>4}  {t.note}")
