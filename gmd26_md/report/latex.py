"""LaTeX of our tables: text that prints as it is, numbers in mathematics, a booktabs tabular."""

from __future__ import annotations

import re
from collections.abc import Sequence

NEEDS = r"% needs \usepackage{booktabs}"

_ESCAPED = {c: f"\\{c}" for c in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"$<$",
    ">": r"$>$",
    "|": r"$|$",
    "Å": r"\AA{}",
    "±": r"$\pm$",
    "°": r"$^\circ$",
    "Δ": r"$\Delta$",
}
_NUMBER = re.compile(r"[-+]?\d[\d.]*(e[-+]?\d+)?(?: ± [\d.]+)?")


def escaped(text: str) -> str:
    """Return text that LaTeX prints as it is. A line break becomes a space: a blank line would end the cell."""
    return " ".join("".join(_ESCAPED.get(c, c) for c in text).split())


def cell(text: str) -> str:
    """Return a cell: a number with or without its spread in mathematics (a true minus), "-" as a dash."""
    if text.strip() == "-":
        return "--"
    if _NUMBER.fullmatch(text):
        return "$" + text.replace("±", r"\pm") + "$"
    return escaped(text)


def tabular(rows: Sequence[Sequence[str]], n_left: int = 1) -> str:
    """Return a table, its first row the heading, the first columns to the left and the others to the right.

    Limit: it is as wide as its columns; a table too wide for a page is cut by choosing columns, or turned, by hand.
    """
    heading, *rest = rows
    lines = [
        rf"\begin{{tabular}}{{{'l' * n_left}{'r' * (len(heading) - n_left)}}}",
        r"\toprule",
        _line([escaped(c) for c in heading]),
    ]
    lines += [r"\midrule", *[_line([cell(c) for c in row]) for row in rest]]
    return "\n".join([NEEDS, *lines, r"\bottomrule", r"\end{tabular}", ""])


def comment(words: str) -> str:
    """Return words as comments, a line each."""
    return "".join(f"% {line}\n" if line.strip() else "%\n" for line in words.splitlines())


def _line(cells: Sequence[str]) -> str:
    # a row that begins with a bracket would be read as an argument of the line break before it
    first = "{}" + cells[0] if cells[0].startswith("[") else cells[0]
    return " & ".join([first, *cells[1:]]) + r" \\"
