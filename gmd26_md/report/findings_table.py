"""The findings as text, Markdown, LaTeX or CSV."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from gmd26_md.report.findings import Finding
from gmd26_md.report.forms import written
from gmd26_md.report.latex import escaped


def findings_written(found: Sequence[Finding], form: str, *, width: int = 110) -> str:
    """Return the findings as text, Markdown, LaTeX or CSV; text fits a width in characters."""
    if form == "text":
        lines = [textwrap.wrap(f.figure, max(width - 15, 40)) for f in found]
        return "".join(
            "\n".join([f"{f.status:<15}{f.statement}", *[" " * 15 + line for line in figure]]) + "\n"
            for f, figure in zip(found, lines, strict=True)
        )
    if form == "latex":
        rows = [f"{escaped(f.statement)} & {escaped(f.status)} & {escaped(f.figure)} \\\\" for f in found]
        head = [r"\begin{tabular}{p{0.3\linewidth}lp{0.45\linewidth}}", r"\toprule"]
        head += [r"Published finding & Here & Figure \\", r"\midrule"]
        return "\n".join([*head, *rows, r"\bottomrule", r"\end{tabular}", ""])
    return written(
        [["published finding", "here", "our figure"], *[[f.statement, f.status, f.figure] for f in found]], form
    )
