"""`gmd26-md families`: which families of models run here, on which packages, and how to get those that do not."""

from __future__ import annotations

import json
from typing import Any

import click


@click.command(short_help="List the families of models, and which run here.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def command(as_json: bool) -> None:
    """List the families of models, and the calculators that need no checkpoint: which run here, on which versions.

    Nothing of theirs is imported.
    """
    from gmd26_md.calculators import families

    trained = {name: families.written_defaults(name) for name in families.family_names()}
    bare = families.engine_names()
    here = {name: _here(families.packages(name), families.install_line(name)) for name in (*trained, *bare)}
    torch = families.installed_version("torch")
    if as_json:
        found = {"families": trained, "calculators": list(bare), "torch": torch, "here": here}
        click.echo(json.dumps(found, indent=1))
        return
    click.echo(f"families, with their default hyperparameters (torch {torch}):")
    for name, hyperparameters in trained.items():
        click.echo(f"{name:<17} {_in_words(here[name])}")
        click.echo("    " + ", ".join(f"{k}={v}" for k, v in hyperparameters.items()))
    click.echo("without a checkpoint:")
    for name in bare:
        click.echo(f"{name:<17} {_in_words(here[name])}")


def _here(packages: dict[str, str | None], install: str) -> dict[str, Any]:
    """Return whether it runs here, its packages with their versions, and what installs them where one is missing."""
    runs = all(packages.values())
    return {"runs": runs, "packages": packages, "install": None if runs else install}


def _in_words(here: dict[str, Any]) -> str:
    if not here["runs"]:
        missing = [name for name, version in here["packages"].items() if version is None]
        return f"does not run here, for want of {', '.join(missing)}: {here['install']}"
    on = ", ".join(f"{name} {version}" for name, version in here["packages"].items())
    return f"runs here, on {on}" if on else "runs here"
