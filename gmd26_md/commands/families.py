"""`gmd26-md families`: list the families of models and their default hyperparameters."""

from __future__ import annotations

import json

import click


@click.command(short_help="List the families of models.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def command(as_json: bool) -> None:
    """List the families of models, and the calculators that need no checkpoint."""
    from gmd26_md.calculators import families

    trained = {name: families.default_hyperparameters(name) for name in families.family_names()}
    if as_json:
        click.echo(json.dumps({"families": trained, "calculators": list(families.engine_names())}, indent=1))
        return
    for name, hyperparameters in trained.items():
        click.echo(f"{name:<14} " + ", ".join(f"{k}={v}" for k, v in hyperparameters.items()))
    click.echo(f"without a checkpoint: {', '.join(families.engine_names())}")
