"""From run folders to the page, one file that needs no network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from gmd26_md.files import write_text_whole
from gmd26_md.page import (
    distance,
    figures_errors,
    figures_other,
    figures_runs,
    figures_static,
    parity,
    structure,
    tables,
)
from gmd26_md.page.answer import answer, static_answer
from gmd26_md.page.common import by_molecule, together
from gmd26_md.page.content import TITLES, TaskContent, contents
from gmd26_md.page.figure import Figure, plain
from gmd26_md.page.limits import MAX_RUNS
from gmd26_md.page.molecule import ModelAtHand, Section, section, severity
from gmd26_md.page.pack import packed, packed_text
from gmd26_md.page.predictors import Predictors, predictors
from gmd26_md.page.sources import Sources
from gmd26_md.page.style import VERDICT_STYLES, look_of
from gmd26_md.records import Record

Show = Callable[[float, str], None]

_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True, eq=False)
class TaskPage:
    """A task with everything that its part of the page shows."""

    content: TaskContent
    cards: list[Any]
    columns: list[Any]
    rows: list[Any]
    matrix: tables.Matrix
    predictors: Predictors | None
    figures: list[Figure]
    protocols: list[Any]
    sections: list[Section]
    left_out: str


@dataclass(frozen=True, eq=False)
class Page:
    """A page, ready to be written."""

    tasks: list[TaskPage]
    sources: Sources

    @property
    def figures(self) -> list[Figure]:
        """All figures, those of molecules last."""
        overall = [f for task in self.tasks for f in task.figures]
        return overall + [f for task in self.tasks for s in task.sections for f in s.figures]


def made(
    sources: Sources,
    at_hand: ModelAtHand,
    show: Show = lambda fraction, words: None,
    distances: Sequence[Path] = (),
) -> Page:
    """Return the page of what was read; slow where there are trajectories.

    Parameters
    ----------
    distances
        Files with what `gmd26-md distance errors --json` printed.

    Raises
    ------
    UserError
        For such a file that is none.
    """
    far = distance.read_distances(distances)
    found = contents(sources)
    runs = [r for r in sources.records if r.protocol == "stability"]
    chosen = _shown_one_by_one(runs)
    pages = [_task(task, sources, chosen, at_hand, len(runs), show, far) for task in found]
    return Page(pages, sources)


def _shown_one_by_one(runs: Sequence[Record]) -> frozenset[str]:
    """Return the keys of the worst runs: as many of each molecule, as far as it has so many."""
    ranked = [
        (rank, severity(record), record)
        for mine in by_molecule(runs).values()
        for rank, record in enumerate(sorted(mine, key=severity))
    ]
    return frozenset(record.key for *_, record in sorted(ranked, key=lambda item: item[:2])[:MAX_RUNS])


def _task(
    task: TaskContent,
    sources: Sources,
    chosen: frozenset[str],
    at_hand: ModelAtHand,
    n_runs: int,
    show: Show,
    distances: dict[tuple[str, str], list[dict[str, Any]]],
) -> TaskPage:
    names = list(dict.fromkeys(name for split in task.splits for name in task.molecules(split)))
    sections = []
    for done, name in enumerate(names):
        show(done / len(names), f"{task.name}: {name}")
        sections.append(section(task, name, sources, chosen, at_hand))
    columns, rows = tables.static_and_dynamic(task)
    left = (
        f"{len(chosen)} of {n_runs} runs are shown one by one, of each molecule those that failed first and then the "
        "most wrong; all count in the tables and figures. 'gmd26-md verdict RUN MOLECULE' tells of the others."
    )
    return TaskPage(
        content=task,
        cards=[_card(model, task) for model in task.models],
        columns=columns,
        rows=rows,
        matrix=tables.matrix(task),
        predictors=predictors(task),
        figures=_ordered([*_figures(task, sections, sources), *distance.figures(task, distances)]),
        protocols=tables.protocol_tables(task),
        sections=sections,
        left_out=left if len(chosen) < n_runs else "",
    )


def _card(model: Any, task: TaskContent) -> dict[str, Any]:
    told = [(c, answer(model, task, c), tables.bars(model, c, task.splits)) for c in task.conditions]
    told = [t for t in told if t[1]]
    return {"model": model, "told": told, "static": "" if told else static_answer(model)}


def _figures(task: TaskContent, sections: Sequence[Section], sources: Sources) -> list[Figure]:
    forces: parity.Forces = {}
    for part in sections:
        for key, arrays in part.forces.items():
            forces.setdefault(key, []).extend(arrays)
    runs = parity.figure(task, forces, "on labelled frames of the runs", more=together(task))
    found = figures_runs.figures(task) + figures_errors.figures(task) + figures_other.figures(task)
    found += figures_static.figures(task, sources)
    return [*found, *([] if runs.empty else [runs])]


_ORDER = (
    "survival", "force-error-along", "drift", "static-against-dynamic", "static-parity", "force-parity",
    "direction-and-length", "torsion-barriers", "by-chain-length", "by-bonds-from-group", "by-bonds-static",
    "by-element", "error-against-distance", "distributions",
)  # fmt: skip


def _ordered(figures: Sequence[Figure]) -> list[Figure]:
    """Return figures as one reads: life, truth, conservation, then where the errors are."""
    return sorted(figures, key=lambda f: next((i for i, part in enumerate(_ORDER) if part in f.name), len(_ORDER)))


def write(page: Page, path: Path, title: str = "") -> None:
    """Write the page, whole or not at all."""
    write_text_whole(path, text_of(page, title))


def text_of(page: Page, title: str = "") -> str:
    """Return the page as HTML. Every name in it is escaped, and data lies in it packed."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    environment.globals |= {"titles": TITLES, "verdicts": VERDICT_STYLES, "look_of": look_of, "ramp": structure.ramp()}
    environment.filters |= {"packed": packed, "plain": plain}
    return environment.get_template("page.html").render(
        page=page,
        title=title or _title(page),
        style=(_TEMPLATES / "page.css").read_text(encoding="utf-8"),
        script=(_TEMPLATES / "page.js").read_text(encoding="utf-8"),
        plotly=_plotly(),
        models=_models(page),
        counts=_counts(page),
    )


def _title(page: Page) -> str:
    names = " and ".join(task.content.name.replace("-", " ") for task in page.tasks)
    return f"{names[0].upper()}{names[1:]}: models in dynamics" if names != "user" else "Models in dynamics"


def _counts(page: Page) -> str:
    """Return how much there is, in words."""
    records = page.sources.records
    runs = sum(r.protocol == "stability" for r in records)
    counted = (
        (len({r.model_sha256 for r in records}), "model"), (len({r.molecule for r in records}), "molecule"),
        (runs, "run"), (len(records), "record"),
    )  # fmt: skip
    return ", ".join(f"{n} {word}{'' if n == 1 else 's'}" for n, word in counted if n)


def _models(page: Page) -> list[dict[str, Any]]:
    """Return what each model is, once."""
    found = {}
    for task in page.tasks:
        for model in task.content.models:
            first = model.records[0]
            found[model.sha] = {
                "label": model.label, "family": model.family, "sha": model.sha, "device": first.device,
                "versions": ", ".join(f"{k} {v}" for k, v in sorted(first.versions.items())),
            }  # fmt: skip
    return list(found.values())


@cache
def _plotly() -> str:
    from plotly.offline import get_plotlyjs  # type: ignore[import-untyped]

    return packed_text(get_plotlyjs())


__all__ = ["Page", "made", "text_of", "write"]
