"""`gmd26-md replay`: make one recorded run again, and compare."""

from __future__ import annotations

import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gmd26_md.commands.numbers import COUNT, POSITIVE

if TYPE_CHECKING:
    from gmd26_md.records import Record


@click.command(short_help="Make one recorded run again, and compare.")
@click.argument("run", type=click.Path(path_type=Path), metavar="RUN")
@click.argument("molecule", required=False, default=None)
@click.option("--seed", type=COUNT, default=None, help="Of the run; needed where the molecule has several.")
@click.option("--temperature-K", "temperature_k", type=POSITIVE, default=None, help="Of the run, the same.")
@click.option("--key", default=None, help="The run's key, or its beginning, in place of all these.")
@click.option("--python", default=sys.executable, help="What runs it; by default this Python.")
@click.option("--out", type=click.Path(path_type=Path), default=None, help="Keep the run folder here; a new one.")
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON.")
def command(
    run: Path,
    molecule: str | None,
    seed: int | None,
    temperature_k: float | None,
    key: str | None,
    python: str,
    out: Path | None,
    as_json: bool,
) -> int:
    """Make one run of a folder again from its record, and compare verdict and numbers.

    RUN is a folder of 'gmd26-md stability' or of a campaign. The molecule runs alone now, where it was one of a batch:
    sums are then taken in another order, and dynamics amplifies the last bit, so the longer the run, the fewer numbers
    agree to the last bit. Exit code 1: another verdict.
    """
    from gmd26_md import strict_json
    from gmd26_md.report.replay import as_dict, compared, in_words

    if out is not None:
        _check_new(out)
    then = _chosen(run, molecule, seed, temperature_k, key)
    line = _command_of(run, then)
    if not as_json:
        click.echo(f"$ {line}")
    with tempfile.TemporaryDirectory() as temporary:
        now = _again(line, then, out or Path(temporary) / "again", python)
    found = compared(then, now)
    click.echo(strict_json.dumps(as_dict(found)) if as_json else in_words(found), nl=as_json)
    return 0 if found.same_verdict else 1


def _check_new(out: Path) -> None:
    """Raise a UserError for a folder with something in it: a finished run would be read, and none made."""
    from gmd26_md.errors import UserError

    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise UserError(f"{out} is there already, and the run is to be made anew; give --out a new folder.")


def _chosen(run: Path, molecule: str | None, seed: int | None, temperature_k: float | None, key: str | None) -> Record:
    from gmd26_md.errors import UserError
    from gmd26_md.run_folder import RunFolder

    records = [r for r in RunFolder(run).records() if r.protocol == "stability"] if run.is_dir() else []
    if not records:
        raise UserError(f"{run} has no run of 'gmd26-md stability'; give such a run folder.")
    named = {n.lower() for n in _names_of(molecule)}
    found = [
        r
        for r in records
        if (key is None or r.key.startswith(key))
        and (molecule is None or named & {r.molecule.lower(), r.slug.lower()})
        and (seed is None or r.seed == seed)
        and (temperature_k is None or r.settings.get("temperature_K") == temperature_k)
    ]
    if len(found) != 1:
        known = found or records
        some = "; ".join(f"{r.molecule}, seed {r.seed}, {r.settings.get('temperature_K'):g} K" for r in known[:4])
        what = f"{len(found)} runs fit" if found else "no run fits"
        raise UserError(f"{what}; name one with MOLECULE, --seed, --temperature-K or --key. There are: {some}, ...")
    return found[0]


def _names_of(molecule: str | None) -> list[str]:
    """Return a name as it was given, and the benchmark's own where it is an everyday one ("oxalic acid")."""
    from gmd26_md import molecules
    from gmd26_md.errors import UserError

    if molecule is None:
        return []
    try:
        return [molecule, molecules.get(molecule).name]
    except UserError:
        return [molecule]


def _command_of(run: Path, record: Record) -> str:
    from gmd26_md.errors import UserError
    from gmd26_md.report.repeat import model_at_hand, repeat_command
    from gmd26_md.run_folder import RunFolder

    asked = RunFolder(run).asked()
    model = None if asked else model_at_hand(record)
    if not asked and model is None:
        raise UserError(
            f"{run} does not say where {record.model} lies, and no file here has its hash {record.model_sha256[:12]}; "
            "run the command in the folder that holds it."
        )
    return repeat_command(record, model, asked)


def _again(line: str, record: Record, out: Path, python: str) -> Record:
    """Run the command and return the record of the same run."""
    from gmd26_md.errors import UserError
    from gmd26_md.records import read_records

    words = shlex.split(line, comments=True)
    folder = Path(words[1]) if words[0] == "cd" else Path.cwd()
    arguments = words[words.index("gmd26-md") + 1 :]
    executable = str(Path(python).absolute()) if Path(python).is_file() else python  # the folder is another one there
    whole = [executable, "-m", "gmd26_md", *arguments, "--out", str(out.absolute()), "--quiet"]
    done = subprocess.run(whole, cwd=folder, capture_output=True, text=True)
    made = [r for r in read_records(out / "records.jsonl") if r.protocol == "stability"]
    same = [r for r in made if r.molecule == record.molecule and r.seed == record.seed]
    if done.returncode or len(same) != 1:
        last = (done.stderr.strip().splitlines() or ["it printed nothing"])[-1]
        raise UserError(f"the run could not be made again: {last.removeprefix('error: ')}")
    return same[0]
