"""The published data set (AmirMasoud/GMD on the hub) and sets like it, found in a folder of files.

The layout of the published set is not documented publicly (docs/published-data.md says what is known). So nothing rests
on names of folders: kinds of files are told by content, molecules by their covalent graph, levels of theory and units
by their energies, and what is primary and what secondary by a rule that is said (`stage_of`).
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gmd26_md.datasets.published_files import kind_of
from gmd26_md.datasets.published_parts import Asked, Contents, Part, contents_of
from gmd26_md.errors import UserError
from gmd26_md.trajectory import Ints

REPOSITORY = "AmirMasoud/GMD"
N_PRIMARY, N_SECONDARY = 2013, 500
"""Frames a molecule, as the published card says: about, and exactly."""

_PRIMARY_RANGE = (1500, 2100)  # both stages in one file are 2,513 and more
_SECONDARY_RANGE = (450, 550)


@dataclass(frozen=True, eq=False)
class Source:
    """All frames of one molecule in one file, in the file's order: a candidate for primary or secondary."""

    path: Path
    parts: tuple[Part, ...]

    @property
    def n_frames(self) -> int:
        """How many."""
        return sum(len(part.at) for part in self.parts)

    @property
    def prints(self) -> Ints:
        """Fingerprints of the frames, sorted."""
        return np.sort(np.concatenate([part.prints for part in self.parts]))


@dataclass(eq=False)
class Survey:
    """What was found in a folder.

    Attributes
    ----------
    folder, asked
        Where, and by what.
    n_files, n_bytes
        Data files read, and their size.
    found
        slug -> stage -> source.
    rules
        slug -> stage -> the rule that made it so ("path", "count", "asked").
    twins
        Files that hold the same frames as another one, which was taken.
    contents
        What all files hold together; `problems` in it are whatever has to be mended.
    left_out
        Files that are no data, by reason.
    """

    folder: Path
    asked: Asked
    n_files: int = 0
    n_bytes: int = 0
    found: dict[str, dict[str, Source]] = field(default_factory=dict)
    rules: dict[str, dict[str, str]] = field(default_factory=dict)
    twins: list[str] = field(default_factory=list)
    contents: Contents = field(default_factory=Contents)
    left_out: dict[str, list[str]] = field(default_factory=dict)

    @property
    def problems(self) -> list[str]:
        """What has to be mended, one line each."""
        return self.contents.problems


def survey(
    folder: Path, asked: Asked | None = None, on_progress: Callable[[float, str], None] = lambda fraction, words: None
) -> Survey:
    """Look through a folder: which molecules it has, which frames are primary and which secondary, what is wrong.

    Every data file is read once, in blocks; nothing is written.

    Raises
    ------
    UserError
        If the folder is not there or holds no data file at all.
    """
    folder, asked = Path(folder), asked or Asked()
    if not folder.is_dir():
        raise UserError(f"no folder {folder}; give the folder with the published files, or hub:{REPOSITORY}.")
    seen = Survey(folder, asked)
    kinds = {}
    for path in _files(folder, asked.include):
        kind, why = kind_of(path)
        if kind is None:
            seen.left_out.setdefault(why, []).append(_relative(path, folder))
        else:
            kinds[path] = kind
    if not kinds:
        reasons = "; ".join(f"{len(paths)} {why}" for why, paths in seen.left_out.items()) or "it is empty"
        raise UserError(
            f"{folder} has no data file (expected ASE trajectories, extended XYZ, npz or ASE databases): {reasons}."
        )
    sizes = {path: path.stat().st_size for path in kinds}
    seen.n_files, seen.n_bytes = len(kinds), sum(sizes.values())
    done = 0
    for path, kind in kinds.items():
        on_progress(done / max(seen.n_bytes, 1), _relative(path, folder))
        try:
            _add(seen.contents, contents_of(path, kind, asked))
        except UserError as problem:
            seen.problems.append(str(problem))
        done += sizes[path]
    _assign(seen.contents.parts, seen)
    return seen


