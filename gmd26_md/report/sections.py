"""What the summary and the table show of each protocol that judges a molecule in words.

A record of such a protocol has a reason that begins with its judgement and a colon ("agrees: ..."), or a verdict where
it could not be made; the numbers shown are means over its records, every molecule the same, with their spread.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One line of the table: the metric's name, what it is called, digits after the point."""

    metric: str
    words: str
    digits: int


@dataclass(frozen=True)
class Section:
    """A protocol's part of the table.

    Attributes
    ----------
    title
        Its heading; a setting's name in braces is replaced by its value: "relaxed from the {start}".
    good
        The judgement that is as it should be; every other is listed below the table.
    rows
        The numbers shown.
    """

    title: str
    good: str
    rows: tuple[Row, ...]


SECTIONS: dict[str, Section] = {
    "relaxation": Section(
        "relaxed from the {start}",
        "agrees",
        (
            Row("converged_fraction", "converged, fraction", 2),
            Row("heavy_rmsd_A", "heavy-atom RMSD to reference, Å", 3),
            Row("rmsd_A", "all-atom RMSD, Å", 3),
            Row("reference_fmax_eV_per_A", "reference force where it rests, eV/Å", 3),
            Row("reference_energy_above_minimum_eV", "reference energy above minimum, eV", 3),
            Row("relaxed_on_heavy_rmsd_A", "reference relaxes on by, Å", 3),
            Row("relaxed_on_energy_drop_eV", "and sets free, eV", 3),
            Row("n_steps", "steps", 0),
        ),
    ),
}
