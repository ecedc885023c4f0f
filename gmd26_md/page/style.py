"""Colours, markers, dashes and patterns: told apart in greyscale and by colour-blind people.

Models have the colours of Okabe and Ito (2008), with a purple dark enough for thin lines, each with a marker and a dash
of its own; ID is filled and solid, OOD open and dashed. Verdicts have colours of P. Tol's muted scheme
(SRON/EPS/TN/09-002), each with a letter and a pattern.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#AA3377", "#E69F00", "#56B4E9", "#000000", "#7A5C3E")
_MARKERS = ("circle", "square", "diamond", "triangle-up", "triangle-down", "star", "hexagon")
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")


@dataclass(frozen=True)
class Look:
    """How a series looks; names of markers and dashes are Plotly's."""

    colour: str
    marker: str = "circle"
    dash: str = "solid"
    open: bool = False
    width: float = 1.8


def look_of(index: int) -> Look:
    """Return the look of a model by its place in the order of models; 168 of them are different."""
    return Look(_COLOURS[index % len(_COLOURS)], _MARKERS[index % len(_MARKERS)], _DASHES[index % len(_DASHES)])


def split_look(index: int, split: str) -> Look:
    """Return the look of a model where ID and OOD are in one panel: OOD is open and dashed."""
    unseen = split == "ood"
    return replace(look_of(index), open=unseen, dash="dash" if unseen else "solid")


REFERENCE = Look("#444444", "x", "dot", width=2.2)


@dataclass(frozen=True)
class VerdictStyle:
    """How a verdict looks: a letter, a colour, the pattern over it and its colour, and the colour of words on it."""

    letter: str
    colour: str
    pattern: str
    ink: str
    words: str
    meaning: str


VERDICT_STYLES: dict[str, VerdictStyle] = {
    "faithful": VerdictStyle("F", "#44AA99", "", "", "#000000", "alive, energy conserved, and true to the reference"),
    "silent": VerdictStyle(
        "S", "#DDCC77", "dots", "#6b5f1e", "#000000",
        "alive and conserved, but the reference says that it is wrong: nothing in the run itself shows it",
    ),
    "drifting": VerdictStyle("D", "#88CCEE", "lines", "#2f7fa8", "#000000", "alive, but its energy is not conserved"),
    "reacted": VerdictStyle("R", "#AA4499", "cross", "#ffffff", "#ffffff", "bonds are not those of the start"),
    "broken": VerdictStyle("B", "#CC6677", "rising", "#ffffff", "#000000", "a bond broke or two atoms clashed"),
    "exploded": VerdictStyle("X", "#882255", "falling", "#e6c3d3", "#ffffff", "too hot, or with numbers not finite"),
    "unsupported": VerdictStyle("U", "#DDDDDD", "bars", "#888888", "#000000", "the model does not know an element"),
    "error": VerdictStyle("E", "#555555", "grid", "#999999", "#ffffff", "model, reference or analysis failed"),
    "censored": VerdictStyle("C", "#ffffff", "sparse", "#999999", "#000000", "alive when a time limit cut it short"),
}  # fmt: skip
"""Every verdict, in the order of `records.VERDICTS`."""
