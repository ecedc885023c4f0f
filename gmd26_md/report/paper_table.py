"""The published table of a task with our rows beside it: text, Markdown, CSV, and LaTeX in the paper's layout."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.table import Table
from rich.text import Text

from gmd26_md import tasks
from gmd26_md.metrics import DIRECT_FORCES
from gmd26_md.report.cells import console_to
from gmd26_md.report.forms import written
from gmd26_md.report.latex import NEEDS, escaped
from gmd26_md.report.published import COLUMNS, SOURCE, STATIC_ERRORS, name_of
from gmd26_md.report.static_results import Measured, Value

RATIO = "force_mae_eV_per_A"
"""The metric whose OOD over ID is shown."""

_WIDE = 128  # characters that all columns of text need

# metric, heading, the same in LaTeX, digits of our numbers
_HEADINGS = (
    ("force_mae_eV_per_A", "F MAE, eV/Å", r"F MAE (eV/\AA)", 4),
    ("force_cosine", "cos", "Cosine", 4),
    ("force_magnitude_mae_eV_per_A", "F mag MAE, eV/Å", r"F mag MAE (eV/\AA)", 4),
    ("energy_mae_eV", "E MAE, eV", "E MAE (eV)", 3),
)


@dataclass(frozen=True)
class PaperRow:
    """One row: a family, where its numbers are from, and (ID, OOD) of each metric of `COLUMNS`, or none."""

    family: str
    source: str
    published: bool
    errors: dict[str, tuple[Value, Value]]
    budget: str = ""

    @property
    def ratio(self) -> Value:
        """OOD over ID of the force MAE."""
        pair = self.errors.get(RATIO)
        return pair[1].over(pair[0]) if pair else Value(math.nan)


def paper_rows(task: str, models: Sequence[Measured]) -> list[PaperRow]:
    """Return the rows of a task: the families in the published order, then others, direct forces last.

    Under each published row stand all our models of the family; a family of which we have none says so.
    """
    published = STATIC_ERRORS.get(task, {})
    ours = [m for m in models if m.task == task]
    order = {name: place for place, name in enumerate(published)}
    families = sorted(
        {name_of(m.family) for m in ours} | set(published),
        key=lambda name: (DIRECT_FORCES in name, order.get(name, len(order)), name),
    )
    rows = []
    for family in families:
        if family in published:
            rows.append(PaperRow(family, SOURCE, True, _published(published[family])))
        mine = [m for m in ours if name_of(m.family) == family]
        rows += [PaperRow(family, m.model + _part_of(m), False, m.errors, budget_of(m)) for m in mine]
        if not mine:
            rows.append(PaperRow(family, "ours: not run", False, {}))
    return rows


def _part_of(model: Measured) -> str:
    """Return how many molecules stand behind a row of the benchmark, where they are not all; else nothing."""
    if model.task not in tasks.TASKS or not all(model.n_molecules):
        return ""
    task = tasks.named(model.task)
    whole = len(task.tested) - len(task.ood), len(task.ood)
    if model.n_molecules == whole:
        return ""
    return (
        " ("
        + ", ".join(f"{n} of {w} {s}" for n, w, s in zip(model.n_molecules, whole, ("ID", "OOD"), strict=True))
        + ")"
    )


def budget_of(model: Measured) -> str:
    """Return what a model was trained with, in words; empty where its checkpoint does not say."""
    known = model.training
    parts = []
    if "steps" in known:
        parts.append(f"{int(known['steps']):,} steps")
    if "seconds" in known:
        parts.append(f"{float(known['seconds']) / 60:.0f} min")
    if "n_train_frames" in known:
        parts.append(f"{int(known['n_train_frames']):,} frames")
    if "n_parameters" in known:
        parts.append(f"{int(known['n_parameters']):,} parameters")
    return ", ".join(parts)


def paper_written(rows: Sequence[PaperRow], form: str, *, task: str, level_of_theory: str, width: int = 110) -> str:
    """Return the table in one of `forms.FORMATS`; text fits a width in characters."""
    if form == "csv":
        return _csv(rows)
    if form == "latex":
        return _latex(rows, task, level_of_theory)
    if form == "text":
        return _text(rows, width)
    heading = ["model", "source", *[f"{h}, {split}" for _, h, *_ in _HEADINGS for split in ("ID", "OOD")]]
    cells = [[*heading, "F MAE, OOD/ID", "training"]]
    for row in rows:
        numbers = [_cell(row, metric, i, digits) for metric, *_, digits in _HEADINGS for i in (0, 1)]
        cells.append([row.family, row.source, *numbers, _ratio(row), row.budget or "-"])
    return written(cells, form)


def _text(rows: Sequence[PaperRow], width: int) -> str:
    """Return the table for a terminal: standard errors in brackets, in units of the last digit; budgets below.

    A terminal that is too narrow for all columns gets the metrics in two tables.
    """
    out = io.StringIO()
    console = console_to(out, width, False)
    parts = (_HEADINGS,) if width >= _WIDE else (_HEADINGS[:2], _HEADINGS[2:])
    for part in parts:
        console.print(_text_table(rows, part))
    console.print(Text("(n): standard error over molecules and frames, in units of the last digit."))
    if any(row.published for row in rows):
        console.print(Text(f"published: {SOURCE}; budget and spread are not public."))
    for row in rows:
        if row.budget:
            console.print(Text(f"{row.source}: {row.budget}"))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def _text_table(rows: Sequence[PaperRow], headings: Sequence[tuple[str, str, str, int]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("model", overflow="fold")
    for _, heading, *_ in headings:
        words = heading.replace(", ", "\n") if ", " in heading else f"\n{heading}"
        table.add_column(f"{words}\nID", justify="right", no_wrap=True)
        table.add_column("\n\nOOD", justify="right", no_wrap=True)
    with_ratio = any(metric == RATIO for metric, *_ in headings)
    if with_ratio:
        table.add_column("F MAE\n\nOOD/ID", justify="right", no_wrap=True)
    for row in rows:
        name = f"{row.family}, published" if row.published else f"  {row.source}"
        cells = [_brief(row, metric, i, digits) for metric, *_, digits in headings for i in (0, 1)]
        ratio = [_bracketed(row.ratio, 1) if RATIO in row.errors else "-"] if with_ratio else []
        table.add_row(*[Text(c) for c in (name, *cells, *ratio)])
    return table


def _brief(row: PaperRow, metric: str, split: int, digits: int) -> str:
    if row.published or metric not in row.errors:
        return _cell(row, metric, split, digits)
    return _bracketed(row.errors[metric][split], digits)


def _bracketed(found: Value, digits: int) -> str:
    """Return "0.0852(165)": 0.0852 with a standard error of 0.0165."""
    if not math.isfinite(found.value):
        return "not finite"
    if not math.isfinite(found.standard_error):
        return f"{found.value:.{digits}f}"
    error = f"{found.standard_error:.{digits}f}".replace(".", "").lstrip("0") or "0"
    return f"{found.value:.{digits}f}({error})"


def _published(values: Sequence[tuple[float, float]]) -> dict[str, tuple[Value, Value]]:
    return {name: (Value(pair[0]), Value(pair[1])) for name, pair in zip(COLUMNS, values, strict=True)}


def _cell(row: PaperRow, metric: str, split: int, digits: int) -> str:
    if metric not in row.errors:
        return "-"
    found = row.errors[metric][split]
    if row.published:
        return _as_published(found.value)
    return _with_error(found, digits, " ± ")


def _as_published(value: float) -> str:
    return f"{value:.{4 if abs(value) < 1.0 else 2}f}"  # in the digits of the source: four below 1, two above


def _with_error(found: Value, digits: int, between: str) -> str:
    if not math.isfinite(found.value):
        return "not finite"
    if not math.isfinite(found.standard_error):
        return f"{found.value:.{digits}f}"
    return f"{found.value:.{digits}f}{between}{found.standard_error:.{digits}f}"


def _ratio(row: PaperRow) -> str:
    found = row.ratio
    if RATIO not in row.errors:
        return "-"
    return _with_error(found, 1, " ± ")


def _csv(rows: Sequence[PaperRow]) -> str:
    """Return one line a row, numbers apart from their standard errors; empty where there is none."""
    names = [f"{metric}_{split}" for metric in COLUMNS for split in ("id", "ood")]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    heading = [part for name in [*names, f"{RATIO}_ood_over_id_ratio"] for part in (name, f"{name}_standard_error")]
    writer.writerow(["family", "source", "published", "training", *heading])
    for row in rows:
        values = [v for metric in COLUMNS for v in row.errors.get(metric, (None, None))]
        values.append(row.ratio if RATIO in row.errors else None)
        pairs = [(v.value, None if row.published else v.standard_error) if v else (None, None) for v in values]
        numbers = [_number(x) for pair in pairs for x in pair]
        writer.writerow([row.family, row.source, int(row.published), row.budget, *numbers])
    return out.getvalue()


def _number(value: float | None) -> str:
    """Return a number for a program; nothing where there is none, "nan" where it was had and is no number."""
    return "" if value is None else repr(float(value))


def _latex(rows: Sequence[PaperRow], task: str, level_of_theory: str) -> str:
    """Return a booktabs table in the paper's layout: a column pair (ID, OOD) a metric, the best OOD of ours in bold."""
    best = {metric: _best(rows, metric) for metric in COLUMNS}
    lines = [
        NEEDS,
        r"\begin{table}",
        r"\centering",
        rf"\caption{{Static errors of {escaped(task)}, {escaped(level_of_theory or 'level of theory not stated')}. "
        rf"Rows marked $^*$ are published ({escaped(SOURCE)}); $\pm$ is the standard error over molecules and frames; "
        r"bold: least OOD error of the other rows.}",
        r"\begin{tabular}{l" + "rr" * len(_HEADINGS) + "}",
        r"\toprule",
        "Model & " + " & ".join(rf"\multicolumn{{2}}{{c}}{{{latex}}}" for *_, latex, _ in _HEADINGS) + r" \\",
        " ".join(rf"\cmidrule(lr){{{2 + 2 * i}-{3 + 2 * i}}}" for i in range(len(_HEADINGS))),
        " & " + " & ".join(["ID", "OOD"] * len(_HEADINGS)) + r" \\",
        r"\midrule",
    ]
    for row in rows:
        if not row.errors:
            continue
        name = escaped(row.family) + ("$^*$" if row.published else f" ({escaped(row.source)})")
        cells = [
            _latex_cell(row, metric, i, digits, bold=i == 1 and row is best[metric])
            for metric, *_, digits in _HEADINGS
            for i in (0, 1)
        ]
        lines.append(f"{name} & " + " & ".join(cells) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}", ""])


def _best(rows: Sequence[PaperRow], metric: str) -> PaperRow | None:
    """Return our row with the least OOD error (the largest cosine)."""
    ours = [r for r in rows if not r.published and metric in r.errors and math.isfinite(r.errors[metric][1].value)]
    sign = -1.0 if metric == "force_cosine" else 1.0
    return min(ours, key=lambda r: sign * r.errors[metric][1].value, default=None)


def _latex_cell(row: PaperRow, metric: str, split: int, digits: int, *, bold: bool) -> str:
    if metric not in row.errors:
        return "--"
    found = row.errors[metric][split]
    if row.published:
        return f"${_as_published(found.value)}$"
    if not math.isfinite(found.value):
        return "not finite"
    text = _with_error(found, digits, r" \pm ")
    return rf"$\mathbf{{{text}}}$" if bold else f"${text}$"
