"""`gmd26-md explain`: where a DeepSet-MoE energy comes from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gmd26_md.commands.forms import format_option, line_width
from gmd26_md.commands.numbers import AT_LEAST_ONE, COUNT

if TYPE_CHECKING:
    from ase import Atoms


@click.command(short_help="Where an energy comes from: atoms, pairs, experts.")
@click.argument("molecule")
@click.option("--model", type=click.Path(path_type=Path), required=True, help="A checkpoint of a DeepSet-MoE.")
@click.option("--all-frames", is_flag=True, help="How experts are used over all structures of the file, or folder.")
@click.option("--every", type=AT_LEAST_ONE, default=1, show_default=True, help="Of these, every so many.")
@click.option("--frame", type=COUNT, default=1, show_default=True, help="Which structure of the file, from 1.")
@click.option("--top", type=COUNT, default=20, show_default=True, help="Pairs shown; 0 shows all.")
@format_option("csv shows all")
@click.option("--picture", type=click.Path(path_type=Path), default=None, help="Draw it too: a .png, .svg or .pdf.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def command(
    molecule: str,
    model: Path,
    all_frames: bool,
    every: int,
    frame: int,
    top: int,
    form: str,
    picture: Path | None,
    as_json: bool,
) -> None:
    """Explain the energy that a DeepSet-MoE gives a molecule: by atom, by pair, and by the expert who spoke.

    MOLECULE is a structure file that ASE reads, or a molecule's name ("pentanedioic acid"). Every table adds up to
    the model's interaction energy. With --all-frames, MOLECULE is a file or a folder of .extxyz files, and the table is
    that of the experts over all of their structures.
    """
    from gmd26_md import strict_json
    from gmd26_md.calculators.checkpoint import load_checkpoint
    from gmd26_md.errors import UserError
    from gmd26_md.explanation import explained, use_of_experts
    from gmd26_md.report.explained import use_rows
    from gmd26_md.report.explained_picture import check_picture, draw
    from gmd26_md.report.forms import written

    if all_frames:
        if picture is not None:
            raise UserError("--picture draws one structure; leave it or --all-frames out.")
        use = use_of_experts(load_checkpoint(model), _structures(Path(molecule))[::every])
        table = written(use_rows(use), form, width=line_width())
        click.echo(strict_json.dumps(use) if as_json else table, nl=as_json)
        return
    if picture is not None:
        check_picture(picture)
    found = explained(load_checkpoint(model), _structure(molecule, frame))
    if picture is not None:
        draw(found, picture)
    click.echo(strict_json.dumps(found) if as_json else _text(found, form, top), nl=as_json)


def _structures(path: Path) -> list[Atoms]:
    """Return the structures of a file, or of all .extxyz files below a folder."""
    from gmd26_md.errors import UserError
    from gmd26_md.structure_files import read_structures

    files = sorted(path.rglob("*.extxyz")) if path.is_dir() else [path]
    if not files:
        raise UserError(f"{path} has no .extxyz file below it; give a structure file, or a folder with some.")
    return [atoms for file in files for atoms in read_structures(file)]


def _structure(molecule: str, frame: int) -> Atoms:
    """Return the structure that is meant; a name only where no file has it."""
    from gmd26_md import molecules
    from gmd26_md.errors import UserError
    from gmd26_md.structure_files import read_structures

    path = Path(molecule)
    if not path.exists() and not path.suffix and path.name == molecule:
        known = molecules.get(molecule)
        atoms = known.atoms()
        atoms.info["name"] = known.name
        return atoms
    frames = read_structures(path)
    if not 1 <= frame <= len(frames):
        raise UserError(f"--frame is {frame}, but {path} has {len(frames)}; give 1 to {len(frames)}.")
    return frames[frame - 1]


def _text(found: dict[str, Any], form: str, top: int) -> str:
    """Return the words and the three tables."""
    from gmd26_md.report import forms
    from gmd26_md.report.explained import atom_rows, expert_rows, pair_rows, words

    shown = 0 if form == "csv" else top
    wide = line_width()
    rows = (atom_rows(found), expert_rows(found), pair_rows(found, shown))
    said = [forms.said([line], form, width=wide) for line in words(found)]
    left_out = len(found["pairs"]) // 2 - shown if shown else 0
    more = forms.said([f"{left_out} more pairs with --top 0"], form) if left_out > 0 else ""
    return forms.put_together([*said, *[forms.written(table, form, width=wide) for table in rows], more])
