"""`gmd26-md data import`: take over the published data set, or one like it."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gmd26_md.commands.data_import_words import as_dict, say, size_of
from gmd26_md.commands.numbers import POSITIVE

if TYPE_CHECKING:
    from gmd26_md.datasets.published import Survey
    from gmd26_md.datasets.published_parts import Asked
    from gmd26_md.molecules import Molecule


@click.command("import", short_help="Take over the published data set, from files or the hub.")
@click.argument("source")
@click.option("--out", type=click.Path(path_type=Path), default=Path("data"), show_default=True)
@click.option("--level", default="pbe-d3bj/def2-tzvp", show_default=True, help="Level of theory wanted from the files.")
@click.option("--task", help="Only molecules that this task needs; see 'gmd26-md tasks'.")
@click.option("--only", multiple=True, metavar="NAME", help="Only this molecule; may be repeated.")
@click.option("--include", multiple=True, metavar="PATTERN", help="Only files of such paths, 'data/PBE/*'; repeatable.")
@click.option("--primary", default="", metavar="PATTERN", help="Paths of primary trajectories, '*_total.traj'.")
@click.option("--secondary", default="", metavar="PATTERN", help="Paths of secondary trajectories.")
@click.option(
    "--map", "maps", multiple=True, metavar="FIELD=NAME", help="Where energies, forces, positions, numbers stand."
)
@click.option("--energy-unit", help="eV, Hartree, kcal/mol, kJ/mol; where the files do not say.")
@click.option("--length-unit", help="Å, Bohr, nm.")
@click.option("--force-unit", help="Energy over length: eV/Å, Hartree/Bohr.")
@click.option("--interval-fs", type=POSITIVE, default=None, help="Between frames, if you know it.")
@click.option(
    "--drop-bad-frames", is_flag=True, help="Leave out frames with NaN and frames that come twice; count them."
)
@click.option("--no-check-energies", is_flag=True, help="Take energies that do not look like the level's.")
@click.option("--no-check-forces", is_flag=True, help="Take forces that do not follow the bonds.")
@click.option("--revision", default=None, help="Of the hub's repository: a branch, tag or commit.")
@click.option("--download", type=click.Path(path_type=Path), default=None, help="Where hub files go; else its cache.")
@click.option("--dry-run", is_flag=True, help="Say what is there, and write nothing; of a hub, list and fetch nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def import_command(source: str, **given: Any) -> int:
    """Take over SOURCE, a folder or hub:AmirMasoud/GMD, as reference data that every other command reads.

    Files are told by content (ASE trajectories, extended XYZ, npz, ASE databases), molecules by their bonds. What is
    not recognised is listed and left out. Stop it at will; the same command goes on.
    """
    from gmd26_md.commands.progress import bar
    from gmd26_md.datasets.published import survey

    asked = _asked(given)
    chosen = _molecules(given["task"], given["only"])
    folder, origin = _folder(source, given)
    if folder is None:
        return 0
    with bar("looking") as show:
        seen = survey(folder, asked, show)
    outcome: dict[str, dict[str, str]] = {}
    if not given["dry_run"]:
        outcome = _write(seen, chosen, given, origin)
    failed = [stage for stages in outcome.values() for stage in stages.values() if stage.startswith("failed")]
    if given["as_json"]:
        click.echo(json.dumps(as_dict(seen, chosen, outcome), indent=1, ensure_ascii=False))
    else:
        say(seen, chosen, outcome, given["out"], dry_run=given["dry_run"])
    nothing = not any(molecule.slug in seen.found for molecule in chosen)  # of what was asked for
    return 1 if failed or seen.problems or nothing else 0


def _asked(given: dict[str, Any]) -> Asked:
    from gmd26_md.datasets.published_files import Names
    from gmd26_md.datasets.published_parts import Asked
    from gmd26_md.datasets.published_units import energy_unit, force_unit, length_unit
    from gmd26_md.errors import UserError

    level = given["level"]
    parts = level.split("/")
    if not all(part and part.strip(".") and all(c.isalnum() or c in "-_.+()" for c in part) for part in parts):
        raise UserError(f"--level {level!r} is no name of a folder; write it as pbe-d3bj/def2-tzvp.")
    names = {}
    for text in given["maps"]:
        key, sign, name = text.partition("=")
        if not sign or key in names:
            raise UserError(f"--map {text!r} is not FIELD=NAME, once a field; write --map energies=REF_energy.")
        names[key] = name
    readers = {"energy": energy_unit, "length": length_unit, "force": force_unit}
    units = {key: read(given[f"{key}_unit"]) for key, read in readers.items() if given[f"{key}_unit"] is not None}
    return Asked(
        level=level,
        names=Names(names),
        units=units,
        primary=given["primary"],
        secondary=given["secondary"],
        include=given["include"],
        check_energies=not given["no_check_energies"],
    )


def _molecules(task: str | None, only: Sequence[str]) -> tuple[Molecule, ...]:
    from gmd26_md import molecules, tasks
    from gmd26_md.errors import UserError

    chosen = molecules.all_molecules() if task is None else tasks.get(task).molecules
    if not only:
        return chosen
    wanted = tuple(molecules.get(name) for name in only)
    for molecule in wanted:
        if molecule not in chosen:
            raise UserError(f"{molecule.name} is not in the task {task}; leave out --task, or that --only.")
    return wanted


def _folder(source: str, given: dict[str, Any]) -> tuple[Path | None, dict[str, Any]]:
    """Return the folder of the files and what to say of their origin; None where a hub was only to be listed."""
    from gmd26_md.datasets import published_hub as hub
    from gmd26_md.errors import UserError

    repository = hub.repository_of(source)
    if repository is None:
        if given["revision"] or given["download"]:
            raise UserError("--revision and --download are of hub:OWNER/NAME; leave them out for a folder.")
        return Path(source), {"folder": source}
    found = hub.listing(repository, given["revision"])
    kinds = ", ".join(f"{n} {ending}" for ending, n in found.endings.items())
    words = (
        f"{repository} at {found.revision[:12]}: {found.n_files} files under data/ ({kinds}), {size_of(found.n_bytes)}"
    )
    click.echo(words, err=not given["dry_run"] or given["as_json"])
    origin = {"repository": repository, "revision": found.revision}
    if given["dry_run"]:
        if given["as_json"]:
            click.echo(
                json.dumps(origin | {"n_files": found.n_files, "n_bytes": found.n_bytes, "endings": found.endings})
            )
        return None, origin
    return hub.fetch(repository, found.revision, given["download"]), origin


def _write(
    seen: Survey, chosen: Sequence[Molecule], given: dict[str, Any], origin: dict[str, Any]
) -> dict[str, dict[str, str]]:
    from gmd26_md.commands.progress import bar
    from gmd26_md.datasets.published_import import ImportSettings, import_molecules

    settings = ImportSettings(
        drop_bad_frames=given["drop_bad_frames"],
        interval_fs=given["interval_fs"],
        check_forces=not given["no_check_forces"],
    )
    command = shlex.join(["gmd26-md", *sys.argv[1:]])
    with bar("importing") as show:
        done = import_molecules(seen, chosen, given["out"], settings, command=command, origin=origin, on_progress=show)
    return {one.molecule.slug: one.stages for one in done}
