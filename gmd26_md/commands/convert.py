"""`gmd26-md convert`: another package's model file as a checkpoint of ours."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command(short_help="Another package's model file as a checkpoint of ours.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="The checkpoint to write.")
@click.option("--trust-pickle", is_flag=True, help="Let the file run code from itself, this once.")
@click.option("--model-arg", "model_args", multiple=True, metavar="NAME=VALUE", help="What the file leaves open; JSON.")
@click.option("--family", default=None, help="Of weights alone: the family; see 'gmd26-md families'.")
@click.option(
    "--hyperparameters", type=click.Path(path_type=Path), default=None, help="Of weights alone: what they are of; TOML."
)
@click.option("--level-of-theory", default="", help="Of the labels it was trained on.")
@click.option("--task", default="", help="Task it was trained on.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def command(
    file: Path,
    out: Path,
    trust_pickle: bool,
    model_args: tuple[str, ...],
    family: str | None,
    hyperparameters: Path | None,
    level_of_theory: str,
    task: str,
    as_json: bool,
) -> None:
    """Convert FILE, once: a MACE .model, a schnetpack best_model or .ckpt, or weights with a family given.

    The checkpoint is written only if its energies and forces are those of the original. It runs no code when it is
    loaded, and needs no trust.
    """
    from gmd26_md import tasks
    from gmd26_md.calculators.checkpoint import save_checkpoint
    from gmd26_md.calculators.vendors.convert import converted
    from gmd26_md.calculators.vendors.weights import of_weights
    from gmd26_md.commands.common import model_arguments
    from gmd26_md.errors import UserError

    task = tasks.get(task).name if task else ""
    if out.exists():
        raise UserError(f"{out} exists; give -o another name, or remove it.")
    if (family is None) != (hyperparameters is None):
        raise UserError("--family and --hyperparameters go together: they say what weights alone are of.")
    if family is not None and hyperparameters is not None:
        if trust_pickle or model_args:
            raise UserError("weights alone need no --trust-pickle and no --model-arg; leave them out.")
        checkpoint = of_weights(file, family, hyperparameters, level_of_theory=level_of_theory, task=task)
    else:
        checkpoint = converted(
            file,
            trust_pickle=trust_pickle,
            arguments=model_arguments(model_args),
            level_of_theory=level_of_theory,
            task=task,
        )
    sha256 = save_checkpoint(checkpoint, out)
    if as_json:
        click.echo(json.dumps({"checkpoint": str(out), "sha256": sha256, "family": checkpoint.family}))
    else:
        click.echo(f"{out}: {checkpoint.family}, {_symbols(checkpoint.elements)}, cutoff {checkpoint.cutoff:g} Å")


def _symbols(elements: tuple[int, ...]) -> str:
    from ase.data import chemical_symbols

    return " ".join(chemical_symbols[z] for z in elements)