def _files(folder: Path, include: Sequence[str]) -> list[Path]:
    """Return the files under a folder, without hidden ones, in order of their paths."""
    found = []
    for path in sorted(folder.rglob("*")):
        name = _relative(path, folder)
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.is_file() and not hidden and (not include or _fits(name, include)):
            found.append(path)
    return found


def _relative(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


def _fits(name: str, patterns: Iterable[str]) -> bool:
    """Tell whether a relative path, or its last part, fits a pattern; case counts."""
    return any(fnmatch.fnmatchcase(name, p) or fnmatch.fnmatchcase(name.rsplit("/", 1)[-1], p) for p in patterns)


def _add(everything: Contents, more: Contents) -> None:
    everything.parts += more.parts
    everything.unknown += more.unknown
    everything.other_level += more.other_level
    everything.problems += more.problems


def stage_of(name: str, n_frames: int, asked: Asked) -> tuple[str, str] | None:
    """Return ("primary" or "secondary", the rule that says so), or None if no rule does.

    The rules in turn: the patterns that the user gave; the word primary or secondary in the path; the published counts,
    500 frames within ten per cent against 1,500 to 2,100. Where one pattern is given, a path that it does not fit may
    still say by its word that it is the other.
    """
    patterns = {stage: p for stage, p in (("primary", asked.primary), ("secondary", asked.secondary)) if p}
    fits = [stage for stage, pattern in patterns.items() if _fits(name, [pattern])]
    if fits:
        return (fits[0], "asked") if len(fits) == 1 else None
    words = set(re.split(r"[^a-z]+", name.lower()))
    said = [stage for stage in ("primary", "secondary") if stage in words]
    if len(said) == 1 and said[0] not in patterns:
        return said[0], "path"
    if patterns:
        return None
    if _SECONDARY_RANGE[0] <= n_frames <= _SECONDARY_RANGE[1]:
        return "secondary", "count"
    return ("primary", "count") if _PRIMARY_RANGE[0] <= n_frames <= _PRIMARY_RANGE[1] else None


def _assign(parts: Sequence[Part], seen: Survey) -> None:
    """Say of each molecule's frames which are primary and which secondary."""
    by_file: dict[tuple[str, Path], list[Part]] = {}
    for part in parts:
        by_file.setdefault((part.molecule.slug, part.path), []).append(part)
    sources: dict[tuple[str, str], list[Source]] = {}
    for (slug, path), mine in by_file.items():
        source = Source(path, tuple(mine))
        name = _relative(path, seen.folder)
        stage = stage_of(name, source.n_frames, seen.asked)
        if stage is not None:
            sources.setdefault((slug, stage[0]), []).append(source)
            seen.rules.setdefault(slug, {})[stage[0]] = stage[1]
        elif source.n_frames == 1:  # the authors' generator leaves such, to go on from
            seen.left_out.setdefault(f"a single frame of {mine[0].molecule.name}, no trajectory", []).append(name)
        elif not (seen.asked.primary and seen.asked.secondary):
            seen.problems.append(
                f"{path}: {source.n_frames} frames of {mine[0].molecule.name} may be primary (expected: about "
                f"{N_PRIMARY}), secondary ({N_SECONDARY}) or both; say which with --primary PATTERN and --secondary "
                "PATTERN, or leave them out with --include PATTERN."
            )
    for (slug, stage_name), candidates in sorted(sources.items()):
        chosen = _one_of(candidates, stage_name, seen)
        if chosen is not None:
            seen.found.setdefault(slug, {})[stage_name] = chosen


def _one_of(candidates: Sequence[Source], stage: str, seen: Survey) -> Source | None:
    """Return the one source of a stage; files with the same frames are one, different ones are a problem."""
    first = candidates[0]
    others = [c for c in candidates[1:] if not np.array_equal(c.prints, first.prints)]
    name = first.parts[0].molecule.name
    if others:
        seen.problems.append(
            f"{name} has different {stage} frames in {first.path} ({first.n_frames}) and {others[0].path} "
            f"({others[0].n_frames}); choose with --include PATTERN, or --{stage} PATTERN."
        )
        return None
    seen.twins += [f"{c.path}: the same {stage} frames of {name} as {first.path}" for c in candidates[1:]]
    return first
