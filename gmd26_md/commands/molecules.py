"""`gmd26-md molecules`: list the molecules of the benchmark."""

from __future__ import annotations

import json

import click


@click.command(short_help="List the molecules of the benchmark.")
@click.option("--family", default=None, help="Only this family.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def command(family: str | None, as_json: bool) -> None:
    """List the molecules: name, family, formula, SMILES."""
    from gmd26_md import molecules

    chosen = molecules.family_members(family) if family else molecules.all_molecules()
    if as_json:
        rows = [
            {"name": m.name, "family": m.family, "n_carbon": m.n_carbon, "formula": m.formula, "smiles": m.smiles}
            for m in chosen
        ]
        click.echo(json.dumps(rows, indent=1))
        return
    for m in chosen:
        click.echo(f"{m.name:<24} {m.family:<20} {m.formula:<12} {m.smiles}")
