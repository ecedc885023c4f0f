"""What `gmd26-md data import` says of what it found and did."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from gmd26_md.datasets.published import Survey
    from gmd26_md.molecules import Molecule

_SHOWN = 5  # of a list of like things


def _tasks(seen: Survey, outcome: dict[str, dict[str, str]] | None) -> dict[str, dict[str, int]]:
    """Return how much of each task is there: a training molecule needs both trajectories, an OOD one its primary."""
    from gmd26_md import tasks

    def has(molecule: Molecule, stages: tuple[str, ...]) -> bool:
        found = seen.found.get(molecule.slug, {}) if outcome is None else outcome.get(molecule.slug, {})
        return all(s in found and not (outcome is not None and str(found[s]).startswith("failed")) for s in stages)

    everything = [tasks.get(name) for name in tasks.TASKS]
    return {
        task.name: {
            "n_train": sum(has(m, ("primary", "secondary")) for m in task.train),
            "of_train": len(task.train),
            "n_ood": sum(has(m, ("primary",)) for m in task.ood),
            "of_ood": len(task.ood),
        }
        for task in everything
    }


def as_dict(seen: Survey, chosen: Sequence[Molecule], outcome: dict[str, dict[str, str]]) -> dict[str, Any]:
    """Return everything that was found and done, for --json."""
    return {
        "folder": str(seen.folder),
        "level": seen.asked.level,
        "n_files": seen.n_files,
        "n_bytes": seen.n_bytes,
        "molecules": {
            m.slug: {
                stage: {
                    "file": source.path.relative_to(seen.folder).as_posix(),
                    "kind": source.parts[0].kind.name,
                    "n_frames": source.n_frames,
                    "stage_by": seen.rules[m.slug][stage],
                    "n_atom_orders": len(source.parts),
                    "outcome": outcome.get(m.slug, {}).get(stage),
                }
                for stage, source in seen.found[m.slug].items()
            }
            for m in chosen
            if m.slug in seen.found
        },
        "missing": [m.name for m in chosen if m.slug not in seen.found],
        "tasks": _tasks(seen, outcome or None),
        "unknown": [
            {"file": str(u.path), "formula": u.formula, "n_frames": u.n_frames, "why": u.why}
            for u in seen.contents.unknown
        ],
        "other_level": seen.contents.other_level,
        "twins": seen.twins,
        "left_out": seen.left_out,
        "problems": seen.problems,
    }


def say(
    seen: Survey, chosen: Sequence[Molecule], outcome: dict[str, dict[str, str]], out: Path, *, dry_run: bool
) -> None:
    """Print what was found and done."""
    there = [m for m in chosen if m.slug in seen.found]
    click.echo(f"{seen.folder}: {seen.n_files} data files, {size_of(seen.n_bytes)}; level {seen.asked.level}")
    for line in _unit_lines(seen):
        click.echo(line)
    if dry_run:
        for m in there:
            click.echo(f"  {m.name:<26}{_words_of_stages(seen, m)}")
    _print_lists(seen, chosen, there)
    for name, n in _tasks(seen, outcome or None).items():
        if n["n_train"] or n["n_ood"]:
            click.echo(f"task {name}: {n['n_train']} of {n['of_train']} train, {n['n_ood']} of {n['of_ood']} OOD")
    if dry_run:
        click.echo(
            f"{len(there)} of {len(chosen)} molecules would go to {out / seen.asked.level}; nothing was written."
        )
        return
    for slug, stages in outcome.items():
        for stage, what in stages.items():
            if what.startswith("failed"):
                click.echo(f"{slug}, {stage}: {what}")
    taken = [slug for slug, stages in outcome.items() if not any(s.startswith("failed") for s in stages.values())]
    kept = [slug for slug, stages in outcome.items() if set(stages.values()) == {"kept"}]
    again = f" ({len(kept)} of them were there)" if kept else ""
    click.echo(f"{len(taken)} of {len(outcome)} molecules were imported into {out / seen.asked.level}{again}.")
    click.echo("the set has no minima: protocols relax each molecule with a reference when they need one.")


def _words_of_stages(seen: Survey, molecule: Molecule) -> str:
    words = []
    for stage in ("primary", "secondary"):
        source = seen.found[molecule.slug].get(stage)
        if source is None:
            words.append(f"no {stage}")
            continue
        order = f", {len(source.parts)} orders of atoms" if len(source.parts) > 1 else ""
        words.append(f"{stage} {source.n_frames} (by {seen.rules[molecule.slug][stage]}{order})")
    return "; ".join(words)


def _unit_lines(seen: Survey) -> list[str]:
    found: dict[str, int] = {}
    for stages in seen.found.values():
        for source in stages.values():
            part = source.parts[0]
            words = f"{part.kind.name} in {part.units.energy}, {part.units.length}, {part.units.force}"
            found[words] = found.get(words, 0) + 1
    return [f"  {n} trajectories from {words}" for words, n in found.items()]


def _print_lists(seen: Survey, chosen: Sequence[Molecule], there: Sequence[Molecule]) -> None:
    absent = [m.name for m in chosen if m not in there]
    partial = [f"{m.name} (no {s})" for m in there for s in ("primary", "secondary") if s not in seen.found[m.slug]]
    mixed = [f"{m.name} ({s})" for m in there for s, source in seen.found[m.slug].items() if len(source.parts) > 1]
    unknown = [f"{u.path}: {u.n_frames} frames of {u.formula}, {u.why}" for u in seen.contents.unknown]
    left_out = [f"{len(paths)} files ({paths[0]}): {why}" for why, paths in seen.left_out.items()]
    for title, entries in (
        ("missing", absent),
        ("incomplete", partial),
        ("atoms change their order between frames, put in ours by their bonds", mixed),
    ):
        if entries:
            more = f" and {len(entries) - _SHOWN} more" if len(entries) > _SHOWN and len(entries) > 12 else ""
            shown = entries[:_SHOWN] if more else entries
            click.echo(f"{title}: {len(entries)} ({', '.join(shown)}{more})")
    for title, entries in (
        ("left out", left_out),
        ("unknown", unknown),
        ("another level", seen.contents.other_level),
        ("taken once", seen.twins),
        ("problem", seen.problems),
    ):
        for entry in entries[:_SHOWN]:
            click.echo(f"{title}: {entry}")
        if len(entries) > _SHOWN:
            click.echo(f"{title}: and {len(entries) - _SHOWN} more; --json lists them all")


def size_of(n_bytes: int) -> str:
    """Return a size for people, "1.2 GB"."""
    size = float(n_bytes)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.4g} GB"
