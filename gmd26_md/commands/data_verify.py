"""`gmd26-md data verify`: whether reference data is whole, right and independent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gmd26_md import host
from gmd26_md.commands.numbers import AT_LEAST_ONE

if TYPE_CHECKING:
    from gmd26_md.datasets.faults import Problem
    from gmd26_md.datasets.verify import MoleculeReport
    from gmd26_md.molecules import Molecule


@click.command(short_help="Check that data is whole, right and independent.")
@click.option("--task", help="Every molecule that this task needs must be there; see 'gmd26-md tasks'.")
@click.option("--all", "everything", is_flag=True, help="All 120 molecules must be there. Neither: what there is.")
@click.option("--data", type=click.Path(path_type=Path), default=Path("data"), show_default=True)
@click.option("--level", default="gfn2-xtb", show_default=True, help="Level of theory.")
@click.option("--quick", is_flag=True, help="Without reference calculations.")
@click.option(
    "--n-label-frames", type=AT_LEAST_ONE, default=2, show_default=True, help="Labels computed anew, a trajectory."
)
@click.option("--n-primary", type=AT_LEAST_ONE, default=None, show_default="as asked for when made", help="Frames.")
@click.option("--n-secondary", type=AT_LEAST_ONE, default=None, show_default="as asked for when made", help="Frames.")
@click.option("--hashes", type=click.Path(path_type=Path), help="Check the files against this list.")
@click.option("--write-hashes", type=click.Path(path_type=Path), help="Write such a list, if there is no problem.")
@click.option("--workers", type=AT_LEAST_ONE, default=None, show_default="all cores", help="Worker processes.")
@click.option("--json", "as_json", is_flag=True, help="Print problems and what was measured as JSON.")
def verify(
    task: str | None,
    everything: bool,
    data: Path,
    level: str,
    quick: bool,
    n_label_frames: int,
    n_primary: int | None,
    n_secondary: int | None,
    hashes: Path | None,
    write_hashes: Path | None,
    workers: int | None,
    as_json: bool,
) -> int:
    """Check reference data: files, counts, units, bonds, labels, temperature, independence. Exit code 1 for a problem.

    Labels of a few frames are computed anew, and their forces held against central differences of the energy. A hash
    list is what 'sha256sum -c' reads in the data folder. docs/data.md has every check and its limit.
    """
    from gmd26_md.commands.progress import verification_bar
    from gmd26_md.datasets.hashes import read_hashes
    from gmd26_md.datasets.hashes import write_hashes as write_list
    from gmd26_md.datasets.verify import Asked
    from gmd26_md.datasets.verify import verify as check
    from gmd26_md.errors import UserError

    if task is not None and everything:
        raise UserError("give --task with a name of 'gmd26-md tasks', or --all, or neither, but not both.")
    if not (data / level).is_dir():
        raise UserError(f"{data} has no folder {level} with reference data; make it with 'gmd26-md data generate'.")
    wanted = None if hashes is None else read_hashes(hashes)
    molecules, strangers = _molecules(task, everything, data / level)
    asked = Asked(level, 0 if quick else n_label_frames, n_primary=n_primary, n_secondary=n_secondary)
    with verification_bar() as show:
        reports = check(molecules, data, asked, n_workers=workers or host.n_cores(), on_progress=show)
    problems = [problem for report in reports for problem in report.problems]
    problems += strangers + _listed(wanted, data, level, molecules, whole=task is None)
    if write_hashes is not None and not problems:
        write_list(write_hashes, _hashes(data, level, molecules))
    click.echo(_as_json(reports, problems) if as_json else _as_text(reports, problems, data / level, quick))
    if write_hashes is not None and not as_json:
        click.echo(
            f"no hash list for data with problems: {write_hashes} is not written."
            if problems
            else f"the hashes are in {write_hashes}; check them with 'sha256sum -c' in {data}."
        )
    return 1 if problems else 0


def _molecules(task: str | None, everything: bool, folder: Path) -> tuple[list[Molecule], list[Problem]]:
    """Return the molecules to check, and the folders that are no molecule of the benchmark."""
    from gmd26_md import tasks
    from gmd26_md.datasets.faults import Fault, Problem
    from gmd26_md.errors import UserError
    from gmd26_md.molecules import all_molecules

    if task is not None:
        return list(dict.fromkeys(tasks.get(task).molecules)), []
    there = {path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")}
    found = [m for m in all_molecules() if everything or m.slug in there]
    words = "is no molecule of the benchmark, and was not checked; name the task that it belongs to with --task"
    odd = sorted(there - {m.slug for m in all_molecules()})
    if not (found or odd):
        raise UserError(f"{folder} has no data; make it with 'gmd26-md data generate'.")
    return found, [Problem(name, "", Fault("stranger", words)) for name in odd]


def _listed(
    wanted: dict[str, str] | None, data: Path, level: str, molecules: list[Molecule], *, whole: bool
) -> list[Problem]:
    """Return what differs from a hash list."""
    from gmd26_md.datasets.faults import Fault, Problem
    from gmd26_md.datasets.hashes import differing

    if wanted is None:
        return []
    slugs = None if whole else [m.slug for m in molecules]
    wrong = differing(wanted, _hashes(data, level, molecules), level, slugs)
    return [Problem(path, "", Fault("hash list", words)) for path, words in wrong.items()]


def _hashes(data: Path, level: str, molecules: list[Molecule]) -> dict[str, str]:
    from gmd26_md.datasets.hashes import hashes_of

    return hashes_of(data, level, molecules)


def _as_json(reports: list[MoleculeReport], problems: list[Problem]) -> str:
    from dataclasses import asdict

    from gmd26_md import strict_json
    from gmd26_md.datasets.stage_checks import UNITS
    from gmd26_md.datasets.verify_summary import n_frames, worst

    told = {
        "n_molecules": len(reports),
        "n_frames": n_frames(reports),
        "units": UNITS,
        "problems": [{"molecule": p.molecule, "stage": p.stage, **asdict(p.fault), "line": p.line} for p in problems],
        "worst": [asdict(one) for one in worst(reports)],
        "molecules": {r.slug: r.measured for r in reports},
    }
    return json.dumps(strict_json.encoded(told), indent=1, ensure_ascii=False)


def _as_text(reports: list[MoleculeReport], problems: list[Problem], folder: Path, quick: bool) -> str:
    from gmd26_md.datasets.verify_summary import n_frames, worst

    lines = [problem.line for problem in problems]
    rows: list[tuple[str, ...]] = [("the worst of all", "seen", "limit", "where")]
    rows += [
        (one.words, f"{one.value:.2g}" if abs(one.value) < 10 else f"{one.value:.0f}", one.limit, one.where)
        for one in worst(reports)
    ]
    if len(rows) > 1:
        wide = [max(len(row[i]) for row in rows) for i in range(3)]
        lines += [f"{a:<{wide[0]}}  {b:>{wide[1]}}  {c:>{wide[2]}}  {d}" for a, b, c, d in rows]
    n_bad = sum(bool(report.problems) for report in reports)
    found = f"{len(problems)} problem{'s' if len(problems) != 1 else ''}" if problems else "no problem"
    found += f" in {n_bad}" if n_bad else ""  # none where only a hash list differs
    labels = "; labels were not computed anew" if quick else ""
    lines.append(
        f"{len(reports)} molecule{'s' if len(reports) != 1 else ''}, {n_frames(reports)} frames in {folder}: "
        f"{found}{labels}."
    )
    return "\n".join(lines)
