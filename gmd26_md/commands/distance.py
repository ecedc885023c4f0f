"""`gmd26-md distance`: how far is a molecule from the training set, and does that tell where a model fails?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from gmd26_md.commands.distance_files import fit_and_keep, kinds, rulers_of, structures_of, training_frames
from gmd26_md.commands.forms import format_option, line_width
from gmd26_md.commands.numbers import AT_LEAST_ONE, COUNT

_PATH = click.Path(path_type=Path)
_SPACES = ("both", "soap", "model")


class _MoleculesByDefault(click.Group):
    """`gmd26-md distance molecule.xyz` is `gmd26-md distance of molecule.xyz`."""

    default = "of"

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        asks = bool(args) and args[0] not in self.commands and args[0] not in ctx.help_option_names
        return super().parse_args(ctx, [self.default, *args] if asks else args)


@click.group(cls=_MoleculesByDefault, short_help="How far is a molecule from the training set?")
def command() -> None:
    """Measure how far molecules are from the training set, atom by atom, in SOAP space and in the model's own.

    \b
      gmd26-md distance --model ckpt.pt molecule.xyz           asked before anything is run
      gmd26-md distance fit --model ckpt.pt --data DATA        once: what it is measured from
      gmd26-md distance errors --model ckpt.pt --run RUN       does it go with the errors?
    """  # noqa: D301 - click reads the backspace as "do not wrap"


@command.command(name="of", short_help="Distances of molecules (the default).")
@click.argument("structures", nargs=-1, required=True, type=_PATH, metavar="MOLECULE [...]")
@click.option("--model", required=True, help="Model file; what was fitted lies beside it.")
@click.option("--trust-pickle", is_flag=True, help="Let another package's model file run code from itself.")
@click.option("--space", default="both", show_default=True, help="both, soap, or model (the model's own).")
@click.option("--reference", "references", multiple=True, type=_PATH, help="What 'fit' wrote, where it lies elsewhere.")
@click.option("--data", type=_PATH, default=None, help="Training data; what is missing is fitted first, and kept.")
@click.option("--atoms", is_flag=True, help="Show every atom, also of several structures.")
@format_option()
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def of(
    structures: tuple[Path, ...],
    model: str,
    trust_pickle: bool,
    space: str,
    references: tuple[Path, ...],
    data: Path | None,
    atoms: bool,
    form: str,
    as_json: bool,
) -> None:
    """Say how far each atom of the structures is from the training environments of its element.

    1 is the median of held-out frames of the training molecules; "beyond" is the part of those that is nearer, and an
    atom is far beyond 99 % of them. MOLECULE is any file that ASE reads, with one frame or more, or the name of a
    molecule of the benchmark, whose structure is then built.
    """
    from gmd26_md import strict_json
    from gmd26_md.calculators.model_file import open_model_file
    from gmd26_md.distance import asked

    _known("space", space, _SPACES)
    molecules = [found for path in structures for found in structures_of(path)]
    opened = open_model_file(model, trust_pickle=trust_pickle)
    rulers = rulers_of(model, opened, space, references, data)
    found = {
        "model": Path(model).name,
        "model_sha256": opened.sha256,
        "references": {r.space.kind: r.reference.made_of for r in rulers},
        "molecules": asked(rulers, molecules),
    }
    click.echo(strict_json.dumps(found) if as_json else _text(found, form, atoms or len(molecules) == 1), nl=as_json)


@command.command(short_help="Sum up training environments in a small file.")
@click.option("--model", default=None, help="Model file; for --space soap alone it may be left out.")
@click.option("--trust-pickle", is_flag=True, help="Let another package's model file run code from itself.")
@click.option("--task", default=None, help="Whose molecules train; by default the model's.")
@click.option("--data", type=_PATH, default=None, help="Folder with reference data; by default ./data.")
@click.option("--level-of-theory", default=None, help="Of the data; by default the model's, else gfn2-xtb.")
@click.option("--train", type=_PATH, default=None, help="Instead of a task: a file with training structures.")
@click.option("--heldout", type=_PATH, default=None, help="With --train: structures alike that did not train.")
@click.option("--space", default="both", show_default=True, help="both, soap, or model (the model's own).")
@click.option("--n-frames", type=AT_LEAST_ONE, default=100, show_default=True, help="Of each molecule, evenly spread.")
@click.option("-o", "--out", type=_PATH, default=None, help="Folder to write to; by default the model's.")
def fit(
    model: str | None,
    trust_pickle: bool,
    task: str | None,
    data: Path | None,
    level_of_theory: str | None,
    train: Path | None,
    heldout: Path | None,
    space: str,
    n_frames: int,
    out: Path | None,
) -> None:
    """Sum up the training environments of a task, or of structure files, in files that travel beside a model."""
    from gmd26_md.calculators.model_file import open_model_file
    from gmd26_md.errors import UserError

    _known("space", space, _SPACES)
    if model is None and space != "soap":
        raise UserError("a model's own space needs the model; give --model, or --space soap.")
    opened = None if model is None else open_model_file(model, trust_pickle=trust_pickle)
    level = level_of_theory or (opened.level_of_theory if opened else "") or "gfn2-xtb"
    frames = training_frames(task, opened, data or Path("data"), level, train, heldout, n_frames)
    folder = out or (Path(model).resolve().parent if model else Path())
    for kind in kinds(space):
        click.echo(f"wrote {fit_and_keep(kind, frames, folder, model, opened)}")


@command.command(short_help="Does distance tell where a model fails?")
@click.option("--model", "models", required=True, multiple=True, help="Model file; may be repeated.")
@click.option("--trust-pickle", is_flag=True, help="Let another package's model file run code from itself.")
@click.option("--task", default=None, help="Whose molecules to test; by default the first model's.")
@click.option("--frames", type=_PATH, default=None, help="Folder with reference frames; by default beside the model.")
@click.option("--run", "runs", multiple=True, type=_PATH, help="Run folder of stability; may be repeated.")
@click.option("--space", default="both", show_default=True, help="both, soap, or model (the model's own).")
@click.option("--reference", "references", multiple=True, type=_PATH, help="What 'fit' wrote, where it lies elsewhere.")
@click.option("--data", type=_PATH, default=None, help="Training data; what is missing is fitted first, and kept.")
@click.option("--n-frames", type=COUNT, default=20, show_default=True, help="Of each molecule and run; 0 takes all.")
@click.option("--picture", type=_PATH, default=None, help="Write error against distance as .png, .svg or .pdf.")
@format_option()
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def errors(
    models: tuple[str, ...],
    trust_pickle: bool,
    task: str | None,
    frames: Path | None,
    runs: tuple[Path, ...],
    space: str,
    references: tuple[Path, ...],
    data: Path | None,
    n_frames: int,
    picture: Path | None,
    form: str,
    as_json: bool,
) -> None:
    """Rank-correlate distance with force error, over atoms and molecules, and with how dynamics ended.

    Reference frames are those of static errors. With --run also the model's own trajectories, where the reference has
    labelled them, and the outcomes of the runs.
    """
    from gmd26_md import strict_json
    from gmd26_md.calculators.model_file import open_model_file
    from gmd26_md.commands.progress import bar
    from gmd26_md.distance_study import study, study_task
    from gmd26_md.report.explained_picture import check_picture

    _known("space", space, _SPACES)
    if picture is not None:
        check_picture(picture)
    opened = [open_model_file(model, trust_pickle=trust_pickle) for model in models]
    chosen = study_task(task, [o.task for o in opened])
    rulers = [rulers_of(m, o, space, references, data) for m, o in zip(models, opened, strict=True)]
    with bar("errors and distances", silent=as_json) as show:
        found, atoms = study(
            list(zip(models, opened, rulers, strict=True)), chosen, frames, runs, n_frames or None, show
        )
    if picture is not None:
        from gmd26_md.report.distance_picture import draw

        draw(atoms, chosen.name, picture)
    click.echo(strict_json.dumps(found) if as_json else _study_text(found, form), nl=as_json)
    if picture is not None and not as_json and form == "text":
        click.echo(f"wrote {picture}")


def _known(kind: str, got: str, allowed: Sequence[str]) -> None:
    from gmd26_md.errors import unknown_name

    if got not in allowed:
        raise unknown_name(kind, got, allowed)


def _text(found: dict[str, Any], form: str, atoms: bool) -> str:
    from gmd26_md.report.distance_tables import atom_rows, molecule_rows, words
    from gmd26_md.report.forms import put_together, said, written

    molecules, wide = found["molecules"], line_width()
    parts = []
    for molecule in molecules if atoms else []:
        parts += [said([molecule["molecule"]], form)] if len(molecules) > 1 else []
        parts.append(written(atom_rows(molecule), form, width=wide))
    if form != "csv" or not atoms:
        parts.append(written(molecule_rows(molecules), form, width=wide))
    return put_together([*parts, said(words(found), form, width=wide)])


def _study_text(found: dict[str, Any], form: str) -> str:
    from gmd26_md.report.distance_tables import study_tables, study_words
    from gmd26_md.report.forms import heading, put_together, said, written

    parts = []
    for title, rows in study_tables(found):
        if len(rows) > 1:
            parts += [heading(title, form), written(rows, form, width=line_width())]
    return put_together([*parts, said(study_words(found), form, width=line_width())])
