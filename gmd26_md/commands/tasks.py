"""`gmd26-md tasks`: list the tasks of the benchmark, or show one, the benchmark's or one's own."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from gmd26_md.tasks import Task

_WIDTH = 110  # columns


@click.command(short_help="List the tasks, or show and check one of your own.")
@click.argument("task", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def command(task: str | None, as_json: bool) -> None:
    """List the tasks: what trains, what is unseen, and the question. Or show one.

    TASK is a name, or a file of your own, .yaml or .py: its molecules and splits, whether it is fair (no molecule on
    both sides), and whether its training compositions pin the energies of what is unseen. A .py file is run.
    """
    from gmd26_md import tasks

    if task is not None:
        content = _content(tasks.get(task))
        click.echo(json.dumps(content, indent=1) if as_json else "\n".join(_lines(content)))
        return
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


def _content(task: Task) -> dict[str, Any]:
    """Return all that there is to know of a task, once it is found fair."""
    from gmd26_md.datasets.composition import composition_report
    from gmd26_md.leakage import SPLITS, refuse_leakage

    refuse_leakage(task)
    rows = [
        {
            "split": split,
            "name": m.name,
            "family": m.family,
            "n_atoms": len(m.symbols),
            "formula": m.formula,
            "smiles": m.smiles or None,
            "slug": m.slug,
        }
        for split in SPLITS
        for m in getattr(task, split)
    ]
    return {
        "name": task.name,
        "note": task.note,
        "models_of": task.models_of,
        "sha256": task.sha256 or None,
        "leakage": "none",
        "molecules": rows,
        "warnings": list(task.warnings),
        "composition": composition_report(task),
    }


def _lines(content: dict[str, Any]) -> list[str]:
    """Return the same for people, at most 110 columns: what is longer is cut, and whole as JSON."""
    rows = content["molecules"]
    counts = {split: sum(row["split"] == split for row in rows) for split in ("train", "id", "ood")}
    source = f"models of {content['models_of']}, " if content["models_of"] else ""
    inside = f"{counts['id']} ID" if counts["id"] else "ID: the training molecules' secondary trajectories"
    width = min(28, max(len(row["name"]) for row in rows))
    kind = min(20, max(len(row["family"]) for row in rows))
    left = _WIDTH - 32 - width - kind
    lines = textwrap.wrap(f"{content['name']}: {content['note']}" if content["note"] else content["name"], _WIDTH)
    lines += [f"{source}{counts['train']} train, {counts['ood']} OOD; {inside}", ""]
    lines += [f"split  {'molecule':<{width}}  {'family':<{kind}}  atoms  {'formula':<12}  SMILES"]
    lines += [
        f"{row['split']:<5}  {_cut(row['name'], width):<{width}}  {_cut(row['family'], kind):<{kind}}  "
        f"{row['n_atoms']:>5}  {row['formula']:<12}  {_cut(row['smiles'] or '(structure file)', left)}"
        for row in rows
    ]
    said = [
        "Leakage: none. No covalent graph stands in two splits, or twice in one.",
        content["composition"]["words"],
        *(f"Note: {words}" for words in content["warnings"]),
    ]
    lines += ["", *(line for words in said for line in textwrap.wrap(words, _WIDTH))]
    return [*lines, f"content {content['sha256'][:16]}"] if content["sha256"] else lines


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 3] + "..."
